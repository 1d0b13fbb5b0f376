# Rules that no test touches are listed, in text and in JSON; what lint finds of all packets is in `check`, too.
. "$(dirname "$0")/prelude.sh"

mkdir -p site
cat >site/site.toml <<'TOML'
[site]
management = "office"

[networks]
office = "198.51.100.0/24"

[hosts.web-01]
role      = "web"
addresses = "10.0.2.10"
TOML
cat >site/web.toml <<'TOML'
role = "web"
use  = "baseline"

[[inbound]]
id      = "low"
service = "tcp/7000-7500"
from    = "office"

[[inbound]]
id      = "high"
service = "tcp/7501-8000"
from    = "office"

[[inbound]]
id      = "both"
service = "tcp/7400-7600"
from    = "office"

[[test]]
name   = "one"
accept = "tcp/7001 office > self"
TOML

rolewall check site --coverage
expect_status 0
expect_out "site/web.toml:9: no test touches web.inbound.high"
expect_out "site/web.toml:14: no test touches web.inbound.both"
expect_out "coverage 1 of 3 rules are touched by tests"
expect_out "web.inbound.both never matches: web.inbound.low, web.inbound.high have together all its packets before it"

rolewall check site --coverage --format json
expect_out '"rule":"web.inbound.high"'
expect_out '"touched":1'
