# lint --live and --ruleset: which rules open nothing, since another program's table drops all that they accept.
. "$(dirname "$0")/prelude.sh"
command -v nft >/dev/null || { echo "skipped: no nft"; exit 77; }
in_namespaces "$@"

ip link add veth0 type veth peer name veth1
ip address add 192.0.2.10/24 dev veth0
ip address add 2001:db8::10/64 dev veth0 nodad
ip link set veth0 up
ip link set veth1 up

mkdir site
cat >site/site.toml <<'TOML'
[site]
name = "one"

[hosts.srv]
role      = "server"
addresses = ["192.0.2.10", "2001:db8::10"]
TOML
cat >site/server.toml <<'TOML'
role = "server"

[[inbound]]
id      = "web"
service = "https"

[[inbound]]
id      = "login"
service = "ssh"
from    = "198.51.100.0/24"

[[outbound]]
id      = "mail"
service = "smtp"

[[test]]
name   = "t"
accept = ["https internet > self"]
TOML

lost='[(f["line"], f["message"]) for f in d["findings"] if f["code"] == "dropped-by-other-table"]'

# Without other tables, and with one that drops nothing of them.
rolewall lint site --live --format json --state-dir state
expect_status 0
expect_json "$lost == []"
nft add table inet quiet
nft 'add chain inet quiet in { type filter hook input priority 5; policy accept; }'
nft add rule inet quiet in tcp dport 8080 drop
rolewall lint site --live --format json --state-dir state
expect_json "$lost == []"

# A left-over firewall of IPv4 that lets ssh in: the web service has one family alone.
nft -f - <<'RULES'
table ip filter {
  chain input {
    type filter hook input priority 0; policy drop;
    iif lo accept
    ct state established,related accept
    tcp dport 22 accept
  }
}
RULES
rolewall lint site --live --format json --state-dir state
expect_status 0
expect_json "len($lost) == 1 and $lost[0][0] == 3"
expect_json "'of IPv4' in $lost[0][1] and 'table ip filter, chain input' in $lost[0][1] and 'server.inbound.web' in $lost[0][1]"

# The same from a file, elsewhere; what goes out, too, and what a reject denies.
nft -f - <<'RULES'
table inet egress {
  chain out {
    type filter hook output priority -5; policy accept;
    tcp dport { 25, 465 } counter reject
  }
}
RULES
rolewall dump --state-dir state
expect_status 0
cp "$scratch/out" srv.json
rolewall lint site --ruleset srv.json --format json
expect_json "[line for line, _ in $lost] == [3, 12]"
expect_json "'table inet egress, chain out' in $lost[1][1] and 'of IPv' not in $lost[1][1]"
rolewall lint site --ruleset srv.json --host nobody
expect_status 2

# Allowed with a reason; an entry is not said to silence nothing where no table was given.
sed -i 's/^id      = "mail"/&\nallow-finding = { dropped-by-other-table = "until the relay moves" }/' site/server.toml
rolewall lint site --ruleset srv.json --format json
expect_json "[line for line, _ in $lost] == [3]"
rolewall lint site --format json
expect_json 'not [f for f in d["findings"] if f["code"] == "allows-nothing"]'

# What may pass by some choice, a device of the machine's or a set that packets fill, is not lost.
nft flush chain ip filter input
nft 'add set ip filter friends { type ipv4_addr; flags dynamic; size 9; }'
nft 'add rule ip filter input tcp dport 7000 add @friends { ip saddr } drop'
nft add rule ip filter input ip saddr @friends accept
nft add rule ip filter input tcp dport 22 accept
rolewall lint site --live --format json --state-dir state
expect_json "[line for line, _ in $lost] == []"
nft flush chain ip filter input
nft add rule ip filter input iifname veth0 accept
rolewall lint site --live --format json --state-dir state
expect_json "[line for line, _ in $lost] == []"
nft flush chain ip filter input
nft add rule ip filter input iifname nope0 accept
rolewall lint site --live --format json --state-dir state
expect_json "[line for line, _ in $lost] == [3, 7]"
echo "$checks checks"
