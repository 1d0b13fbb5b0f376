# Translations to a port that another connection has to the same server: connection tracking drops the packet at the end
# of the last hook. Live, and in a capture of the same packets.
. "$(dirname "$0")/prelude.sh"
command -v nft >/dev/null || { echo "skipped: no nft"; exit 77; }
in_namespaces "$@"
for number in 0 1; do
  ip link add "eth$number" type veth peer name "peer$number"
  ip link set "eth$number" address "02:00:00:00:0$number:01"
  ip link set "eth$number" up
  ip link set "peer$number" up
done
ip link set lo up
ip addr add 10.0.0.1/24 dev eth0
ip addr add 203.0.113.12/24 dev eth1
ip neigh add 203.0.113.99 lladdr 02:00:00:00:01:02 dev eth1
echo 1 >/proc/sys/net/ipv4/ip_forward
nft -f - <<'NFT'
table ip nat {
  chain post {
    type nat hook postrouting priority 100
    oifname "eth1" meta l4proto { tcp, udp } snat to 203.0.113.12:5000
  }
}
NFT
cat >send.py <<'PYTHON'
import socket, struct, sys
sys.path.insert(0, sys.argv[1])
import packets

def udp(source, port):
    data = b"?"
    head = socket.inet_aton(source) + socket.inet_aton("203.0.113.99")
    packet = packets.tcp(source, port, "203.0.113.99", 53, 2, 1, 0)[:20]
    body = struct.pack("!HHHH", port, 53, 8 + len(data), 0) + data
    def ip(check):
        return struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 1, 0, 64, 17, check) + head
    return ip(packets.checksum(ip(0))) + body

sent = []
for source in ("10.0.0.2", "10.0.0.3", "10.0.0.4"):
    sent += [packets.tcp(source, 1000, "203.0.113.99", 53, 2, 1, 0), udp(source, 1000)]
packets.write("talk.pcap", sent)
outside = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
outside.bind(("peer1", 0))
inside = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
inside.bind(("peer0", 0))
for packet in sent:
    inside.send(b"\2\0\0\0\0\1\2\0\0\0\0\2\x08\0" + packet)
outside.settimeout(1)
arrived = []
try:
    while True:
        frame = outside.recv(2000)
        if frame[12:14] == b"\x08\0" and frame[30:34] == socket.inet_aton("203.0.113.99"):
            arrived.append(frame[23])
except TimeoutError:
    pass
print("came through:", sorted(arrived))
PYTHON
timeout 20 python3 send.py "$ROLEWALL_SOURCE/tests/cli" >through.txt || complain "the packets could not be sent"
# One of each protocol: the first.
grep -qx 'came through: \[6, 17\]' through.txt || complain "$(cat through.txt)"
rolewall eval --live --pcap talk.pcap --in eth0 --all
expect_status 0
[ "$(grep -c '^ .*: accept ' "$scratch/out")" = 2 ] || complain "two packets go through"
[ "$(grep -c '^ .*: stack ' "$scratch/out")" = 4 ] || complain "four find the port taken"
expect_out "connection tracking drops it, since its answers would belong to another connection"
