# What lies beside the record is damaged: the number of the format, the history, bans, what waits. Each is
# said by status, with what to do; no verb is refused for it.
. "$(dirname "$0")/prelude.sh"
web_01 "$@"
boot() { rolewall boot -p site --host web-01 --state-dir "$state"; }
restore() {
  kill_watcher
  rm -rf "$state"
  cp -a "$scratch/kept" "$state"
  nft flush ruleset
}
apply
expect_status 0
cp -a "$state" "$scratch/kept"

# The number of the format, empty or damaged, as a power cut leaves it: it is said, nothing is refused,
# and the next that writes makes it anew.
for content in "" "99999999999999"; do
  for verb in "apply site --host web-01" "rollback --to 1" "confirm" "disable" "boot -p site --host web-01"; do
    restore
    boot
    printf '%s' "$content" >"$state/format"
    rolewall status --state-dir "$state"
    expect_status 1
    expect_out "format: is damaged; \`rolewall apply --state-dir $state\` writes it anew"
    # shellcheck disable=SC2086 # words
    rolewall $verb --state-dir "$state"
    expect_status 0
    [ "$(cat "$state/format")" = "$(cat "$scratch/kept/format")" ] || complain "it was not made anew"
  done
done
restore
: >"$state/format"
apply --force
expect_err "format: was damaged and is written anew"
# Who writes there has no other reason to take it for ours.
mkdir foreign
echo "a letter's format" >foreign/format
rolewall confirm --state-dir foreign
expect_status 2
expect_err "is no number, and nothing else in foreign says"

# Damage beside the record is said by status, too, with what can be done.
restore
boot
rolewall ban 192.0.2.7 --state-dir "$state"
echo garbage >>"$state/bans.log"
rolewall status --state-dir "$state"
expect_status 1
expect_out "bans.log: 1 line is damaged and left out: a ban or an opening may be missing"
restore
boot
echo garbage >>"$state/history.log"
rolewall status --state-dir "$state"
expect_status 1
expect_out "history.log: 1 line is damaged and left out"
refuse_out "gone or empty"
rolewall history --state-dir "$state"
expect_err "history.log: 1 line is damaged and left out"
echo garbage >"$state/history.log"
rolewall status --state-dir "$state"
expect_out "history.log: no line of it can be read: what was in force before cannot be told"
refuse_out "is damaged and left out"
restore
boot
admit 8111
apply --confirm 1h
echo garbage >"$state/pending.json"
rolewall status --state-dir "$state"
expect_status 1
expect_out "will be rolled back at an unknown time (pending.json is gone or damaged)"
echo "$checks checks"
