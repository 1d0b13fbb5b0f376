# Everything that changes what is in force is an event of the history, and `rollback` goes by it.
. "$(dirname "$0")/prelude.sh"
command -v nft >/dev/null || { echo "skipped: no nft"; exit 77; }
in_namespaces "$@"
ip link set lo up
example_site site
state="$scratch/state"
# Chains made one by one stand in another order.
table() { nft -s list table inet rolewall 2>/dev/null | sort; }
with_state() { verb=$1; shift; rolewall "$verb" "$@" --state-dir "$state"; }
apply() { with_state apply site --host web-01 "$@"; }
admit() {
  printf '\n[[inbound]]\nid = "port-%s"\nservice = "tcp/%s"\nfrom = "office"\n' "$1" "$1" >>site/web.toml
}
# events KIND...: the history's, the oldest first.
events() {
  with_state history --format json
  expect_status 0
  expect_json "[e['event'] for e in d['events']] == '$*'.split()"
}
# in_force N TABLE
in_force() {
  with_state status --format json
  expect_json "d['generation'] == $1 and d['drift'] == []"
  [ "$(table)" = "$2" ] || complain "it is not generation $1"
}

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
expect_out "\`rolewall rollback\` loads generation 3 again"
with_state disable
expect_out "nothing to disable"
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
sed -i '1s/applied/implied/' "$state/history.log"
with_state history
expect_status 0
expect_err "1 of history.log"
with_state status
expect_status 1
expect_out "history.log"
