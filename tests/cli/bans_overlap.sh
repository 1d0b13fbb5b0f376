# Bans that hold each other, whom the words mean, and what is opened below a ban.
. "$(dirname "$0")/prelude.sh"
web_01 "$@"
two_devices
ip address add 10.0.2.10/24 dev eth0
banned() {
  rolewall bans --format json
  expect_json "sorted(e['address'] for e in d['entries'] if e['kind'] == 'ban') == sorted('$*'.split())"
}
left() { expect_json "$2 <= [e for e in d['entries'] if e['address'] == '$1'][0]['seconds_left'] <= $3"; }
over_a_boot() {
  nft flush ruleset
  with_state boot -p site --host web-01
  expect_status 0
}
with_state apply site --host web-01
expect_status 0

# The wider takes the place of the narrower ones, with the longest time of all.
with_state ban 192.0.2.64/26 --for 2h
with_state ban 192.0.2.128/27 --for 1m
with_state ban 192.0.2.7
with_state ban 192.0.2.0/24 --for 1h --reason "all of them"
expect_status 0
refuse_out "for 1h,"
expect_out "in place of 192.0.2.64/26, 192.0.2.128/27"
banned 192.0.2.0/24 192.0.2.7
left 192.0.2.0/24 7100 7200
expect_json '[e for e in d["entries"] if e["address"] == "192.0.2.0/24"][0]["reason"] == "all of them"'
over_a_boot
banned 192.0.2.0/24 192.0.2.7
left 192.0.2.0/24 7000 7200
with_state ban 192.0.2.0/24 --for 10m
expect_status 0
banned 192.0.2.0/24 192.0.2.7
left 192.0.2.0/24 500 600
# One for good makes the wider one so.
with_state ban 2001:db8:bad::/48
with_state ban 2001:db8:b00::/40 --for 1h
expect_out "banned 2001:db8:b00::/40 for good, in place of 2001:db8:bad::/48"
with_state unban 2001:db8:b00::/40
expect_status 0
expect_out "is no longer banned"

# The narrower is banned already, as long as the wider lasts; for longer it cannot be.
with_state ban 192.0.2.64/27 --for 5m
expect_status 0
expect_out "192.0.2.64/27 is banned already, as part of 192.0.2.0/24 for "
with_state ban 192.0.2.64/27
expect_status 1
expect_err "192.0.2.64/27 is part of 192.0.2.0/24"
banned 192.0.2.0/24 192.0.2.7
# Beside it, and other families, nothing is touched.
with_state ban 192.0.3.0/24 --for 1h
expect_out "banned 192.0.3.0/24 for 1h"
refuse_out "in place of"
with_state unban 192.0.3.0/24
expect_status 0

# What still bans it is named.
with_state unban 192.0.2.9
expect_status 1
expect_err "192.0.2.9 is still banned, as part of 192.0.2.0/24"
expect_err "rolewall unban 192.0.2.0/24"
with_state unban 192.0.2.7
expect_status 1
expect_err "192.0.2.7 is still banned, as part of 192.0.2.0/24"
banned 192.0.2.0/24
with_state ban 192.0.2.7
with_state unban 192.0.2.0/24
expect_status 0
expect_out "192.0.2.0/24 is no longer banned"
expect_err "still banned within 192.0.2.0/24: 192.0.2.7"
with_state unban 192.0.2.0/28
expect_status 1
expect_out "192.0.2.0/28 was not banned"
expect_err "192.0.2.7"
with_state unban 192.0.2.7
expect_status 0
with_state unban 192.0.2.7
expect_status 0
expect_out "was not banned"
over_a_boot
banned

# An opening below a ban: the ban comes first, and is named.
with_state ban 203.0.112.0/24 --for 1h
with_state allow ssh from 203.0.112.50 --for 30m -p site
expect_status 0
expect_err "203.0.112.50 is banned, by 203.0.112.0/24 for "
expect_err "rolewall unban 203.0.112.0/24"
rolewall eval --live 'tcp 203.0.112.50 > 10.0.2.10:22 in=eth0' --state-dir "$state"
expect_out "(banned)"
with_state ban 203.0.111.50
with_state allow ssh from 203.0.111.50 --for 30m -p site
expect_err "203.0.111.50 is banned, by 203.0.111.50 for good"
with_state allow ssh from 203.0.110.50 --for 30m -p site
refuse_err "banned"
with_state unban 203.0.112.0/24
with_state unban 203.0.111.50

# A mapped address is the IPv4 address.
with_state ban ::ffff:192.0.2.77
expect_status 0
expect_out "banned 192.0.2.77 for good"
with_state ban ::ffff:192.0.2.128/123
expect_out "banned 192.0.2.128/27 for good"
banned 192.0.2.77 192.0.2.128/27
rolewall eval --live 'tcp 192.0.2.77 > 10.0.2.10:22 in=eth0' --state-dir "$state"
expect_out "(banned)"
with_state unban ::ffff:192.0.2.77
expect_out "192.0.2.77 is no longer banned"
with_state ban ::ffff:198.51.100.7
expect_status 1
expect_err "a management address"
with_state allow ssh from ::ffff:203.0.109.50 --for 30m -p site
rolewall bans
expect_out "allow  tcp/22 from 203.0.109.50"
with_state unallow ssh from ::ffff:203.0.109.50 -p site
expect_out "is no longer open"
# What no host sends from.
for nobody in 224.0.0.1 239.0.0.0/8 ff02::1 0.0.0.0 0.0.0.0/8 :: 255.255.255.255 ::ffff:224.0.0.1 ::ffff:0.0.0.0 \
  224.0.0.0/3 240.0.0.0/4 255.255.255.254/31; do
  with_state ban "$nobody"
  expect_status 1
  expect_err "no host sends from"
  case $nobody in */*) continue ;; esac
  with_state allow ssh from "$nobody" --for 1h -p site
  expect_status 1
  expect_err "no host sends from"
done
with_state ban ::ffff:0:0/96
expect_status 1
expect_err "every address"
banned 192.0.2.128/27

# As whois has it.
with_state ban 203.0.113.9/8
expect_status 2
expect_err "has bits set beyond its length: write \`203.0.113.9\`"
# What is opened and denied all the same: by a rule that comes early, by another program.
ip route add default via 10.0.2.1 dev eth0
with_state allow mysql from 192.0.2.66 --for 1h -p site
expect_status 0
expect_err "denied all the same, by rule hardening.inbound.abusers"
nft 'add table inet t; add chain inet t c { type filter hook input priority 10; }; add rule inet t c ip saddr 203.0.109.9 drop'
with_state allow mysql from 203.0.109.9 --for 1h -p site
expect_status 0
expect_err "denied all the same, by rule 1 of chain c, table inet t"
with_state allow mysql from 203.0.109.10 --for 1h -p site
expect_status 0
refuse_err "denied all the same"
# A router that routes name by a next hop object alone.
ip link add hop0 type veth peer name hop1
ip link set hop0 up
ip link set hop1 up
ip address add 100.64.7.2/24 dev hop0
if sysctl -qw net.ipv4.nexthop_compat_mode=0 && ip nexthop add id 7 via 100.64.7.1 dev hop0; then
  ip nexthop add id 8 via 100.64.7.3 dev hop0
  ip nexthop add id 9 group 7/8
  ip route add 100.65.0.0/16 nhid 7
  ip route add 100.66.0.0/16 nhid 9
  for router in 100.64.7.1 100.64.7.3; do
    with_state ban "$router"
    expect_status 1
    expect_err "a router that this host uses"
  done
  with_state ban 100.64.7.4
  expect_status 0
fi
