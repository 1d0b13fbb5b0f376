# refresh: the names of the policy in force, asked of a real name server. Addresses change and counters go on; what a
# server may say that is no address; nobody answers, and the last addresses are kept as long as `keep` says; what expires;
# the guard; what was edited and not applied; and what becomes of it beside every other verb.
. "$(dirname "$0")/prelude.sh"
command -v nft >/dev/null || { echo "skipped: no nft"; exit 77; }
in_namespaces "$@"
ip link set lo up
two_devices
ip address add 192.0.2.1/24 dev eth0
ip route add default via 192.0.2.254 dev eth0
# A resolver of our own, which gives up after two seconds.
printf 'nameserver 127.0.0.1\noptions timeout:1 attempts:1\n' >"$scratch/resolv.conf"
mount --bind "$scratch/resolv.conf" /etc/resolv.conf
zone="$scratch/zone"
says() { printf '%s\n' "$@" >"$zone"; }
says "intake.example 198.18.0.7" "other.example 198.18.1.1 2001:db8:1::1" "not-here.example 198.18.2.2"
python3 "$ROLEWALL_SOURCE/tests/support/dns_server.py" "$zone" >"$scratch/dns" 2>&1 &
server=$!
trap 'kill $server 2>/dev/null; end_waiting; rm -rf "$scratch"' EXIT
for _ in $(seq 100); do grep -qs ready "$scratch/dns" && break; sleep 0.1; done

state="$scratch/state"
with_dir="--state-dir $state"
mkdir site
cat >site/site.toml <<'TOML'
[site]
name = "one"
management = "office"

[networks]
office = ["198.51.100.0/24"]
intake = { names = ["intake.example"], keep = "1h" }
others = { names = ["other.example"] }
both = ["intake", "others"]
elsewhere = { names = ["not-here.example"] }

[hosts.www]
role = "web"
addresses = ["192.0.2.1"]
TOML
cat >site/web.toml <<'TOML'
role = "web"
use = ["baseline"]

[[inbound]]
id = "https"
service = "https"
from = "intake"

[[outbound]]
id = "agent"
service = "tcp/4433"
to = "both"

[[inbound]]
id = "contractor"
service = "tcp/8443"
from = "203.0.113.77"
expires = 2030-03-01
TOML
rolewall lock site
expect_status 0
refresh() { with_state refresh "$@"; }
# What is in force for these names, of both families; the order is nft's.
has() { nft list table inet rolewall | grep -qF "$1" || complain "the table lacks $1"; }
lacks() { nft list table inet rolewall | grep -qF "$1" && complain "the table has $1"; :; }

# Nothing is in force: there is nothing to refresh.
refresh
expect_status 0
expect_out "no policy is in force"
with_state apply site
expect_status 0
has 198.18.0.7
refresh
expect_status 0
expect_out "nothing has changed"

# An address changes. The rule's counter goes on, a ban stays, and it is no step to go back to.
counter() { nft list chain inet rolewall web.outbound.agent | sed -n 's/.*counter packets \([0-9]*\).*/\1/p' | head -n 1; }
ip route add 198.18.0.0/15 dev eth0
python3 - <<'PYTHON'
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
s.setblocking(False)
s.connect_ex(("198.18.0.7", 4433))
PYTHON
counted=$(counter)
[ "$counted" -ge 1 ] || complain "the rule has counted nothing"
with_state ban 203.0.113.9 --for 1h
says "intake.example 198.18.0.8 198.18.0.9 2001:db8::8" "other.example 198.18.1.1 2001:db8:1::1"
refresh
expect_status 0
expect_out "intake: "
expect_out "198.18.0.8"
expect_out "generation 2 is in force in place of generation 1"
has 198.18.0.8
has 2001:db8::8
lacks 198.18.0.7
[ "$(counter)" = "$counted" ] || complain "the counter is $(counter), not $counted"
has 203.0.113.9
events applied refreshed
# A name that this host's rules do not use, of which nobody knows anything by now, is not asked for.
refuse_err "not-here.example"
with_state status
refuse_out "not-here.example"
with_state status --format json
expect_json "d['generation'] == 2 and d['drift'] == [] and 'problems' not in d and 'way_back' not in d"
# An apply goes on from there, and not from the lock: nothing is to be done.
with_state plan site --exit-code
expect_status 0
with_state apply site
expect_out "nothing to do"
refresh
expect_out "nothing has changed"

# What no other host has is no answer, and neither is one of the families for the other.
says "intake.example 127.0.0.1 0.0.0.0 169.254.169.254 255.255.255.255 224.0.0.1 ::1 fe80::1 198.18.0.8" \
     "other.example 198.18.1.1 2001:db8:1::1"
refresh
expect_err "127.0.0.1 is left out: no other host has it"
expect_status 0
has 198.18.0.8
lacks 169.254.169.254
lacks 2001:db8::8
says "intake.example 198.18.0.8 AAAA=SERVFAIL" "other.example 198.18.1.1 AAAA=SERVFAIL"
refresh
expect_status 0
expect_err "other.example: no IPv6 address from the DNS"
has 2001:db8:1::1
# Truncated, it is asked again over TCP; too many are none.
says "intake.example $(for i in $(seq 60); do printf '198.18.9.%s ' "$i"; done)" "other.example 198.18.1.1 2001:db8:1::1"
refresh
expect_status 0
has 198.18.9.60
says "intake.example COUNT=1500" "other.example 198.18.1.1 2001:db8:1::1"
refresh
expect_status 0
expect_err "more than 1000 addresses"
has 198.18.9.60

# Nobody knows it, nobody answers, or it is nonsense: the last ones are kept, and status says so.
for trouble in NXDOMAIN SERVFAIL REFUSED SILENCE GARBAGE "127.0.0.1"; do
  says "intake.example $trouble" "other.example 198.18.1.1 2001:db8:1::1"
  refresh --as-unit
  expect_status 0
  expect_err "intake.example: no address from the DNS"
  expect_err "the last ones are kept for"
  has 198.18.9.60
done
with_state status
expect_status 0
expect_out "intake.example: no address from the DNS"

with_state stats --format prometheus
expect_out "rolewall_names_unanswered 1"
expect_out "rolewall_names_refreshed_timestamp_seconds "
expect_out "rolewall_refresh_refused 0"

# A rule whose day has come goes, also by the timer; and comes back where the day is another.
refresh --as-unit --date 2030-03-01
expect_status 0
expect_out "web.inbound.contractor: out of force: it expired on 2030-03-01"
lacks 203.0.113.77
# What was edited since the last apply waits for the next one.
sed -i 's/id = "contractor"/id = "somebody"/' site/web.toml
refresh
expect_status 0
expect_out "web.inbound.contractor: in force again"
nft list table inet rolewall | grep -q somebody && complain "what nobody applied is in force"
sed -i 's/id = "somebody"/id = "contractor"/' site/web.toml

# Longer than `keep`: the address goes, the rule that needs it too, and status says it.
python3 "$ROLEWALL_SOURCE/tests/support/age_names.py" "$state" intake.example 3700
refresh
expect_status 0
expect_err "it stands for none now"
expect_out "web.inbound.https: out of force: a name that it needs has no address"
lacks 198.18.9.60
has 198.18.1.1
with_state status
expect_status 1
expect_out "intake.example: no address from the DNS"
says "intake.example 198.18.0.7" "other.example 198.18.1.1 2001:db8:1::1"
refresh
expect_status 0
expect_out "web.inbound.https: in force again"
with_state status
expect_status 0

# Who locks the names again has looked himself: his addresses count.
says "intake.example 198.18.0.50" "other.example 198.18.1.1 2001:db8:1::1" "not-here.example 198.18.2.2"
rolewall lock site
with_state apply site
expect_status 0
has 198.18.0.50

# The guard: a name among those that are dropped gets an administrator's address. The timer leaves it as it was, status
# says so until it is over, and --force is for people.
export SSH_CONNECTION="198.51.100.7 50022 192.0.2.1 22"
cp -r site guarded
cat >>guarded/site.toml <<'TOML'

[networks.blocked]
names = ["blocked.example"]
TOML
cat >>guarded/web.toml <<'TOML'

[[inbound]]
id = "blocked"
from = "blocked"
action = "drop"
early = true
TOML
blocks() { says "intake.example 198.18.0.50" "other.example 198.18.1.1 2001:db8:1::1" "blocked.example $1" "not-here.example 198.18.2.2"; }
blocks 203.0.113.66
rolewall lock guarded
with_state apply guarded
expect_status 0
blocks 198.51.100.7
refresh --as-unit
expect_status 1
expect_err "lost"
expect_err "refused, nothing was changed"
has 203.0.113.66
with_state status
expect_status 1
expect_out "was refused: it would lose the session from"
with_state stats --format prometheus
expect_out "rolewall_refresh_refused 1"
refresh --force
expect_status 0
expect_err "overridden"
has 198.51.100.7
blocks 203.0.113.67
refresh
expect_status 0
with_state status
expect_status 0
unset SSH_CONNECTION
# The same with what the unit may: it sees that sshd listens elsewhere.
cat >"$scratch/sshd.py" <<'PYTHON'
import ctypes, os, socket, time
ctypes.CDLL(None).prctl(15, b"sshd", 0, 0, 0)
listening = socket.create_server(("0.0.0.0", 2222))
print("ready", flush=True)
time.sleep(60)
PYTHON
python3 "$scratch/sshd.py" >"$scratch/sshd" &
daemon=$!
for _ in $(seq 100); do grep -qs ready "$scratch/sshd" && break; sleep 0.1; done
printf '\n[[inbound]]\nid = "ssh-elsewhere"\nservice = "tcp/2222"\nfrom = "management"\n' >>guarded/web.toml
with_state apply guarded
expect_status 0
may=$(sed -n 's/^CapabilityBoundingSet=//p' "$ROLEWALL_SOURCE/packaging/systemd/rolewall-refresh.service.in" |
  tr 'A-Z' 'a-z' | sed 's/cap_/+/g; s/ /,/g')
as_unit() {
  ran="refresh --as-unit with $1"
  status=0
  setpriv --inh-caps=-all --bounding-set="-all,$1" "$ROLEWALL_PROGRAM" refresh --as-unit --state-dir "$state" \
    >"$scratch/out" 2>"$scratch/err" || status=$?
}
blocks 198.51.100.7
as_unit "$may"
expect_status 1
expect_err "port 2222"
has 203.0.113.67
kill "$daemon"
blocks 203.0.113.68
as_unit "$may"
expect_status 0
has 203.0.113.68
# A rule that an administrator comes in by has expired: it stays, and the names are refreshed all the same.
export SSH_CONNECTION="203.0.113.5 50022 192.0.2.1 2223"
printf '\n[[inbound]]\nid = "way-in"\nservice = "tcp/2223"\nfrom = "any"\nexpires = 2029-01-01\n' >>guarded/web.toml
with_state apply guarded --force
expect_status 0
blocks 203.0.113.69
refresh --as-unit --date 2029-06-01
expect_status 1
expect_err "without what has expired, which stays in force"
has 203.0.113.69
has web.inbound.way-in
with_state status
expect_status 1
expect_out "was refused: it would lose a new session from 203.0.113.5"
unset SSH_CONNECTION
with_state rollback
expect_status 0
with_state rollback
expect_status 0
with_state rollback
expect_status 0

# While something waits for its confirmation nothing is refreshed; the timer is content with that.
admit 9000
with_state apply site --confirm 1h
expect_status 0
says "intake.example 198.18.0.51" "other.example 198.18.1.1 2001:db8:1::1"
refresh
expect_status 1
expect_out "waits for"
refresh --as-unit
expect_status 0
has 198.18.0.50
with_state confirm
refresh --confirm 1h
expect_status 0
has 198.18.0.51
with_state rollback
expect_status 0
has 198.18.0.50
has 9000
refresh
has 198.18.0.51
# The way back is what was applied before, not the same with other addresses.
with_state rollback
expect_status 0
lacks 9000

# The record is damaged, read-only or of a newer rolewall: refused, and nothing changes.
says "intake.example 198.18.0.60" "other.example 198.18.1.1 2001:db8:1::1"
before=$(table)
cp -a "$state" "$scratch/good"
current=$(readlink "$state/current")
echo >>"$state/$current/policies.json"
refresh
expect_status 2
expect_err "is damaged"
rm -rf "$state"; cp -a "$scratch/good" "$state"
echo 99 >"$state/format"
refresh
expect_status 2
expect_err "written by a newer rolewall"
rm -rf "$state"; cp -a "$scratch/good" "$state"
mount --bind "$state" "$state" && mount -o remount,bind,ro "$state"
refresh
expect_status 2
expect_err "Read-only file system"
umount "$state"
[ "$(table)" = "$before" ] || complain "something was changed"
chmod g+w "$state"
refresh
[ "$status" != 0 ] || complain "what others can write is believed"
chmod g-w "$state"
echo x >>"$state/names.json"
refresh
expect_status 0
expect_err "names.json: is damaged"
has 198.18.0.60
with_state status
expect_status 0

# No table, whoever took it away, is no reason to load one; nor is a policy that is disabled.
nft delete table inet rolewall
refresh
expect_status 1
expect_out "the table is not in the kernel"
refresh --as-unit
expect_status 0
[ -z "$(table)" ] || complain "it has loaded a table"
with_state boot
has 198.18.0.60
with_state disable
refresh
expect_status 0
expect_out "no policy is in force"
[ -z "$(table)" ] || complain "it has loaded a table"
echo "$checks checks"
