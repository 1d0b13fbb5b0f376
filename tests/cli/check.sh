# check is clean on the example site, and finds every mistake of a wrong one, at its line.
. "$(dirname "$0")/prelude.sh"

rolewall check "$ROLEWALL_SOURCE/policies"
expect_status 0
expect_out ": ok"
expect_out "all as expected"
rolewall check "$ROLEWALL_SOURCE/policies" --format json
expect_status 0
expect_json 'd["ok"] and d["version"] == 1 and len(d["hosts"]) == 8 and d["tests"]["failed"] == 0'

example_site wrong
cd wrong || exit 99
# Five mistakes in three files.
sed -i 's/^use  *=.*/use = ["baselin"]/' web.toml
printf '\n[[inbound]]\nid = "x"\nservice = "htpps"\nfrom = "198.51.100.1/24"\nlimt = "1/second"\n' >>web.toml
printf '\n[[inbound]]\nservice = "ssh"\nfrom = "nobody"\n' >>db.toml
rolewall check . --format json
expect_status 1
expect_json 'not d["ok"] and sum(f["severity"] == "error" for f in d["findings"]) >= 5'
expect_json 'all("line" in f and "column" in f for f in d["findings"] if f["severity"] == "error")'
expect_json '{"unknown-service", "host-bits-set", "unknown-key", "unknown-name", "unknown-block"} <= {f["code"] for f in d["findings"]}'
rolewall check .
expect_status 1
expect_out "db.toml:"
expect_out "error: "
expect_out 'did you mean `https`?'
expect_out "^"
expect_out "not ok"
# For a verb that only uses the policies, wrong ones are as bad as unreadable ones.
rolewall compile . --host web-01
expect_status 2
expect_err "[unknown-service]"
rolewall eval -p . 'https internet > lb-01'
expect_status 2
cd ..

# Audit mode is no finding, and nobody should forget it.
example_site audit
sed -i 's/^\[defaults\]/&\nmode = "audit"/' audit/site.toml
rolewall check audit
expect_out "8 hosts in audit mode: the defaults deny nothing"
rolewall check audit --format json
expect_json 'len(d["audit"]) == 8'
# A law is proven of the policy, and that not every host enforces it stands beside it.
cp -r "$ROLEWALL_SOURCE/policies" lawful
printf '\n[defaults]\nmode = "audit"\n' >>lawful/gateway.toml
rolewall check lawful
expect_out "all proven (of the policy: 1 host in audit mode does not enforce it)"
sed -i 's/^\[defaults\]/&\nmode = "audit"/' lawful/site.toml
rolewall check lawful
expect_out "all proven (of the policy: 8 hosts in audit mode do not enforce it)"
