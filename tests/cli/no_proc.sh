# Where /proc is not mounted, nobody sees whose sessions are open, and one boot cannot be told from another:
# the reason is said, a rollback must be armed, and nothing is believed of the kernel.
. "$(dirname "$0")/prelude.sh"
web_01 "$@"
apply
expect_status 0
first=$(table)
mount -t tmpfs none /proc
admit 8001
with_state plan site --host web-01
expect_status 0
expect_out 'refused   by `apply`, since this would be lost: the ssh sessions that are open'
apply
expect_status 1
expect_err "/proc is not mounted"
expect_err "mount -t proc proc /proc"
[ "$(table)" = "$first" ] || complain "a refused apply has changed the table"
apply --confirm 5m
expect_status 0
expect_err "/proc is not mounted"
second=$(table)
[ "$second" != "$first" ] || complain "nothing was applied"
with_state confirm
expect_status 0

# Another boot, in which the kernel has counted as far: what was applied last is not taken to be there.
nft flush ruleset
for _ in 1 2 3 4 5 6; do nft add table ip other && nft delete table ip other; done
apply --confirm 5m
expect_status 0
refuse_out "nothing to do"
[ "$(table)" = "$second" ] || complain "what the record says is not in force"
with_state confirm
expect_status 0
umount /proc
apply
expect_status 0
echo "$checks checks"
