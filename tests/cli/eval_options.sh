# eval's options: --expect, --all, --explain, and what is said where words are wrong or too few.
. "$(dirname "$0")/prelude.sh"
site="$ROLEWALL_SOURCE/policies"

rolewall eval -p "$site" 'https internet > lb-01' --expect accept
expect_status 0
rolewall eval -p "$site" 'https internet > lb-01' --expect deny
expect_status 1
expect_err "expected deny, got accept"
rolewall eval -p "$site" 'mysql lb-01 > db-01' --expect deny --format json
expect_status 0
rolewall eval -p "$site" 'mysql lb-01 > db-01' --expect drop --format json
expect_status 1
expect_json 'd["expected"] == "drop"'
rolewall eval -p "$site" 'https internet > lb-01' --expect maybe
expect_status 2
# Shorter than the headers: no packet is.
rolewall eval -p "$site" 'tcp/443 internet > lb-01 family=4 length=30'
expect_status 2
expect_err "at least 40 bytes"
rolewall eval -p "$site" 'tcp/443 internet > lb-01 family=4 length=40' --expect accept
expect_status 0
# The quotes forgotten: the shell has taken `> lb-01` for itself.
rolewall eval -p "$site" https internet
expect_status 2
expect_err "quote it"

rolewall eval -p "$site" 'https internet > lb' --all
expect_status 0
[ "$(grep -c ': accept$' "$scratch/out")" = 4 ] || complain "four samples were expected"
rolewall eval -p "$site" 'mysql internet > db-01' --explain
expect_out "(established)"
expect_out "ct state is new"
expect_out "+ (default)"

rolewall eval -p "$site" 'ssh management > self' --host db-01 --expect accept
expect_status 0
rolewall eval -p "$site" 'ssh management > self'
expect_status 2
expect_err "[self-not-here]"
rolewall eval -p "$site" 'htpps internet > lb-01'
expect_status 2
expect_err 'did you mean `https`?'
expect_err "      | ^"
rolewall eval -p "$site" 'https 192.0.2.1 > 192.0.2.2'
expect_status 2
expect_err "[not-an-end]"
rolewall eval -p "$site" 'https lb-01 > lb-01'
expect_status 2
expect_err "describes no packet"

# Two interfaces that lead to the internet, and a rule that wants one of them.
mkdir two
cat >two/site.toml <<'TOML'
[site]
name = "two"
[services]
web = "tcp/80"
[interfaces.a]
device = "eth0"
[interfaces.b]
device = "eth1"
[hosts.h]
role = "r"
addresses = ["192.0.2.10", "2001:db8::10"]
interfaces = ["a", "b"]
TOML
printf 'role = "r"\n[[inbound]]\nservice = "web"\nin = "b"\nfrom = "203.0.113.0/24"\n' >two/r.toml
rolewall eval -p two 'web 203.0.113.1 > h' --format json
expect_status 0
expect_json 'd["verdict"] == "conditional"'
expect_json '[(a["add"], a["verdict"]) for a in d["hops"][-1]["alternatives"]] == [("in=a", "drop"), ("in=b", "accept")]'
rolewall eval -p two 'web 203.0.113.1 > h'
expect_out "add in=a or in=b"
rolewall eval -p two 'web 203.0.113.1 > h in=b' --expect accept
expect_status 0
# The other family is mentioned only where it differs.
rolewall eval -p two 'web any > h in=b'
expect_status 0
refuse_out "other address family"
printf 'role = "r"\n[[inbound]]\nservice = "web"\nfrom = "2001:db8:1::/48"\n' >two/r.toml
printf '[networks]\npeers = ["203.0.113.1", "2001:db8:1::1"]\n' >>two/site.toml
rolewall eval -p two 'web peers > h in=a'
expect_status 0
expect_out "the other address family differs: tcp [2001:db8:1::1]:40000 > [2001:db8::10]:80"

# Audit mode: what the defaults deny is accepted, what a rule denies is not, and after (invalid) the rules decide. The
# verdict is the policy's; of the ruleset as it is loaded it is the kernel's.
mkdir audited
printf '[site]\nname = "s"\n[defaults]\nmode = "audit"\n[hosts.h]\nrole = "r"\naddresses = "203.0.113.10"\n' >audited/site.toml
printf 'role = "r"\n[[inbound]]\nid = "no"\nservice = "ssh"\naction = "drop"\n' >audited/r.toml
rolewall compile audited --host h --format json
expect_status 0
cp "$scratch/out" audited.json
rolewall eval -p audited 'http 192.0.2.1 > h'
expect_out "h is in audit mode: it logs this packet and accepts it"
rolewall eval -p audited 'http 192.0.2.1 > h' --format json
expect_json 'd["verdict"] == "drop" and d["audit"] == ["h"]'
rolewall eval --ruleset audited.json 'http 192.0.2.1 > self' --format json
expect_json 'd["verdict"] == "accept" and "audit" not in d'
rolewall eval -p audited 'ssh 192.0.2.1 > h'
refuse_out "audit mode"
rolewall eval -p audited 'ssh 192.0.2.1 > h' --format json
expect_json 'd["verdict"] == "drop" and "audit" not in d'
rolewall eval -p audited 'http 192.0.2.1 > h state=invalid flags=ack'
expect_out "h is in audit mode: it logs this packet, and its rules decide"
refuse_out "accepts it"
rolewall eval -p audited 'http 192.0.2.1 > h' --explain
expect_out "matches: counts it"
expect_out "matches: logs it"
