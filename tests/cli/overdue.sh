# The process that waits is dead and the time is over: status says so and what to do, and the next
# verb that changes something carries the rollback out first.
. "$(dirname "$0")/prelude.sh"
web_01 "$@"
port=8000
overdue() {
  port=$((port + 1))
  printf '\n[[inbound]]\nid = "port-%s"\nservice = "tcp/%s"\nfrom = "office"\n' $port $port >>site/web.toml
  apply --confirm 1s
  expect_status 0
  kill_watcher
  sleep 1.2
  [ "$(table)" != "$first" ] || complain "it was rolled back though nobody waits"
}
carried_out() {
  nft list chain inet rolewall "web.inbound.port-$port" >/dev/null 2>&1 && complain "it was not rolled back"
  with_state history --format json
  expect_json 'any(e["event"] == "expired" and e["why"].startswith("not confirmed by") for e in d["events"][-3:])'
}

cp site/web.toml .
apply
expect_status 0
first=$(table)
overdue
with_state status
expect_status 1
expect_out "overdue"
expect_out "rolewall rollback --expired"
refuse_out "is rolled back at"
with_state status --format json
expect_status 1
expect_json 'd["pending"]["overdue"]'
with_state confirm
expect_status 1
expect_err "too late"
carried_out
[ "$(table)" = "$first" ] || complain "not the table before"
with_state status
expect_status 0

overdue
with_state rollback
expect_status 0
carried_out
[ "$(table)" = "$first" ] || complain "not the table before"
overdue
with_state ban 192.0.2.7 --for 1h
expect_status 0
expect_err "not confirmed by"
carried_out
with_state unban 192.0.2.7
overdue
cp web.toml site/web.toml
printf '\n[[inbound]]\nid = "other"\nservice = "tcp/9000"\nfrom = "office"\n' >>site/web.toml
apply
expect_status 0
expect_err "not confirmed by"
carried_out
overdue
with_state disable
expect_status 0
[ -z "$(table)" ] || complain "it is still there"
with_state rollback
expect_status 0
nft list chain inet rolewall "web.inbound.port-$port" >/dev/null 2>&1 && complain "what nobody confirmed came back"
:
