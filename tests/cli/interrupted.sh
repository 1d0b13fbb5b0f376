# Who was killed between the record and the commit leaves pending.json and a generation of what never
# was in force: nothing waits, the history says so, and the next verb goes on. Who was killed after
# the commit leaves no event: the next verb writes it.
. "$(dirname "$0")/prelude.sh"
web_01 "$@"

apply
expect_status 0
first=$(table)
admit 8001
apply --confirm 1h
expect_status 0
cp "$state/pending.json" "$scratch/armed"
with_state rollback
expect_status 0
# As it stands when an apply dies after it is armed.
leave() {
  kill_watcher
  cp "$scratch/armed" "$state/pending.json"
  cp -a "$state/generations/2" "$state/generations/3"
  mkdir "$state/generations/4.new"
  : >"$state/pending.json.Ab12Cd"
  : >"$state/bans.log.Ab12Cd"
}

leave
with_state status
expect_status 0
refuse_out "waits"
refuse_out "nobody will"
refuse_out "overdue"
with_state history
expect_out "3  "
expect_out "no event says that it was in force"
refuse_out "not confirmed yet"
grep -o '^ *[23]  ' "$scratch/out" | tr -d ' \n' | grep -q '^32$' || complain "not in the order of events"
with_state history --format json
expect_json "[g.get('in_history') for g in d['generations']] == [None, None, False]"
expect_json "not any(g['pending'] for g in d['generations'])"

# confirm, which changes something, finds nothing, and leaves nothing.
with_state confirm
expect_status 1
expect_err "rolled back"
for left in pending.json pending.json.Ab12Cd generations/4.new; do
  [ ! -e "$state/$left" ] || complain "$left is left"
done
in_force 1 "$first"

# Bans have a lock of their own; a boot reads them.
play_reboot
rolewall boot -p site --host web-01 --state-dir "$state"
expect_status 0
[ ! -e "$state/bans.log.Ab12Cd" ] || complain "half of bans.log is left"

# What did come into force, and was not recorded, is rolled back as it should be.
apply --confirm 1h
expect_status 0
cp "$state/pending.json" "$scratch/armed"
with_state rollback
kill_watcher
cp "$scratch/armed" "$state/pending.json"
nft flush chain inet rolewall input
with_state status
expect_status 1
expect_out "pending"
with_state rollback
expect_status 0
in_force 1 "$first"

# It took the place of one that waits: that one waits on, until the newer time is over.
kill_watcher
apply --confirm 1h
expect_status 0
second=$(table)
number=$(readlink "$state/current"); number=${number##*/}
cp -a "$state" "$scratch/kept"
admit 8002
apply --confirm 2h
expect_status 0
kill_watcher
cp "$state/pending.json" "$scratch/armed"
rm -r "$state"
mv "$scratch/kept" "$state"
rolewall boot -p site --host web-01 --state-dir "$state"
expect_status 0
[ "$(table)" = "$second" ] || complain "what waits was not put back"
cp "$scratch/armed" "$state/pending.json"
with_state status
expect_out "generation $number waits for its confirmation"
with_state confirm
expect_status 0
in_force "$number" "$second"

# An apply that was killed after its commit, before the boot's link: a restart would load what was before.
boots=$(readlink "$state/boot")
admit 8077
apply
expect_status 0
latest=$(readlink "$state/boot")
[ "$latest" != "$boots" ] || complain "the boot's link did not change"
ln -sfn "$boots" "$state/boot"
with_state status
expect_status 1
expect_out "when the machine is restarted, generation $number is loaded and not"
expect_out "rolewall apply"
apply
expect_status 0
[ "$(readlink "$state/boot")" = "$latest" ] || complain "the next apply does not complete it"
with_state status
refuse_out "when the machine is restarted"

# An apply that was killed before its event, and a rollback before its own: both are written.
before=$(readlink "$state/current")
before=${before##*/}
admit 8078
apply
expect_status 0
number=$(readlink "$state/current")
number=${number##*/}
sed -i '$d' "$state/history.log"
with_state rollback
expect_status 0
with_state history --format json
expect_json "[(e['event'], e.get('to')) for e in d['events']][-2:] == [('applied', $number), ('rolled-back', $before)]"
sed -i '$d' "$state/history.log"
with_state history
expect_out "generation $number was rolled back (interrupted before it was written down)"
sed -i '$d' "$state/history.log"
with_state disable
expect_status 0
admit 8079
apply
expect_status 0
expect_out "generation $((number + 1)) is in force"
# One that was killed right after its commit: what the kernel holds was made ready.
before=$((number + 1))
number=$((number + 2))
admit 8080
apply
expect_status 0
sed -i '$d' "$state/history.log"
for link in current boot; do ln -sfn "generations/$before/../$before" "$state/$link"; done
with_state rollback
expect_status 0
with_state history --format json
expect_json "[(e['event'], e.get('to')) for e in d['events']][-2:] == [('applied', $number), ('rolled-back', $before)]"
apply
expect_status 0

# Bans of which the log was lost are in force, and no longer than until a restart.
with_state ban 192.0.2.7 --for 1h
expect_status 0
: >"$state/bans.log"
with_state status
expect_status 1
expect_out "bans.log: knows none of the bans"
with_state ban 192.0.2.7 --for 1h
with_state status
refuse_out "knows none"
