# apply, status, eval --live, drift, disable: on a kernel of our own.
. "$(dirname "$0")/prelude.sh"
command -v nft >/dev/null || { echo "skipped: no nft"; exit 77; }
in_namespaces "$@"
ip link set lo up
ip address add 10.0.2.10/32 dev lo 2>/dev/null
site="$ROLEWALL_SOURCE/policies"
state="$scratch/state"

rolewall status --state-dir "$state"
expect_status 0
expect_out "nothing"
rolewall apply "$site" --host web-01 --state-dir "$state"
expect_status 0
expect_out "generation 1 is in force"
refuse_out "unless you confirm it"
nft list table inet rolewall >/dev/null || complain "the table is not in the kernel"
rolewall apply "$site" --host web-01 --state-dir "$state"
expect_status 0
expect_out "nothing to do"
rolewall status --state-dir "$state" --format json
expect_status 0
expect_json 'd["in_force"] and d["generation"] == 1 and d["host"] == "web-01" and d["drift"] == []'

nft 'add table ip other; add chain ip other in { type filter hook input priority 10; }; add rule ip other in tcp dport 22 drop'
rolewall status --state-dir "$state"
expect_status 0
nft add rule inet rolewall input tcp dport 1 drop
rolewall status --state-dir "$state"
expect_status 1
expect_out "drift"
# One of ours under its own name: what it is, and what it should be.
handle=$(nft -a list chain inet rolewall input | sed -n 's/^\t*drop comment "(default)" # handle //p')
nft replace rule inet rolewall input handle "$handle" accept comment '"(default)"'
rolewall status --state-dir "$state"
expect_status 1
expect_out "rule (default) in chain input (kernel: accept; policy: drop) was changed"
rolewall plan "$site" --host web-01 --state-dir "$state"
expect_out "rule (default) in chain input (kernel: accept; policy: drop) changed"
rolewall apply "$site" --host web-01 --state-dir "$state"
expect_status 0
expect_out "generation 2 is in force"
nft list table ip other >/dev/null || complain "another program's table is gone"

rolewall disable --state-dir "$state"
expect_status 0
nft list table inet rolewall >/dev/null 2>&1 && complain "the table is still there"
nft list table ip other >/dev/null || complain "another program's table is gone"
rolewall disable --state-dir "$state"
expect_status 0
expect_out "nothing to disable"
