# Tells which processes carry the mark $1 on the first line of their command, and how many dead ones nobody took away.
dead=0
for p in /proc/[0-9]*; do
  read -r s <"$p/stat" || continue
  s=${s##*) }
  if [ "${s%% *}" = Z ]; then
    dead=$((dead + 1))
    continue
  fi
  c=
  IFS= read -r c <"$p/cmdline"
  case $c in *": $1") echo "process ${p#/proc/}" ;; esac
done 2>/dev/null
echo "dead $dead"
