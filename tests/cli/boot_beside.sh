# What boot meets beside the record decides nothing: what was confirmed is loaded, the rest as far as
# it goes, and what was not is said.
. "$(dirname "$0")/prelude.sh"
web_01 "$@"
# The time that is left is another from second to second.
table() { nft -s list table inet rolewall 2>/dev/null | sed 's/ timeout [0-9a-z]*//; s/ expires [0-9a-z]*//' | sort; }
boot() { rolewall boot -p site --host web-01 --state-dir "$state"; }

rolewall apply site --host web-01 --state-dir "$state"
expect_status 0
rolewall ban 192.0.2.7 --for 2h --state-dir "$state"
rolewall ban 10.77.0.0/16 --for 2h --state-dir "$state"
expect_status 0
cp -a "$state" "$scratch/kept"
play_reboot
boot
expect_status 0
applied=$(table)
# Edited, and never applied: must not come into force by itself.
printf '\n[[inbound]]\nid = "more"\nservice = "tcp/8001"\nfrom = "office"\n' >>site/web.toml

# Each time from a whole state. $1: what is expected to be said, "" for nothing in particular.
loaded() {
  boot
  expect_status 0
  expect_out "generation 1 is in force"
  nft list chain inet rolewall web.inbound.more >/dev/null 2>&1 && complain "what was never applied is in force"
  [ -z "$1" ] || expect_err "$1"
}
whole() {
  [ "$(table)" = "$applied" ] || complain "not what was applied, bans and all"
}
restore() {
  rm -rf "$state"
  cp -a "$scratch/kept" "$state"
  play_reboot
}

restore
mount --bind "$state" "$state"
mount -o remount,ro,bind "$state"
loaded "nothing can be recorded"
whole
umount "$state"

restore
python3 -c "
import fcntl, sys, time
file = open('$state/lock', 'r+')
fcntl.flock(file, fcntl.LOCK_EX)
open('$scratch/held', 'w')
time.sleep(15)" &
holder=$!
while [ ! -e "$scratch/held" ]; do sleep 0.1; done
# Where the state is on an overlay, nobody can tell whose lock it is.
if grep -q "FLOCK .* $holder " /proc/locks; then
  loaded "another rolewall is running (process $holder) and did not finish"
else
  loaded "another rolewall is running"
fi
whole
kill $holder

for damage in "echo damaged" "printf {}" "head -c 4096 /dev/urandom" "printf ''"; do
  for file in pending.json kernel.json history.log; do
    restore
    eval "$damage" >"$state/$file"
    loaded ""
    whole
  done
done
restore
echo '{' >"$state/pending.json"
loaded "cannot tell whether something waits"
[ ! -e "$state/pending.json" ] || complain "it stays in the way of the next apply"
restore
echo 'three' >"$state/format"  # says nothing
loaded ""
whole
restore
echo 99 >"$state/format"
rolewall boot -p site --host web-01 --state-dir "$state"
expect_status 0
expect_out "the current policy is in force"
expect_err "written by a newer rolewall"
for file in pending.json kernel.json history.log; do
  restore
  rm -f "$state/$file"
  mkdir "$state/$file"
  loaded ""
  whole
done

# The links, which the history can do without.
for link in boot current; do
  restore
  rm "$state/$link"
  loaded ""
  whole
  restore
  ln -sfn nowhere "$state/$link"
  loaded ""
  whole
done

# Bans: all that can be read.
restore
rm "$state/bans.log"
mkdir "$state/bans.log"
loaded "bans.log: is a directory"
restore
echo '{"entry": "ban 192.0.2.' >>"$state/bans.log"
loaded "1 line is damaged"
whole
restore
printf '%s\n' '{"entry":"ban 10.76.0.0/14"}' '{"entry":"ban 10.77.3.0/24","for":60,"until":99999999999}' >>"$state/bans.log"
loaded ""
rolewall bans
expect_out "ban    10.76.0.0/14  for good"
refuse_out "10.77"
expect_out "192.0.2.7"
# Anything else beside.
restore
mkdir -p "$state/generations/photos" && : >"$state/generations/photos/1.jpg"
loaded ""
[ -e "$state/generations/photos/1.jpg" ] || complain "the photos are gone"
