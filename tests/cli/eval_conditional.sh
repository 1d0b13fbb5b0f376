# An answer that hangs on what only the kernel knows lists its ways, and never takes one for granted.
. "$(dirname "$0")/prelude.sh"
command -v nft >/dev/null || { echo "skipped: no nft"; exit 77; }
in_namespaces "$@"
ip link add veth0 type veth peer name veth1
ip address add 192.0.2.10/24 dev veth0
ip link set veth0 up
nft 'add table ip t
add chain ip t in { type filter hook input priority 0; policy accept; }
add rule ip t in tcp dport 22 numgen random mod 2 vmap { 0 : drop, 1 : accept }
add rule ip t in tcp dport 23 numgen random mod 1000 < 10 drop
add rule ip t in tcp dport 24 meta random > 0 counter accept'

rolewall eval --live 'tcp 192.0.2.7 > 192.0.2.10:22 in=veth0' --format json --state-dir "$scratch/state"
expect_status 0
expect_json 'd["verdict"] == "conditional"'
expect_json '[(a["when"], a["verdict"]) for a in d["hops"][-1]["alternatives"]] == [("numgen random mod 2: 0", "drop"), ("numgen random mod 2: 1", "accept")]'
rolewall eval --live 'tcp 192.0.2.7 > 192.0.2.10:23 in=veth0' --expect accept --state-dir "$scratch/state"
expect_status 1
expect_out 'depends on what only the kernel knows'
expect_out 'numgen random mod 1000 is below'
# All ways lead to the same.
rolewall eval --live 'tcp 192.0.2.7 > 192.0.2.10:24 in=veth0' --expect accept --state-dir "$scratch/state"
expect_status 0
