# What a host answers itself, in a capture of its own device: a rule's reset and ICMP errors bear the
# conntrack entry of what caused them, and leave. The live kernel's counters are the oracle.
. "$(dirname "$0")/prelude.sh"
command -v nft >/dev/null || { echo "skipped: no nft"; exit 77; }
in_namespaces "$@"
ip link add veth0 type veth peer name veth1
ip address add 192.0.2.10/24 dev veth0
ip link set veth0 up
ip link set veth1 up
ip neighbour add 192.0.2.7 lladdr 02:00:00:00:00:07 dev veth0
nft 'add table ip t
add chain ip t in { type filter hook input priority 0; policy accept; }
add chain ip t out { type filter hook output priority 0; policy accept; }
add rule ip t in ct state invalid drop
add rule ip t in tcp dport 22 reject with tcp reset
add rule ip t in udp dport 99 reject
add rule ip t out ct state invalid counter drop
add rule ip t out ct state related counter accept'

PYTHONPATH="$ROLEWALL_SOURCE/tests/cli" python3 - <<'PYTHON' || { echo "FAILED: the kernel did not answer"; exit 1; }
import socket, struct, sys, time
from packets import checksum, tcp

peer, host = "192.0.2.7", "192.0.2.10"
def udp(dport):
    src, dst = socket.inet_aton(peer), socket.inet_aton(host)
    body = struct.pack("!HHHH", 40000, dport, 12, 0) + b"ask!"
    def ip(check):
        return struct.pack("!BBHHHBBH", 0x45, 0, 32, 1, 0, 64, 17, check) + src + dst
    return ip(checksum(ip(0))) + body

tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
tap.bind(("veth0", 0))
tap.settimeout(0.2)
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
wire.bind(("veth1", 0))
mac = tap.getsockname()[4]
for packet in (tcp(peer, 40000, host, 22, 2, 100, 0), udp(99), udp(98)):
    wire.send(mac + b"\2\0\0\0\0\7\x08\0" + packet)
    time.sleep(0.05)
frames = []
while True:
    try:
        frame = tap.recv(2048)
    except TimeoutError:
        break
    # Between the two: a host has other things to say.
    if frame[12:14] == b"\x08\0" and {frame[26:30], frame[30:34]} == {socket.inet_aton(peer), socket.inet_aton(host)}:
        frames.append((time.time(), frame))
with open("answers.pcap", "wb") as file:
    file.write(struct.pack("<IHHIIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
    for at, frame in frames:
        file.write(struct.pack("<IIII", int(at), int(at % 1 * 1000000), len(frame), len(frame)) + frame)
sys.exit(len(frames) != 6)
PYTHON
nft list chain ip t out > "$scratch/counted"
rolewall dump -o live.json --state-dir "$scratch/state"
expect_status 0
grep -q 'invalid counter packets 0' "$scratch/counted" || complain "the kernel drops its own answers"
grep -q 'related counter packets 3' "$scratch/counted" || complain "the kernel's answers are not related"
rolewall eval --ruleset live.json --pcap answers.pcap --in veth0 --checksums trust --format json
expect_status 0
python3 - "$scratch/out" <<'PYTHON' || complain "the answers' verdicts are others"
import json, sys
lines = [json.loads(line) for line in open(sys.argv[1], encoding="utf-8")]
verdicts = [line.get("verdict") for line in lines[:6]]
assert verdicts == ["reject", "accept", "reject", "accept", "accept", "accept"], verdicts
PYTHON
