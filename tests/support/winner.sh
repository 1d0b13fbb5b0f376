# To be sourced behind prelude.sh: whose verdict wins, by eval and by a connection of the kernel's. The state
# directory is $state.
real_connections="$ROLEWALL_SOURCE/tests/support/real_connections.py"

# connection WHO FROM TO PORT: what it meets, from the network of that process; $met.
connection() {
  met=$(nsenter -t "$1" -n python3 "$real_connections" connect "$2" "$3" "$4")
  checks=$((checks + 1))
}
# winner WHO FROM TO PORT IN VERDICT TABLE [CHAIN]; TABLE `-`: any. $at: eval's word for where it is asked.
winner() {
  rolewall eval --live "tcp $2:40000 > $3:$4 in=$5${at:-}" --format json --state-dir "$state"
  expect_status 0
  expect_json "d['verdict'] == '$6' and not d.get('conditions')"
  [ "$7" = - ] || expect_json "d['hops'][-1]['decided_by']['table'] == '$7'"
  [ -z "${8:-}" ] || expect_json "d['hops'][-1]['decided_by']['chain'] == '$8'"
  connection "$1" "$2" "$3" "$4"
  [ "${met%% *}" = "$6" ] || complain "a real connection meets $met"
}
