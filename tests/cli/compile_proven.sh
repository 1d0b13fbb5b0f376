# compile --prove: the ruleset of each host is what the policy says, for all packets.
. "$(dirname "$0")/prelude.sh"
policies=$ROLEWALL_SOURCE/policies

rolewall compile "$policies" --prove
expect_status 0
expect_out "proven: lb-01: every packet meets what the policy says"
expect_out "proven: db-02"
grep -q "^not proven\|^refuted" "$scratch/out" && complain "a host is not proven"
rolewall compile "$policies" --prove --host web-01 --format json
expect_status 0
expect_json 'd["proven"] and d["verb"] == "compile"'
expect_json '[h["outcome"] for h in d["hosts"]] == ["proven"] and d["hosts"][0]["host"] == "web-01"'

# The pages' example, of which there is nothing to find.
rolewall check "$ROLEWALL_SOURCE/docs/examples/one-server" --strict
expect_status 0
expect_out "no findings"
rolewall compile "$ROLEWALL_SOURCE/docs/examples/one-server" --prove
expect_status 0
expect_out "proven: "

# A gateway that translates: what is no part of the proof is said.
mkdir site
cat >site/site.toml <<'END'
[networks]
lan = "10.1.0.0/16"
[interfaces.wan]
device = "eth0"
[interfaces.lan]
device = "eth1"
behind = "lan"
[hosts.gate]
role       = "gateway"
addresses  = ["203.0.113.1", "10.1.0.1"]
interfaces = ["wan", "lan"]
END
cat >site/gateway.toml <<'END'
role = "gateway"
use  = ["baseline"]
[[forward]]
id      = "out"
service = "tcp/443"
from    = "lan"
in      = "lan"
out     = "wan"
mss     = "path"
[[forward]]
id      = "names"
service = "udp/53"
from    = "lan"
limit   = "100/second"
[[nat]]
id         = "hide"
from       = "lan"
out        = "wan"
new-source = "masquerade"
[[nat]]
id              = "mail"
service         = "tcp/25"
to              = "self"
in              = "wan"
new-destination = "10.1.0.25:2525"
END
rolewall compile site --prove
expect_status 0
expect_out "proven: gate"
expect_out "not covered: the \`mss\` of gateway.forward.out"

# What goes together, and what does not.
rolewall compile "$policies" --prove --format bytecode
expect_status 2
rolewall compile "$policies" --prove --stop-after rules --host web-01
expect_status 2
rolewall compile "$policies" --prove --host web-99
expect_status 2
