# The real fail2ban bans and unbans by our action; its bans outlive an apply.
. "$(dirname "$0")/prelude.sh"
command -v nft >/dev/null || { echo "skipped: no nft"; exit 77; }
# The package is unpacked and not installed: that would start it, and have it ban on this machine.
if [ -z "${FAIL2BAN:-}" ]; then
  export FAIL2BAN="$scratch/fail2ban"
  mkdir "$FAIL2BAN"
  { apt-get download fail2ban && dpkg -x fail2ban_*.deb "$FAIL2BAN"; } >/dev/null 2>&1 || {
    echo "skipped: the package fail2ban cannot be had"
    exit 77
  }
fi
export PYTHONPATH="$FAIL2BAN/usr/lib/python3/dist-packages" PATH="$FAIL2BAN/usr/bin:$PATH"
in_namespaces "$@"
ip link set lo up
example_site site
state="$scratch/state"
rolewall apply site --host web-01 --state-dir "$state"
expect_status 0

mkdir -p f2b/action.d f2b/filter.d
cp "$ROLEWALL_SOURCE/packaging/fail2ban/action.d/rolewall.conf" f2b/action.d/
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
bantime = $2
action = rolewall[name=$1, rolewall="$ROLEWALL_PROGRAM", options="--state-dir $state", log="echo >>$PWD/system.log"]
T
}
{ jail door 1h; jail gate -1; } >f2b/jail.conf
: >door.log
: >gate.log
fail2ban-server -f -c f2b -s f2b.sock -p f2b.pid >server.out 2>&1 &
server=$!
trap 'kill $server 2>/dev/null; rm -rf "$scratch"' EXIT
for _ in $(seq 100); do
  fail2ban-client -c f2b -s f2b.sock ping >/dev/null 2>&1 && break
  sleep 0.1
done
knock() {
  for _ in 1 2 3; do echo "$(date '+%Y-%m-%d %H:%M:%S') wrong password from $2" >>"$1.log"; done
}
await_bans() {
  for _ in $(seq 150); do
    rolewall bans --format json
    case $(python3 -c 'import json, sys; print(sorted(e["address"] for e in json.load(sys.stdin)["entries"]))' <"$scratch/out") in
      "$1") return ;;
    esac
    sleep 0.1
  done
  cat f2b.log
  complain "the bans are not $1"
}
knock door 192.0.2.77
knock door 2001:db8:bad::7
knock gate 192.0.2.78
await_bans "['192.0.2.77', '192.0.2.78', '2001:db8:bad::7']"
expect_json '[e for e in d["entries"] if e["address"] == "192.0.2.77"][0]["reason"] == "fail2ban door"'
expect_json '3500 < [e for e in d["entries"] if e["address"] == "192.0.2.77"][0]["seconds_left"] <= 3600'
expect_json '"seconds_left" not in [e for e in d["entries"] if e["address"] == "192.0.2.78"][0]'
printf '\n[[inbound]]\nid = "more"\nservice = "tcp/8001"\nfrom = "office"\n' >>site/web.toml
rolewall apply site --host web-01 --state-dir "$state"
expect_status 0
await_bans "['192.0.2.77', '192.0.2.78', '2001:db8:bad::7']"
fail2ban-client -c f2b -s f2b.sock set door unbanip 192.0.2.77 >/dev/null
await_bans "['192.0.2.78', '2001:db8:bad::7']"
# A balancer that passes on what its clients do: not banned, and fail2ban neither fails nor tries again.
knock door 10.0.1.10
for _ in $(seq 150); do
  [ ! -s system.log ] || break
  sleep 0.1
done
grep -q "fail2ban door: .*lb-01, a host of this site" system.log || { cat f2b.log; complain "the refusal is not in the system log"; }
knock door 10.0.1.10
knock gate 192.0.2.79
await_bans "['192.0.2.78', '192.0.2.79', '2001:db8:bad::7']"
[ "$(wc -l <system.log)" = 1 ] || { cat system.log; complain "it is tried again and again"; }
# Within a ban that somebody made by hand, fail2ban's unban is no error either.
rolewall ban 192.0.2.64/26 --state-dir "$state"
fail2ban-client -c f2b -s f2b.sock set gate unbanip 192.0.2.79 >/dev/null
await_bans "['192.0.2.64/26', '192.0.2.78', '2001:db8:bad::7']"
fail2ban-client -c f2b -s f2b.sock set door unbanip 10.0.1.10 >/dev/null
if grep " ERROR " f2b.log; then complain "fail2ban has errors"; fi
kill $server
wait $server 2>/dev/null
exit 0
