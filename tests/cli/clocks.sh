# The wall clock jumps, forward and back, while an apply waits: the timer keeps its time, and nothing is
# overdue by it. A machine that sleeps counts that time. Bans outlast a clock that was wrong for a while.
. "$(dirname "$0")/prelude.sh"
[ -n "${ROLEWALL_WALL_CLOCK:-}" ] || { echo "skipped: a sanitizer suffers no library before it"; exit 77; }
web_01 "$@"
program=$ROLEWALL_PROGRAM
cat >"$scratch/jumping" <<W
#!/bin/sh
exec env LD_PRELOAD="$ROLEWALL_WALL_CLOCK" "$program" "\$@"
W
cat >"$scratch/an_hour_later" <<W
#!/bin/sh
exec unshare --time --boottime 3600 "$program" "\$@"
W
chmod 755 "$scratch/jumping" "$scratch/an_hour_later"
export ROLEWALL_TEST_CLOCK="$scratch/clock"
ROLEWALL_PROGRAM="$scratch/jumping"
years=$((10 * 365 * 86400))
jump() { echo "$1" >"$ROLEWALL_TEST_CLOCK"; }

jump 0
apply
expect_status 0
admit 8001
apply --confirm 1m
expect_status 0
second=$(table)
for by in $years -$years; do
  jump "$by"
  with_state status
  expect_status 0
  expect_out "pending "
  refuse_out "overdue"
  [ "$(table)" = "$second" ] || complain "a jump of the wall clock has rolled it back"
done
with_state confirm
expect_status 0
in_force 2 "$second"

# The process that waits has its time, whatever the clock says meanwhile.
for by in -$years $years; do
  jump 0
  port=$((${port:-8001} + 1))
  admit $port
  apply --confirm 3s
  expect_status 0
  jump "$by"
  [ "$(table)" != "$second" ] || complain "it came back before its time"
  await_table "$second"
done
jump 0
with_state status
expect_status 0

# A boot with a clock that is ahead takes no ban for longer than it was, and none away for good.
with_state ban 192.0.2.7 --for 1h
with_state ban 192.0.2.8
jump "$years"
nft flush ruleset
with_state boot -p site --host web-01
expect_status 0
rolewall bans
expect_out 192.0.2.8
refuse_out 192.0.2.7
jump 0
nft flush ruleset
with_state boot -p site --host web-01
rolewall bans
expect_out 192.0.2.7
jump -$years
nft flush ruleset
with_state boot -p site --host web-01
rolewall bans --format json
expect_json "all(e.get('seconds_left', 0) <= 3600 for e in d['entries'])"
jump 0

# The machine has slept for an hour: the time is over, for whichever verb comes first.
if unshare --time --boottime 3600 true 2>/dev/null; then
  second=$(table)  # with the bans
  port=$((port + 1))
  admit $port
  apply --confirm 1m
  expect_status 0
  ROLEWALL_PROGRAM="$scratch/an_hour_later"
  with_state status
  expect_status 1
  expect_out overdue
  with_state confirm
  expect_status 1
  expect_err "too late"
  [ "$(table)" = "$second" ] || complain "it was not rolled back"
fi
echo "$checks checks"
