# Chains of one priority: the kernel runs the one that was registered last first, and its own parts
# among them. Where a ruleset does not tell which that was, no answer is certain, and one of its ways
# is the kernel's.
. "$(dirname "$0")/prelude.sh"
command -v nft >/dev/null || { echo "skipped: no nft"; exit 77; }
in_namespaces "$@"
ip link set lo up
ip link add veth0 address 02:00:00:00:00:01 type veth peer name veth1 address 02:00:00:00:00:02
ip address add 192.0.2.10/24 dev veth0
ip link set veth0 up
ip link set veth1 up

# Whether the kernel gives a program at $1 what comes for port 53; "fragment": in two fragments.
cat >"$scratch/arrives.py" <<'PYTHON'
import socket, struct, sys, time
port, cut = int(sys.argv[1]), "fragment" in sys.argv
def checksum(data):
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff
def packet(payload, offset):
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), int(time.time() * 1000) & 0xffff if not cut else 77,
                         offset, 64, 17, 0, socket.inet_aton("192.0.2.7"), socket.inet_aton("192.0.2.10"))
    return header[:10] + struct.pack("!H", checksum(header)) + header[12:] + payload
taker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
taker.bind(("0.0.0.0", port))
taker.settimeout(0.3)
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
wire.bind(("veth1", 0x800))
datagram = struct.pack("!HHHH", 1024 + int(time.time() * 1000) % 30000, 53, 24, 0) + b"x" * 16
parts = [packet(datagram[:16], 0x2000), packet(datagram[16:], 2)] if cut else [packet(datagram, 0)]
for part in parts:
    wire.send(bytes.fromhex("020000000001020000000002") + b"\x08\x00" + part)
try:
    taker.recv(100)
    print("accept")
except TimeoutError:
    print("drop")
PYTHON

# Asks of the packet, which the kernel `$1`s at port $2, by the live ruleset.
kernel_does() {
  seen=$(python3 "$scratch/arrives.py" "$2" ${3:-})
  ran="a packet to port $2" status=0
  [ "$seen" = "$1" ] || complain "the kernel was taken to $1 it, and does not"
}
ask() { rolewall eval --live "udp 192.0.2.7:1024 > 192.0.2.10:53 in=veth0${1:-}" --format json --state-dir "$scratch/state"; }
depends_on() {
  expect_json 'd["verdict"] == "conditional"'
  expect_json "any(a['verdict'] == '$1' and 'the order of $2' in a['when'] for h in d['hops'] for a in h.get('alternatives', []))"
}
begin() { nft flush ruleset; nft "$@"; }
not_proven() {
  rolewall prove --live "$1 udp any > 192.0.2.10:53" --state-dir "$scratch/state"
  expect_status 1
  expect_out 'not proven'
  expect_out 'the order of '
}

# In one table all is known but when NAT came, and that, too, behind an older nat chain.
begin 'add table inet f
add chain inet f n { type nat hook prerouting priority -100; }
add rule inet f n udp dport 53 redirect to :54
add chain inet f p { type filter hook prerouting priority -100; }
add rule inet f p udp dport 54 drop'
kernel_does accept 54
ask
expect_json 'd["verdict"] == "accept"'
rolewall prove --live 'never udp any > 192.0.2.10:53' --state-dir "$scratch/state"
expect_status 1
begin 'add table inet f
add chain inet f p { type filter hook prerouting priority -100; }
add rule inet f p udp dport 54 drop
add chain inet f n { type nat hook prerouting priority -100; }
add rule inet f n udp dport 53 redirect to :54'
kernel_does drop 54
ask
depends_on drop 'NAT and chain inet f p, both at priority -100'
begin 'add table inet f
add chain inet f a { type filter hook input priority 0; }
add rule inet f a meta mark 1 drop
add chain inet f b { type filter hook input priority 0; }
add rule inet f b udp dport 53 meta mark set 1'
kernel_does drop 53
ask
expect_json 'd["verdict"] == "drop"'

# An old table gets a new chain, or is woken.
begin 'add table inet old
add table inet new
add chain inet new i { type filter hook input priority 0; }
add rule inet new i meta mark 1 drop
add chain inet old i { type filter hook input priority 0; }
add rule inet old i udp dport 53 meta mark set 1'
kernel_does drop 53
ask
depends_on drop 'chain inet new i and chain inet old i, both at priority 0'
not_proven never
not_proven drop
begin 'add table ip z
add chain ip z f { type filter hook input priority 0; }
add rule ip z f udp dport 53 meta mark set 1
add table ip y
add chain ip y f { type filter hook input priority 0; }
add rule ip y f meta mark 1 drop'
kernel_does accept 53
ask
depends_on accept 'chain ip y f and chain ip z f, both at priority 0'
nft 'add table ip z { flags dormant; }'
nft 'add table ip z'
kernel_does drop 53
ask
depends_on drop 'chain ip y f and chain ip z f, both at priority 0'
begin 'add table ip old
add table ip new
add chain ip new p { type nat hook prerouting priority -100; }
add rule ip new p udp dport 53 redirect to :54
add chain ip old p { type nat hook prerouting priority -100; }
add rule ip old p udp dport 53 redirect to :55'
kernel_does accept 55
ask
expect_json '{a["translated"] for h in d["hops"] for a in h.get("alternatives", [])} == {"to 192.0.2.10:54", "to 192.0.2.10:55"}'

# What connection tracking and reassembly had been switched on by comes first in the ruleset.
begin 'add table ip n
add chain ip n i { type filter hook input priority 0; }
add rule ip n i ct state established accept
add table ip f
add chain ip f p { type filter hook prerouting priority -200; }
add rule ip f p ct state invalid drop'
kernel_does drop 53
ask
depends_on drop 'connection tracking and chain ip f p, both at priority -200'
not_proven never
begin 'add table ip n
add chain ip n i { type filter hook input priority 0; policy drop; }
add rule ip n i ct state untracked accept
add table ip f
add chain ip f p { type filter hook prerouting priority -200; }
add rule ip f p notrack'
kernel_does accept 53
ask
depends_on accept 'connection tracking and chain ip f p, both at priority -200'
begin 'add table ip n
add chain ip n i { type filter hook input priority 0; }
add rule ip n i ct state established accept
add table ip f
add chain ip f p { type filter hook prerouting priority -400; }
add rule ip f p ip frag-off & 0x3fff != 0 drop'
kernel_does drop 53 fragment
ask ' frag=first'
expect_json 'd["verdict"] == "conditional"'

# Chains that only accept and drop give the same in either order.
begin 'add table ip a
add chain ip a i { type filter hook input priority 0; }
add rule ip a i udp dport 53 accept
add table ip b
add chain ip b i { type filter hook input priority 0; policy drop; }
add rule ip b i udp dport 22 accept'
kernel_does drop 53
ask
expect_json 'd["verdict"] == "drop" and not any("alternatives" in h for h in d["hops"])'
echo "$checks checks"
