# What compile writes as JSON can be asked without the policies, and answers the same.
. "$(dirname "$0")/prelude.sh"
site="$ROLEWALL_SOURCE/policies"

rolewall compile "$site" --host web-01 --format json -o web-01.json
expect_status 0
rolewall eval --ruleset web-01.json 'tcp 10.0.1.10 > web-01:443' --format json
expect_status 0
expect_json 'd["verdict"] == "accept" and d["hops"][-1]["decided_by"]["rule"] == "web.inbound.app-from-lb"'
expect_json 'd["hops"][-1]["decided_by"]["line"] > 0'
rolewall eval --ruleset web-01.json 'tcp 10.0.1.10 > 10.0.2.10:80' --expect drop
expect_status 0
rolewall eval --ruleset web-01.json 'tcp 10.0.1.10 > 10.0.2.11:80'
expect_status 2
expect_err "[not-an-end]"
# `self` is the ruleset's host; what is wrong beside it is said alone.
rolewall eval --ruleset web-01.json 'tcp/443 10.0.1.10 > self' --expect accept
expect_status 0
rolewall eval --ruleset web-01.json 'htps 10.0.1.10 > self'
expect_status 2
expect_err "[unknown-service]"
refuse_err "self-not-here"
rolewall eval --ruleset web-01.json -p "$site" 'tcp 10.0.1.10 > web-01:443'
expect_status 2
rolewall eval --ruleset nowhere.json 'tcp 10.0.1.10 > web-01:443'
expect_status 2
expect_err "nowhere.json"
printf '{"version": 99}' >newer.json
rolewall eval --ruleset newer.json 'tcp 10.0.1.10 > web-01:443'
expect_status 2
head -c 2000 web-01.json >cut.json
rolewall eval --ruleset cut.json 'tcp 10.0.1.10 > web-01:443'
expect_status 2

# An interface's name of 16 bytes past the last register: the expression is named, and nothing is asked.
python3 - >fib.json <<'PYTHON'
import json
with open("web-01.json", encoding="utf-8") as file:
    snapshot = json.load(file)
fib = {"type": "fib", "result": "oifname", "flags": 9, "to": 13}
rules = [{"exprs": [fib]}]
snapshot["ruleset"]["tables"][0]["chains"][0]["rules"] = rules
print(json.dumps(snapshot))
PYTHON
rolewall eval --ruleset fib.json 'tcp 10.0.1.10 > web-01:443'
expect_status 2
expect_err "ruleset.tables[0].chains[0].rules[0].exprs[0]: fib: 16 bytes do not fit in the registers from 13 on"

# A ruleset that makes a packet try very many rules is explained in a list of bounded length.
python3 - >wide.json <<'PYTHON'
import json
with open("web-01.json", encoding="utf-8") as file:
    snapshot = json.load(file)
table = snapshot["ruleset"]["tables"][0]
jump = lambda name: {"exprs": [{"type": "verdict", "verdict": "jump " + name}]}
depth = 13
for i in range(depth):
    rules = [jump(f"wide{i + 1}")] * 2 if i + 1 < depth else []
    table["chains"].append({"name": f"wide{i}", "rules": rules})
next(c for c in table["chains"] if c["name"] == "input")["rules"].insert(0, jump("wide0"))
next(c for c in table["chains"] if c["name"] == "input")["rules"].insert(0, jump("wide0"))
print(json.dumps(snapshot))
PYTHON
rolewall eval --ruleset wide.json 'tcp 10.0.1.10 > 10.0.2.10:80' --explain --format json
expect_status 0
expect_json 'd["hops"][-1]["tried_left_out"] > 5000'
expect_json 'len(d["hops"][-1]["tried"]) <= 10000'
expect_json 'd["hops"][-1]["tried"][-1]["rule"] == "(default)"'
rolewall eval --ruleset wide.json 'tcp 10.0.1.10 > 10.0.2.10:80' --explain
expect_status 0
expect_out "more rules were tried here"
expect_out "+ (default)"

# Without policies there are no names; a file may be empty, a machine without addresses, and a packet of
# a family that nobody filters.
rolewall eval --ruleset web-01.json 'tcp/22 office > self'
expect_status 2
expect_err "without policies there are no names but"
refuse_err "site.toml"
: >nothing.json
rolewall eval --ruleset nothing.json 'tcp 10.0.1.10 > web-01:443'
expect_status 2
expect_err "nothing.json: the file is empty"
refuse_err "parse error"
python3 - <<'PYTHON'
import json
with open("web-01.json", encoding="utf-8") as file:
    snapshot = json.load(file)
table = snapshot["ruleset"]["tables"][0]
host = snapshot["host"]
bare = dict(snapshot, host=dict(host, addresses=[], virtual_addresses=[]))
with open("bare.json", "w", encoding="utf-8") as file:
    json.dump(bare, file)
only = {"family": "ip", "name": "t", "sets": [], "chains": [
    {"name": "i", "base": {"type": "filter", "hook": "input", "priority": 0, "policy": "drop"}, "rules": []}]}
with open("ipv4.json", "w", encoding="utf-8") as file:
    json.dump(dict(snapshot, ruleset={"tables": [only]}), file)
PYTHON
rolewall eval --ruleset bare.json 'tcp/443 10.0.1.10 > self in=eth0'
expect_status 2
expect_err "the machine of this ruleset has no address"
rolewall eval --ruleset ipv4.json 'tcp/443 fd00:1::7 > self'
expect_status 0
expect_out "no chain sees it, so nothing filters it"
