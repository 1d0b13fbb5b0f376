# plan and apply send what differs and nothing else: counters, handles, bans and other tables stay.
. "$(dirname "$0")/prelude.sh"
command -v nft >/dev/null || { echo "skipped: no nft"; exit 77; }
in_namespaces "$@"
ip link set lo up
example_site site
state="$scratch/state"
on_web() { verb=$1; shift; rolewall "$verb" site --host web-01 --state-dir "$state" "$@"; }
handles() { nft -a -s list table inet rolewall | grep '# handle' | sort; }

# Before there is a table, a plan is all of it; it changes nothing.
on_web plan --format json
expect_status 0
expect_json 'd["first"] and d["kernel_rules"]["kept"] == 0 and d["kernel_rules"]["added"] > 50'
expect_json 'all(c["change"] == "added" for c in d["changes"])'
expect_json 'any(c.get("rule") == "web.inbound.app-from-lb" and c["line"] > 1 for c in d["changes"])'
on_web plan --exit-code --all
expect_status 1
expect_out "+ web.inbound.app-from-lb"
nft list table inet rolewall >/dev/null 2>&1 && complain "a plan has made the table"

on_web plan
expect_out "from then what no rule decides: inbound dropped, outbound rejected, forwarded dropped"
refuse_out "refused"

on_web apply
expect_status 0
on_web plan --exit-code
expect_status 0
expect_out "nothing to do"
refuse_out "no rule decides"

# What an apply would be refused for is said first, whether something changes or not.
cp site/web.toml web.before
printf '\n[[test]]\nname = "all come in"\naccept = ["https office > self"]\n' >>site/web.toml
printf '\n[[never]]\nname = "no prometheus"\npackets = ["nginx-exporter prometheus > self"]\n' >>site/web.toml
on_web plan
expect_status 0
head -n 1 "$scratch/out" | grep -q '^refused   by `apply`, since the policies fail their own tests' ||
  complain "the refusal is not its first line"
expect_out "1 test failed"
expect_out "2 broken"
expect_err "failed: accept \"https office > self\" on web-01"
expect_err "test: all come in"
on_web plan --exit-code
expect_status 0
on_web plan --format json
expect_json 'd["refused"] and d["tests"]["failed"] == 1 and d["laws"]["broken"] == 2'
on_web apply
expect_status 1
cp web.before site/web.toml
on_web plan --format json
expect_json 'not d["refused"] and d["tests"]["failed"] == 0 and d["defaults"]["outbound"] == "reject"'

# What runs meanwhile: a ban, what packets count.
nft add element inet rolewall banned/4 '{ 198.51.100.9 timeout 1h }'
nft add table ip other
before=$(handles)
sed -i 's/^from    = "prometheus"$/from    = ["prometheus", "office"]/' site/web.toml
sed -i 's|, "nginx-exporter office > self"||' site/web.toml
cat >> site/web.toml <<'T'

[[inbound]]
id      = "status"
service = "tcp/8090"
from    = "office"
T
on_web plan --format json
expect_status 0
expect_json '[c["change"] for c in d["changes"] if c.get("rule") == "web.inbound.status"] == ["added"]'
expect_json '[c["change"] for c in d["changes"] if c.get("rule") == "web.inbound.nginx-exporter"] == ["changed"]'
expect_json 'len(d["changes"]) == 2 and len(d["kernel"]) > 5'
# A ban that was made past us leads nowhere yet: that is no doing of the policy.
expect_json '{c["what"].split(" in ")[0] for c in d["drift"]} == {f"the jump to banned-{way}" for way in ("input", "output", "forward")}'
expect_json '[c["keys"] for c in d["changes"] if "keys" in c] == [[{"key": "from", "before": ["prometheus"], "after": ["prometheus", "office"]}]]'
on_web plan
expect_out "  ~ web.inbound.nginx-exporter  (site/web.toml:23): from: + office"
expect_out "  + web.inbound.status  (site/web.toml:"
refuse_out "inbound/tcp/"
refuse_out "set "
on_web plan --all
expect_out "  in the kernel:"
expect_out "chain web.inbound.status added"
[ "$before" = "$(handles)" ] || complain "a plan has changed the table"
on_web apply
expect_status 0
expect_out "~ web.inbound.nginx-exporter"
expect_out "+ web.inbound.status"
expect_out "generation 2 is in force"
nft list set inet rolewall banned/4 | grep -q '198.51.100.9 timeout 1h expires 59m' || complain "the ban is gone"
nft list table ip other >/dev/null || complain "another program's table is gone"

# Whatever was there and is wanted is the very same rule, by its handle.
after=$(handles)
lost=$(echo "$before" | grep -vFx -e "$after" | grep -c handle)
[ "$lost" -le 4 ] || complain "$lost lines of the table were made again: $(echo "$before" | grep -vFx -e "$after")"

# A stranger's rule goes, the rest stays; then nobody sends anything.
nft insert rule inet rolewall input tcp dport 1 drop
rolewall status --state-dir "$state"
expect_status 1
on_web plan
expect_out "  what was applied last is not in force as it was:"
expect_out "  - rule \`tcp dport 1 drop\` in chain input removed"
expect_out "policy rules: 0 added, 0 changed, 0 removed; 1 other change;"
on_web plan --format json
expect_json 'd["changes"] == [] and [c["change"] for c in d["drift"]] == ["removed"]'
on_web apply
expect_status 0
[ "$after" = "$(handles)" ] || complain "more than the stranger's rule was changed"
on_web apply
expect_out "nothing to do: generation 3"

# Key by key, with what caused it: keys that are new or gone, a rule that only moves, names that stand
# for something else by site.toml, by a list or by the lock.
shown() { checks=$((checks + 1)); holds out "  $1" || complain "the plan lacks: $1"; }
sed -i '/^id      = "status"$/,$d' site/web.toml
sed -i '$d' site/web.toml
cat >> site/web.toml <<'T'

[[inbound]]
id      = "status"
service = ["tcp/8090", "tcp/8091"]
from    = "!192.0.2.0/24"
limit   = "10/minute"
T
on_web plan
shown "~ web.inbound.status  (site/web.toml:"
expect_out "service: + tcp/8091; from: office -> !192.0.2.0/24; limit: none -> 10/minute"
on_web apply
expect_status 0
sed -i 's|^limit   = "10/minute"$||' site/web.toml
sed -i 's|^office        = .*|office        = ["198.51.100.0/24", "198.18.0.0/24", "2001:db8:0ff1::/48"]|' site/site.toml
echo 192.0.2.67 >>site/lists/abusers.txt
sed -i 's|192.0.2.200|192.0.2.201|' site/rolewall.lock
sed -i 's|^addresses  = \["203.0.113.11"|addresses  = ["203.0.113.21"|' site/site.toml
sed -i 's|"hardening", "baseline", "monitoring-agent"|"hardening", "monitoring-agent", "baseline"|' site/web.toml
on_web plan --all
sed -i "/^  in the kernel:/,\$d" "$scratch/out"
expect_out "packets: incomparable: "
expect_out "limit: 10/minute -> none"
shown "~ network \`office\`  (site/site.toml:"
expect_out "addresses: + 198.18.0.0/24; for "
shown "~ network \`abusers\`  (site/lists/abusers.txt): addresses: + 192.0.2.67"
shown "~ network \`collector\`  (site/rolewall.lock): addresses: "
shown "~ role \`lb\`  (site/site.toml): addresses: + 203.0.113.21, - 203.0.113.11"
shown "~ monitoring-agent.inbound.scrape  ("
refuse_out "  - "
on_web plan --format json
expect_json '[c["of"] for c in d["changes"] if c.get("name") == "office"] == ["network"]'
expect_json '"baseline.inbound.ssh" in [c["used_by"] for c in d["changes"] if c.get("name") == "management"][0]'

# The edit is where people made it: below [interfaces], in [site], and what `management` consists of.
printf '\n[[inbound]]\nid = "world"\nservice = "tcp/8095"\nfrom = "internet"\n' >>site/web.toml
sed -i 's|^\[hosts.web-01\]$|&\ninterfaces = ["private"]|' site/site.toml
on_web apply --force
expect_status 0
cp site/site.toml site.before
sed -i 's|^internal   = .*|internal   = ["office", "inside", "containers", "198.18.7.0/24"]|' site/site.toml
on_web plan --all
grep -qE '~ built-in `internet`  \(site/site.toml:[0-9]+\): internal: \+ 198.18.7.0/24; left out: \+ 198.18.7.0/24' "$scratch/out" || complain "not by the key of [site]"
refuse_out " prefixes ("
cp site.before site/site.toml
sed -i 's|^office        = .*|office        = ["198.51.100.0/24", "198.18.9.0/24", "2001:db8:0ff1::/48"]|' site/site.toml
on_web plan
grep -E '~ built-in `management`' "$scratch/out" | grep -qF '; by the change of office' || complain "the cause is not named"
on_web plan --format json
expect_json '[c["caused_by"] for c in d["changes"] if c.get("name") == "management"] == [["office"]]'
line=$(grep -n '^\[interfaces.private\]' site/site.toml | cut -d: -f1)
sed -i "$line,+3s|^behind.*|behind = [\"10.0.0.0/8\", \"10.77.0.0/16\", \"172.30.0.0/16\"]|" site/site.toml
on_web plan
grep -qE "~ interface \`private\`  \(site/site.toml:$line\): behind: " "$scratch/out" || complain "not at [interfaces.private], line $line"
on_web apply --force
expect_status 0

# What changes nothing in the kernel is a change all the same.
sed -i 's|^id      = "status"$|&\nexpires = 2999-01-01|' site/web.toml
on_web plan --exit-code
expect_status 1
expect_out "web.inbound.status  (site/web.toml:"
expect_out "expires: never -> 2999-01-01"
expect_out "0 added, 1 changed, 0 removed; nothing to do in the kernel"
on_web apply --force
expect_status 0
expect_out "expires: never -> 2999-01-01"
on_web plan --exit-code
expect_status 0
