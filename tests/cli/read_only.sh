# A state directory that can be read and not written, or has no inode left: rollback and disable do it
# in the kernel and say what is not recorded; status compares with the kernel.
. "$(dirname "$0")/prelude.sh"
web_01 "$@"
mkdir "$scratch/disk"
mount -t tmpfs -o size=8m none "$scratch/disk" 2>/dev/null || { echo "skipped: no tmpfs"; exit 77; }
state="$scratch/disk/state"
with_dir="--state-dir $state"
read_only() { mount -o remount,ro "$scratch/disk"; }
writable() { mount -o remount,rw "$scratch/disk"; }

apply
expect_status 0
first=$(table)
admit 8001
apply --confirm 1h
expect_status 0
second=$(table)
read_only
# Nothing is opened: one answer.
with_state unallow tcp/8443 from 192.0.2.7 -p site
expect_status 0
expect_out "was not opened"
refuse_err "it is done"
with_state confirm
expect_status 2
expect_err "generation 2 is rolled back at"
apply --confirm 1h
expect_status 2
expect_err "nothing was changed"
with_state rollback --confirm 5m
expect_status 2
expect_err "cannot be armed"
[ "$(table)" = "$second" ] || complain "something was changed"
with_state rollback
[ "$status" != 0 ] || complain "it is not recorded, and it says nothing of that"
expect_out "generation 1 is in force again"
expect_err "not recorded"
[ "$(table)" = "$first" ] || complain "it is not generation 1"
with_state status
expect_status 1
expect_out "generation 2 is rolled back already and generation 1 is in force again"
refuse_out "drift"
refuse_out "keep it"
writable
with_state rollback
expect_status 0
in_force 1 "$first"

# The timer comes to its end meanwhile.
apply --confirm 3s
expect_status 0
read_only
await_table "$first"
sleep 1
with_state status
expect_status 1
expect_out "generation 1 is in force again"
refuse_out "overdue"
refuse_out "drift"
with_state rollback --expired
expect_status 0
expect_out "nothing to roll back"
with_state rollback
expect_out "generation 1 is in force again"
[ "$(table)" = "$first" ] || complain "it is not generation 1"
with_state disable
[ "$status" != 0 ] || complain "it is not recorded, and it says nothing of that"
expect_out "rolewall filters nothing"
expect_err "not recorded"
expect_err "a boot loads generation 1"
refuse_err "once the time"
[ -z "$(table)" ] || complain "the table is there"
# Nor does the next verb bring it back, as if nobody had done anything since the time was over.
with_state unban 192.0.2.7
[ -z "$(table)" ] || complain "the table is there"
writable
rolewall boot -p site --host web-01 --state-dir "$state"
expect_status 0
in_force 1 "$first"
with_state history
refuse_out "rolewall disable"

# No inode is left: what is done is history, and what of the record is not says so.
umount "$scratch/disk"
mount -t tmpfs -o size=8m,nr_inodes=60 none "$scratch/disk"
apply
expect_status 0
i=0
while touch "$scratch/disk/$i" 2>/dev/null; do i=$((i + 1)); done
with_state disable
[ "$status" != 0 ] || complain "it is not recorded, and it says nothing of that"
expect_out "rolewall filters nothing"
expect_err "not recorded"
[ -z "$(table)" ] || complain "the table is there"
umount "$scratch/disk"
