# Tests that deny hold for every packet of their words: what no sample meets is found, and shown with
# the line that lets it in.
. "$(dirname "$0")/prelude.sh"

small_site() {
  mkdir -p site
  cat >site/site.toml <<'TOML'
[site]
management = "office"

[networks]
office = ["198.51.100.0/24", "2001:db8:ff::/48"]
shop   = ["203.0.113.64/28"]

[interfaces.public]
device = "eth0"

[hosts.web-01]
role       = "web"
addresses  = ["10.0.2.10", "fd00::2:10"]
interfaces = ["public"]
TOML
}

# $1: more rules; the rest: the test's keys.
web() {
  small_site
  { echo 'role = "web"'; echo "$1"; echo '[[test]]'; echo 'name = "t"'; shift; printf '%s\n' "$@"; } >site/web.toml
}

# A network that is no sample's.
web '[[inbound]]
id = "shop"
service = "https"
from = "8.8.8.0/24"' 'deny = "https internet > self"'
rolewall test site
expect_status 1
expect_out 'failed: deny "https internet > self" on web-01 is accepted'
expect_out "tcp 8.8.8."
expect_out "web.inbound.shop"
expect_out "site/web.toml:2"

# It is left out where it is meant.
web '[[inbound]]
id = "shop"
service = "https"
from = "shop"' 'deny = "https internet,!shop > self"'
rolewall test site
expect_status 0
rolewall test site --format json
expect_json 'd["tests"]["results"][0]["proven"] is True'

# A port in the middle of a range.
web '[[inbound]]
id = "admin"
service = "tcp/8500"' 'deny = "tcp/8000-9000 internet > self"'
rolewall test site
expect_status 1
expect_out ":8500 "

# A type of ICMP that the words leave open.
web '[[inbound]]
id = "stamps"
service = "icmp/13"' 'deny = "icmp internet > self"'
rolewall test site
expect_status 1
expect_out "web.inbound.stamps"

# What is sent, by an owner whom the words do not name.
web '[[outbound]]
id = "updates"
service = "https"
user = "root"' 'deny = "https self > internet"'
rolewall test site
expect_status 1
expect_out "web.outbound.updates"
expect_out "user="

# What is over a limit is denied, and what is below it is not.
web '[[inbound]]
id = "slow"
service = "https"
limit = "10/minute"' 'deny = "https internet > self"'
rolewall test site
expect_status 1

# Established packets are another question.
web '[[inbound]]
id = "ssh"
service = "ssh"
from = "office"' 'deny = ["https internet > self", "ssh internet,!office > self"]'
rolewall test site
expect_status 0
web '' 'deny = "https internet > self state=established"'
rolewall test site
expect_status 1
expect_out "(established)"
