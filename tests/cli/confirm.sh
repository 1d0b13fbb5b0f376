# apply --confirm: without a confirmation the former state comes back, whatever becomes of the tool.
. "$(dirname "$0")/prelude.sh"
web_01 "$@"
await_rollback() {
  for _ in $(seq 100); do
    rolewall status --state-dir "$state" --format json
    case $out in *'"rolled_back"'*) return ;; esac
    sleep 0.1
  done
  complain "no rollback was recorded"
}

# The very first apply: there is no table to go back to.
apply --confirm 5s
expect_status 0
expect_out "unless you confirm it"
rolewall status --state-dir "$state" --format json
expect_json 'd["pending"]["generation"] == 1 and "former" not in d["pending"]'
await_rollback
await_table ""
rolewall confirm --state-dir "$state"
expect_status 1
expect_err "too late"

apply
expect_status 0
first=$(table)
rolewall confirm --state-dir "$state"
expect_status 0
expect_out "nothing to confirm"

# Confirmed in time, from another process.
admit 8001
apply --confirm 1h
expect_status 0
second=$(table)
# In another network namespace nothing of it is in force, nor comes to be.
program=$ROLEWALL_PROGRAM
printf '#!/bin/sh\nexec unshare -n "%s" "$@"\n' "$program" >"$scratch/elsewhere"
chmod 755 "$scratch/elsewhere"
ROLEWALL_PROGRAM="$scratch/elsewhere"
rolewall confirm --state-dir "$state"
expect_status 1
expect_err "in another network namespace"
ROLEWALL_PROGRAM=$program
[ "$first" != "$second" ] || complain "nothing was changed"
rolewall history --state-dir "$state" --format json
expect_json '[g["pending"] for g in d["generations"]][-1] and not d["generations"][-1]["boot"]'
rolewall confirm --state-dir "$state"
expect_status 0
rolewall history --state-dir "$state" --format json
expect_json 'd["generations"][-1]["boot"] and d["generations"][-1]["current"] and not d["generations"][-1]["pending"]'
rolewall confirm --state-dir "$state"
expect_status 0

# Not confirmed; another program writes all the time, and a ban comes in between.
admit 8002
apply --confirm 4s
expect_status 0
nft add element inet rolewall banned/4 '{ 198.51.100.9 timeout 1h }'
i=0
while [ $i -lt 60 ]; do nft add table ip "other$i"; i=$((i + 1)); sleep 0.02; done &
writer=$!
await_rollback
wait $writer
nft list set inet rolewall banned/4 | grep -q 198.51.100.9 || complain "the newer ban is gone"
nft list chain inet rolewall input | grep -q "jump banned-input" || complain "no packet is asked about the newer ban"
nft delete element inet rolewall banned/4 '{ 198.51.100.9 }'
for chain in input output forward; do
  handle=$(nft -a list chain inet rolewall $chain | sed -n "s/.*jump banned-$chain # handle //p")
  nft delete rule inet rolewall $chain handle "$handle"
done
await_table "$second"
expect_json 'd["rolled_back"]["why"].startswith("not confirmed by")'
rolewall status --state-dir "$state"
expect_status 0

# While one waits, another needs a confirmation too; both go back together.
admit 8003
apply --confirm 1h
expect_status 0
admit 8004
apply
expect_status 1
expect_err "waits for \`rolewall confirm $with_dir\`"
apply --confirm 1s
expect_status 0
await_rollback
await_table "$second"

# One that waits is undone at once by hand; then a generation back, and to a named one.
apply --confirm 1h
expect_status 0
rolewall rollback --state-dir "$state"
expect_status 0
[ "$(table)" = "$second" ] || complain "not the former table"
rolewall rollback --state-dir "$state"
expect_status 0
[ "$(table)" = "$first" ] || complain "not the table before"
rolewall rollback --state-dir "$state" --to 99
expect_status 2
expect_err "generation 99 is not kept"
apply --confirm soon
expect_status 2

# The process that waits is killed: what systemd's timer runs then goes back, and only then.
apply --confirm 5s
expect_status 0
rolewall rollback --expired --state-dir "$state"
expect_status 0
expect_out "nothing to roll back"
kill_watcher
sleep 6
[ "$(table)" != "$first" ] || complain "it was rolled back though nobody waits"
rolewall rollback --expired --state-dir "$state"
expect_status 0
expect_out "not confirmed in time"
[ "$(table)" = "$first" ] || complain "not the table before"
rolewall rollback --expired --state-dir "$state"
expect_out "nothing to roll back"
rolewall rollback --expired --to 2 --state-dir "$state"
expect_status 2
rolewall rollback --expired --state-dir "$scratch/none"
expect_status 0
[ ! -e "$scratch/none" ] || complain "a directory was made"

# A full disk: refused, and nothing is changed.
cat >"$scratch/full.sh" <<T
mount -t tmpfs -o size=1m none "$scratch/small" && cp -r "$state/." "$scratch/small/"
head -c 2000000 /dev/zero >"$scratch/small/fill" 2>/dev/null
exec "$ROLEWALL_PROGRAM" apply site --host web-01 --state-dir "$scratch/small" --confirm 1s
T
mkdir "$scratch/small"
ran="apply on a full disk"
status=0
unshare -m sh "$scratch/full.sh" >"$scratch/out" 2>"$scratch/err" || status=$?
expect_status 2
expect_err "No space left"
[ "$(table)" = "$first" ] || complain "a full disk has changed the table"

# The session ends, and everything in it is killed: the process that waits is not among them.
setsid sh -c "'$ROLEWALL_PROGRAM' apply site --host web-01 --state-dir '$state' --confirm 5s >/dev/null; kill -KILL 0"
[ "$(table)" != "$first" ] || complain "nothing was applied"
await_table "$first"
