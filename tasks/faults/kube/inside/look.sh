# Tells what the other scripts have to know, and ends badly where they could not run.
sleep 0 || exit 3
read -r u rest </proc/uptime || exit 4
[ "$((${u%.*}${u#*.} / 100))" -gt 0 ] || exit 5
processors=0 used=0 largest=0 dead=0 free=0
while read -r name rest; do [ "$name" = processor ] && processors=$((processors + 1)); done </proc/cpuinfo
while read -r name amount rest; do [ "$name" = MemAvailable: ] && free=$amount; done </proc/meminfo
for p in /proc/[0-9]*; do
  own=0
  while read -r name amount rest; do
    case $name$amount in
      State:Z) dead=$((dead + 1)) ;;
      RssAnon:* | RssShmem:*) own=$((own + amount)) ;;
    esac
  done <"$p/status"
  used=$((used + own))
  [ "$own" -gt "$largest" ] && largest=$own
done 2>/dev/null
echo "processors $processors"
echo "used_kib $used"
echo "largest_kib $largest"
echo "free_kib $free"
echo "dead $dead"
