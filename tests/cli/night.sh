# What whoever is called at night sees of status, plan, apply and boot, in each state that a host may
# be in: what is urgent first, with the command to use, and no more than a screen.
. "$(dirname "$0")/prelude.sh"
web_01 "$@"

# On a screen of 80 columns and 24 lines, the prompt's among them.
fits() {
  checks=$((checks + 1))
  height=$(cat "$scratch/out" "$scratch/err" | fold -w 80 | wc -l)
  [ "$height" -le 24 ] || complain "it takes $height lines of a screen"
}
# begins N TEXT: one of the first N lines has TEXT.
begins() {
  checks=$((checks + 1))
  head -n "$1" "$scratch/out" | grep -qF -- "$2" || complain "its first $1 lines lack: $2"
}
status() { with_state status; fits; }
plan() { with_state plan site --host web-01; fits; }
boot() { with_state boot -p site --host web-01; fits; }
restore() {
  kill_watcher
  rm -rf "$state"
  cp -a "$1" "$state"
  nft flush ruleset
}

# Nothing applied.
status
begins 2 "nothing yet"
plan
begins 1 "policy rules:"
expect_out "rolewall plan --all"
boot
expect_out "nothing was loaded"
[ ! -e "$state" ] || complain "it made a state directory for nothing"

# In force.
apply
fits
expect_out "generation 1 is in force"
status
expect_status 0
begins 1 "in force"
begins 2 "generation 1 for web-01"
plan
begins 1 "nothing to do"
admit 8001
apply
fits
expect_out "The way back: sudo rolewall rollback $with_dir    to generation 1, in force before"
status
begins 4 "sudo rolewall rollback $with_dir    to generation 1"
with_state ban 192.0.2.7
cp -a "$state" "$scratch/kept"

# Much of everything: what is urgent is still there.
for port in $(seq 9001 9040); do admit "$port"; done
plan
expect_out "more: rolewall plan --all"
with_state plan site --host web-01 --all
expect_out "web.inbound.port-9040"

# Waiting.
apply --confirm 1h
fits
expect_out "to generation 2 unless you confirm it"
expect_out "sudo rolewall confirm"
expect_out "sudo rolewall rollback"
status
begins 2 "generation 3 will be rolled back at"
grep -qE 'rolled back at [0-9TZ:-]+ \((in 1h|in 59m [0-9]+s)\) to generation 2' "$scratch/out" || complain "not in how long"
begins 2 "to generation 2"
begins 3 "keep it: sudo rolewall confirm $with_dir    undo it now: sudo rolewall rollback $with_dir"
plan
begins 1 "generation 3 will be rolled back at"
apply
expect_status 1
fits
expect_err "waits for \`rolewall confirm $with_dir\`"
nft flush ruleset
status
expect_status 1
begins 1 "nothing"
begins 2 "will be rolled back at"
begins 6 "load it again: sudo rolewall boot $with_dir"
boot
expect_out "sudo rolewall confirm"

# The process that waits is dead, long before its time: nobody would do it.
kill_watcher
sleep 0.2
status
expect_status 1
expect_out "but nobody will roll it back at"
expect_out "the process that waits is dead"
expect_out "keep it: sudo rolewall confirm $with_dir    undo it now: sudo rolewall rollback $with_dir"
plan
expect_out "the process that waits is dead"
with_state status --format json
expect_json "d['pending']['watched'] is False and d['pending']['overdue'] is False"

# Overdue.
apply --confirm 1s
kill_watcher
sleep 1.2
status
expect_status 1
begins 2 "should have been rolled back at"
begins 2 "s ago)"
begins 3 "sudo rolewall rollback --expired"
plan
begins 1 "should have been rolled back at"

# Expired.
with_state rollback --expired
status
expect_out "generation 3 at"
expect_out "not confirmed by"

# Changed by others: some of it, much of it.
nft insert rule inet rolewall input tcp dport 1 drop
status
expect_status 1
begins 2 "drift"
begins 2 "rule \`tcp dport 1 drop\` in chain input was added"
begins 3 "put it right: sudo rolewall apply"
for port in $(seq 60); do nft add rule inet rolewall input tcp dport "$port" drop; done
status
begins 6 "other differences"
expect_out "generation 2"
with_state status --all
expect_out "drift"

# Flushed.
nft flush ruleset
status
expect_status 1
begins 1 "nothing"
begins 3 "flushed or deleted, as nftables.service does"
begins 4 "load it again: sudo rolewall boot $with_dir"

# After a reboot, before anything was loaded.
restore "$scratch/kept"
boot
play_reboot
status
expect_status 1
begins 3 "nothing has loaded it since the machine was restarted"
begins 4 "load it again: sudo rolewall boot $with_dir"
refuse_out "nftables.service"

# The record is damaged; then the boot that had to fall back.
restore "$scratch/kept"
echo >>"$state/generations/2/snapshot.json"
status
expect_status 1
begins 2 "cannot be read"
begins 4 "rolewall apply"
boot
expect_status 0
expect_err "cannot be loaded"
expect_out "To put it right: sudo rolewall apply"
status
expect_status 1
begins 4 "the current policy is in force since the boot at"
begins 5 "put it right: sudo rolewall apply"
expect_out "put it right: sudo rolewall apply"

# The generation before is damaged: what can be gone back to is named, and alone that.
restore "$scratch/kept"
boot
admit 9201
apply
echo >>"$state/generations/2/snapshot.json"
status
expect_status 0
begins 3 "way back  sudo rolewall rollback --to 1 $with_dir    to generation 1, in force before"
expect_out "generation 2, in force before, cannot be loaded"
with_state rollback
expect_status 1
expect_err "\`rolewall rollback --to 1 $with_dir\`"

# The history is lost.
rm "$state/history.log"
status
expect_status 1
expect_out "history.log: is gone: what was in force before cannot be told"
expect_out "sudo rolewall rollback --to N $with_dir"

# Bans are lost.
restore "$scratch/kept"
echo damaged >"$state/bans.log"
boot
expect_status 0
expect_err "bans.log"
expect_out "generation 2 is in force"

# The disk is full.
restore "$scratch/kept"
boot
mount -t tmpfs -o size=400k none "$state"
cp -a "$scratch/kept/." "$state/"
admit 9101
head -c 1000000 /dev/zero >"$state/filled" 2>/dev/null
apply
[ "$status" != 0 ] || complain "it says that it is recorded"
fits
expect_err "No space left"
status
fits
boot
expect_status 0
expect_out "generation 2 is in force"
umount "$state"

# Audit mode.
restore "$scratch/kept"
sed -i 's/^forward = .*/&/; s/^\[defaults\]/&\nmode = "audit"/' site/site.toml
apply --force
fits
expect_out "audit mode: the defaults deny nothing"
status
begins 1 "audit mode"
plan
begins 1 "audit mode"
nft flush ruleset
boot
begins 1 "audit mode"
echo "$checks checks"
