# Holds memory. $1: processes, $2: MiB in each, $3: hundredths of a second until all is held (0: at once),
# $4: hundredths of a second in all. The first process is filled first; each variable holds one MiB.
t() { read -r u rest </proc/uptime; u=${u%.*}${u#*.}; }
t
begin=$u end=$((u + $4)) c=xxxxxxxxxxxxxxxx k=0
while [ "$k" -lt 16 ]; do c=$c$c k=$((k + 1)); done
k=0
while [ "$k" -lt "$1" ]; do
  (
    trap 'exit 0' TERM
    held=0
    while t; [ "$u" -lt "$end" ]; do
      want=$2
      if [ "$3" -gt 0 ]; then
        want=$(($1 * $2 * (u - begin) / $3 - k * $2))
        [ "$want" -gt "$2" ] && want=$2
      fi
      while [ "$held" -lt "$want" ]; do
        held=$((held + 1))
        eval "v$held=\$c"
      done
      sleep 1
    done
  ) &
  k=$((k + 1))
done
trap : TERM
until wait; do :; done # told to end: its processes were told, too, and are taken away here
