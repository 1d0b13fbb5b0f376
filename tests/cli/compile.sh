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
ran="rolewall compile > /dev/full"
status=0
"$ROLEWALL_PROGRAM" compile "$site" --host web-01 >/dev/full 2>"$scratch/err" || status=$?
expect_status 3
