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
# A device that this machine has not would say anything.
rolewall eval --live 'tcp 192.0.2.7 > 192.0.2.10:22 in=nope0' --state-dir "$scratch/state"
expect_status 2
expect_err "no host has an interface or device named \`nope0\` [unknown-interface]"
rolewall eval --live 'tcp 192.0.2.7 > 192.0.2.10:22 in=vet0' --state-dir "$scratch/state"
expect_status 2
expect_err "did you mean \`veth0\`?"

# Every table that `nft` alone wrote: names, sets, maps, objects, in the kernel's order of priorities.
nft -f - <<'RULES'
table inet site {
  counter web { }
  map ports { type inet_service : verdict; elements = { 80 : accept, 443 : goto tls } }
  chain tls {
    ip saddr 192.0.2.0/25 counter name web accept
    reject with tcp reset
  }
  chain in {
    type filter hook input priority 10; policy drop;
    ct state new tcp dport vmap @ports
  }
}
RULES
in_site() { nft -a list chain inet site "$1" | sed -n "s/.*$2.* # handle //p"; }
asked() { rolewall eval --live "$1" --format json --state-dir "$scratch/state"; }
asked 'tcp 192.0.2.7 > 192.0.2.10:443 in=veth0'
expect_json 'd["verdict"] == "accept"'
expect_json "d['hops'][-1]['decided_by'] == {'family': 'inet', 'table': 'site', 'chain': 'tls', 'handle': $(in_site tls counter)}"
rolewall eval --live 'tcp 192.0.2.200 > 192.0.2.10:443 in=veth0' --state-dir "$scratch/state"
expect_out "table inet site, chain tls: meta l4proto tcp reject with tcp reset (handle $(in_site tls reject))"
asked 'tcp 192.0.2.200 > 192.0.2.10:443 in=veth0'
expect_json 'd["verdict"] == "reject"'
expect_json "d['hops'][-1]['decided_by']['handle'] == $(in_site tls reject)"
asked 'tcp 192.0.2.7 > 192.0.2.10:80 in=veth0'
expect_json "d['hops'][-1]['decided_by']['chain'] == 'in' and d['hops'][-1]['decided_by']['handle'] == $(in_site in vmap)"
asked 'tcp 192.0.2.7 > 192.0.2.10:22 in=veth0'
expect_json "d['hops'][-1]['decided_by']['table'] == 'other'"
asked 'udp 192.0.2.7:53 > 192.0.2.10:1000 in=veth0'
expect_json 'd["verdict"] == "drop"'
expect_json "d['hops'][-1]['decided_by'] == {'family': 'inet', 'table': 'site', 'chain': 'in', 'chain_policy': True}"
