# Bans and openings: at once, over an apply and over a reboot; never against ourselves.
. "$(dirname "$0")/prelude.sh"
command -v nft >/dev/null || { echo "skipped: no nft"; exit 77; }
in_namespaces "$@"
ip link set lo up
ip link add eth0 type veth peer name far
ip address add 10.0.2.10/24 dev eth0
ip link set eth0 up
ip link set far up
example_site site
state="$scratch/state"
with_state() { verb=$1; shift; rolewall "$verb" "$@" --state-dir "$state"; }
apply() { with_state apply site --host web-01 "$@"; }

with_state ban 192.0.2.7
expect_status 1
expect_err "run \`rolewall apply --state-dir $state\` first"
apply
expect_status 0

# What leads to bans and openings is there from the first of each on.
is_before() {
  nft list chain inet rolewall "$1" | grep -A 1 "$2" | grep -q "$3" || complain "$1: no $3 behind $2"
}
jumps() { nft list table inet rolewall | grep -c "jump banned-\|jump allowed"; }
[ "$(jumps)" = 0 ] || complain "jumps before the first ban"
with_state allow ssh from 203.0.113.51 --for 30m -p site
expect_status 0
[ "$(jumps)" = 1 ] || complain "an opening does not add its own jump alone"
with_state unallow ssh from 203.0.113.51 -p site
apply
expect_status 0
[ "$(jumps)" = 0 ] || complain "the jump to openings is left over an apply"

with_state ban 192.0.2.7 --for 1h --reason "guesses passwords"
expect_status 0
expect_out "banned 192.0.2.7 for 1h"
with_state ban 192.0.2.64/26
expect_status 0
with_state ban 2001:db8:bad::/48 --for 7d
expect_status 0
with_state allow ssh from 203.0.113.50 --for 30m --reason "the auditor" -p site
expect_status 0
rolewall bans
expect_out "ban    192.0.2.7  for "
expect_out "guesses passwords"
# Renewed, it is still for that reason.
with_state ban 192.0.2.7 --for 2h
expect_status 0
rolewall bans
expect_out "guesses passwords"
expect_out "ban    192.0.2.64/26  for good"
expect_out "allow  tcp/22 from 203.0.113.50  for "
rolewall eval --live 'tcp 192.0.2.7 > 10.0.2.10:22 in=eth0' --state-dir "$state"
expect_out "(banned)"
rolewall eval --live 'tcp 203.0.113.50 > 10.0.2.10:22 in=eth0' --state-dir "$state"
expect_out "(allowed)"
rolewall eval --live 'tcp 10.0.2.10 > 192.0.2.7:443 out=eth0' --state-dir "$state"
expect_out "(banned)"
for chain in input output forward; do is_before $chain "jump banned-$chain" "jump unusual"; done
is_before input "jump unusual" "jump allowed"
[ "$(jumps)" = 4 ] || complain "too many jumps"

rolewall status --state-dir "$state" --format json
expect_json 'd["bans"] == 3 and d["openings"] == 1 and d["drift"] == []'

# Again is not twice: the new time holds.
with_state ban 192.0.2.7 --for 2h
expect_status 0
rolewall bans --format json
expect_json 'sorted(e["address"] for e in d["entries"]) == ["192.0.2.64/26", "192.0.2.7", "2001:db8:bad::/48", "203.0.113.50"]'
expect_json '[e for e in d["entries"] if e["address"] == "192.0.2.7"][0]["seconds_left"] > 7100'
with_state ban 192.0.2.64/27
expect_status 0
expect_out "192.0.2.64/27 is banned already"

# Not ourselves.
for own in 10.0.2.10 10.0.0.0/8 127.0.0.1 198.51.100.9 198.51.100.0/28 ::1; do
  with_state ban "$own"
  expect_status 1
  expect_err "nothing was changed"
done
# Nor the site's other hosts, by addresses that they share either; unless it is forced.
for host in "10.0.3.10 db-01" "10.0.3.0/24 db-01" "203.0.113.9 lb-01" "2001:db8:1::9 lb-01" "fd00:db8:0:2::11 web-02" "::ffff:10.0.1.10 lb-01"; do
  with_state ban "${host% *}"
  expect_status 1
  expect_err "an address of ${host#* }, a host of this site"
  expect_err "nothing was changed"
done
with_state ban 10.0.3.10 --force --for 1m
expect_status 0
expect_err "overridden"
with_state unban 10.0.3.10
SSH_CONNECTION="192.0.2.99 50000 10.0.2.10 22" with_state ban 192.0.2.96/27
expect_status 1
expect_err "this session comes from"
for wrong in 0.0.0.0/0 192.0.2 "192.0.2.7 --for soon" "192.0.2.7 --for 0s"; do
  # shellcheck disable=SC2086 # the option along
  with_state ban $wrong
  [ "$status" = 1 ] || [ "$status" = 2 ] || complain "that was taken"
done
with_state allow ssh from 203.0.113.51 -p site
expect_status 2
expect_err "for how long"
with_state allow ssh from 203.0.113.51 --for 5 -p site
expect_status 2
expect_err "--for 5: without a unit; write 5s, 5m, 5h or 5d"
# Without policies, as when they are what is broken.
for port in ssh tcp/22; do
  with_state allow $port from 203.0.113.52 --for 1h -p nowhere
  expect_status 0
  [ $port = tcp/22 ] || expect_err "taken as shipped, since the policies cannot be read"
  with_state unallow $port from 203.0.113.52 -p nowhere
  expect_status 0
  expect_out "is no longer open"
done
with_state unallow shh from 203.0.113.52 -p nowhere
expect_status 2
with_state allow ping from 203.0.113.51 --for 1h -p site
expect_status 2
expect_err "only services with"
with_state allow shh from 203.0.113.51 --for 1h -p site
expect_status 2
expect_err 'there is no service `shh`: did you mean `ssh`?'
with_state allow tcp/99999 from 203.0.113.51 --for 1h -p site
expect_status 2
refuse_err "there is no service"

# Over an apply that changes something, and over a boot: another namespace has an empty kernel.
printf '\n[[inbound]]\nid = "more"\nservice = "tcp/8001"\nfrom = "office"\n' >>site/web.toml
apply
expect_status 0
rolewall bans --format json
expect_json 'len(d["entries"]) == 4'
nft flush ruleset
apply
expect_status 0
rolewall bans --format json
expect_json 'len(d["entries"]) == 4'
expect_json '[e for e in d["entries"] if e["address"] == "192.0.2.7"][0]["seconds_left"] > 7000'
expect_json '[e for e in d["entries"] if e["address"] == "192.0.2.7"][0]["reason"] == "guesses passwords"'
with_state apply site --host web-01
expect_out "nothing to do"

with_state unban 192.0.2.7
expect_out "is no longer banned"
with_state unban 192.0.2.7
expect_status 0
expect_out "was not banned"
with_state unallow ssh from 203.0.113.50 -p site
expect_out "no longer open"
nft flush ruleset
apply
rolewall bans --format json
expect_json 'sorted(e["address"] for e in d["entries"]) == ["192.0.2.64/26", "2001:db8:bad::/48"]'

# A crash while a ban was written down: that one is lost, and no other.
with_state ban 192.0.2.11
with_state ban 192.0.2.12
truncate -s -5 "$state/bans.log"
with_state ban 192.0.2.13
nft flush ruleset
apply
rolewall bans --format json
expect_json '"192.0.2.11" in str(d) and "192.0.2.12" not in str(d) and "192.0.2.13" in str(d)'
for address in 192.0.2.11 192.0.2.13; do with_state unban "$address"; done

# Open connections are cut: the kernel forgets those of the address, and no others.
for client in 9 10; do
  ip address add "192.0.2.$client/32" dev lo
  python3 -c "
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(('192.0.2.$client', 0)); s.sendto(b'x', ('127.0.0.1', 9))"
  ip address del "192.0.2.$client/32" dev lo
done
tracked() { grep -c "src=192.0.2.$1 " /proc/net/nf_conntrack 2>/dev/null; }
if [ "$(tracked 9)" -gt 0 ] 2>/dev/null; then
  with_state ban 192.0.2.9 --for 1m
  expect_out "connection"
  [ "$(tracked 9)" = 0 ] || complain "a connection of the banned address is left"
  [ "$(tracked 10)" -gt 0 ] || complain "another address's connection was cut"
fi

# A full disk: it is in force, and what is not so is said.
mkdir "$scratch/small"
mount -t tmpfs -o size=1m none "$scratch/small"
cp -a "$state/." "$scratch/small/"
rm "$scratch/small/bans.log"  # its last page may have room
head -c 2000000 /dev/zero >"$scratch/small/fill" 2>/dev/null
rolewall ban 192.0.2.10 --for 1m --state-dir "$scratch/small"
expect_status 2
expect_out "banned 192.0.2.10 for 1m"
[ -z "$(tracked 10)" ] || [ "$(tracked 10)" = 0 ] || complain "a connection of the banned address is left"
expect_err "in force, but will not be after a reboot"
expect_err "No space left"
rolewall bans
expect_out "192.0.2.10"
rolewall disable --state-dir "$scratch/small"
expect_status 0
rolewall boot -p site --host web-01 --state-dir "$scratch/small"
expect_out "nothing was loaded"
umount "$scratch/small"
rolewall boot -p site --host web-01 --state-dir "$state"
expect_status 0

# The jumps go with an apply that finds nobody banned, the generation being the same or another:
# what is over raises none. Until then they are no drift.
for address in 192.0.2.64/26 2001:db8:bad::/48 192.0.2.9; do with_state unban "$address"; done
with_state ban 192.0.2.14 --for 15s
apply
expect_status 0
[ "$(jumps)" = 3 ] || complain "an apply took the jumps to a ban away"
for _ in $(seq 200); do
  rolewall bans
  grep -q 192.0.2.14 "$scratch/out" || break
  sleep 0.1
done
rolewall status --state-dir "$state" --format json
expect_json 'd["bans"] == 0 and d["drift"] == []'
rolewall plan site --host web-01 --state-dir "$state"
expect_out "the jump to banned-output in chain output"
[ "$(jumps)" = 3 ] || complain "a plan took the jumps away"
apply
expect_status 0
[ "$(jumps)" = 0 ] || complain "jumps are left over an apply that finds no ban"
apply
expect_out "nothing to do"
with_state ban 192.0.2.64/26

# Where another program has cut the way to its set, a ban would stop nobody.
nft flush chain inet rolewall banned-input
with_state ban 192.0.2.9
expect_status 1
expect_err "its chain banned-input is empty"
expect_err "rolewall boot"
with_state boot -p site --host web-01
expect_status 0
with_state ban 192.0.2.9 --for 1h
expect_status 0

# 100,000 hold, and nobody waits for them.
seq 1 100000 | awk 'BEGIN { print "add element inet rolewall banned/4 {" }
  { printf "10.%d.%d.%d timeout 1h,\n", 100 + $1 / 65536, $1 / 256 % 256, $1 % 256 } END { print "}" }' >many
split -l 2000 many part. 2>/dev/null
for part in part.*; do
  { echo "add element inet rolewall banned/4 {"; grep timeout "$part"; echo "}"; } >one
  nft -f one || complain "nft did not take the bans"
done
printf '\n[[inbound]]\nid = "evenmore"\nservice = "tcp/8002"\nfrom = "office"\n' >>site/web.toml
apply
expect_status 0
rolewall bans --format json
expect_json 'len(d["entries"]) >= 100001'

# While no table is in force they are recorded, and come back with it.
rolewall disable --state-dir "$state" --force
expect_status 0
rolewall ban 192.0.2.7 --state-dir "$state"
expect_status 1
nft list table inet rolewall >/dev/null 2>&1 && complain "there is a table"
rolewall rollback --state-dir "$state" --force
rolewall ban 192.0.2.77 --for 1h --reason "guesses passwords" --state-dir "$state"
expect_status 0
rolewall disable --state-dir "$state" --force
rolewall bans --state-dir "$state"
expect_status 0
expect_out "No table is in force, so none of these is; they come back with it:"
expect_out "ban    192.0.2.77"
expect_out "guesses passwords"
rolewall bans --state-dir "$state" --format json
expect_json "d['in_force'] is False and '192.0.2.77' in [e['address'] for e in d['entries']]"
rolewall status --state-dir "$state"
expect_out ", not in force (\`rolewall bans --state-dir $state\`)"
rolewall rollback --state-dir "$state" --force
rolewall bans --state-dir "$state" --format json
expect_json "d['in_force'] is True and '192.0.2.77' in [e['address'] for e in d['entries']]"

# What is recorded alone is removed from the record, and that is said: it does not come back.
rolewall ban 10.9.0.0/16 --force --state-dir "$state"
rolewall ban 203.0.113.77 --force --state-dir "$state"
rolewall ban 10.9.0.5 --force --state-dir "$state"
rolewall allow tcp/8080 from 203.0.113.52 --for 1h --state-dir "$state"
expect_status 0
nft flush ruleset
rolewall unban 10.9.0.5 --state-dir "$state"
expect_status 1
expect_err "10.9.0.5 is still banned, as part of 10.9.0.0/16"
expect_out "no table is in force: it was removed from the record"
for address in 10.9.0.0/16 203.0.113.77; do
  rolewall unban "$address" --state-dir "$state"
  expect_status 0
  expect_out "$address is no longer banned"
  expect_out "no table is in force: it was removed from the record"
done
rolewall unallow tcp/8080 from 203.0.113.52 --state-dir "$state"
expect_status 0
expect_out "no table is in force: it was removed from the record"
# What is not there is no error, without a table either.
rolewall unban 203.0.113.77 --state-dir "$state"
expect_status 0
expect_out "203.0.113.77 was not banned"
refuse_out "removed from the record"
rolewall unallow tcp/8080 from 203.0.113.52 --state-dir "$state"
expect_status 0
expect_out "was not opened"
rolewall boot --state-dir "$state" --force
expect_status 0
rolewall bans --state-dir "$state" --format json
expect_json "not {'10.9.0.0/16', '10.9.0.5', '203.0.113.77', '203.0.113.52'} & {e['address'] for e in d['entries']}"

# What another program takes out of the sets is named, until it is made again.
rolewall ban 203.0.113.78 --state-dir "$state"
expect_status 0
nft flush set inet rolewall banned/4
rolewall status --state-dir "$state"
expect_status 1
expect_out "the ban of 192.0.2.77 and 2 more"
expect_out "recorded and not in the kernel"
for address in 192.0.2.77 203.0.113.78; do
  rolewall ban "$address" --state-dir "$state"
  expect_status 0
done
rolewall status --state-dir "$state"
refuse_out "the ban of 192.0.2.77"
rolewall bans --state-dir "$state"
expect_out "203.0.113.78"
