# A state directory of a newer version, or without its `format`: nothing of it is read or written, by no
# verb, and what is advised is not refused.
. "$(dirname "$0")/prelude.sh"
web_01 "$@"

apply
expect_status 0
format=$(cat "$state/format")
listing() { (cd "$state" && find . -type f -exec cksum {} + | sort); }
for damage in "echo 99 >$state/format" "rm $state/format"; do
  echo "$format" >"$state/format"
  sh -c "$damage"
  before=$(listing)
  case $damage in
    echo*) why="written by a newer rolewall" ;;
    *) why="holds boot and no \`format\`" ;;
  esac
  for verb in "ban 192.0.2.5" "unban 192.0.2.5" "allow tcp/2222 from 192.0.2.9 --for 1h -p site" \
    "unallow tcp/2222 from 192.0.2.9 -p site" rollback disable confirm; do
    with_state $verb
    [ "$status" != 0 ] || complain "it is done"
    expect_err "$why"
  done
  with_state bans
  expect_status 1
  expect_err "$why"
  with_state status
  expect_status 1
  expect_out "$why"
  refuse_out "rolewall apply\` records it anew"
  refuse_out "put it right"
  rolewall boot -p site --host web-01 --state-dir "$state"
  refuse_out "To put it right: sudo rolewall apply"
  [ "$(listing)" = "$before" ] || complain "something was written"
done
