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
