# What others could write is not put in force: the state directory, all in it, and the way to it, for
# every verb that reads it.
. "$(dirname "$0")/prelude.sh"
command -v nft >/dev/null || { echo "skipped: no nft"; exit 77; }
in_network_of_root "$@"
ip link set lo up
example_site site
chmod 755 "$scratch" "$scratch/work"
state="$PWD/lib/state"
# Chains made one by one stand in another order.
table() { nft -s list table inet rolewall 2>/dev/null | sort; }
with_state() { verb=$1; shift; rolewall "$verb" "$@" --state-dir "$state"; }
mkdir lib
with_state apply site --host web-01
expect_status 0
with_state ban 192.0.2.7
applied=$(table)
printf '\n[[inbound]]\nid = "more"\nservice = "tcp/8001"\nfrom = "office"\n' >>site/web.toml
cp -a lib kept
restore() { rm -rf lib; cp -a kept lib; }

# distrusted WHY: none of the verbs that put something in force takes it.
distrusted() {
  nft flush ruleset
  with_state boot -p site --host web-01
  expect_status 0
  expect_err "$1"
  refuse_out "generation"
  expect_out "the current policy is in force"
  with_state rollback --to 1
  [ "$status" != 0 ] || complain "it was put in force"
  with_state status
  expect_status 1
  expect_out "$1"
}

for entry in "" generations generations/1 generations/1/snapshot.json generations/1/seal; do
  restore
  chown nobody "lib/state/$entry"
  distrusted "belongs to user"
  restore
  chmod g+w "lib/state/$entry"
  distrusted "can write the"
  restore
  chmod o+w "lib/state/$entry"
  distrusted "everybody can write the"
done
# It is said once.
restore
chown nobody lib
with_state ban 192.0.2.8
[ "$status" != 0 ] || complain "it was recorded"
[ "$(grep -c "belongs to user" "$scratch/err")" = 1 ] || complain "it is not said once"
refuse_err "taken to wait"
# Sticky: nobody takes ours away, and what others put there is not believed.
restore
chmod 1777 lib/state
echo '{}' >lib/state/pending.json
chown nobody lib/state/pending.json
nft flush ruleset
with_state boot -p site --host web-01
expect_err "belongs to user"
expect_out "generation 1 is in force"
restore
chmod o+w lib
distrusted "everybody can write the directory"
# A stranger's link says nothing; the history does, and where that is the stranger's too, nobody.
restore
ln -sfn generations/7 lib/state/boot
chown -h nobody lib/state/boot lib/state/current
nft flush ruleset
with_state boot -p site --host web-01
expect_out "generation 1 is in force"
restore
chown -h nobody lib/state/boot lib/state/current lib/state/history.log
distrusted "belongs to user"

# Beside the record: it is left out, and the record is loaded.
for entry in pending.json kernel.json bans.log history.log; do
  restore
  [ -e "lib/state/$entry" ] || echo '{}' >"lib/state/$entry"
  chown nobody "lib/state/$entry"
  nft flush ruleset
  with_state boot -p site --host web-01
  expect_status 0
  expect_out "generation 1 is in force"
done
restore
chown nobody lib/state/bans.log
nft flush ruleset
with_state boot -p site --host web-01
expect_err "belongs to user"
rolewall bans
refuse_out "192.0.2.7"

# Verbs that only change say what to mend, and change nothing.
restore
nft flush ruleset
with_state boot -p site --host web-01
chmod o+w lib/state
for verb in "apply site --host web-01" "confirm" "disable"; do
  # shellcheck disable=SC2086 # words
  with_state $verb
  expect_status 2
  expect_err "chmod go-w"
  [ "$(table)" = "$applied" ] || complain "something was changed"
done

# One reason for all is said once, with the remedy.
restore
chmod 777 lib/state
with_state status
expect_status 1
[ "$(grep -c "can write the directory" "$scratch/out")" = 1 ] || complain "it is said more than once"
expect_out "chmod go-w"
refuse_out "records it anew"
