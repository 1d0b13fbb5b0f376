# A list too large for one message, by who may not enlarge the socket's buffer: its set is filled before
# any rule names it, and an apply that is killed half way leaves nothing behind after the next.
. "$(dirname "$0")/prelude.sh"
command -v nft >/dev/null || { echo "skipped: no nft"; exit 77; }
in_namespaces "$@"
ip link set lo up
[ -n "${ROLEWALL_SMALL_BUFFER:-}" ] || { echo "skipped: a sanitizer suffers no library before it"; exit 77; }
export LD_PRELOAD="$ROLEWALL_SMALL_BUFFER"
state="$scratch/state"
cp -R "$ROLEWALL_SOURCE/tests/large-site" site
mkdir site/lists
numbers() { # FIRST STEP PREFIX COUNT
  awk -v first="$1" -v step="$2" -v prefix="$3" -v count="$4" 'BEGIN {
    for (i = 0; i < count; i++) {
      n = first + i * step
      printf "%d.%d.%d.%d%s\n", n / 16777216, n / 65536 % 256, n / 256 % 256, n % 256, prefix
    }
  }'
}
# 100,000 addresses, and 20,000 prefixes.
{ numbers 184549376 2 "" 100000; numbers 335544320 64 /27 20000; } > site/lists/abusers.txt
apply() { rolewall apply site --host web-01 --state-dir "$state" --yes; }
count() { nft list set inet rolewall "$1" | tr ',' '\n' | grep -c '[0-9]\.[0-9]'; }
declared() { nft list table inet rolewall | grep -oE '^[[:space:]](set|map|chain) .*' | sort; }

apply
expect_status 0
expect_out "generation 1 is in force"
[ "$(count net/abusers/4)" = 100000 ] || complain "not 100000 addresses: $(count net/abusers/4)"
[ "$(count net/abusers/4-prefixes)" = 20000 ] || complain "not 20000 prefixes"
whole=$(declared)
rolewall plan site --host web-01 --state-dir "$state" --exit-code
expect_status 0
expect_out "nothing to do"

# One address is one element.
echo 198.51.100.1 >> site/lists/abusers.txt
apply
expect_status 0
[ "$(count net/abusers/4)" = 100001 ] || complain "one more address was expected"
rm -rf "$state"
nft delete table inet rolewall

# The same for a list that comes to a policy in force: one transaction could not hold it.
cp site/web.toml with-list.toml
python3 - <<'P'
text = open("site/web.toml").read().split("[[inbound]]")
open("site/web.toml", "w").write("[[inbound]]".join([text[0], text[2]]))
P
cp site/web.toml without-list.toml
apply
expect_status 0
small=$(declared)
cp with-list.toml site/web.toml
apply
expect_status 0
[ "$(count net/abusers/4)" = 100001 ] || complain "the list did not come"
[ "$(declared)" = "$whole" ] || complain "another table than by the first apply"
cp without-list.toml site/web.toml
apply
expect_status 0
[ "$(declared)" = "$small" ] || complain "the list did not go: $(declared)"

# Of a list in use all that changes at once: the rules go over in one transaction, with their counters.
counted() { nft list chain inet rolewall input | grep -m1 -o 'counter packets [0-9]*'; }
cp site/lists/abusers.txt former-list.txt
{ numbers 184549377 2 "" 100000; numbers 335544352 64 /27 20000; } > site/lists/abusers.txt
mv site/lists/abusers.txt new-list.txt
cp former-list.txt site/lists/abusers.txt
cp with-list.toml site/web.toml
apply
expect_status 0
ping -c 2 -W 1 -i 0.2 127.0.0.1 >/dev/null 2>&1
before=$(counted)
cp new-list.txt site/lists/abusers.txt
apply
expect_status 0
[ "$(declared)" = "$whole" ] || complain "another table than by the first apply: $(declared)"
[ "$(count net/abusers/4)" = 100000 ] || complain "not the new list: $(count net/abusers/4)"
nft get element inet rolewall net/abusers/4 '{ 11.0.0.1 }' >/dev/null || complain "11.0.0.1 is missing"
nft get element inet rolewall net/abusers/4-prefixes '{ 20.0.0.33 }' >/dev/null || complain "20.0.0.33 is missing"
[ "$before" = "$(counted)" ] || complain "what was counted is lost: $before, $(counted)"
rolewall plan site --host web-01 --state-dir "$state" --exit-code --read-all
expect_status 0
expect_out "nothing to do"
cp former-list.txt site/lists/abusers.txt
cp without-list.toml site/web.toml
apply
expect_status 0

# Killed in the middle of the filling.
command -v strace >/dev/null || { echo "skipped from here on: no strace"; exit 0; }
cp with-list.toml site/web.toml
killed_at() {
  strace -qq -f -o "$scratch/trace" -e trace=sendto -e "inject=sendto:signal=KILL:when=$1" \
    "$ROLEWALL_PROGRAM" apply site --host web-01 --state-dir "$state" --yes >/dev/null 2>&1
  checks=$((checks + 1))
}
# How many messages an apply sends; the last three ask what it has made, before them is the switch.
messages() {
  strace -qq -f -o "$scratch/trace" -e trace=sendto -e signal=none \
    "$ROLEWALL_PROGRAM" apply site --host web-01 --state-dir "$state" --yes >/dev/null 2>&1 ||
    complain "it does not run below strace"
  last=$(grep -c 'sendto(' "$scratch/trace")
}
messages
cp without-list.toml site/web.toml
apply
expect_status 0
cp with-list.toml site/web.toml
killed_at $((last - 8))
nft list table inet rolewall | grep -q 'net/abusers/4 {' || complain "nothing was filled beforehand"
nft list chains inet | grep -q 'web.inbound.abusers' && complain "it was in force already"
# The former policy again: what is unfinished goes.
cp without-list.toml site/web.toml
apply
expect_status 0
[ "$(declared)" = "$small" ] || complain "a set is left of an apply that was killed: $(declared)"
# The new one: what is unfinished is finished.
cp with-list.toml site/web.toml
killed_at $((last - 8))
apply
expect_status 0
[ "$(declared)" = "$whole" ] || complain "not the table that was wanted: $(declared)"
[ "$(count net/abusers/4)" = 100001 ] || complain "the list is not whole"

# A first apply: no chain was there, so that nothing was in force, and bans are put back all the same.
rm -f "$state/current" "$state/boot"
rolewall ban 203.0.113.7 --for 1h --state-dir "$state"
expect_status 0
nft delete table inet rolewall
messages
nft delete table inet rolewall
rm -f "$state/current" "$state/boot"
killed_at $((last - 8))
nft list table inet rolewall | grep -q chain && complain "a chain was there before all sets were"
apply
expect_status 0
[ "$(declared)" = "$whole" ] || complain "not the table that was wanted: $(declared)"
nft list set inet rolewall banned/4 | grep -q 203.0.113.7 || complain "the ban is gone"
rolewall plan site --host web-01 --state-dir "$state" --exit-code
expect_status 0
# Killed on the way of a list in use: wherever that is, the next apply makes it whole.
cp new-list.txt site/lists/abusers.txt
messages
for back in 7 14 21; do
  cp former-list.txt site/lists/abusers.txt
  apply
  expect_status 0
  cp new-list.txt site/lists/abusers.txt
  killed_at $((last - back))
  apply
  expect_status 0
  [ "$(declared)" = "$whole" ] || complain "not the table that was wanted: $(declared)"
  rolewall plan site --host web-01 --state-dir "$state" --exit-code --read-all
  expect_status 0
done
echo "$checks checks"
