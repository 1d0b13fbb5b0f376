# Rules that iptables-nft has written, as Docker, fail2ban and ufw write them: which verdict wins for
# a published port, a banned address and a forwarded packet, live and from a dump, in iptables' words.
. "$(dirname "$0")/prelude.sh"
command -v nft >/dev/null || { echo "skipped: no nft"; exit 77; }
command -v iptables-nft-restore >/dev/null || { echo "skipped: no iptables-nft-restore"; exit 77; }
in_namespaces "$@"
ip link set lo up
ip link add veth0 type veth peer name veth1
ip address add 192.0.2.10/24 dev veth0
ip link add docker0 type bridge
ip address add 172.17.0.1/16 dev docker0
ip link set veth0 up
ip link set veth1 up
ip link set docker0 up
sysctl -qw net.ipv4.ip_forward=1
iptables-nft-restore <<'RULES' || { echo "skipped: this kernel does not take them"; exit 77; }
*nat
:PREROUTING ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
-A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80
COMMIT
*filter
:INPUT DROP [0:0]
:FORWARD DROP [0:0]
:DOCKER - [0:0]
:f2b-sshd - [0:0]
:ufw-logging-deny - [0:0]
-A INPUT -p tcp -m multiport --dports 22 -j f2b-sshd
-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A INPUT -p tcp -m tcp --dport 22 -m comment --comment "'dapp_OpenSSH'" -j ACCEPT
-A INPUT -j ufw-logging-deny
-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -o docker0 -j DOCKER
-A FORWARD -i docker0 ! -o docker0 -j ACCEPT
-A DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 80 -j ACCEPT
-A f2b-sshd -s 192.0.2.66/32 -j REJECT --reject-with icmp-port-unreachable
-A f2b-sshd -j RETURN
-A ufw-logging-deny -m conntrack --ctstate INVALID -m limit --limit 3/min --limit-burst 10 -j RETURN
-A ufw-logging-deny -m limit --limit 3/min --limit-burst 10 -j LOG --log-prefix "[UFW BLOCK] "
COMMIT
RULES

ask() { rolewall eval "$@" --state-dir "$scratch/state"; }
verdict_is() { expect_json "d['verdict'] == '$1'"; }
rolewall dump
expect_status 0
cp "$scratch/out" dump.json
for from in --live "--ruleset dump.json"; do
  # shellcheck disable=SC2086 # words
  ask $from 'tcp 192.0.2.7 > 192.0.2.10:22 in=veth0' --format json
  verdict_is accept
  # shellcheck disable=SC2086
  ask $from 'tcp 192.0.2.66 > 192.0.2.10:22 in=veth0' --format json
  verdict_is reject
  expect_json 'd["hops"][-1]["decided_by"]["chain"] == "f2b-sshd"'
  # shellcheck disable=SC2086
  ask $from 'tcp 192.0.2.7 > 192.0.2.10:23 in=veth0' --format json
  verdict_is drop
  # A published port is forwarded, and never comes to input.
  # shellcheck disable=SC2086
  ask $from 'tcp 192.0.2.7 > 192.0.2.10:8080 in=veth0' --format json
  verdict_is accept
  expect_json '"input" not in [h["hook"] for h in d["hops"]]'
  # shellcheck disable=SC2086
  ask $from 'tcp 192.0.2.7 > 192.0.2.10:8081 in=veth0' --format json
  verdict_is drop
done

ask --live 'tcp 192.0.2.7 > 192.0.2.10:8080 in=veth0'
expect_out '-j DNAT --to-destination 172.17.0.2:80'
ask --live 'tcp 192.0.2.7 > 192.0.2.10:23 in=veth0' --explain
expect_out '-m conntrack --ctstate RELATED,ESTABLISHED does not match: ct state is new'
expect_out '-j LOG --log-prefix "[UFW BLOCK] "'

# What is not modelled is undecided, by its name, and only where a packet comes to it.
iptables-nft -I INPUT 2 -p udp -m bpf --bytecode '1,6 0 0 1' -j ACCEPT 2>/dev/null || { echo "$checks checks, no bpf"; exit 0; }
ask --live 'udp 192.0.2.7:53 > 192.0.2.10:1000 in=veth0' --format json
verdict_is undecided
ask --live 'udp 192.0.2.7:53 > 192.0.2.10:1000 in=veth0'
expect_out "iptables' match \`bpf\`: it is not modelled"
ask --live 'tcp 192.0.2.7 > 192.0.2.10:22 in=veth0' --format json
verdict_is accept
echo "$checks checks"
