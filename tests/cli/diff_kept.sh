# What is kept with connections is part of diff's answer where a rule of either side asks for it, and
# told as no part of it where none does. An answer "equivalent" says what was compared.
. "$(dirname "$0")/prelude.sh"
command -v nft >/dev/null || { echo "skipped: no nft"; exit 77; }
in_namespaces "$@"
ip link set lo up

# $1: a file; $2: rules before conntrack; $3: at input. The kernel's ruleset, as dumped.
ruleset() {
  nft flush ruleset
  nft -f - <<NFT
table ip r {
  chain p { type filter hook prerouting priority -300; $2; }
  chain i { type filter hook input priority 0; policy drop; $3; }
}
NFT
  rolewall dump -o "$1"
}
# The rules before conntrack of both sides, and those at input.
compare() {
  ruleset a.json "$1" "$3"
  ruleset b.json "$2" "$4"
  rolewall diff a.json b.json --format json
}
is_kept_otherwise() {
  expect_status 1
  expect_json 'd["counts"]["remembered-otherwise"] > 0 and not d["counts"]["newly-accepted"] and "not_asked" not in d'
  expect_json 'd["result"] == "as permissive, otherwise"'
}
is_not_asked() {
  expect_status 0
  expect_json "d['result'] == 'equivalent' and d['proven'] and '$1' in d['not_asked'][0]"
}

state='ct state established accept; udp dport 80 accept'
mark='ct mark 1 accept; udp dport 80'
compare 'counter' 'counter' "$mark ct mark set 1 accept" "$mark accept"
is_kept_otherwise
compare 'counter' 'counter' "$mark ct mark set 1 drop" "$mark drop"
is_kept_otherwise
compare 'counter' 'counter' "$state; udp dport 81 ct mark set 1 accept" "$state; udp dport 81 accept"
is_not_asked 'the mark of connections'
compare 'udp dport 80 notrack' 'counter' "$state" "$state"
is_kept_otherwise
compare 'udp dport 80 ct zone set 1' 'udp dport 80 ct zone set 2' "$state" "$state"
is_kept_otherwise
compare 'udp dport 80 notrack' 'counter' 'udp dport 80 accept' 'udp dport 80 accept'
is_not_asked 'whether connections are tracked'

rolewall diff a.json b.json
expect_status 0
expect_out "differs, and is no packet's fate, since no rule asks for it: "
expect_out "compared: what becomes of each packet; its headers and mark; log lines and copies; and what sets"
expect_out "equivalent: no packet's fate differs"
rolewall diff a.json b.json --format markdown
expect_out "* compared: what becomes of each packet"

# A copy goes to another machine.
compare 'udp dport 80 dup to 10.0.0.1' 'udp dport 80 dup to 10.0.0.2' "$state" "$state"
expect_status 1
expect_json 'd["counts"]["logged-otherwise"] > 0 and d["classes"][0]["example"]["after"]["logged"]'
