# eval --live: what the IP stack does beside the rules, by this machine's settings; and a policy's host,
# of which they are not known.
. "$(dirname "$0")/prelude.sh"
command -v nft >/dev/null || { echo "skipped: no nft"; exit 77; }
in_namespaces "$@"
ip link set lo up
two_devices
ip address add 10.9.0.1/24 dev eth0
ip address add 10.8.0.1/24 dev eth1
ip address add 2001:db8:8::1/64 dev eth1 nodad
ip route add default via 10.9.0.254 dev eth0
sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.eth0.rp_filter=0 net.ipv4.conf.eth1.rp_filter=0
nft -f - <<'NFT'
table inet t {
  set s { type ipv4_addr; flags timeout; timeout 10s; }
  chain i { type filter hook input priority 0; policy accept; udp dport 9 drop; }
}
NFT
ask() { rolewall eval --live --state-dir "$scratch/state" "$@"; }

# Whether the way back leads by the device.
ask 'udp 192.0.2.7 > 10.8.0.1:53 in=eth1' --expect accept
expect_status 0
sysctl -qw net.ipv4.conf.eth1.rp_filter=1
ask 'udp 192.0.2.7 > 10.8.0.1:53 in=eth1' --expect stack
expect_status 0
expect_out "rp_filter of eth1 (strict): the way back to the source leads by another device"
ask 'udp 10.8.0.7 > 10.8.0.1:53 in=eth1' --expect accept
expect_status 0
sysctl -qw net.ipv4.conf.all.rp_filter=2
ask 'udp 192.0.2.7 > 10.8.0.1:53 in=eth1' --expect accept
expect_status 0
sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.eth1.rp_filter=0

# Each device forwards, or does not.
sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.eth1.forwarding=0
ask 'udp 10.9.0.7 > 10.8.0.7:53 at=self in=eth0' --expect accept
expect_status 0
ask 'udp 10.8.0.7 > 10.9.0.7:53 at=self in=eth1' --expect stack
expect_status 0
ask 'udp 10.8.0.7 > 10.9.0.7:53 at=self in=eth1 out=eth0' --expect stack
expect_status 0

# No more than the device takes.
ip link set eth1 mtu 1400
ask 'udp 10.9.0.7 > 10.8.0.7:53 at=self in=eth0 df=1 length=1400' --expect accept
expect_status 0
ask 'udp 10.9.0.7 > 10.8.0.7:53 at=self in=eth0 df=1 length=1401' --expect stack
expect_status 0
expect_out "larger than the MTU of eth1 (1400), and not to be fragmented"
ask 'udp 10.9.0.7 > 10.8.0.7:53 at=self in=eth0 df=0 length=1401' --expect accept
expect_status 0

# All of this is in a dump.
rolewall dump --state-dir "$scratch/state" -o machine.json
python3 - machine.json <<'PY' || complain "the dump lacks settings"
import json, sys
host = json.load(open(sys.argv[1]))["host"]
eth = {i["device"]: i for i in host["interfaces"]}
assert eth["eth1"]["mtu"] == 1400 and eth["eth0"]["mtu"] == 1500, eth
assert "forwards_ipv4" not in eth["eth1"]["settings"] and eth["eth0"]["settings"]["forwards_ipv4"], eth
PY
rolewall eval --ruleset machine.json 'udp 10.8.0.7 > 10.9.0.7:53 at=self in=eth1' --expect stack
expect_status 0

# Without IPv6 on the device none arrives.
rolewall eval --ruleset machine.json 'udp/53 2001:db8:8::7 > 2001:db8:8::1 in=eth1' --expect accept
expect_status 0
python3 - machine.json >no6.json <<'PY'
import json, sys
document = json.load(open(sys.argv[1]))
for interface in document["host"]["interfaces"]:
    interface["settings"]["ipv6"] = False
print(json.dumps(document))
PY
rolewall eval --ruleset no6.json 'udp/53 2001:db8:8::7 > 2001:db8:8::1 in=eth1' --expect stack
expect_status 0
expect_out "IPv6 is off on the device"

# An older snapshot has none of it: what is taken for given is said, and what cannot be is conditional.
python3 - machine.json >older.json <<'PY'
import json, sys
document = json.load(open(sys.argv[1]))
for interface in document["host"]["interfaces"]:
    for key in ("settings", "mtu"):
        interface.pop(key)
print(json.dumps(document))
PY
rolewall eval --ruleset older.json 'udp 192.0.2.7 > 10.8.0.1:53 in=eth1' --expect accept
expect_status 0
expect_out "assumed, since not said: rp_filter 0 on eth1"
rolewall eval --ruleset older.json 'udp 10.8.0.7 > 10.8.0.1:53 in=eth1' --expect accept
refuse_out "rp_filter"
rolewall eval --ruleset older.json 'udp 10.9.0.7 > 10.8.0.7:53 at=self in=eth0 df=1 length=1600'
expect_out "conditional"
expect_out "the MTU of eth1: smaller than the packet"

# Several next hops: by each of them; with a chain on one, conditional.
sysctl -qw net.ipv4.conf.eth1.forwarding=1
ip route add 198.51.100.0/24 nexthop via 10.9.0.253 dev eth0 nexthop via 10.8.0.253 dev eth1
nft 'add chain inet t f { type filter hook forward priority 0; }; add rule inet t f oifname "eth1" ip daddr 198.51.100.0/24 drop'
ask 'udp 10.9.0.7 > 198.51.100.7:53 at=self in=eth0' --format json
expect_json 'd["verdict"] == "conditional"'
expect_json '[(a["when"], a["verdict"]) for a in d["hops"][-1]["alternatives"]] == [("the next hop towards 198.51.100.7: eth0", "accept"), ("the next hop towards 198.51.100.7: eth1", "drop")]'

# Of IPv6 routes with one prefix and metric that by the device it came by, and that of the better preference.
sysctl -qw net.ipv6.conf.all.forwarding=1
ip address add 2001:db8:9::1/64 dev eth0 nodad
ip route add 2001:db8:5::/64 dev eth1
ip route append 2001:db8:5::/64 dev eth0
nft 'add rule inet t f oifname "eth1" ip6 daddr 2001:db8:5::/64 drop'
ask 'udp [2001:db8:9::7]:5 > [2001:db8:5::7]:53 at=self in=eth0' --expect accept
expect_status 0
ask 'udp [2001:db8:8::7]:5 > [2001:db8:5::7]:53 at=self in=eth1' --expect drop
expect_status 0
ip route add 2001:db8:7::/64 dev eth0
ip route append 2001:db8:7::/64 dev eth1 pref high
nft 'add rule inet t f oifname "eth1" ip6 daddr 2001:db8:7::/64 drop'
ask 'udp [2001:db8:9::7]:5 > [2001:db8:7::7]:53 at=self in=eth0' --expect drop
expect_status 0
# Routed to the loopback it is refused.
ip route add 2001:db8:6::/64 dev lo
ask 'udp [2001:db8:9::7]:5 > [2001:db8:6::7]:53 at=self in=eth0' --expect stack
expect_status 0
expect_out "its route says unreachable"
# A device without a carrier, where routes by such are left out.
ip route add 198.18.0.0/15 via 10.8.0.253 metric 5
ip route add 198.18.0.0/15 via 10.9.0.253 metric 50
nft 'add rule inet t f oifname "eth0" ip daddr 198.18.0.0/15 drop'
ip link set peer-eth1 down
ask 'udp 10.9.0.7:5 > 198.18.0.7:53 at=self in=eth0' --expect accept
expect_status 0
sysctl -qw net.ipv4.conf.all.ignore_routes_with_linkdown=1 net.ipv4.conf.eth1.ignore_routes_with_linkdown=1
ask 'udp 10.9.0.7:5 > 198.18.0.7:53 at=self in=eth0' --expect drop
expect_status 0
ip link set peer-eth1 up

# One network on two devices: the way back is by the first, and a strict rp_filter of the other refuses.
ip address add 10.20.0.1/24 dev eth0
ip address add 10.20.0.2/24 dev eth1
ask 'udp 10.20.0.9:5 > 10.20.0.2:53 in=eth1' --expect accept
expect_status 0
sysctl -qw net.ipv4.conf.eth1.rp_filter=1
ask 'udp 10.20.0.9:5 > 10.20.0.2:53 in=eth1' --expect stack
expect_status 0
sysctl -qw net.ipv4.conf.eth1.rp_filter=0

# An IPv6 address that another host has is none.
sysctl -qw net.ipv6.conf.eth1.accept_dad=1 net.ipv6.conf.eth1.dad_transmits=600
ip address add 2001:db8:8::77/64 dev eth1
ask 'udp [2001:db8:8::7]:5 > [2001:db8:8::77]:53 in=eth1' --format json
expect_json '"input" not in [h["hook"] for h in d["hops"]]'
ip address del 2001:db8:8::77/64 dev eth1

# Rules by which routes are chosen: one that is not modelled leaves the way open where it may be for the packet; without the
# table main there is none.
ip rule add from 10.9.0.9 prohibit
ask 'udp 10.9.0.7 > 192.0.2.7:53 at=self in=eth0' --expect accept
ask 'udp 10.9.0.9 > 192.0.2.7:53 at=self in=eth0' --format json
expect_json 'd["verdict"] == "conditional"'
expect_json '"stack" in [a["verdict"] for a in d["hops"][-1]["alternatives"]]'
ip rule del from 10.9.0.9 prohibit
ip rule del lookup main
ask 'udp 10.9.0.7 > 192.0.2.7:53 at=self in=eth0' --expect stack
ip rule add lookup main pref 32766

# A policy's host: what is taken for given is said, where it matters.
mkdir site
cat >site/site.toml <<'TOML'
[interfaces.wan]
device = "eth0"
[interfaces.lan]
device = "eth1"
behind = "10.8.0.0/24"
[hosts.h]
role = "r"
addresses = ["10.9.0.1", "10.8.0.1"]
interfaces = ["wan", "lan"]
TOML
printf 'role = "r"\n[[inbound]]\nservice = "dns"\nin = "lan"\n' >site/r.toml
rolewall eval -p site 'dns 10.8.0.7 > h in=lan'
refuse_out "rp_filter"

# A word that says nothing here is an error.
ask 'udp 10.8.0.7 > 10.8.0.1:53 in=eth1 out=eth0'
expect_status 2
expect_err '`out=eth0`: this packet ends at'
ask 'udp 10.8.0.7 > 10.8.0.1:53 in=eth1 user=33'
expect_status 2
expect_err '`user=` says who sends a packet'
printf '\357\273\277udp/53 10.8.0.7 > 10.8.0.1 in=eth1 => accept\n' >bom.txt
ask --file bom.txt
expect_status 0
ask --file bom.txt --explain
expect_status 2
expect_err "--file prints a line for each question"
