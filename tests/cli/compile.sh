# compile: nft accepts the text, the same input gives the same bytes, a file is whole or not there.
. "$(dirname "$0")/prelude.sh"
need_namespaces
command -v nft >/dev/null || { echo "skipped: no nft"; exit 77; }
site="$ROLEWALL_SOURCE/policies"

for host in lb-01 lb-02 web-01 web-02 db-01 db-02; do
  rolewall compile "$site" --host "$host"
  expect_status 0
  unshare -rn nft -c -f - <"$scratch/out" || complain "nft refuses the text of $host"
  cp "$scratch/out" first
  rolewall compile "$site" --host "$host" --format nft -o second
  expect_status 0
  cmp -s first second || complain "the second time the bytes differ"
done
rolewall compile "$site" --host web-01 --format json
expect_json 'd["version"] == 1'
rolewall compile "$site" --host web-01 --format bytecode
expect_out "[ immediate"
rolewall compile "$site" --host web-01 -o nowhere/file
expect_status 2
[ -e nowhere ] && complain "a directory was made"
# What is no regular file is written to, and stays what it is.
mkfifo fifo
timeout 60 cat fifo >through &
rolewall compile "$site" --host web-01 -o fifo
expect_status 0
wait $!
[ -p fifo ] || complain "the FIFO was replaced"
rolewall compile "$site" --host web-01 -o file
cmp -s file through || complain "through a FIFO the bytes differ"
: >target
ln -s target link
rolewall compile "$site" --host web-01 -o link
expect_status 0
[ -L link ] || complain "the link was replaced"
cmp -s file target || complain "through a link the bytes differ"

# What the passes give, in their order: rules as text first, then tables that nft accepts, too.
rolewall compile "$site" --host web-01 --stop-after lower
expect_status 0
expect_out "web.inbound.app-from-lb"
for pass in rules dispatch nat hooks; do
  rolewall compile "$site" --host gw-01 --stop-after $pass
  expect_status 0
  unshare -rn nft -c -f - <"$scratch/out" || complain "nft refuses what $pass gives"
done
rolewall compile "$site" --host web-01 --stop-after hooks
cmp -s "$scratch/out" file || complain "after the last pass it is not what all passes give"
rolewall compile "$site" --host web-01 --stop-after dispach
expect_status 2
expect_err 'there is no pass `dispach`; did you mean `dispatch`?'
rolewall compile "$site" --host web-01 --stop-after emit
expect_status 2
expect_err 'they are lower, rules, dispatch, nat, mss, hooks'
rolewall compile "$site" --host web-01 --stop-after lower --format json
expect_status 2
expect_err "only printed as text"

ran="rolewall compile > /dev/full"
status=0
"$ROLEWALL_PROGRAM" compile "$site" --host web-01 >/dev/full 2>"$scratch/err" || status=$?
expect_status 3

# What expires does so by UTC, on all machines at once.
mkdir expiring
printf '[site]\nname = "s"\n[hosts.h]\nrole = "r"\naddresses = "192.0.2.10"\n' >expiring/site.toml
for zone in UTC-14 UTC UTC+12; do
  for day in today tomorrow; do
    printf 'role = "r"\n[[inbound]]\nid = "x"\nservice = "tcp/80"\nexpires = %s\n' \
      "$(date -u -d "$day" +%F)" >expiring/r.toml
    TZ=$zone rolewall compile -p expiring --host h
    rules=$(grep -c 'chain r.inbound.x' "$scratch/out")
    [ "$day $rules" = "today 0" ] || [ "$day $rules" = "tomorrow 1" ] ||
      complain "in the zone $zone it is another day"
  done
done
