# While one apply waits: its deadline set anew, its confirmation by an apply, and a confirmation that
# looks at what is in force.
. "$(dirname "$0")/prelude.sh"
web_01 "$@"
port=50
apply
first=$(table)

# The same policy: the time begins anew.
admit 8001
apply --confirm 8s
expect_status 0
second=$(table)
apply --confirm 1h
expect_status 0
expect_out "starts anew"
expect_out "unless you confirm it"
sleep 8.5
[ "$(table)" = "$second" ] || complain "rolled back at the old deadline"
apply
expect_status 1
expect_err "waits for \`rolewall confirm $with_dir\`"
apply --confirm 1s
expect_status 0
expect_out "starts anew"
for _ in $(seq 50); do [ "$(table)" = "$first" ] && break; sleep 0.1; done
[ "$(table)" = "$first" ] || complain "not rolled back at the new deadline"

# Without one: it is confirmed, and said.
sleep 0.5
apply --confirm 8s
expect_status 0
apply --no-confirm
expect_status 0
expect_out "is confirmed"
sleep 8.5
[ "$(table)" = "$second" ] || complain "rolled back though it was confirmed"
with_state history --format json
expect_json 'd["events"][-1]["event"] == "confirmed" and d["generations"][-1]["boot"]'
# With another policy: both are.
admit 8002
apply --confirm 8s
admit 8003
apply --no-confirm
expect_status 0
expect_out "is confirmed"
third=$(table)
sleep 8.5
[ "$(table)" = "$third" ] || complain "rolled back though it was confirmed"

# The state directory is moved away: that is no confirmation, nor is one that is made anew. It is
# not recorded where nothing is, and goes on from there once it is back.
for how in "true" "mkdir $state"; do
  before=$(table)
  admit 80$((port += 1))
  apply --confirm 4s
  expect_status 0
  mv "$state" "$state.away"
  $how
  with_state confirm
  expect_status 1
  expect_err "nothing was confirmed"
  await_table "$before"
  rm -rf "$state"
  mv "$state.away" "$state"
  with_state status
  expect_status 1
  expect_out "is rolled back already"
  with_state rollback --expired
  expect_status 0
  [ "$(table)" = "$before" ] || complain "another table"
done
# One in which something else was applied since has its own word.
admit 8090
apply --confirm 4s
mv "$state" "$state.away"
admit 8091
apply
expect_status 0
anew=$(table)
sleep 5
[ "$(table)" = "$anew" ] || complain "what was applied since is gone"
rm -rf "$state"
mv "$state.away" "$state"
with_state boot -p site --host web-01
expect_status 0
[ "$(table)" = "$third" ] || complain "not what was confirmed before"

# Another program takes the table away: that is no confirmation of it.
admit 8004
apply --confirm 1h
expect_status 0
fourth=$(table)
nft delete table inet rolewall
with_state confirm
expect_status 1
expect_err "had been removed"
[ "$(table)" = "$fourth" ] || complain "it is not loaded again"
with_state status --format json
expect_json 'd["pending"] and d["drift"] == []'
# Or changes it.
nft insert rule inet rolewall input accept
with_state confirm
expect_status 1
expect_err "another program changed it"
with_state status --format json
expect_json 'd["pending"]'
apply --confirm 1h
expect_status 0
with_state confirm
expect_status 0
[ "$(table)" = "$fourth" ] || complain "not what was applied"
play_reboot
with_state boot -p site --host web-01
[ "$(table)" = "$fourth" ] || complain "not what was confirmed"
