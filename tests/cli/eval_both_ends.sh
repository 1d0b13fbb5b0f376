# A packet between two hosts is asked out of one and into the other; the answer names who decides.
. "$(dirname "$0")/prelude.sh"
site="$ROLEWALL_SOURCE/policies"

rolewall eval -p "$site" 'tcp 192.0.2.7 > db-01:3306' --format json
expect_status 0
expect_json 'd["verdict"] == "drop" and d["hops"][-1]["decided_by"]["rule"] == "(default)"'
expect_json '"file" not in d["hops"][-1]["decided_by"]'

rolewall eval -p "$site" 'mysql web-01 > db-01' --format json
expect_status 0
expect_json 'd["verdict"] == "accept"'
expect_json '{h["host"] for h in d["hops"]} == {"web-01", "db-01"}'
expect_json '[h["decided_by"]["line"] > 0 for h in d["hops"] if h["hook"] in ("output", "input")] == [True, True]'
expect_json '[h["decided_by"]["file"].rsplit("/", 1)[1] for h in d["hops"] if h["hook"] in ("output", "input")] == ["web.toml", "db.toml"]'

rolewall eval -p "$site" 'mysql lb-01 > db-01' --format json
expect_json 'd["verdict"] == "reject" and d["hops"][-1]["host"] == "lb-01"'
expect_json 'd["beyond"][-1]["host"] == "db-01" and d["beyond"][-1]["verdict"] == "drop"'

rolewall eval -p "$site" 'mysql web-01 > db-01' --host db-01 --format json
expect_json '{h["host"] for h in d["hops"]} == {"db-01"}'

rolewall eval -p "$site" 'https internet > lb-01'
expect_status 0
expect_out "accept"
expect_out "lb.inbound.https"
expect_out "lb.toml:"
rolewall eval -p "$site" 'tcp 192.0.2.7:40000 > lb-01:443 flags=syn in=eth0'
expect_out "tcp 192.0.2.7:40000 > 203.0.113.10:443 flags=syn in=eth0: accept"
