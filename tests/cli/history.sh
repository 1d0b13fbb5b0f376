# Everything that changes what is in force is an event of the history, and `rollback` goes by it.
. "$(dirname "$0")/prelude.sh"
web_01 "$@"

with_state rollback
expect_status 1
expect_err "nothing was applied"
apply
first=$(table)
# What nobody confirmed is nothing to go back to.
admit 8001
apply --confirm 1s
expect_status 0
for _ in $(seq 100); do [ "$(table)" = "$first" ] && break; sleep 0.1; done
sleep 0.5
events applied applied expired
admit 8002
apply
expect_status 0
third=$(table)
with_state rollback
expect_status 0
expect_out "generation 1 is in force again"
in_force 1 "$first"
with_state rollback
expect_status 1
expect_err "nothing was in force before generation 1"
events applied applied expired applied rolled-back

# To a named one, and back.
with_state rollback --to 3
expect_status 0
in_force 3 "$third"
with_state rollback
expect_status 0
in_force 1 "$first"
with_state rollback --to 3

# Disabled, and back.
with_state disable
expect_status 0
with_state status
expect_status 0
expect_out "disabled at"
expect_out "\`rolewall rollback $with_dir\` loads generation 3 again"
with_state disable
expect_out "nothing to disable"
rolewall boot --state-dir "$state"
expect_status 0
expect_out "rolewall is disabled: nothing was loaded"
expect_out "sudo rolewall rollback $with_dir    to generation 3"
with_state rollback
expect_status 0
expect_out "generation 3 is in force again"
in_force 3 "$third"
with_state disable
with_state rollback --to 1
expect_status 0
in_force 1 "$first"
with_state history
expect_out "was removed (rolewall disable)"
expect_out "was rolled back"
expect_out "in force"

# By hand, while one waits; confirmed; and a line that is damaged is left out.
admit 8003
apply --confirm 1h
with_state rollback
expect_status 0
in_force 1 "$first"
apply --confirm 1h
with_state confirm
expect_status 0
with_state history --format json
expect_json '[e["event"] for e in d["events"]][-4:] == ["applied", "rolled-back", "applied", "confirmed"]'
expect_json 'all(e["at"] and e["by"] for e in d["events"])'
with_state rollback
expect_status 0
in_force 1 "$first"
# One after the other, from where a named one has gone back to: never forward.
for port in 8004 8005; do
  admit $port
  apply
done
with_state history --format json
last=$(python3 -c "import json; print(max(g['generation'] for g in json.load(open('$scratch/out'))['generations']))")
with_state rollback --to $((last - 1))
expect_status 0
with_state rollback
expect_status 0
in_force 1 "$first"
with_state rollback
expect_status 1
expect_err "nothing was in force before generation 1"
sed -i '1s/applied/implied/' "$state/history.log"
with_state history
expect_status 0
expect_err "history.log: 1 line is damaged"
with_state status
expect_status 1
expect_out "history.log"

# By hand it is not too late; and after disable nothing is applied for the first time.
admit 8099
apply --confirm 1h
expect_status 0
with_state rollback
expect_status 0
with_state confirm
expect_status 1
expect_err "by rolewall rollback"
refuse_err "too late"
with_state disable
expect_status 0
apply
expect_status 0
# By default a screen of them, the newest first.
with_state history
[ "$(wc -l <"$scratch/out")" -le 23 ] || complain "more than a screen"
expect_out "more: rolewall history --all"
refuse_out "first apply"
with_state history --all
refuse_out "history --all"
[ "$(grep -c 'first apply' "$scratch/out")" = 1 ] || complain "more than one first apply"
expect_out "rules, where no table was"

# The last opening is closed: what led to it goes, and the policy is what it was.
with_state allow tcp/8443 from 192.0.2.9 --for 1h -p site
expect_status 0
with_state unallow tcp/8443 from 192.0.2.9 -p site
expect_status 0
with_state plan site --host web-01
expect_status 0
expect_out "the kernel has no bans or openings left, and the jumps to them go"
refuse_out "made into another ruleset"

# Disabled, and an apply after it is taken back: it is disabled as before.
with_state disable
expect_status 0
admit 8111
apply --confirm 1h
expect_status 0
with_state rollback
expect_status 0
expect_out "rolled back: table inet rolewall was removed: none was in force before"
with_state status
expect_out "nothing: disabled at"
refuse_out "nothing yet"
with_state history
refuse_out "as before the first apply"
