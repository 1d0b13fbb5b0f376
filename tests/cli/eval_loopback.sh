# A capture of the loopback: what connection tracking has found on a packet's way out stands as it
# arrives (untracked, an answer's state). And what a program sends in fragments without connection
# tracking. The live kernel's counters are the oracle.
. "$(dirname "$0")/prelude.sh"
command -v nft >/dev/null || { echo "skipped: no nft"; exit 77; }
in_namespaces "$@"
ip link set lo up
nft 'add table ip t
add chain ip t raw { type filter hook output priority -300; policy accept; }
add chain ip t in { type filter hook input priority 0; policy accept; }
add rule ip t raw udp dport 5353 notrack
add rule ip t in tcp dport 2222 reject with tcp reset
add rule ip t in ct state untracked counter drop
add rule ip t in ct state related counter drop
add rule ip t in ct state established counter drop'

python3 - <<'PYTHON' || { echo "FAILED: nothing was captured"; exit 1; }
import socket, struct, sys, time
tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
tap.bind(("lo", 0))
tap.settimeout(0.3)
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.sendto(b"ask!", ("127.0.0.1", 5353))
client = socket.socket()
client.settimeout(0.3)
try:
    client.connect(("127.0.0.1", 2222))
except OSError:
    pass
frames = []
while True:
    try:
        frame, address = tap.recvfrom(2048)
    except TimeoutError:
        break
    # Each is seen twice: as it leaves, and as it arrives.
    if address[2] != 4:
        frames.append((time.time(), frame))
with open("lo.pcap", "wb") as file:
    file.write(struct.pack("=IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
    for when, frame in frames:
        file.write(struct.pack("=IIII", int(when), int(when % 1 * 1e6), len(frame), len(frame)) + frame)
sys.exit(0 if len(frames) >= 3 else 1)
PYTHON
seen() { nft list chain ip t in | sed -n "s/.*ct state $1 counter packets \([0-9]*\) .*/\1/p"; }
untracked=$(seen untracked) related=$(seen related)
[ "$untracked" = 1 ] || complain "the kernel counted $untracked untracked packets"
rolewall eval --live --state-dir "$scratch/state" --pcap lo.pcap --in lo --explain
expect_status 0
got=$(grep -c '+ .*ct state untracked' "$scratch/out")
[ "$got" = "$untracked" ] || complain "untracked: $got here, $untracked in the kernel"
got=$(grep -c '+ .*ct state related' "$scratch/out")
[ "$got" = "$related" ] || complain "related: $got here, $related in the kernel"

# Without connection tracking the rules see a datagram whole, and a capture its fragments.
ip link add veth0 type veth peer name veth1
ip address add 192.0.2.10/24 dev veth0
ip link set veth0 up
ip link set veth1 up
ip neighbour add 192.0.2.7 lladdr 02:00:00:00:00:07 dev veth0
nft 'flush ruleset
add table ip u
add chain ip u out { type filter hook output priority 0; policy accept; }
add rule ip u out udp dport 7777 accept
add rule ip u out ip daddr 192.0.2.7 counter drop'
python3 - <<'PYTHON' || { echo "FAILED: nothing was captured"; exit 1; }
import socket, struct, time
tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
tap.bind(("veth0", 0))
tap.settimeout(0.3)
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x" * 3000, ("192.0.2.7", 7777))
with open("fragments.pcap", "wb") as file:
    file.write(struct.pack("=IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
    while True:
        try:
            frame = tap.recv(2048)
        except TimeoutError:
            break
        if frame[12:14] == b"\x08\0":
            now = time.time()
            file.write(struct.pack("=IIII", int(now), int(now % 1 * 1e6), len(frame), len(frame)) + frame)
PYTHON
nft list chain ip u out | grep -q 'counter packets 0 ' || complain "the kernel has let all of it pass"
rolewall eval --live --state-dir "$scratch/state" --pcap fragments.pcap --in veth0 --all
refuse_out ": drop"
expect_out "conditional"
