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

on_web apply
expect_status 0
on_web plan --exit-code
expect_status 0
expect_out "nothing to do"

# What runs meanwhile: a ban, what packets count.
nft add element inet rolewall banned/4 '{ 198.51.100.9 timeout 1h }'
nft add table ip other
before=$(handles)
sed -i 's/^from    = "prometheus"$/from    = ["prometheus", "office"]/' site/web.toml
sed -i 's|, "nginx-exporter office > self"||' site/web.toml
cat >> site/web.toml <<'T'

[[inbound]]
id      = "status"
service = "tcp/8080"
from    = "office"
T
on_web plan --format json
expect_status 0
expect_json '[c["change"] for c in d["changes"] if c.get("rule") == "web.inbound.status"] == ["added"]'
expect_json '[c["change"] for c in d["changes"] if c.get("rule") == "web.inbound.nginx-exporter"] == ["changed"]'
expect_json 'len([c for c in d["changes"] if "rule" in c]) == 2'
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
expect_out "rule \`tcp dport 1 drop\` in chain input removed"
on_web apply
expect_status 0
[ "$after" = "$(handles)" ] || complain "more than the stranger's rule was changed"
on_web apply
expect_out "nothing to do: generation 3"
