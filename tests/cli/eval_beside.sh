# What decides about a packet beside the rules that a question is put to, held against the kernel with
# real packets: a '*' in a device's name, a second route, an address that is none, a tunnel, a bridge's port, IPsec,
# iptables-legacy.
. "$(dirname "$0")/prelude.sh"
command -v nft >/dev/null || { echo "skipped: no nft"; exit 77; }
in_namespaces "$@"
ip link set lo up
two_devices
ip address add 10.0.1.1/24 dev eth0
ip address add 10.0.2.1/24 dev eth1
for n in 1 2; do
  ip link set "eth$((n - 1))" address "02:00:00:00:00:0$n"
  ip neighbour replace "10.0.$n.2" lladdr "02:00:00:00:01:0$n" dev "eth$((n - 1))" nud permanent
done
ask() { rolewall eval --live --state-dir "$scratch/state" "$@"; }
load() { nft flush ruleset && printf '%s\n' "$1" | nft -f -; }

# received FROM TO PORT: whether a UDP socket here gets the datagram that peer-eth0 sends
received() {
  python3 - "$@" <<'PYTHON'
import socket, struct, sys
source, destination, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
taker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
taker.bind((destination, port))
taker.settimeout(1)
udp = struct.pack("!HHHH", 1000, port, 10, 0) + b"hi"
def header(check):
    return struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 1, 0, 64, 17, check) + socket.inet_aton(source) + socket.inet_aton(destination)
total = sum(struct.unpack("!10H", header(0)))
while total >> 16:
    total = (total & 0xffff) + (total >> 16)
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
wire.bind(("peer-eth0", 0))
wire.send(bytes.fromhex("020000000001 020000000101 0800") + header(~total & 0xffff) + udp)
try:
    taker.recv(100)
except TimeoutError:
    sys.exit(1)
PYTHON
}
# sent TO PORT: whether the kernel lets a program send
sent() {
  python3 -c 'import socket, sys
try:
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", (sys.argv[1], int(sys.argv[2])))
except PermissionError:
    sys.exit(1)' "$@"
}
kernel() {  # kernel delivers|drops WHAT ...
  want=$1
  shift
  checks=$((checks + 1))
  if "$@"; then is=delivers; else is=drops; fi
  [ "$is" = "$want" ] || { ran="$*"; complain "the kernel $is it"; }
}

# In the plain name of a hook's device a '*' is a letter.
if load 'table netdev t {
  chain i { type filter hook ingress device "eth*" priority 0; policy accept; udp dport 53 drop; }
}' 2>/dev/null; then
  if nft -n --debug=netlink list ruleset 2>/dev/null | grep -q 'device "eth\*"'; then
    kernel delivers received 10.0.1.2 10.0.1.1 53
    ask 'udp 10.0.1.2:1000 > 10.0.1.1:53 in=eth0' --expect accept
    expect_status 0
  fi
fi

# A mark that a chain of type route sets may lead the packet elsewhere.
ip route add 10.7.0.0/24 via 10.0.1.2
ip route add 10.7.0.0/24 via 10.0.2.2 table 100
ip rule add fwmark 1 table 100
load 'table ip f {
  chain o { type route hook output priority 0; udp dport 53 meta mark set 1; }
  chain p { type filter hook postrouting priority 0; oifname eth1 drop; }
}'
kernel drops sent 10.7.0.1 53
kernel delivers sent 10.7.0.1 54
ask 'udp 10.0.1.1:1000 > 10.7.0.1:53 out=eth0' --expect conditional
expect_status 0
expect_out "by the rules of \`ip rule\`: eth1"
ask 'udp 10.0.1.1:1000 > 10.7.0.1:54 out=eth0' --expect accept
expect_status 0
ip rule delete fwmark 1

# Without the rule that looks up the table main there is no route there, whatever the table has.
load 'table inet f { chain i { type filter hook output priority 0; }; }'
echo 1 >/proc/sys/net/ipv4/ip_forward
ask 'udp 10.0.1.2:1000 > 10.0.2.2:54 in=eth0 at=self' --expect accept
expect_status 0
ip rule delete pref 32766
ask 'udp 10.0.1.2:1000 > 10.0.2.2:54 in=eth0 at=self' --expect conditional
expect_status 0
ip rule add pref 32766 lookup main
echo 0 >/proc/sys/net/ipv4/ip_forward

# An address is this host's where a route of type local leads to it.
load 'table inet f {
  chain i { type filter hook input priority 0; udp dport 53 accept; }
  chain f { type filter hook forward priority 0; policy drop; }
}'
ip address add 10.0.1.9/24 dev eth0
kernel delivers received 10.0.1.2 10.0.1.9 53
ask 'udp 10.0.1.2:1000 > 10.0.1.9:53 in=eth0' --expect accept
expect_status 0
ip route delete local 10.0.1.9 dev eth0 table local
ask 'udp 10.0.1.2:1000 > 10.0.1.9:53 in=eth0' --expect stack
expect_status 0
ask 'udp 10.0.1.2:1000 > 10.0.1.9:53 in=eth0 at=self' --expect stack
expect_status 0
ip address delete 10.0.1.9/24 dev eth0

# What a tunnel's device carries is wrapped into packets of this host, which the rules meet by themselves.
if ip link add vx0 type vxlan id 7 remote 10.0.2.2 local 10.0.2.1 dstport 4789 2>/dev/null; then
  ip address add 10.50.0.1/24 dev vx0
  ip link set vx0 up
  load 'table inet f { chain o { type filter hook output priority 0; udp dport 4789 drop; }; }'
  ask 'udp 10.50.0.1:1000 > 10.50.0.2:53 out=vx0' --expect accept
  expect_status 0
  expect_out "the packet that carries it is sent: vx0 is a tunnel (vxlan)"
  rolewall prove --live --state-dir "$scratch/state" 'always udp self > 10.50.0.2:53'
  expect_out "note: what leaves by vx0 is carried by packets of this host"
  ip link delete vx0
fi

# A bridge's port.
if ip link add br0 type bridge 2>/dev/null; then
  ip link set br0 address 02:00:00:00:00:01
  ip link set br0 up
  ip address flush dev eth0
  ip link set eth0 master br0
  ip address add 10.0.1.1/24 dev br0
  load 'table inet f { chain i { type filter hook input priority 0; iifname eth0 drop; }; }'
  kernel delivers received 10.0.1.2 10.0.1.1 53
  ask 'udp 10.0.1.2:1000 > 10.0.1.1:53 in=eth0' --expect undecided
  expect_status 0
  expect_out "eth0 is a port of the bridge br0, and the rules see br0 in its place: ask by in=br0"
  ask 'udp 10.0.1.2:1000 > 10.0.1.1:53 in=br0' --expect accept
  expect_status 0
  ip link delete br0
  ip address add 10.0.1.1/24 dev eth0
fi

# IPsec's policies.
load 'table inet x { chain i { type filter hook input priority 0; udp dport 9 drop; }; }'
if ip xfrm policy add dir in src 10.0.1.2/32 dst 10.0.1.1/32 action block 2>/dev/null; then
  kernel drops received 10.0.1.2 10.0.1.1 53
  ask 'udp 10.0.1.2:1000 > 10.0.1.1:53 in=eth0' --expect conditional
  expect_status 0
  expect_out "the IPsec policy 10.0.1.2 > 10.0.1.1, dir in: blocks it"
  ask 'udp 10.0.1.2:1000 > 10.0.1.1:9 in=eth0' --expect drop
  expect_status 0
  ask 'udp 10.0.1.3:1000 > 10.0.1.1:53 in=eth0' --expect accept
  expect_status 0
  expect_out "no IPsec policy applies (1 is in force)"
  rolewall prove --live --state-dir "$scratch/state" 'never udp any > self:9'
  expect_out "note: 1 IPsec policy is in force"
  rolewall prove --live --state-dir "$scratch/state" 'never udp any > self:9' --format json
  expect_json 'd["remarks"][0].startswith("1 IPsec policy is in force")'
  # A dump has them, wherever it is asked.
  rolewall dump -o ipsec.json --state-dir "$scratch/state"
  rolewall eval --ruleset ipsec.json 'udp 10.0.1.2:1000 > 10.0.1.1:53 in=eth0' --expect conditional
  expect_status 0
  expect_out "the IPsec policy 10.0.1.2 > 10.0.1.1, dir in: blocks it"
  ip xfrm policy flush
  kernel delivers received 10.0.1.2 10.0.1.1 53
fi

# Tables of iptables-legacy.
if command -v iptables-legacy >/dev/null && iptables-legacy -A INPUT -p udp --dport 53 -j DROP 2>/dev/null; then
  kernel drops received 10.0.1.2 10.0.1.1 53
  ask 'udp 10.0.1.2:1000 > 10.0.1.1:53 in=eth0'
  expect_out "no table of iptables-legacy drops or translates it (ip filter (1 rule); what they say cannot be read)"
  ask 'udp 10.0.1.2:1000 > 10.0.1.1:53 in=eth0' --format json
  expect_json 'any("iptables-legacy" in a for a in d["assumed"])'
  rolewall prove --live --state-dir "$scratch/state" 'never udp any > self:53'
  expect_out "tables of iptables-legacy are in force (ip filter (1 rule))"
  rolewall dump -o now.json
  rolewall diff live now.json --state-dir "$scratch/state"
  expect_out "tables of iptables-legacy are in force (ip filter (1 rule))"
  # A dump says that they are there, wherever it is asked, and a comparison of two.
  rolewall eval --ruleset now.json 'udp 10.0.1.2:1000 > 10.0.1.1:53 in=eth0'
  expect_out "no table of iptables-legacy drops or translates it (ip filter (1 rule); what they say cannot be read)"
  rolewall prove --ruleset now.json 'never udp any > self:53'
  expect_out "tables of iptables-legacy are in force (ip filter (1 rule))"
  mkdir lint
  printf '[site]\nname = "s"\n[interfaces.p]\ndevice = "eth0"\n[hosts.h]\nrole = "r"\naddresses = ["10.0.1.1"]\ninterfaces = ["p"]\n' >lint/site.toml
  printf 'role = "r"\n' >lint/r.toml
  rolewall lint --ruleset now.json -p lint --host h
  expect_err "tables of iptables-legacy are in force (ip filter (1 rule))"
  rolewall diff now.json now.json
  expect_out "tables of iptables-legacy are in force (ip filter (1 rule))"
  iptables-legacy -F
fi

# Two labels of a connection add up (nf_connlabels_replace()).
if load 'table inet l {
  chain i { type filter hook input priority 0; ct label set 1; ct label set 2; ct label 1 ct label 2 udp dport 53 drop; }
}' 2>/dev/null; then
  kernel drops received 10.0.1.2 10.0.1.1 53
  kernel delivers received 10.0.1.2 10.0.1.1 54
  ask 'udp 10.0.1.2:1000 > 10.0.1.1:53 in=eth0' --expect drop
  expect_status 0
  ask 'udp 10.0.1.2:1000 > 10.0.1.1:54 in=eth0' --expect accept
  expect_status 0
fi

# A rule that hands connections to a flowtable, as a dump has it: their packets meet no chain any more.
load 'table inet o {
  chain f { type filter hook forward priority 0; iifname eth0 ct state established counter; iifname eth1 drop; }
}'
sysctl -qw net.ipv4.ip_forward=1
rolewall dump -o offloads.json
python3 - <<'PYTHON'
import json
dump = json.load(open("offloads.json"))
def hand_over(value):
    if isinstance(value, list):
        for i, each in enumerate(value):
            if isinstance(each, dict) and each.get("type") == "counter":
                value[i] = {"type": "unsupported", "name": "flow_offload", "reason": "it is not modelled"}
            hand_over(value[i])
    elif isinstance(value, dict):
        for each in value.values():
            hand_over(each)
hand_over(dump)
json.dump(dump, open("offloads.json", "w"))
PYTHON
answer='udp 10.0.2.2:53 > 10.0.1.2:1000 at=self in=eth1'
rolewall eval --ruleset offloads.json "$answer state=established" --expect conditional
expect_status 0
expect_out "its connection is offloaded to a flowtable: past all chains"
rolewall prove --ruleset offloads.json 'never udp 10.0.2.2 > 10.0.1.2 at=self in=eth1 state=established'
expect_status 1
rolewall prove --ruleset offloads.json 'never udp 10.0.2.2 > 10.0.1.2 at=self in=eth1'
expect_status 0

# What an element with an end holds is nothing that lasts.
load 'table inet e {
  set s { type ipv4_addr; flags timeout; elements = { 10.0.1.2 timeout 1h }; }
  chain i { type filter hook input priority 0; ip saddr @s drop; }
}'
rolewall prove --live --state-dir "$scratch/state" 'never udp 10.0.1.2 > self:53 in=eth0'
expect_status 1
expect_out "what set s holds until it ends"
