# `boot` while an apply waits for its confirmation: what is in force comes back, with its deadline.
. "$(dirname "$0")/prelude.sh"
web_01 "$@"
boot() { rolewall boot -p site --host web-01 --state-dir "$state"; }

apply
first=$(table)
printf '\n[[inbound]]\nid = "more"\nservice = "tcp/8001"\nfrom = "office"\n' >>site/web.toml
apply --confirm 1h
expect_status 0
second=$(table)
[ "$first" != "$second" ] || complain "nothing was changed"
nft flush ruleset
rolewall status --state-dir "$state"
expect_status 1
expect_out "load it again: sudo rolewall boot --state-dir $state"
boot
expect_status 0
expect_out "generation 2 is in force"
expect_out "unless you confirm it"
[ "$(table)" = "$second" ] || complain "another table"
rolewall status --state-dir "$state" --format json
expect_json 'd["pending"]["generation"] == 2 and not d["pending"]["overdue"] and d["drift"] == []'
rolewall confirm --state-dir "$state"
expect_status 0
play_reboot
boot
expect_out "generation 2 is in force"
[ "$(table)" = "$second" ] || complain "what was confirmed is not what was booted"

# Changed by another program while one waits: what is advised works, word for word.
follow() {
  advice=$(sed -n "s/.*$1: sudo \(rolewall [^(]*\).*/\1/p" "$scratch/out" | sed 's/    .*//' | head -n 1)
  [ -n "$advice" ] || complain "no advice: $1"
  # shellcheck disable=SC2086 # its words
  rolewall ${advice#rolewall }
  expect_status 0
}
admit 8003
apply --confirm 1h
expect_status 0
third=$(table)
for how in "put it right" "or load it as it was"; do
  nft insert rule inet rolewall input accept
  with_state status
  expect_status 1
  follow "$how"
  [ "$(table)" = "$third" ] || complain "it is not put right"
  with_state status --format json
  expect_json 'd["pending"] and d["drift"] == []'
done
# Or taken away: a ban is told what loads it.
nft flush ruleset
with_state ban 192.0.2.7
expect_status 1
expect_err "\`rolewall boot $with_dir\` loads generation 4 again"
with_state status
follow "load it again"
with_state rollback
expect_status 0
sed -i '/id = "port-8003"/,$d' site/web.toml
sed -i '$d' site/web.toml

# Its time is over and nobody rolled it back: boot does.
printf '\n[[inbound]]\nid = "yet-more"\nservice = "tcp/8002"\nfrom = "office"\n' >>site/web.toml
apply --confirm 1s
expect_status 0
kill_watcher
nft flush ruleset
sleep 1.2
boot
expect_status 0
expect_err "generation 5 was not confirmed"
expect_out "generation 2 is in force"
[ "$(table)" = "$second" ] || complain "not what was confirmed"

# Restarted before it was confirmed, and nothing was loaded yet: one advice, and the right one.
admit 8004
apply --confirm 1h
expect_status 0
play_reboot
with_state status
expect_status 1
expect_out "was not confirmed before the machine was restarted: \`rolewall boot $with_dir\` discards it"
refuse_out "completes it"
refuse_out "way back"
boot
expect_status 0
[ "$(table)" = "$second" ] || complain "not what was confirmed before the restart"
with_state status
refuse_out "completes it"
# Nothing waits: after a flush a ban is told to load what was applied, not what is in the files.
nft flush ruleset
with_state ban 192.0.2.7
expect_status 1
expect_err "\`rolewall boot $with_dir\` loads generation 2 again"

# A first apply that waits leaves nothing behind.
rm -r "$state"
nft flush ruleset
apply --confirm 1s
expect_status 0
kill_watcher
sleep 1.2
boot
expect_status 0
[ -z "$(table)" ] || complain "the first apply was not confirmed, and is in force"
