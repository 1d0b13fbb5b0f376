# A capture of all interfaces, whose packets each say by which they went: each is asked there, and a
# packet passed on is asked once.
. "$(dirname "$0")/prelude.sh"
command -v nft >/dev/null || { echo "skipped: no nft"; exit 77; }
in_namespaces "$@"
ip link set lo up
two_devices
ip address add 10.1.0.1/24 dev eth0
ip address add 10.2.0.1/24 dev eth1
sysctl -qw net.ipv4.ip_forward=1
nft -f - <<'NFT'
table inet t {
  chain i { type filter hook input priority 0; policy drop; iif "lo" accept; iifname "eth0" tcp dport 80 accept; }
  chain f { type filter hook forward priority 0; policy drop; iifname "eth0" tcp dport 443 accept; }
}
NFT
rolewall dump -o dump.json
expect_status 0
python3 - "$ROLEWALL_SOURCE/tests/cli" <<'PYTHON'
import socket, struct, sys
sys.path.insert(0, sys.argv[1])
from packets import checksum, tcp

INCOMING, OUTGOING = 0, 4
SLL, SLL2 = 113, 276
def hop(packet):
    header = packet[:8] + bytes([packet[8] - 1]) + packet[9:10] + b"\0\0" + packet[12:20]
    return header[:10] + struct.pack("!H", checksum(header)) + header[12:] + packet[20:]

def write(name, link_type, packets):
    with open(name, "wb") as file:
        file.write(struct.pack("<IHHIIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, link_type))
        for number, (device, way, packet) in enumerate(packets):
            mac = b"\2\0\0\0\0\2\0\0"
            index = device if isinstance(device, int) else socket.if_nametoindex(device)
            link = (struct.pack("!HHIHBB", 0x800, 0, index, 1, way, 6) + mac if link_type == SLL2 else
                    struct.pack("!HHH", way, 1, 6) + mac + struct.pack("!H", 0x800))
            frame = link + packet
            file.write(struct.pack("<IIII", 1700000000 + number, 0, len(frame), len(frame)) + frame)

syn = lambda *ends: tcp(*ends, 2, 1, 0)
through = syn("10.1.0.2", 40000, "10.2.0.2", 443)
packets = [
    ("eth0", INCOMING, syn("10.1.0.2", 40000, "10.1.0.1", 80)),
    ("eth1", INCOMING, syn("10.2.0.2", 40000, "10.2.0.1", 80)),
    ("eth0", INCOMING, through),
    ("eth1", OUTGOING, hop(through)),
    ("lo", OUTGOING, syn("127.0.0.1", 40000, "127.0.0.1", 81)),
    ("lo", INCOMING, syn("127.0.0.1", 40000, "127.0.0.1", 81)),
    (77, INCOMING, syn("10.1.0.2", 40001, "10.1.0.1", 80)),
]
write("any.pcap", SLL2, packets)
write("old.pcap", SLL, packets)
PYTHON
for given in "" "--in any"; do
  # shellcheck disable=SC2086
  rolewall eval --ruleset dump.json --pcap any.pcap $given --all
  expect_status 0
  expect_out "10.1.0.1:80 flags=syn in=eth0 length=40: accept"
  expect_out "10.2.0.1:80 flags=syn in=eth1 length=40: drop"
  expect_out "10.2.0.2:443 flags=syn in=eth0 length=40: accept"
  expect_out "127.0.0.1:81 flags=syn in=lo length=40: accept"
  expect_out "any.pcap: 7 packets on all interfaces"
  expect_out "a packet passed on, which was seen as it arrived"
  expect_out "a packet over the loopback, which is seen again as it arrives"
  expect_out "a packet on the interface of index 77, which the host has not"
done
# Said to be of one interface: those of the others are passed over.
rolewall eval --ruleset dump.json --pcap any.pcap --in eth1 --all
expect_status 0
expect_out "10.2.0.1:80 flags=syn in=eth1 length=40: drop"
refuse_out "in=eth0"
refuse_out "10.1.0.1:80 flags=syn in=eth1 "
expect_out "a packet on eth0"
# The older form does not say it, and neither do policies say an interface's number.
rolewall eval --ruleset dump.json --pcap old.pcap --in any
expect_status 2
expect_err "the capture does not say by which interface each packet went"
rolewall eval --ruleset dump.json --pcap old.pcap
expect_status 2
expect_err "tcpdump -i any -y LINUX_SLL2"
rolewall eval --ruleset dump.json --pcap old.pcap --in eth0
expect_status 0
rolewall eval -p "$ROLEWALL_SOURCE/policies" --host lb-01 --pcap any.pcap --in any
expect_status 2
expect_err "ask with --live, or with --ruleset"
