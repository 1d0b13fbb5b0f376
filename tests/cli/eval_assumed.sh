# What the words of a packet leave open and a rule reads is named with the answer; what no verdict
# hangs on leaves it certain; explanations speak of devices and times as people do.
. "$(dirname "$0")/prelude.sh"
command -v nft >/dev/null || { echo "skipped: no nft"; exit 77; }
in_namespaces "$@"
ip link set lo up
two_devices
ip address add 192.0.2.10/24 dev eth0
ip address add 10.9.0.1/24 dev eth1
nft -f - <<'NFT'
table inet t {
  chain in {
    type filter hook input priority 0; policy accept;
    iif "eth1" tcp dport 23 drop
    meta hour "03:00"-"04:00" tcp dport 24 drop
    tcp dport 22 ip dscp ef drop
    tcp dport 25 tcp option maxseg size 1-500 drop
    tcp dport 26 ip frag-off & 0x4000 == 0 drop
    tcp dport 27 meta mark 1 drop
    tcp dport 28 meta priority 1:1 drop
    tcp dport 29 meta mark set 5 meta mark 5 drop
    tcp dport 30 socket transparent 1 drop
  }
  chain out {
    type filter hook output priority 0; policy accept;
    tcp flags syn tcp option maxseg size set rt mtu
  }
}
NFT
ask() { rolewall eval --live --state-dir "$scratch/state" "$@"; }

ask 'tcp 192.0.2.7 > self:22'
expect_out "accept"
expect_out "assumed, since not said: dscp=0"
ask 'tcp 192.0.2.7 > self:22 dscp=0'
refuse_out "assumed"
ask 'tcp 192.0.2.7 > self:22 dscp=ef' --expect drop
expect_status 0
ask 'tcp 192.0.2.7 > self:22' --format json
expect_json 'd["assumed"] == ["dscp=0"]'
ask 'tcp 192.0.2.7 > self:25'
expect_out "no options or extension headers"
ask 'tcp 192.0.2.7 > self:26'
expect_out "df=0"
ask 'tcp 192.0.2.7 > self:26 df=1' --expect accept
expect_status 0
refuse_out "assumed"
ask 'tcp 192.0.2.7 > self:27' --expect accept
expect_status 0
expect_out "a packet mark of 0"
ask 'tcp 192.0.2.7 > self:28' --expect accept
expect_status 0
expect_out "a packet priority of 0"
ask 'tcp 192.0.2.7 > self:29' --expect drop
expect_status 0
refuse_out "assumed"
ask 'tcp 192.0.2.7 > self:80'
refuse_out "assumed"

# A rule that searches the whole packet, or that masks what it reads, names no field that it does not ask for; and it comes
# behind the answer.
if command -v iptables-nft >/dev/null; then
  iptables-nft -A INPUT -m u32 --u32 '6&0xFF=17 && 0>>22&0x3C@8=0x1' -j DROP
  iptables-nft -A INPUT -p tcp -m u32 --u32 '0>>22&0x3C@4=0x7' -j DROP
  ask 'tcp 192.0.2.7 > self:81' --expect accept
  expect_out "assumed, since not said: a TCP sequence number of 1"
  [ "$(tail -n 1 "$scratch/out" | grep -c assumed)" = 1 ] || complain "what is assumed is not the last line"
  refuse_out "ttl="
  refuse_out "dscp="
  refuse_out "IP identification"
  iptables-nft -F INPUT
  iptables-nft -A INPUT -m string --string attack --algo bm -j DROP
  ask 'tcp 192.0.2.7 > self:81' --expect accept
  expect_out "assumed, since not said: all its other bytes as usual, and zeros for data"
  refuse_out "TCP window"
  iptables-nft -F INPUT
  iptables-nft -A INPUT -m string --string attack --algo bm --from 40 -j DROP
  ask 'tcp 192.0.2.7 > self:81' --expect accept
  expect_out "assumed, since not said: 24 bytes of data, all zero"
  iptables-nft -F INPUT
fi

# No program here has a transparent socket, until one has.
ask 'tcp 192.0.2.7 > self:30' --expect accept
expect_status 0
transparent_socket='
import socket, sys
own = socket.socket()
own.setsockopt(socket.SOL_IP, 19, 1)  # IP_TRANSPARENT
own.bind(("198.51.100.7", 30))
own.listen()
print("bound", flush=True)
sys.stdin.read()'
mkfifo proxy.in proxy.out
python3 -c "$transparent_socket" <proxy.in >proxy.out &
exec 8>proxy.in
read -r _ <proxy.out
ask 'tcp 192.0.2.7 > self:30' --expect conditional
expect_status 0
exec 8>&-
wait "$!"

# The machine's routes say by which device: nothing is left to be said.
ask 'tcp self > 10.9.0.7:80' --expect accept
expect_status 0
expect_out "out=eth1"
ask 'tcp 10.9.0.7 > self:23' --expect drop
expect_status 0

# The segment size that the kernel writes is not known, and decides nothing.
ask 'tcp self > 192.0.2.7:80' --expect accept
expect_status 0

ask 'tcp 192.0.2.7 > self:23' --explain
expect_out 'iif is eth0, not eth1'
ask 'tcp 192.0.2.7 > self:24 time=2026-12-24T05:30' --explain
expect_out '05:30 UTC'
expect_out '04:00 UTC'
ask 'tcp 192.0.2.7 > self:24 time=2026-12-24T03:30' --expect drop
expect_status 0

# Of a capture's packets, too.
PYTHONPATH="$ROLEWALL_SOURCE/tests/cli" python3 - <<'PYTHON'
from packets import tcp, write
write("one.pcap", [tcp("192.0.2.7", 40000, "192.0.2.10", 23, 2, 100, 0)])
PYTHON
ask --pcap one.pcap --in eth0 --explain
expect_status 0
expect_out 'iif is eth0, not eth1'
ask --pcap one.pcap --in eth0 --explain --format json
expect_out '"tried"'

# The owner of the socket that sends.
nft 'add chain inet t o { type filter hook output priority 1; policy accept; }; add rule inet t o udp dport 3 meta skuid 0 drop; add rule inet t o udp dport 4 meta skgid 7 drop; add rule inet t o udp dport 5 meta cgroup 9 drop'
ask 'udp 192.0.2.10 > 192.0.2.7:3'
expect_out "assumed, since not said: a sender that is no user whom a rule names"
ask 'udp 192.0.2.10 > 192.0.2.7:3 user=root' --expect drop
expect_status 0
refuse_out "assumed"
ask 'udp 192.0.2.10 > 192.0.2.7:4'
expect_out "a sender in no group that a rule names"
ask 'udp 192.0.2.10 > 192.0.2.7:5' --format json
expect_json 'd["assumed"] == ["a sender in no cgroup that a rule names"]'

# Whom no rule names is nobody, and not a packet without a sender: what is for all but one meets them.
nft 'add rule inet t o udp dport 6 meta skuid != 0 drop; add rule inet t o udp dport 7 meta skgid != { 0, 33 } drop; add rule inet t o udp dport 8 meta skuid 1-999 drop'
ask 'udp 192.0.2.10 > 192.0.2.7:6' --expect drop
expect_status 0
expect_out "assumed, since not said: a sender that is no user whom a rule names"
ask 'udp 192.0.2.10 > 192.0.2.7:7' --expect drop
expect_status 0
ask 'udp 192.0.2.10 > 192.0.2.7:8' --expect accept
expect_status 0
ask 'udp 192.0.2.10 > 192.0.2.7:6 user=0' --expect accept
expect_status 0
# What the kernel answers itself has none.
nft 'add rule inet t o tcp dport 6 meta skuid != 0 drop'
ask 'tcp 192.0.2.10 > 192.0.2.7:6 flags=rst' --expect accept
expect_status 0

# A packet in the middle of a connection has one direction, however often rules ask for it.
nft 'add chain inet t d; add rule inet t in tcp dport 40 ct direction original jump d; add rule inet t in tcp dport 40 ct direction original accept; add rule inet t in tcp dport 40 ct direction reply drop'
ask 'tcp 192.0.2.7 > self:40 state=established flags=ack' --format json
expect_json 'd["verdict"] == "conditional"'
expect_json '[a["when"] for a in d["hops"][-1]["alternatives"]] == ["ct direction: original", "ct direction: reply"]'

# What arrives is not sent: with the host's own address as its source, nobody gets it.
ask 'udp 192.0.2.10 > 192.0.2.7:2 at=self in=eth0'
expect_status 2
expect_err "[not-an-end]"
expect_err "own address"
ask 'udp 192.0.2.10 > 192.0.2.7:2 at=self' --expect accept
expect_status 0

# What the kernel has counted since the ruleset was loaded no dump says.
nft -f - <<'NFT'
flush ruleset
table ip c {
  chain in { type filter hook input priority 0; policy drop; udp dport 53 limit rate 1/hour burst 1 packets accept; }
  chain nat { type nat hook postrouting priority 100; oifname "eth1" masquerade; }
}
NFT
ask 'udp 192.0.2.7:4000 > 192.0.2.10:53 in=eth0'
expect_out "a limit at its beginning (ip c in rule 1)"
# Nor whether a connection that is known is translated.
ask 'udp 192.0.2.7:53 > 192.0.2.10:4000 in=eth0 state=established'
expect_out "drop       whether its connection is translated: no"
rolewall prove --live --state-dir "$scratch/state" 'never udp any > self:4000 in=eth0 state=established'
expect_out "not proven"
rolewall prove --live --state-dir "$scratch/state" 'always udp 192.0.2.7 > 192.0.2.10:53 in=eth0'
expect_out "as long as these last: limit (ip c, chain in, rule 1)"

# The length of a packet is its connection's, a quota's and a limit's, too.
nft -f - <<'NFT'
flush ruleset
table inet sizes {
  chain in {
    type filter hook input priority 1; policy accept;
    udp dport 80 ct bytes < 100 drop
    udp dport 81 ct avgpkt < 100 drop
    udp dport 82 quota until 70 bytes drop
    udp dport 83 quota until 7 mbytes drop
    udp dport 84 ct packets < 2 drop
    udp dport 85 limit rate 20 bytes/second burst 50 bytes drop
    tcp dport 80 tcp doff 5 drop
  }
}
NFT
for port in 80 81 82 85; do
  ask "udp 192.0.2.7 > self:$port" --format json
  expect_status 0
  expect_json 'any(a.startswith("length=") for a in d["assumed"])'
done
for port in 83 84; do
  ask "udp 192.0.2.7 > self:$port" --expect drop
  refuse_out "length="
done
ask 'tcp 192.0.2.7 > self:80'
expect_out "assumed, since not said: a TCP header of 20 bytes"
