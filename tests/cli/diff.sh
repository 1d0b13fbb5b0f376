# diff: the packets whose fate differs, in the policy's words, with an example and both lines.
. "$(dirname "$0")/prelude.sh"
example_site before
example_site after

rolewall diff before after
expect_status 0
expect_out "equivalent: no packet's fate differs; 0 hosts compared, 8 with the same ruleset"

# Two edits: one opens a port on all web servers, one widens who may come.
cat >>after/web.toml <<'TOML'

[[inbound]]
id      = "metrics"
service = "tcp/9999"
from    = "internet"
TOML
rolewall diff before after
expect_status 1
expect_out "newly accepted: denied before, accepted now"
expect_out "tcp/9999 internet,!abusers > web   (web-01, web-02)"
expect_out "example     tcp 192.0.2.1:40000 > 10.0.2.10:9999 flags=syn"
expect_out "before      drop    (default)"
expect_out "after       accept  web.inbound.metrics  after/web.toml:"
expect_out "more permissive: 1 newly accepted, 0 newly denied, 0 otherwise; 2 hosts compared, 6 with the same ruleset"
rolewall diff after before
expect_status 1
expect_out "newly denied: accepted before, denied now"
expect_out "less permissive: 0 newly accepted, 1 newly denied"

# What it fails on.
rolewall diff --fail-on newly-denied before after
expect_status 0
rolewall diff before after --fail-on newly-denied --fail-on newly-accepted
expect_status 1
rolewall diff before after --fail-on nothing
expect_status 2

# One host of them; a ruleset in a file.
rolewall diff before after --host db-01
expect_status 0
expect_out "equivalent"
rolewall diff before after --host nobody
expect_status 2
expect_err "neither side has such a host"
rolewall compile before --host web-01 --format json
cp "$scratch/out" web-01.json
rolewall diff web-01.json after
expect_status 1
expect_out "tcp/9999 internet,!abusers > web-01"
rolewall diff web-01.json before
expect_status 0
rolewall diff web-01.json web-01.json
expect_status 0

# The example is one that eval takes, and it says the same.
rolewall eval -p after --host web-01 'tcp 192.0.2.1:40000 > 10.0.2.10:9999 flags=syn' --expect accept
expect_status 0

rolewall diff before after --format json
expect_status 1
expect_json 'd["result"] == "more permissive" and d["proven"] and d["counts"]["newly-accepted"] == 1'
expect_json 'd["classes"][0]["packets"] == "tcp/9999 internet,!abusers > web"'
expect_json 'd["classes"][0]["hosts"] == ["web-01", "web-02"] and d["classes"][0]["whole"]'
expect_json 'd["classes"][0]["example"]["after"]["decided_by"]["rule"] == "web.inbound.metrics"'
expect_json 'd["hosts"]["compared"] == 2 and d["hosts"]["same"] == 6'
rolewall diff before after --format markdown
expect_status 1
expect_out "**more permissive: 1 newly accepted"
expect_out '| `tcp/9999 internet,!abusers > web` (`web-01, web-02`) | `tcp 192.0.2.1:40000'

# Rejected for dropped, and other lines in the log.
rm -r after
example_site after
sed -i 's/^service = "nginx-exporter"$/service = "nginx-exporter"\nlog = true/' after/web.toml
rolewall diff before after --host web-01
expect_status 1
expect_out "logged otherwise: accepted or denied as before, with other lines in the log"
expect_out "logs nothing"
expect_out "neither more nor less permissive: 0 newly accepted, 0 newly denied"

# A segment size is written into an option, which the packets of a proof do not have.
rm -r after
cat >>before/gateway.toml <<'TOML'

[[forward]]
id      = "metrics"
service = "tcp/9999"
from    = "office"
to      = "web"
TOML
cp -r before after
printf 'mss     = 1200\n' >>after/gateway.toml
rolewall diff before after --host gw-01
expect_status 1
expect_out "perhaps rewritten: accepted before and now"
expect_out "the TCP option MSS is there"

# What a host that one side alone has lets in is compared with nothing.
cp -r "$ROLEWALL_SOURCE/docs/examples/one-server" alone
cp -r alone larger
cat >>larger/site.toml <<'TOML'

[hosts.new-01]
role      = "open"
addresses = ["203.0.113.99"]
TOML
cat >larger/open.toml <<'TOML'
role = "open"

[[inbound]]
id      = "all"
service = "tcp"
TOML
rolewall diff alone larger --fail-on newly-accepted
expect_status 1
expect_out "incomparable: no packet's fate differs on hosts that both sides have"
rolewall diff larger alone --fail-on newly-denied
expect_status 1
rolewall diff larger alone --fail-on newly-accepted
expect_status 0

rolewall diff
expect_status 2
expect_err "name what is compared"
rolewall diff nowhere after
expect_status 2
rolewall diff generation:1 after --state-dir nowhere
expect_status 2
