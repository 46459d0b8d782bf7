# Keeps processors busy. $1: processes, $2: hundredths of a second busy in a turn, $3: seconds asleep in a turn,
# $4: hundredths of a second in all. The clock is the kernel's uptime, read without starting a program.
t() { read -r u rest </proc/uptime; u=${u%.*}${u#*.}; }
t
end=$((u + $4)) k=0
while [ "$k" -lt "$1" ]; do
  (
    trap 'exit 0' TERM
    while t; [ "$u" -lt "$end" ]; do
      stop=$((u + $2))
      [ "$stop" -gt "$end" ] && stop=$end
      while [ "$u" -lt "$stop" ]; do
        i=0
        while [ "$i" -lt 300 ]; do i=$((i + 1)); done
        t
      done
      [ "$3" -gt 0 ] && sleep "$3"
    done
  ) &
  k=$((k + 1))
done
trap : TERM
until wait; do :; done # told to end: its processes were told, too, and are taken away here
