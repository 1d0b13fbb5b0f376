# prove: one statement about all packets, of the example site, of one host, of a ruleset.
. "$(dirname "$0")/prelude.sh"
policies=$ROLEWALL_SOURCE/policies

proves() {
  rolewall prove -p "$policies" "$@"
  expect_status 0
  expect_out "proven: "
}
refutes() {
  rolewall prove -p "$policies" "$@"
  expect_status 1
  expect_out "broken: "
}

proves 'never mysql internet > db'
proves 'never mysql any,!web,!db > db'
refutes 'never mysql any > db'
expect_out "db.inbound."
proves 'always https lb > web'
expect_out 'note: this is of rules alone: what the IP stack discards'
refutes 'always https any > web'
expect_out "this packet is denied"
proves 'deny mysql any,!web,!db > self' --host db-01
proves 'drop mysql internet > self' --host db-01
refutes 'reject mysql internet > self' --host db-01
expect_out "this packet is not rejected"

# No packet is of two families.
rolewall prove -p "$policies" 'never mysql 0.0.0.0/0,!10.0.0.0/8 > fd00:db8:0:3::10'
expect_status 2
expect_err "both have no addresses of the same family"

# Relations.
proves 'ssh any > db implies ssh office > db'
refutes 'ssh office > db implies ssh 198.51.100.0/25 > db'
expect_out "is none of"
refutes 'https any > web-01 equivalent https any > web-02'
expect_out "web.inbound.app-from-partner"
proves 'https any > lb-01 equivalent https any > lb-02'
proves 'mysql any > db disjoint http any > lb'

# JSON, and what is wrong in words.
rolewall prove -p "$policies" 'never mysql any > db' --format json
expect_status 1
expect_json 'd["outcome"] == "broken" and d["kind"] == "never"'
expect_json 'd["counterexample"]["verdict"] == "accept"'
rolewall prove -p "$policies" 'mysql any > db'
expect_status 2
expect_err "a statement is"
rolewall prove -p "$policies" 'never mysql any > dbb'
expect_status 2
expect_err "did you mean"
rolewall prove -p "$policies" 'drop mysql any > db'
expect_status 2
expect_err "--host"
rolewall prove -p "$policies" 'never tcp 192.0.2.1 > 192.0.2.2'
expect_status 2
rolewall prove -p "$policies" never mysql any '>' db
expect_status 2
expect_err "quote it"

# A ruleset alone.
rolewall compile "$policies" --host db-01 --format json -o db.json
expect_status 0
rolewall prove 'never tcp/22 any > self' --ruleset db.json
expect_status 1
expect_out "198.51.100."
rolewall prove 'never udp/9999 any > self' --ruleset db.json
expect_status 0
