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


# Whom that shuts out which comes back by itself is said by whichever verb brings it back.
two_devices
ip address add 10.0.2.11/24 dev eth0
ip route add default via 10.0.2.1 dev eth0
export SSH_CONNECTION="198.51.100.7 50022 10.0.2.11 22"
cp web.toml site/web.toml
sed -i '1i skip = ["baseline.inbound.ssh"]' site/web.toml
apply --force
expect_status 0
cp web.toml site/web.toml
overdue
with_state ban 192.0.2.7 --for 1h
expect_status 0
expect_err "it shuts out: a new session from 198.51.100.7"
with_state unban 192.0.2.7

# What was confirmed is damaged: what was before it comes back, or else it is said what to do.
good=$(table)
apply --force
cp web.toml site/web.toml
printf '\n[[inbound]]\nid = "second"\nservice = "tcp/9001"\nfrom = "office"\n' >>site/web.toml
apply
expect_status 0
second=$(readlink "$state/current" | sed 's/.*\///')
overdue
echo >>"$state/generations/$second/snapshot.json"
with_state status
expect_status 1
expect_out "generation $second, in force before, cannot be loaded"
with_state rollback --expired
expect_status 0
expect_out "generation $((second - 1)) is in force again"

# pending.json is taken away: nobody has confirmed, and the process that waits rolls back in time.
for how in 'rm "$state/pending.json"' 'echo damaged >"$state/pending.json"'; do
  apply --force --read-all
  good=$(table)
  admit $((port += 1))
  apply --confirm 4s
  expect_status 0
  eval "$how"
  with_state status
  expect_status 1
  expect_out "pending.json: is"
  expect_out "at an unknown time (pending.json is gone or damaged)"
  apply
  expect_status 1
  expect_err "waits for \`rolewall confirm"
  await_table "$good"
  # The record is written after the table.
  for _ in $(seq 50); do
    [ ! -e "$state/pending.json" ] && break
    sleep 0.1
  done
  with_state status
  expect_status 0
done
