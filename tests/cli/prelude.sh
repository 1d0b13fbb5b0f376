# Sourced by each script here: runs the program and says what it should have done.
#
#   rolewall ARGS...       runs it; $status, $out and $err are what it left
#   expect_status N        expect_out TEXT   expect_err TEXT   refuse_out TEXT   refuse_err TEXT
#   expect_json EXPR       a Python expression over `d`, the JSON on standard output, is true
#   need_namespaces        skips the script where none can be made
#   in_namespaces "$@"     runs the rest in a network and with mounts of its own
#   web_01 "$@"            the same, and the example site's web-01 with a state directory (see there)
#   play_reboot            the kernel forgets, and it is another boot
#
# Environment: ROLEWALL_PROGRAM and ROLEWALL_SOURCE, set by meson.build. The working directory is a
# new one, gone afterwards; a copy of the example site is made by example_site DIR.
set -u
: "${ROLEWALL_PROGRAM:?}" "${ROLEWALL_SOURCE:?}"
export ROLEWALL_RULES_DIR="$ROLEWALL_SOURCE/rules"
unset NO_COLOR

script=$(cd "$(dirname "$0")" && pwd)/$(basename "$0")
scratch=$(mktemp -d)
# Processes that wait would wait on for their time, though the directory is gone. Their command line
# may have a relative one.
export ROLEWALL_TEST_SCRATCH="$scratch/"
end_waiting() {
  for process in $(grep -lx rolewall-await /proc/[0-9]*/comm 2>/dev/null); do
    grep -qaF "ROLEWALL_TEST_SCRATCH=$scratch/" "${process%comm}environ" 2>/dev/null || continue
    process=${process#/proc/}
    kill -KILL "${process%/comm}" 2>/dev/null || :
  done
}
trap 'end_waiting; rm -rf "$scratch"' EXIT
mkdir "$scratch/work"
cd "$scratch/work" || exit 99
checks=0
ran=""

rolewall() {
  ran="rolewall $*"
  status=0
  timeout 120 "$ROLEWALL_PROGRAM" "$@" >"$scratch/out" 2>"$scratch/err" </dev/null || status=$?
  out=$(cat "$scratch/out")
  err=$(cat "$scratch/err")
}

complain() {
  echo "FAILED: $ran: $1"
  echo "--- exit status $status, standard output:"
  head -c 4000 "$scratch/out"
  echo "--- standard error:"
  head -c 4000 "$scratch/err"
  exit 1
}

expect_status() {
  checks=$((checks + 1))
  [ "$status" = "$1" ] || complain "exit status $1 was expected"
}
holds() { grep -qF -- "$2" "$scratch/$1"; }
expect_out() { checks=$((checks + 1)); holds out "$1" || complain "standard output lacks: $1"; }
expect_err() { checks=$((checks + 1)); holds err "$1" || complain "standard error lacks: $1"; }
refuse_out() { checks=$((checks + 1)); holds out "$1" && complain "standard output has: $1"; :; }
refuse_err() { checks=$((checks + 1)); holds err "$1" && complain "standard error has: $1"; :; }
expect_json() {
  checks=$((checks + 1))
  python3 - "$1" "$scratch/out" <<'PYTHON' || complain "not so: $1"
import json, sys
with open(sys.argv[2], encoding="utf-8") as file:
    d = json.load(file)
sys.exit(0 if eval(sys.argv[1]) else 1)
PYTHON
}

# Without its laws, which no script could change a rule beside: laws.sh and breaches.sh have these.
example_site() {
  cp -r "$ROLEWALL_SOURCE/policies" "$1"
  for role in "$1"/*.toml; do
    awk '/^\[/ { law = /^\[\[(never|always)\]\]/ } !law' "$role" >"$scratch/without-laws"
    cat "$scratch/without-laws" >"$role"
  done
}

# Most scripts about the state begin with it: namespaces, a copy of the example site in ./site, and
#   with_state VERB ...    with the state directory $state
#   apply ...              the site, for web-01
#   admit PORT             one more rule in the site: another policy
#   table                  our table as the kernel holds it; chains made one by one stand in another
#                          order, so by lines
#   await_table TEXT       until it is that, twenty seconds at most
#   events KIND...         the history's are these, the oldest first
#   in_force N TEXT        generation N is in force, and the table is that
# What a printed command has when it works as printed: $with_dir.
web_01() {
  command -v nft >/dev/null || { echo "skipped: no nft"; exit 77; }
  in_namespaces "$@"
  ip link set lo up
  example_site site
  state="$scratch/state"
  with_dir="--state-dir $state"
}
with_state() { verb=$1; shift; rolewall "$verb" "$@" --state-dir "$state"; }
apply() { with_state apply site --host web-01 "$@"; }
admit() {
  printf '\n[[inbound]]\nid = "port-%s"\nservice = "tcp/%s"\nfrom = "office"\n' "$1" "$1" >>site/web.toml
}
table() { nft -s list table inet rolewall 2>/dev/null | sort; }
await_table() {
  for _ in $(seq 200); do
    [ "$(table)" = "$1" ] && return
    sleep 0.1
  done
  complain "another table than awaited"
}
events() {
  with_state history --format json
  expect_status 0
  expect_json "[e['event'] for e in d['events']] == '$*'.split()"
}
in_force() {
  with_state status --format json
  expect_json "d['generation'] == $1 and d['drift'] == []"
  [ "$(table)" = "$2" ] || complain "it is not generation $1"
}

# A site in ./site whose host srv has these addresses; eth0 leads out, and the inside is behind eth1:
#   site_of_srv ADDRESSES [INTERFACE DEVICE]    and behind a further device. Its rules are the caller's.
site_of_srv() {
  mkdir -p site
  cat >site/site.toml <<T
[site]
name = "s"
management = "office"
[defaults]
inbound = "drop"
outbound = "reject"
[networks]
office = ["198.51.100.0/24", "2001:db8:0ff1::/48"]
me = "198.51.100.7"
elsewhere = ["192.0.2.0/24"]
inside = ["10.0.0.0/16"]
[interfaces.public]
device = "eth0"
[interfaces.private]
device = "eth1"
behind = "inside"
[hosts.srv]
role = "server"
addresses = [$1]
interfaces = ["public", "private"${2:+, \"$2\"}]
T
  [ -z "${2:-}" ] ||
    printf '[interfaces.%s]\ndevice = "%s"\nbehind = "inside"\n' "$2" "$3" >>site/site.toml
}

# eth0 and eth1, up, with nobody at their other ends.
two_devices() {
  for device in eth0 eth1; do
    ip link add "$device" type veth peer name "peer-$device"
    ip link set "$device" up
    ip link set "peer-$device" up
  done
}

# Runs the rest of the script in namespaces of its own, and ends with its status. Call it first.
in_namespaces() {
  [ "${1:-}" = inside ] && return
  need_namespaces
  unshare -rnm sh "$script" inside
  exit $?
}

# The same, as this machine's root, to whom other users are others; skips the script for any other.
in_network_of_root() {
  [ "${1:-}" = inside ] && return
  if [ "$(id -u)" != 0 ] || ! unshare -nm true 2>/dev/null; then
    echo "skipped: not this machine's root"
    exit 77
  fi
  unshare -nm sh "$script" inside
  exit $?
}

# The machine restarts: the process that waits is gone, the kernel has forgotten the ruleset, and
# another boot id tells that it was a boot. With in_namespaces. $state is the state directory.
boots=0
play_reboot() {
  kill_watcher
  nft flush ruleset
  boots=$((boots + 1))
  printf '00000000-0000-4000-8000-%012d\n' "$boots" >"$scratch/boot_id"
  [ "$boots" -gt 1 ] || mount --bind "$scratch/boot_id" /proc/sys/kernel/random/boot_id
}
# SIGKILL, as the kernel does it that lacks memory.
kill_watcher() {
  watcher=$(sed -n 's/.*"watcher": \([0-9]*\).*/\1/p' "${state:-none}/pending.json" 2>/dev/null)
  [ -z "$watcher" ] || kill -KILL "$watcher" 2>/dev/null || :
}

need_namespaces() {
  unshare -rn true 2>/dev/null && return
  echo "skipped: no user and network namespaces here"
  exit 77
}
