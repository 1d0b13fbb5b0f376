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

ran="rolewall compile > /dev/full"
status=0
"$ROLEWALL_PROGRAM" compile "$site" --host web-01 >/dev/full 2>"$scratch/err" || status=$?
expect_status 3
