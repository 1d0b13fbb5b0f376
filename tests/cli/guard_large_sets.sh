# The guard and other programs' huge sets: what it says of them is right whichever of the kernel's
# kinds of sets decides, and it reads of them what its packets ask for. They deny today as well, so
# that nothing is refused.
. "$(dirname "$0")/prelude.sh"
command -v nft >/dev/null || { echo "skipped: no nft"; exit 77; }
in_namespaces "$@"
state="$scratch/state"
elements=200000
ip link set lo up
two_devices
ip address add 203.0.113.10/24 dev eth0
ip route add default via 203.0.113.1 dev eth0

mkdir site
cat >site/site.toml <<'T'
[site]
name = "s"
management = "office"
[defaults]
inbound = "drop"
outbound = "accept"
[networks]
office = ["198.51.100.0/24"]
[interfaces.public]
device = "eth0"
[hosts.srv]
role = "server"
addresses = ["203.0.113.10"]
interfaces = ["public"]
T
cat >site/server.toml <<'T'
role = "server"
[[inbound]]
id = "ssh"
service = "ssh"
from = "management"
[[inbound]]
id = "neighbours"
service = "ndp"
[[outbound]]
id = "neighbours-out"
service = "ndp"
[[inbound]]
id = "extra"
service = "tcp/8000"
from = "office"
T
port=8000
# A policy that differs each time, or nobody would be asked. $took: milliseconds.
apply() {
  port=$((port + 1))
  sed -i "s/^service = \"tcp.*/service = \"tcp\/$port\"/" site/server.toml
  began=$(date +%s%N)
  rolewall apply site --host srv --state-dir "$state" "$@"
  took=$((($(date +%s%N) - began) / 1000000))
}
inside=198.51.100.99  # in the sets
outside=198.51.100.7  # not in them
session() { export SSH_CONNECTION="$1 50022 203.0.113.10 22"; }

session "$outside"
apply
expect_status 0
apply
expect_status 0
echo "without other sets: $took ms"

# Large sets of each kind, and the session's address among their elements.
nft -f - <<'N' || complain "nft took no sets"
table inet t {
  set hash { type ipv4_addr; }
  set tree { type ipv4_addr; flags interval; }
  set ranges { type ipv4_addr . inet_service; flags interval; }
  map marks { type ipv4_addr : mark; }
  map verdicts { type ipv4_addr : verdict; flags interval; }
  set timed { type ipv4_addr; size 300000; flags dynamic,timeout; timeout 1h; }
  map others { type ipv4_addr : verdict; elements = { * : drop } }
  chain c { type filter hook input priority 10; }
}
N
fill() {
  python3 "$ROLEWALL_SOURCE/tests/support/fill_set.py" "$1" "$2" 20.0.0.0 "$elements" &&
    python3 "$ROLEWALL_SOURCE/tests/support/fill_set.py" "$1" "$2" "$inside" 1 ||
    complain "set $1 was not filled"
}
fill hash hash
fill tree tree
fill ranges ranges
fill marks hash:7
fill verdicts tree:drop
fill timed hash
fill others hash:accept

# $1: rules of chain c that drop whom the set names, and nobody else.
slowest=0
drops() {
  nft flush chain inet t c
  for rule in "$@"; do nft "add rule inet t c $rule" || complain "nft did not take: $rule"; done
  session "$outside"
  apply
  [ "$status" = 0 ] || complain "refused, though nothing is lost: $*"
  refuse_err "note: the session from"
  refuse_err "note: a new session from"
  session "$inside"
  apply
  [ "$status" = 0 ] || complain "refused, though nothing is lost by it: $*"
  expect_err "note: the session from $inside"
  expect_err "table inet t"
  [ "$took" -gt "$slowest" ] && slowest=$took
  echo "$took ms: $*"
}
drops 'ip saddr @hash drop'
drops 'ip saddr @tree drop'
drops 'ip saddr . tcp dport @ranges drop'
drops 'ip saddr vmap @verdicts'
drops 'meta mark set ip saddr map @marks' 'meta mark 7 drop'
drops 'ip saddr @timed drop'
# One set's answer leads to the next one's question.
drops 'ip saddr @hash ip saddr @tree ip saddr . tcp dport @ranges ip saddr vmap @verdicts'

only_inside_stays() {
  session "$inside"
  apply
  expect_status 0
  refuse_err "session from"
  session "$outside"
  apply
  expect_status 0
  expect_err "note: the session from $outside"
}
# The other way about: who is in the set passes, who is not is lost.
nft flush chain inet t c
nft "add rule inet t c ip saddr { $inside, $outside } ip saddr != @tree ip saddr != @hash drop"
only_inside_stays
# What no element names is the catch-all's.
nft flush chain inet t c
nft "add rule inet t c ip saddr { $inside, $outside } ip saddr vmap @others"
only_inside_stays
# A packet's own element: in the set it meets the limit's rule, and elsewhere there is room for it.
nft flush chain inet t c
nft 'add rule inet t c tcp dport 22 add @timed { ip saddr } accept'
nft 'add rule inet t c tcp dport 22 drop'
for who in "$inside" "$outside"; do
  session "$who"
  apply
  expect_status 0
  refuse_err "note: a new session from"
done

# None of them is listed: that would take thousands of messages.
nft flush chain inet t c
nft "add rule inet t c ip saddr @hash ip saddr @tree ip saddr . tcp dport @ranges drop"
if command -v strace >/dev/null; then
  session "$outside"
  port=$((port + 1))
  sed -i "s/^service = \"tcp.*/service = \"tcp\/$port\"/" site/server.toml
  # A leak check is no use below strace, and fails.
  ASAN_OPTIONS="${ASAN_OPTIONS:-}:detect_leaks=0" strace -f -e trace=recvmsg -o "$scratch/trace" \
    "$ROLEWALL_PROGRAM" apply site --host srv --state-dir "$state" >"$scratch/out" 2>"$scratch/err" ||
    complain "apply below strace"
  messages=$(grep -c recvmsg "$scratch/trace")
  [ "$messages" -lt 500 ] || complain "the apply has received $messages messages"
  echo "$messages messages received"
fi
echo "7 sets of $elements elements: the slowest apply took $slowest ms"
