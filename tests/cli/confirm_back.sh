# rollback --confirm and disable --confirm: what was confirmed last comes back by itself, or by a
# boot, unless somebody confirms.
. "$(dirname "$0")/prelude.sh"
web_01 "$@"
none() { [ -z "$(table)" ] || complain "there is a table"; }
boots() { play_reboot; with_state boot -p site --host web-01; expect_status 0; expect_out "$1"; }

apply
first=$(table)
admit 8001
apply
second=$(table)

# Nobody confirms.
with_state rollback --confirm 2s
expect_status 0
expect_out "generation 1 is in force again"
refuse_out "after a reboot too"
expect_out "to generation 2 unless you confirm it"
[ "$(table)" = "$first" ] || complain "it did not go back"
with_state status --format json
expect_json 'd["pending"]["generation"] == 1 and d["pending"]["former"] == 2'
await_table "$second"
events applied applied rolled-back expired

# A boot comes first.
with_state rollback --confirm 1h
expect_status 0
boots "generation 2 is in force"
expect_err "generation 1 was not confirmed"
[ "$(table)" = "$second" ] || complain "what nobody confirmed was booted"

# Somebody confirms, and the way back is as if it had not waited.
with_state rollback --confirm 1h
with_state confirm
expect_status 0
boots "generation 1 is in force"
with_state rollback
expect_status 1
expect_err "nothing was in force before generation 1"

# By its number, and no time for what was confirmed before.
with_state rollback --to 2 --confirm 1h
expect_status 0
expect_out "unless you confirm it"
with_state rollback --confirm 1h
expect_status 0
expect_out "nothing has to be confirmed"
in_force 1 "$first"

# disable: the same.
with_state disable --confirm 8s
expect_status 0
expect_out "to generation 1 unless you confirm it"
none
with_state status --format json
expect_status 0
expect_json '"generation" not in d["pending"] and d["pending"]["former"] == 1'
with_state status
expect_out "pending   the removal of the table will be rolled back at"
with_state boot -p site --host web-01
expect_status 0
expect_out "nothing was loaded"
expect_out "unless you confirm it"
await_table "$first"
with_state disable --confirm 1h
apply
expect_status 1
expect_err "the removal of the table waits for \`rolewall confirm $with_dir\`"
boots "generation 1 is in force"
expect_err "the removal of the table was not confirmed"
with_state disable --confirm 1h
# What can be done now is named, and works.
with_state ban 192.0.2.7
expect_status 1
expect_err "the removal of the table waits for its confirmation: \`rolewall rollback $with_dir\` loads the policy again"
with_state confirm
expect_status 0
expect_out "confirmed: table inet rolewall stays away, after a reboot too"
none
boots "nothing was loaded"
with_state disable --confirm 1h
expect_status 0
expect_out "nothing to disable"
with_state rollback --confirm 1h
expect_status 0
expect_out "(to no table: nothing is filtered then) unless you confirm it"
[ "$(table)" = "$first" ] || complain "rollback does not load what was disabled"
with_state confirm
expect_status 0

# The rollback finds its way from wherever it runs: the state directory's path may be relative.
nft delete table inet rolewall
rolewall apply site --host web-01 --state-dir here
expect_status 0
in_policy=$(table)
admit 8123
rolewall apply site --host web-01 --state-dir here --confirm 2s
expect_status 0
[ "$(table)" != "$in_policy" ] || complain "nothing came into force"
await_table "$in_policy"

# What comes back in audit mode denies nothing by default, and that is said.
printf '\n[defaults]\nmode = "audit"\n' >>site/web.toml
rolewall apply site --host web-01 --state-dir here
expect_status 0
sed -i '/^mode = "audit"/d' site/web.toml
rolewall apply site --host web-01 --state-dir here
expect_status 0
rolewall rollback --state-dir here
expect_status 0
expect_out "audit mode"
echo "$checks checks"
