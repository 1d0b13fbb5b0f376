# ufw and fail2ban as Debian packages them, by iptables-nft, and a published port, with our table beside
# them: of each question eval says what a real connection meets, and which table decides.
. "$(dirname "$0")/prelude.sh"
. "$ROLEWALL_SOURCE/tests/support/winner.sh"
for program in nft iptables-nft-restore ipset nsenter; do
  command -v $program >/dev/null || { echo "skipped: no $program"; exit 77; }
done
iptables -V 2>/dev/null | grep -q nf_tables || { echo "skipped: iptables is not iptables-nft"; exit 77; }
# The packages are unpacked and not installed: that would start them on this machine.
if [ -z "${PROGRAMS:-}" ]; then
  export PROGRAMS="$scratch/programs"
  mkdir "$PROGRAMS"
  for package in ufw fail2ban; do
    { apt-get download $package && dpkg -x ${package}_*.deb "$PROGRAMS"; } >/dev/null 2>&1 || {
      echo "skipped: the package $package cannot be had"
      exit 77
    }
  done
  cp "$PROGRAMS"/usr/share/ufw/ufw.conf "$PROGRAMS"/usr/share/ufw/iptables/*.rules "$PROGRAMS/etc/ufw/"
fi
export PYTHONPATH="$PROGRAMS/usr/lib/python3/dist-packages" PATH="$PROGRAMS/usr/bin:$PATH"
in_namespaces "$@"

# The clients are in a network of their own, a container in another one.
ip link set lo up
ip link add eth0 type veth peer name clients
ip link add docker0 type bridge
ip link add port type veth peer name within
unshare -n sleep 600 & clients=$!
unshare -n sleep 600 & container=$!
sleep 0.3
ip link set clients netns $clients
ip link set within netns $container
ip address add 192.0.2.10/24 dev eth0
ip address add 172.17.0.1/16 dev docker0
for device in eth0 docker0 port; do ip link set $device up; done
ip link set port master docker0
ip route add default via 192.0.2.1
sysctl -qw net.ipv4.ip_forward=1
at() { nsenter -t "$1" -n sh -ec "$2"; }
at $clients 'ip link set lo up; ip link set clients up; ip a a 192.0.2.7/24 dev clients
  for a in 192.0.2.1 198.51.100.66 198.51.100.77 198.51.100.78 198.51.100.79; do ip a a $a/32 dev clients; done
  ip route add default via 192.0.2.10'
at $container 'ip link set lo up; ip link set within up; ip a a 172.17.0.2/16 dev within; ip route add default via 172.17.0.1'
python3 "$real_connections" listen host 22 2222 8001 8002 & listener=$!
nsenter -t $container -n python3 "$real_connections" listen container 80 443 & inner=$!
trap 'kill $clients $container $listener $inner ${server:-} 2>/dev/null; end_waiting; rm -rf "$scratch"' EXIT
for _ in $(seq 100); do
  [ -e listens.host.22 ] && [ -e listens.host.8002 ] && [ -e listens.container.443 ] && break
  sleep 0.1
done

mkdir site
cat >site/site.toml <<'T'
[site]
name = "s"
management = "office"
[defaults]
inbound = "drop"
outbound = "accept"
[networks]
office = "192.0.2.0/28"
containers = "172.17.0.0/16"
public = "192.0.2.10"
[interfaces.public]
device = "eth0"
[interfaces.docker]
device = "docker0"
behind = "containers"
[hosts.srv]
role = "server"
addresses = ["192.0.2.10"]
interfaces = ["public", "docker"]
T
cat >site/server.toml <<'T'
role = "server"
[[inbound]]
id = "ssh"
service = "ssh"
from = "any"
[[inbound]]
id = "limited"
service = "tcp/2222"
from = "any"
[[inbound]]
id = "ours"
service = "tcp/8001"
from = "any"
[[forward]]
id = "published"
service = "tcp/8080"  # as it arrives, before it is translated
from = "any"
to = "public"
T
state="$scratch/state"
rolewall apply site --host srv --state-dir "$state"
expect_status 0

# arriving FROM PORT VERDICT TABLE [CHAIN]
arriving() { winner $clients "$1" 192.0.2.10 "$2" eth0 "$3" "$4" "${5:-}"; }

# --- ufw ---
ufw() { /usr/bin/python3 "$PROGRAMS/usr/sbin/ufw" --rootdir="$PROGRAMS" --datadir="$PROGRAMS" "$@" >>ufw.out 2>&1; }
{ ufw allow 22/tcp && ufw limit 2222/tcp && ufw allow 8002/tcp && ufw insert 1 deny from 198.51.100.66 && ufw --force enable; } || {
  cat ufw.out
  echo "skipped: ufw does not run here"
  exit 77
}
arriving 192.0.2.7 22 accept -
arriving 198.51.100.66 22 drop filter ufw-user-input
arriving 192.0.2.7 8001 drop filter  # by ufw, though our table accepts
arriving 192.0.2.7 8002 drop rolewall  # by our table, though ufw accepts
# Its limit counts connections in a recent list: the sixth of thirty seconds is one too many.
for _ in 1 2 3 4 5; do arriving 198.51.100.79 2222 accept -; done
arriving 198.51.100.79 2222 reject filter ufw-user-limit
arriving 198.51.100.77 2222 accept -
# Nothing of it needs a note of the guard's.
rolewall plan site --host srv --state-dir "$state" --format json
expect_json 'd.get("notes", []) == []'
expect_json 'd.get("lost", []) == []'
rolewall status --state-dir "$state" --format json
expect_json 'd["drift"] == []'
ufw disable
iptables-nft -F; iptables-nft -P INPUT ACCEPT; iptables-nft -P FORWARD ACCEPT

# --- fail2ban, by rules and by a set of ip_set ---
mkdir -p f2b/filter.d
cp -r "$PROGRAMS/etc/fail2ban/action.d" f2b/
cat >f2b/fail2ban.conf <<T
[Definition]
loglevel = INFO
logtarget = $PWD/f2b.log
syslogsocket = auto
socket = $PWD/f2b.sock
pidfile = $PWD/f2b.pid
dbfile = None
T
cat >f2b/filter.d/door.conf <<'T'
[Definition]
failregex = wrong password from <HOST>$
T
jail() {
  cat <<T
[$1]
enabled = true
filter = door
backend = polling
logpath = $PWD/$1.log
maxretry = 2
findtime = 10m
bantime = 1h
action = $2[name=$1, port=22, protocol=tcp]
T
  : >"$1.log"
}
{ jail door iptables-multiport; jail gate iptables-ipset-proto6; } >f2b/jail.conf
fail2ban-server -f -c f2b -s f2b.sock -p f2b.pid >server.out 2>&1 & server=$!
for _ in $(seq 100); do
  fail2ban-client -c f2b -s f2b.sock ping >/dev/null 2>&1 && break
  sleep 0.1
done
fail2ban-client -c f2b -s f2b.sock set door banip 198.51.100.77 >/dev/null
fail2ban-client -c f2b -s f2b.sock set gate banip 198.51.100.78 >/dev/null
for _ in $(seq 100); do
  iptables-nft-save | grep -q 198.51.100.77 && ipset save | grep -q 198.51.100.78 && break
  sleep 0.1
done
arriving 198.51.100.77 22 reject filter f2b-door
arriving 198.51.100.78 22 reject filter INPUT
arriving 198.51.100.79 22 accept -
arriving 198.51.100.77 8001 accept -
# A rule that asks the set is in the plan of the guard, and is decided.
rolewall plan site --host srv --state-dir "$state" --format json
expect_json 'd.get("notes", []) == [] and d.get("lost", []) == []'
# From a dump, elsewhere; and without the sets in it the answer hangs on them.
rolewall dump --state-dir "$state"
cp "$scratch/out" dump.json
grep -q '"words": "-m set --match-set' dump.json || complain "the dump has no words"
rolewall eval --ruleset dump.json 'tcp 198.51.100.78 > 192.0.2.10:22 in=eth0' --format json
expect_json 'd["verdict"] == "reject" and not d.get("conditions")'
python3 - <<'PYTHON'
import json
d = json.load(open("dump.json"))
del d["host"]["ipsets"]
json.dump(d, open("without.json", "w"))
PYTHON
rolewall eval --ruleset without.json 'tcp 198.51.100.78 > 192.0.2.10:22 in=eth0'
expect_out 'the ip set f2b-gate holds'
kill $server
wait $server 2>/dev/null

# --- a published port, as Docker's ---
iptables-nft -F
iptables-nft-restore <<'RULES' || complain "the kernel does not take Docker's rules"
*nat
:PREROUTING ACCEPT [0:0]
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80
-A DOCKER ! -i docker0 -p tcp -m tcp --dport 8443 -j DNAT --to-destination 172.17.0.2:443
COMMIT
*filter
:FORWARD DROP [0:0]
:DOCKER - [0:0]
:DOCKER-USER - [0:0]
-A FORWARD -j DOCKER-USER
-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -o docker0 -j DOCKER
-A FORWARD -i docker0 ! -o docker0 -j ACCEPT
-A DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p tcp -m multiport --dports 80,443 -j ACCEPT
-A DOCKER-USER -s 198.51.100.66/32 -j DROP
COMMIT
RULES
arriving 192.0.2.7 8080 accept -
arriving 198.51.100.66 8080 drop filter DOCKER-USER
arriving 192.0.2.7 8443 drop rolewall  # though Docker's rules accept it
arriving 192.0.2.7 8081 drop rolewall

# --- iptables-legacy ---
if iptables-legacy -A INPUT -s 198.51.100.66 -j DROP 2>/dev/null; then
  rolewall status --state-dir "$state"
  expect_out 'iptables-legacy tables are in force (ip filter (1 rule))'
  printf '\n[[inbound]]\nid = "more"\nservice = "tcp/8003"\nfrom = "any"\n' >>site/server.toml
  rolewall plan site --host srv --state-dir "$state"
  expect_err 'tables of iptables-legacy are in force (ip filter (1 rule))'
  rolewall plan site --host srv --state-dir "$state" --format json
  expect_json 'any(r.startswith("tables of iptables-legacy are in force (ip filter (1 rule))") for r in d["remarks"])'
  rolewall apply site --host srv --state-dir "$state"
  expect_status 0
  expect_err 'tables of iptables-legacy are in force (ip filter (1 rule))'
  # With nothing of ours in force, and on a host that never had anything.
  rolewall disable --state-dir "$state"
  expect_status 0
  for directory in "$state" none; do
    rolewall status --state-dir "$directory" --all
    expect_out 'iptables-legacy tables are in force (ip filter (1 rule))'
    rolewall status --state-dir "$directory" --format json
    expect_json '"legacy-iptables" in [f["code"] for f in d["findings"]]'
  done
fi
echo "$checks checks"
