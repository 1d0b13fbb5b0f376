# Nobody locks himself out: policies and machines that would, each refused, nothing changed. What
# another program's rules deny today as well is a note, and no reason to refuse.
. "$(dirname "$0")/prelude.sh"
command -v nft >/dev/null || { echo "skipped: no nft"; exit 77; }
in_namespaces "$@"
state="$scratch/state"
# The server, with a public and a private side, and an administrator at 198.51.100.7.
ip link set lo up
two_devices
ip address add 203.0.113.10/24 dev eth0
ip address add 10.0.2.10/24 dev eth1
ip -6 address add 2001:db8:1::10/64 dev eth0 nodad
ip route add default via 203.0.113.1 dev eth0
ip -6 route add default via 2001:db8:1::1 dev eth0
export SSH_CONNECTION="198.51.100.7 50022 203.0.113.10 22"

write_site() {
  rm -rf site
  site_of_srv '"203.0.113.10", "10.0.2.10", "2001:db8:1::10"'
  cat >site/server.toml <<'T'
role = "server"
[[inbound]]
id = "extra"
service = "tcp/8000"
from = "office"
[[inbound]]
id = "neighbours"
service = "ndp"
[[outbound]]
id = "neighbours-out"
service = "ndp"
[[inbound]]
id = "ssh"
service = "ssh"
from = "management"
T
}
apply() { rolewall apply site --host srv --state-dir "$state" "$@"; }
live() { nft -s list ruleset 2>/dev/null; }

write_site
apply
expect_status 0
before=$(live)
tried=0
# What the policy or the machine has become must be refused, say what is lost, and change nothing.
refused() {
  tried=$((tried + 1))
  before=$(live)
  apply
  [ "$status" = 1 ] || complain "lock-out $tried ($1) was not refused"
  grep -q ': lost: ' "$scratch/err" || complain "lock-out $tried ($1): nothing is said to be lost"
  [ "$(live)" = "$before" ] || complain "lock-out $tried ($1) has changed the ruleset"
  write_site
}
# $1: a sed script for the ssh rule alone, the file's last.
ssh_rule() { sed -i "/^id = \"ssh\"/,\$ { $1 }" site/server.toml; refused "ssh rule: $1"; }
# $1: a line more of it.
ssh_also() { echo "$1" >>site/server.toml; refused "ssh rule with $1"; }
# $1: rules in front of all others.
in_front() {
  { printf 'role = "server"\n'; printf '%b\n' "$1"; sed 1d site/server.toml; } >site/new
  mv site/new site/server.toml
  refused "in front: $1"
}
# Another program's ruleset, which denies today as well; ours changes a little, or nobody would be
# asked. The note names its table.
noted=0
beside() {
  noted=$((noted + 1))
  nft "$1" || complain "nft did not take: $1"
  sed -i 's/8000/8001/' site/server.toml
  apply
  [ "$status" = 0 ] || complain "refused, though nothing is lost by it: $1"
  grep -q ': note: ' "$scratch/err" || complain "there is no note: $1"
  grep -Eq 'table (inet|ip|ip6|netdev) t' "$scratch/err" || complain "the table is not named: $1"
  refuse_err ': lost: '
  nft 'flush ruleset'
  write_site
  apply --force
  expect_status 0
}
chain() { beside "add table $1 t; add chain $1 t c { type filter hook $2 priority $3; policy accept; }; add rule $1 t c $4"; }

# The wrong source, interface, port or family.
ssh_rule 's/"management"/"elsewhere"/'
ssh_rule 's/"management"/"inside"/'
ssh_rule 's/"management"/["office", "!me"]/'
ssh_rule 's/"management"/"198.51.100.8"/'
ssh_rule 's/"management"/"198.51.100.128\/25"/'
ssh_rule 's/"management"/"2001:db8:0ff1::\/48"/'
ssh_rule 's/"management"/["me", "2001:db8:0ff1::\/48"]/'
ssh_also 'in = "private"'
ssh_rule 's/^service = "ssh"/service = "tcp\/2222"/'
ssh_rule 's/^service = "ssh"/service = "udp\/22"/'
ssh_rule 's/^service = "ssh"/service = "https"/'
ssh_rule 's/^service = "ssh"/service = "tcp\/23-1024"/'
ssh_also 'to = "10.0.2.10"'
ssh_also 'expires = 2020-01-01'
ssh_also 'action = "drop"'
ssh_also 'action = "reject"'
sed -i 's/^management = .*/management = "elsewhere"/' site/site.toml
refused "other people's management network"
sed -i '/^id = "ssh"/,$ d' site/server.toml && sed -i '$ d' site/server.toml
refused "no ssh rule at all"

# Shut in front of what admits.
in_front '[[inbound]]\nid = "a"\naction = "drop"\nservice = "ssh"\nfrom = "me"'
in_front '[[inbound]]\nid = "a"\naction = "reject"\nservice = "ssh"\nfrom = "office"'
in_front '[[inbound]]\nid = "a"\naction = "drop"\nfrom = "office"'
# From some of the ports that a client may draw.
in_front '[[inbound]]\nid = "a"\naction = "drop"\nservice = ["tcp/22 from 1-39999", "tcp/22 from 40001-65535"]\nearly = true'
in_front '[[inbound]]\nid = "a"\naction = "drop"\nservice = "tcp/22 from 50000-65535"'
ssh_rule 's/^service = "ssh"/service = "tcp\/22 from 32768-40000"/'
in_front '[[inbound]]\nid = "a"\naction = "drop"\nfrom = "any"'
in_front '[[inbound]]\nid = "a"\naction = "drop"\nfrom = "me"\nearly = true'
in_front '[[inbound]]\nid = "a"\naction = "drop"\nfrom = "any"\nin = "public"\nearly = true'

# IPv6 loses its neighbours.
sed -i 's/^id = "neighbours"$/&\nin = "private"/' site/server.toml
refused "neighbours on one side alone"
sed -i 's/^id = "neighbours-out"$/&\nto = "2001:db8:1::\/64"/' site/server.toml
refused "answers to neighbours on the link alone"
sed -i 's/^service = "ndp"$/service = "ping"/' site/server.toml
refused "no neighbour discovery"

# Another program's tables, on every hook, before and behind ours.
chain inet input 0 'tcp dport 22 drop'
chain inet input 100 'tcp dport 22 drop'
chain inet input -100 'ip saddr 198.51.100.0/24 drop'
chain inet input 0 'tcp dport 22 reject with tcp reset'
chain inet input 0 'ct state new drop'
chain inet input 0 'ct state established drop'
chain inet input 0 'tcp flags syn / syn,ack drop'
chain inet input 0 'iifname "eth0" drop'
chain inet input 0 'ip daddr 203.0.113.10 drop'
chain inet input 0 'tcp dport vmap { 22 : drop, 80 : accept }'
chain inet input 0 'iifname "lo" drop'
chain inet input 0 'icmpv6 type nd-neighbor-solicit drop'
chain inet input 0 'numgen random mod 100 0 drop'
chain inet output 0 'tcp sport 22 drop'
chain inet output 0 'ct state established drop'
chain inet output 0 'oifname "lo" drop'
chain inet output 0 'icmpv6 type nd-neighbor-advert drop'
chain inet postrouting 0 'oifname "eth0" drop'
chain inet prerouting -300 'tcp dport 22 drop'
chain inet prerouting -300 'tcp dport 22 notrack'
chain ip input 0 'drop'
chain ip6 input 0 'tcp dport 22 drop'
chain ip6 output 0 'tcp sport 22 drop'
beside 'add table inet t; add chain inet t c { type filter hook input priority 0; policy drop; }'
beside 'add table inet t; add chain inet t c { type filter hook output priority 0; policy drop; }'
beside 'add table netdev t; add chain netdev t c { type filter hook ingress device eth0 priority 0; policy drop; }'
beside 'add table ip t; add chain ip t c { type nat hook prerouting priority -100; }; add rule ip t c tcp dport 22 redirect to :2222'
beside 'add table ip t; add chain ip t c { type nat hook prerouting priority -100; }; add rule ip t c tcp dport 22 dnat to 10.0.2.99'

# The session is not where the policy thinks.
change_a_little() { sed -i 's/8000/8002/' site/server.toml; }
change_a_little; SSH_CONNECTION="192.0.2.9 50022 203.0.113.10 22"; refused "a session from outside management"
change_a_little; SSH_CONNECTION="198.51.100.7 50022 203.0.113.10 2222"; refused "a session to another port"
change_a_little; SSH_CONNECTION="10.0.9.9 50022 203.0.113.10 22"; ip route add 10.0.9.9 dev eth0
refused "an inside address from outside"
ip route del 10.0.9.9 dev eth0
SSH_CONNECTION="198.51.100.7 50022 203.0.113.10 22"
# sshd listens on another port, which nobody has told: by the process that holds the socket. What
# another program listens on there is no reason to refuse.
listen_as() {
  python3 - "$1" "$2" "$scratch/ready" <<'P' &
import socket, sys, time
open("/proc/self/comm", "w").write(sys.argv[1])
server = socket.create_server(("", int(sys.argv[2])))
open(sys.argv[3], "w").close()
time.sleep(60)
P
  listener=$!
  while [ ! -e "$scratch/ready" ]; do sleep 0.05; done
  rm "$scratch/ready"
}
listen_as sshd 2222
change_a_little; refused "sshd on another port"
expect_err "ssh from 198.51.100.1 (management) to 203.0.113.10 port 2222"
expect_err 'no rule admits it: an [[inbound]] rule with service = "tcp/2222" and from = "management" would'
change_a_little; SSH_CONNECTION=; refused "sshd on another port, from the console"
SSH_CONNECTION="198.51.100.7 50022 203.0.113.10 22"
kill "$listener"
wait "$listener" 2>/dev/null
listen_as httpd 2222
apply
expect_status 0
kill "$listener"
wait "$listener" 2>/dev/null
# sudo takes SSH_CONNECTION away: it is its parent's.
sed -i 's/"management"$/"elsewhere"/' site/server.toml
tried=$((tried + 1))
ran="apply below sudo"
status=0
sh -c "env -u SSH_CONNECTION '$ROLEWALL_PROGRAM' apply site --host srv --state-dir '$state'; exit \$?" \
  >"$scratch/out" 2>"$scratch/err" || status=$?
expect_status 1
expect_err "a new session from 198.51.100.7"

# What the machine does today and the policy forgets.
write_site
# Forwarding that was switched on since, which our table drops today as well, is a note.
forwards() {
  sysctl -qw "$2=1"
  change_a_little
  apply
  expect_status 0
  expect_err "note: packets that this host forwards"
  refuse_err ': lost: '
  nft delete table inet rolewall
  refused "it forwards $1"
  expect_err "lost: packets that this host forwards"
  sysctl -qw "$2=0"
  ip -6 route replace default via 2001:db8:1::1 dev eth0
  apply --force
  expect_status 0
}
forwards IPv4 net.ipv4.ip_forward
forwards IPv6 net.ipv6.conf.all.forwarding
ip address change 203.0.113.10/24 dev eth0 valid_lft 3600 preferred_lft 3600
change_a_little; refused "its address is lent by DHCP"
expect_err "the DHCP lease of 203.0.113.10"
ip address change 203.0.113.10/24 dev eth0 valid_lft forever preferred_lft forever

[ "$tried" -ge 36 ] || complain "only $tried ways were tried"
[ "$noted" -ge 28 ] || complain "only $noted rulesets of others were tried"

# The line that decides is named; --force does it all the same, and lists what it lost.
printf '[[inbound]]\nid = "shut"\naction = "drop"\nservice = "ssh"\nfrom = "me"\nearly = true\n' >>site/server.toml
plan_line='refused   by `apply`, since this would be lost: '
rolewall plan site --host srv --state-dir "$state"
expect_status 0
grep -qF "$plan_line" "$scratch/out" || complain "the plan does not say what an apply would"
rolewall plan site --host srv --state-dir "$state" --format json
expect_json "any('198.51.100.7' in loss['what'] and loss['how'] for loss in d['lost'])"
apply
expect_status 1
expect_err "site/server.toml:16:1: lost: the session from 198.51.100.7"
apply --force
expect_status 0
expect_err "overridden"
echo "$tried lock-outs, each refused; $noted rulesets of other programs, each a note"
