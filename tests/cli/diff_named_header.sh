# A rule about an extension header of IPv6 (AH) is about packets outside of every proof: diff and prove
# say so. And a limit that an edit has called from elsewhere is the same limit.
. "$(dirname "$0")/prelude.sh"

mkdir -p site
cat >site/site.toml <<'TOML'
[site]
management = "office"

[defaults]
log = { to = 5, limit = "1000/second in all" }

[networks]
office = ["198.51.100.0/24", "fd01::/64"]
inside = "10.2.0.0/24"

[interfaces.public]
device = "eth0"
[interfaces.private]
device = "eth1"

[services]
high = "tcp/9100-65535"

[hosts.gw-01]
role       = "gw"
addresses  = ["10.1.0.1", "10.2.0.1", "fd01::1"]
interfaces = ["public", "private"]
TOML
cat >site/gw.toml <<'TOML'
role = "gw"
use  = ["baseline"]

[[inbound]]
id      = "web"
service = "http"
from    = "10.1.0.2"

[[inbound]]
id      = "tls"
service = "https"

[[inbound]]
id      = "no-drop"
service = "tcp/81"
action  = "drop"
log     = true

[[inbound]]
id      = "limited"
service = "tcp/82"
limit   = "2/minute"

[[forward]]
id      = "through"
service = "http"
from    = "198.51.100.7"
to      = "inside"
in      = "public"
out     = "private"
TOML

# $1: a copy; the rest is added to its role.
copy() {
  rm -rf "$1"
  cp -R site "$1"
  cat >>"$1/gw.toml"
}

copy ah <<'TOML'

[[inbound]]
id      = "ah"
service = "protocol/51"
from    = "fd01::2"
TOML
rolewall diff site ah
expect_status 1
expect_out "differs, and is not compared: gw-01: what becomes of packets whose protocol is an extension header of IPv6"
expect_out "not proven"
rolewall prove -p ah 'deny protocol/51 fd01::2 > gw-01'
expect_status 1
expect_out "not proven: deny protocol/51 fd01::2 > gw-01: it names an extension header of IPv6"
rolewall prove -p ah 'deny protocol/51 198.51.100.7 > gw-01'
expect_status 0

# The map that leads to the limit is left by `goto` now.
copy wide <<'TOML'

[[inbound]]
id      = "high"
service = "high"
from    = "10.1.0.2"
TOML
rolewall diff site wide
expect_status 1
expect_out "more permissive: 1 newly accepted, 0 newly denied, 0 otherwise"
rolewall diff site wide --fail-on limited-otherwise
expect_status 0
