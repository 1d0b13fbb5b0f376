# [[never]] and [[always]]: held for every packet of their words, or shown broken by one of them.
. "$(dirname "$0")/prelude.sh"

# $1: site.toml's end; the rest: db.toml's end.
site() {
  mkdir -p site
  cat >site/site.toml <<'TOML'
[site]
management = "office"

[networks]
office = "198.51.100.0/24"
inside = "10.0.0.0/16"

[hosts.web-01]
role      = "web"
addresses = "10.0.2.10"

[hosts.db-01]
role      = "db"
addresses = "10.0.3.10"
TOML
  printf '%s\n' "$1" >>site/site.toml
  cat >site/web.toml <<'TOML'
role = "web"

[[outbound]]
service = "mysql"
to      = "db"
TOML
  cat >site/db.toml <<'TOML'
role = "db"

[[inbound]]
id      = "writes"
service = "mysql"
from    = "inside"
limit   = "10/second"
TOML
  shift
  printf '%s\n' "$@" >>site/db.toml
}

# At both ends: whoever is no host of ours may send.
site '[[never]]
name    = "MySQL is for the web servers"
packets = "mysql any,!web > db"'
rolewall test site
expect_status 1
expect_out 'broken: never "mysql any,!web > db": this packet is accepted'
refuse_out "(10.0.3.10 is in"  # \`db\` says whose it is
expect_out "law: MySQL is for the web servers"
expect_out "> 10.0.3.10:3306"
expect_out "db.inbound.writes"
expect_out "1 law, 1 packet: 1 broken"
rolewall check site --format json
expect_status 1
expect_json 'd["ok"] is False'
expect_json 'd["laws"]["broken"] == 1'
expect_json 'd["laws"]["results"][0]["outcome"] == "broken"'
expect_json 'd["laws"]["results"][0]["counterexample"]["verdict"] == "accept"'

# What the sender does not let out is not accepted, though the receiver would.
site '[[never]]
packets = "mysql db > web"

[[never]]
packets = "tcp/3307-65535 web > db"'
rolewall check site
expect_status 0
expect_out "laws     2 laws, 2 packets: all proven"

# What always holds says what it is of.
site '[[always]]
packets = "mysql web > db"'
rolewall check site
expect_status 0
expect_out "[[always]]: this is of rules alone: what the IP stack discards"

# In a role that host alone is asked.
site '' '[[never]]' 'packets = "mysql web > self"'
rolewall test site
expect_status 1
expect_out 'broken: never "mysql web > self" on db-01'

# A law takes every address and port: no sample is 10.0.77.7.
site '' '[[never]]' 'packets = "tcp 10.0.64.0/18 > self"'
rolewall test site
expect_status 1
expect_out "db.inbound.writes"

# Always: limits are unspent, and every client counts.
site '[[always]]
packets = "mysql web > db"'
rolewall test site
expect_status 0
site '[[always]]
packets = "mysql inside,!site > db"' '[[inbound]]' 'service = "ssh"' 'from = "office"'
rolewall test site
expect_status 0
site '' '[[inbound]]' 'id = "one"' 'service = "tcp/8000-8001"' 'from = ["any", "!203.0.113.7"]' '[[always]]' \
  'packets = "tcp/8000 any > self"'
rolewall test site
expect_status 1
expect_out 'broken: always "tcp/8000 any > self" on db-01: this packet is denied'
expect_out "203.0.113.7"

# Nobody is asked: that is an error, not a law that holds.
site '[[never]]
packets = "tcp 192.0.2.1 > 192.0.2.2"'
rolewall test site
expect_status 1
expect_out "not-an-end"

# An apply is refused.
site '[[never]]
packets = "mysql inside > db"'
rolewall test site
expect_status 1
