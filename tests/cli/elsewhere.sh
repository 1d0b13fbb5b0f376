# A state directory tells of one network namespace: in another, what changes the record or the kernel by it refuses, and
# what puts it in force there says so.
. "$(dirname "$0")/prelude.sh"
web_01 "$@"
program=$ROLEWALL_PROGRAM
printf '#!/bin/sh\nexec unshare -n "%s" "$@"\n' "$program" >"$scratch/elsewhere"
chmod 755 "$scratch/elsewhere"
there() { ROLEWALL_PROGRAM=$program; }
elsewhere() { ROLEWALL_PROGRAM="$scratch/elsewhere"; }
refuses() {
  with_state "$@"
  expect_status "${refused:-1}"
  expect_err "in force in another network namespace"
  expect_err "Nothing was changed"
}

# Nothing is in force: it is nobody's.
elsewhere
with_state disable
expect_status 0
refuse_err "in another network namespace"
there
apply
expect_status 0
admit 8001
apply
expect_status 0
second=$(table)
with_state ban 192.0.2.77 --for 1h
expect_status 0
before=$(cat "$state/history.log" "$state/bans.log")

elsewhere
refuses rollback
refuses rollback --to 1
refuses disable
refuses disable --confirm 1m
refuses confirm
refuses refresh
refuses ban 192.0.2.78 --for 1h
refuses unban 192.0.2.77
refuses allow ssh from 192.0.2.9 --for 1h -p site
refuses unallow ssh from 192.0.2.9 -p site
with_state status
expect_status 1
expect_out "in force in another network namespace: act there"
refuse_out "nftables.service"
refuse_out "way back"
with_state status --format json
expect_json 'd["elsewhere"] and not d["same_boot"]'
there
[ "$before" = "$(cat "$state/history.log" "$state/bans.log")" ] || complain "the record has changed"
[ "$(table)" = "$second" ] || [ -n "$(table)" ] || complain "the table is gone"
with_state status
expect_status 0
refuse_out "another network namespace"

# What waits there is neither ended nor passed over by an apply here.
admit 8002
apply --confirm 1h
expect_status 0
elsewhere
apply --confirm 1h
expect_status 1
expect_err "in force in another network namespace"
there
with_state confirm
expect_status 0

# Who puts it in force here hears that the record is this one's from now on.
elsewhere
with_state boot
expect_status 0
expect_err "in force in another network namespace"
with_state boot
admit 8003
apply
expect_status 0
expect_err "in force in another network namespace"
there
with_state rollback
expect_status 1
expect_err "in force in another network namespace"
with_state boot
expect_status 0
with_state rollback
expect_status 0
