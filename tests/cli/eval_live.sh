# eval --live: the kernel's ruleset, other programs' tables included, with handles.
. "$(dirname "$0")/prelude.sh"
command -v nft >/dev/null || { echo "skipped: no nft"; exit 77; }
in_namespaces "$@"
ip link add veth0 type veth peer name veth1
ip address add 192.0.2.10/24 dev veth0
ip link set veth0 up
nft 'add table ip other; add chain ip other in { type filter hook input priority 0; policy accept; }; add rule ip other in tcp dport 22 drop comment "no ssh"'

rolewall eval --live 'tcp 192.0.2.7 > 192.0.2.10:22 in=veth0' --format json --state-dir "$scratch/state"
expect_status 0
expect_json 'd["verdict"] == "drop"'
expect_json 'd["hops"][-1]["decided_by"] == {"family": "ip", "table": "other", "chain": "in", "handle": 2, "rule": "no ssh"}'
rolewall eval --live 'tcp 192.0.2.7 > 192.0.2.10:22 in=veth0' --state-dir "$scratch/state"
expect_out 'table ip other, chain in: "no ssh" (handle 2)'
rolewall eval --live 'tcp 192.0.2.7 > 192.0.2.10:23 in=veth0' --expect accept --state-dir "$scratch/state"
expect_status 0
