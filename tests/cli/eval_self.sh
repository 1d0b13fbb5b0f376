# `self` of a machine with several devices: an address of the one that the packet comes or goes by, whichever address the
# machine has first, live and from a dump. And the time, which --live takes for a rule that asks for it: it says so.
. "$(dirname "$0")/prelude.sh"
command -v nft >/dev/null || { echo "skipped: no nft"; exit 77; }
in_namespaces "$@"
ip link set lo up
# add NAME ADDRESS ADDRESS6
add() {
  ip link add "$1" type veth peer name "far-$1"
  ip address add "$2" dev "$1"
  ip -6 address add "$3" dev "$1" nodad
  ip link set "$1" up
  ip link set "far-$1" up
}
add docker0 172.17.0.1/16 fd00:17::1/64
add eth0 10.0.4.10/24 2001:db8:4::10/64
ip address add 192.0.2.10/24 dev eth0
ip route add default via 10.0.4.1 dev eth0
ip -6 route add default via 2001:db8:4::1 dev eth0
nft -f - <<'RULES'
table ip filter {
  chain input {
    type filter hook input priority 0; policy drop;
    ip daddr 10.0.4.10 tcp dport 2525 accept
    tcp dport 3000 meta hour < 86400 accept
  }
}
RULES
rolewall dump
expect_status 0
cp "$scratch/out" dump.json
# packet FROM WORDS PACKET: which packet that is, as the answer says it
packet() {
  # shellcheck disable=SC2086 # words
  rolewall eval $1 --state-dir "$scratch/state" "$2" --format json
  expect_json "d['packet'].startswith('$3')"
}
for from in --live "--ruleset dump.json"; do
  packet "$from" 'tcp 198.51.100.7 > self:2525 in=eth0' 'tcp 198.51.100.7:40000 > 10.0.4.10:2525'
  expect_json 'd["verdict"] == "accept"'
  packet "$from" 'tcp 198.51.100.7 > self:2525' 'tcp 198.51.100.7:40000 > 10.0.4.10:2525'
  packet "$from" 'tcp 192.0.2.7 > self:2525' 'tcp 192.0.2.7:40000 > 192.0.2.10:2525'
  packet "$from" 'tcp 172.17.0.2 > self:2525' 'tcp 172.17.0.2:40000 > 172.17.0.1:2525'
  packet "$from" 'tcp 198.51.100.7 > self:2525 in=docker0' 'tcp 198.51.100.7:40000 > 172.17.0.1:2525'
  packet "$from" 'tcp self > 198.51.100.7:25' 'tcp 10.0.4.10:40000 > 198.51.100.7:25'
  packet "$from" 'ping 2001:db8::5 > self in=eth0' 'icmpv6/128 2001:db8::5 > 2001:db8:4::10'
  packet "$from" 'ping self > fd00:17::9' 'icmpv6/128 fd00:17::1 > fd00:17::9'
  # What is said is taken.
  packet "$from" 'tcp 198.51.100.7 > 172.17.0.1:2525 in=eth0' 'tcp 198.51.100.7:40000 > 172.17.0.1:2525'
done

packet --live 'tcp 198.51.100.7 > self:3000' 'tcp 198.51.100.7:40000 > 10.0.4.10:3000'
expect_json 'd["verdict"] == "accept" and any(each.startswith("time=20") for each in d["assumed"])'
packet --live 'tcp 198.51.100.7 > self:3000 time=2026-12-24T08:30' 'tcp 198.51.100.7:40000 > 10.0.4.10:3000'
expect_json 'not any(each.startswith("time=") for each in d.get("assumed", []))'
packet '--ruleset dump.json' 'tcp 198.51.100.7 > self:3000' 'tcp 198.51.100.7:40000 > 10.0.4.10:3000'
expect_json 'd["verdict"] == "conditional"'
echo "$checks checks"
