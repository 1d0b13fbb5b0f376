# An apply that changes one rule of 1,000 loses the count of none of the others.
. "$(dirname "$0")/prelude.sh"
command -v nft >/dev/null || { echo "skipped: no nft"; exit 77; }
in_namespaces "$@"
ip link set lo up
mkdir site
cat >site/site.toml <<'T'
[site]
name = "s"
[networks]
old = "192.0.2.0/25"
new = "192.0.2.128/25"
[hosts.srv]
role = "server"
addresses = ["10.0.2.10"]
T
{
  echo 'role = "server"'
  for rule in $(seq 1000); do
    printf '[[inbound]]\nid = "r%s"\nservice = "tcp/%s"\nfrom = "old"\n' "$rule" $((2000 + rule))
  done
} >site/server.toml
apply() { rolewall apply site --host srv --state-dir "$scratch/state"; }
apply
expect_status 0
# Each counter gets a number of its own, as though packets had come.
nft -a list table inet rolewall | awk '
  /chain / { chain = $2 }
  /^\t\tcounter packets 0 bytes 0/ {
    handle = $NF; sub(/ # handle .*/, ""); sub(/packets 0 bytes 0/, "packets " ++n " bytes " n * 60)
    print "replace rule inet rolewall", chain, "handle", handle, $0
  }' >counted
split -l 200 counted part.
for part in part.*; do nft -f "$part" || complain "nft did not take the numbers"; done
counts() { nft list table inet rolewall | awk '/chain /{chain = $2} /counter packets [1-9]/{print chain, $0}' | sort; }
counts >before
[ "$(grep -c 'server.inbound.r' before)" -ge 1000 ] || complain "there are not 1,000 counters"
apply
expect_out "nothing to do"
sed -i '0,/from = "old"/s//from = "new"/' site/server.toml
apply
expect_status 0
expect_out "policy rules: 0 added, 1 changed, 0 removed"
rolewall history --state-dir "$scratch/state"
expect_out "server.inbound.r1 changed; in the kernel "
counts >after
lost=$(comm -23 before after | wc -l)
[ "$lost" -le 1 ] || complain "$lost counters were lost: $(comm -23 before after | head -3)"
echo "$(comm -12 before after | wc -l) of $(wc -l <before) counters unchanged"

# What was dropped is not shown as let pass, when audit mode begins.
grep -q '(default)' after || complain "there was no count of what is dropped"
sed -i 's/^\[networks\]/[defaults]\nmode = "audit"\n&/' site/site.toml
apply
expect_status 0
counts >audited
grep '(default)' audited && complain "what was dropped is shown as let pass"
[ "$(grep -c 'server.inbound.r' audited)" -ge 999 ] || complain "audit mode lost the counters of rules"
