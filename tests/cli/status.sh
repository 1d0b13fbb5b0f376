# What `status` says beside drift: other programs' chains, the kernel's settings, rules that expire,
# who listens. Each is seen where it is so, and not where it is not; none of it is drift.
. "$(dirname "$0")/prelude.sh"
command -v nft >/dev/null || { echo "skipped: no nft"; exit 77; }
in_namespaces "$@"
state="$scratch/state"
ip link set lo up
two_devices
ip address add 203.0.113.10/24 dev eth0
ip route add default via 203.0.113.1 dev eth0
unset SSH_CONNECTION

mkdir site
write_site() {
  cat >site/site.toml <<T
[site]
name = "s"
management = "office"
[defaults]
inbound = "drop"
outbound = "${outbound:-drop}"
forward = "${forward:-drop}"
[networks]
office = "198.51.100.0/24"
[hosts.srv]
role = "server"
addresses = "203.0.113.10"
T
  cat >site/server.toml <<T
role = "server"
[[inbound]]
id = "web"
service = ["tcp/8000", "tcp/8100-8200"]
from = "any"
[[inbound]]
id = "ssh"
service = "ssh"
from = "management"
$1
T
}
put() {
  write_site "${1:-}"
  rolewall apply site --host srv --state-dir "$state" --force --date 2026-01-01
  expect_status 0
}
status() {
  rolewall status --state-dir "$state" --format json
  expect_status "${1:-0}"
}
finds() { expect_json "[f['severity'] for f in d['findings'] if f['code'] == '$1'] == ['$2']"; }
finds_no() { expect_json "'$1' not in [f['code'] for f in d['findings']]"; }
# $1: family and table; the chain of that table alone.
chain() { expect_json "[c for c in d['other_chains'] if c['table'] == '$1'][0].items() >= $2.items()"; }

sysctl -qw net.ipv4.conf.all.rp_filter=1 net.ipv4.conf.all.accept_source_route=0
sysctl -qw net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0
put
status
expect_json "d['other_chains'] == []"
for code in published-port untracked sent-past offloaded-flows forwarding-off forwarding-on \
  source-route route-localnet redirects forged-sources conntrack-full tcp-liberal tcp-loose \
  bridged-frames expired-rule expiring-rule unadmitted-listener; do
  finds_no "$code"
done

# Other chains: before or after ours, and what they can do.
nft 'add table inet early; add chain inet early j; add chain inet early c { type filter hook input priority -10; }; add rule inet early j tcp dport 9 drop; add rule inet early c jump j'
nft 'add table ip late; add chain ip late c { type filter hook input priority 10; policy drop; }'
nft 'add table inet calm; add chain inet calm c { type filter hook input priority 5; }; add rule inet calm c tcp dport 22 accept'
nft 'add table inet maps; add chain inet maps c { type filter hook output priority 5; }; add rule inet maps c tcp dport vmap { 22 : drop }'
nft 'add table arp unseen; add chain arp unseen c { type filter hook input priority 5; policy drop; }'
status
chain early "{'family': 'inet', 'order': 'before', 'effects': ['drops'], 'hook': 'input', 'priority': -10, 'policy': 'accept'}"
chain late "{'family': 'ip', 'order': 'after', 'effects': ['drops'], 'policy': 'drop'}"
chain calm "{'order': 'after', 'effects': []}"
chain maps "{'order': 'after', 'effects': ['drops'], 'hook': 'output'}"
expect_json "'unseen' not in [c['table'] for c in d['other_chains']]"
rolewall status --state-dir "$state"
expect_status 0
expect_out "before rolewall: may drop what rolewall accepts"
expect_out "which rules open nothing by them: sudo rolewall lint --live"
expect_out "a drop in any chain is final: none of these can admit what rolewall drops"
for table in 'inet early' 'ip late' 'inet calm' 'inet maps' 'arp unseen'; do nft "delete table $table"; done

# What is published by NAT goes past input; what the forward chain makes of it counts.
nft 'add table ip t; add chain ip t c { type nat hook prerouting priority -100; }; add rule ip t c tcp dport 8080 dnat to 172.17.0.2:80'
status
chain t "{'type': 'nat', 'order': 'before', 'effects': ['translates-destination']}"
finds published-port note
forward=accept put
status
finds published-port warning
put
# To a port of this host: that stays on input.
nft 'flush chain ip t c; add rule ip t c tcp dport 8080 redirect to :80'
status
chain t "{'effects': ['redirects-to-self']}"
finds_no published-port
nft 'flush chain ip t c; add rule ip t c tcp dport 8080 counter'
status
finds_no published-port
nft 'delete table ip t; add table ip t; add chain ip t c { type filter hook prerouting priority -300; }; add rule ip t c udp dport 53 notrack'
status
finds untracked warning
nft 'delete table ip t; add table netdev t; add chain netdev t c { type filter hook ingress device eth0 priority 0; }; add rule netdev t c ip daddr 192.0.2.1 fwd to eth1'
status
finds sent-past warning
chain t "{'devices': ['eth0'], 'hook': 'ingress'}"
nft 'delete table netdev t'
if nft 'add table inet t; add flowtable inet t f { hook ingress priority 0; devices = { eth0, eth1 }; }; add chain inet t c { type filter hook forward priority 0; }; add rule inet t c ct state established flow add @f' 2>/dev/null; then
  status
  finds offloaded-flows warning
fi
nft 'delete table inet t' 2>/dev/null
# iptables' own targets are known by their names.
if command -v iptables-nft >/dev/null && iptables-nft -t nat -A PREROUTING -p tcp --dport 81 -j DNAT --to 172.17.0.2:80 2>/dev/null; then
  status
  finds published-port note
  nft 'delete table ip nat'
fi
if command -v iptables-legacy >/dev/null && iptables-legacy -L >/dev/null 2>&1; then
  status
  finds legacy-iptables warning
fi

# The kernel's settings.
sysctl -qw net.ipv4.ip_forward=1
status
finds forwarding-on note
forward=accept put
status
finds forwarding-on warning
put '[[forward]]
id = "through"
service = "tcp/80"
from = "any"
to = "office"'
status
finds_no forwarding-on
finds_no forwarding-off
sysctl -qw net.ipv4.conf.all.accept_redirects=1 net.ipv4.conf.eth0.accept_redirects=1
status
finds redirects note
sysctl -qw net.ipv4.ip_forward=0
status
finds forwarding-off warning
finds_no redirects
put
# Turning forwarding off has set the devices to what a host has.
sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.eth0.rp_filter=0
status
finds forged-sources note
sysctl -qw net.ipv4.conf.all.rp_filter=2
status
finds_no forged-sources
sysctl -qw net.ipv4.conf.all.accept_source_route=1 net.ipv4.conf.eth0.accept_source_route=1
sysctl -qw net.ipv4.conf.eth1.route_localnet=1
status
finds source-route warning
finds route-localnet warning
sysctl -qw net.ipv4.conf.all.accept_source_route=0 net.ipv4.conf.eth1.route_localnet=0
if sysctl -qw net.netfilter.nf_conntrack_tcp_be_liberal=1 2>/dev/null; then
  status
  finds tcp-liberal note
  sysctl -qw net.netfilter.nf_conntrack_tcp_be_liberal=0 net.netfilter.nf_conntrack_tcp_loose=1
  outbound=accept put
  status
  finds tcp-loose note
  sysctl -qw net.netfilter.nf_conntrack_tcp_loose=0
  status
  finds_no tcp-loose
fi
ip link add br0 type bridge
status
finds bridged-frames note
ip link del br0

# Rules whose time is up, or nearly.
soon=$(date -d '+10 days' +%F)
put "expires = $soon"
status
finds expiring-rule note
expect_json "any('server.inbound.ssh expires on $soon, in 10 days ($PWD/site/server.toml:6)' == f['message'] for f in d['findings'])"
put 'expires = 2026-02-01'
status
finds expired-rule warning
put

# Who listens. Nobody: both rules are idle.
status
expect_json "sorted(f['message'] for f in d['findings'] if f['code'] == 'idle-rule') == ['server.inbound.ssh admits tcp/22, but nothing listens there', 'server.inbound.web admits tcp/8000, tcp/8100-8200, but nothing listens there']"
python3 - "$scratch/ready" <<'P' &
import socket, sys, time
open("/proc/self/comm", "w").write("shop")
held = [socket.create_server(("0.0.0.0", 8150)), socket.create_server(("127.0.0.1", 9998)),
        socket.create_server(("203.0.113.10", 9999)), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)]
held[3].bind(("0.0.0.0", 514))
drawn = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
drawn.bind(("0.0.0.0", 0))
open(sys.argv[1], "w").close()
time.sleep(60)
P
listener=$!
while [ ! -e "$scratch/ready" ]; do sleep 0.05; done
status
expect_json "[f['message'] for f in d['findings'] if f['code'] == 'idle-rule'] == ['server.inbound.ssh admits tcp/22, but nothing listens there']"
expect_json "[f['message'] for f in d['findings'] if f['code'] == 'unadmitted-listener' and 'or it is a client' not in f['message']] == ['shop listens on tcp/9999 (at 203.0.113.10), but no rule admits it', 'shop listens on udp/514 (at 0.0.0.0), but no rule admits it']"
expect_json "sum('or it is a client that waits for an answer' in f['message'] for f in d['findings']) == 1"
# Behind a translation it is not known what was asked for: nothing is claimed.
put '[[nat]]
id = "shop"
from = "any"
to = "self"
service = "tcp/8000"
new-destination = "self:9999"'
status
expect_json "not any('9999' in f['message'] for f in d['findings'] if f['code'] == 'unadmitted-listener')"
put
kill "$listener"
wait "$listener" 2>/dev/null

# Drift alone makes it 1.
nft 'add rule inet rolewall input drop'
status 1
nft 'delete table inet rolewall'
status 1
expect_json "d['in_force'] is False"
rolewall status --state-dir "$state"
expect_status 1
expect_out "load it again: sudo rolewall boot --state-dir $state"
rolewall boot --force -p site --host srv --state-dir "$state" --kernel-parameters /dev/null
expect_status 0
status

# Audit mode is said first.
sed -i 's/^forward = .*/&\nmode = "audit"/' site/site.toml
rolewall apply site --host srv --state-dir "$state" --force --date 2026-01-01
expect_status 0
expect_out "audit mode: the defaults deny nothing"
rolewall status --state-dir "$state"
[ "$(head -1 "$scratch/out" | cut -c 1-10)" = "audit mode" ] || complain "audit mode is not said first"
status
expect_json "d['audit'] is True"
put
status
expect_json "d['audit'] is False"

# Where nothing of ours is in force, nothing is said of an order to it; and what is kept is not said to be gone.
nft 'add table ip late; add chain ip late c { type filter hook input priority 10; policy drop; }'
rolewall disable --force --state-dir "$state"
expect_status 0
rolewall status --state-dir "$state"
expect_status 0
expect_out 'ip late c  filter input 10: may drop packets'
for words in 'after rolewall' 'what rolewall' 'admit'; do refuse_out "$words"; done
for verb in 'log --for 1s' 'stats --once'; do
  rolewall $verb --state-dir "$state"
  refuse_err 'nothing is recorded'
  refuse_out 'nothing is recorded'
done
rolewall log --for 1s --state-dir "$state"
expect_status 1
expect_err "nothing is in force: of the generations kept in $state none is loaded"
rolewall log --for 1s --state-dir "$scratch/none"
expect_err "nothing was applied: nothing is recorded in $scratch/none"
echo "$checks checks"
