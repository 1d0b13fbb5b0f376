# Two applies, another program that writes and a loop that bans, all at once for a while: no ban is
# lost, nothing of the other program is touched, and the last apply's ruleset is in force.
. "$(dirname "$0")/prelude.sh"
command -v nft >/dev/null || { echo "skipped: no nft"; exit 77; }
in_namespaces "$@"
ip link set lo up
example_site one
example_site two
printf '\n[[inbound]]\nid = "one"\nservice = "tcp/8001"\nfrom = "office"\n' >>one/web.toml
printf '\n[[inbound]]\nid = "two"\nservice = "tcp/8002"\nfrom = "office"\n' >>two/web.toml
state="$scratch/state"
apply() { rolewall apply "$1" --host web-01 --state-dir "$state"; }
apply one
expect_status 0
seconds=${ROLEWALL_LONG_TESTS:+60}
end=$(($(date +%s) + ${seconds:-5}))
going() { [ "$(date +%s)" -lt "$end" ]; }

# Each says what it did, and ends with the time.
for site in one two; do
  while going; do
    "$ROLEWALL_PROGRAM" apply "$site" --host web-01 --state-dir "$state" >>"$scratch/applied-$site" \
      2>&1 || echo "FAILED $site" >>"$scratch/wrong"
  done &
done
i=0
while going; do
  i=$((i + 1))
  nft add table ip "other$i" || echo "FAILED nft $i" >>"$scratch/wrong"
  nft add chain ip "other$i" c "{ type filter hook input priority 10; }"
  echo "$i" >"$scratch/written"
done &
b=0
while going; do
  b=$((b + 1))
  "$ROLEWALL_PROGRAM" ban "192.0.2.$((b % 250 + 1))" --for 1h --keep-connections \
    --state-dir "$state" >/dev/null 2>>"$scratch/wrong" || echo "FAILED ban $b" >>"$scratch/wrong"
  echo "$b" >"$scratch/banned"
done &
wait
ran="all at once"
status=0
[ ! -s "$scratch/wrong" ] || complain "$(sort "$scratch/wrong" | uniq -c | head -5)"
bans=$(cat "$scratch/banned")
[ "$bans" -gt 250 ] && bans=250
rolewall bans --format json
expect_json "len(d['entries']) == $bans"
tables=$(nft list tables ip | grep -c other)
[ "$tables" = "$(cat "$scratch/written")" ] || complain "the other program wrote $(cat "$scratch/written") tables, and $tables are there"
applies=$(cat "$scratch"/applied-* | grep -c "is in force")
[ "$applies" -ge 2 ] || complain "there were only $applies applies"
apply two
expect_status 0
rolewall status --state-dir "$state" --format json
expect_status 0
expect_json 'd["drift"] == []'
nft list chain inet rolewall web.inbound.two >/dev/null || complain "the last apply is not in force"
nft list chain inet rolewall web.inbound.one >/dev/null 2>&1 && complain "an earlier apply is in force, too"
echo "$applies applies, $bans bans, $tables foreign tables at once"
