# A log of bans that is gone or was emptied: boot and status say so, and nothing keeps a boot from going
# on. What a fallback prints to put it right works, without --host, too.
. "$(dirname "$0")/prelude.sh"
web_01 "$@"
apply
expect_status 0
rolewall ban 198.18.0.1 $with_dir
expect_status 0
cp -a "$state" "$scratch/kept"
for way in rm emptied; do
  rm -rf "$state" && cp -a "$scratch/kept" "$state"
  case $way in
    rm) rm "$state/bans.log" ;;
    *) : >"$state/bans.log" ;;
  esac
  play_reboot
  rolewall boot --as-unit $with_dir
  expect_status 0
  expect_out "generation 1 is in force"
  expect_err "bans.log is gone or empty, but bans or openings were recorded there"
  rolewall status $with_dir
  expect_out "bans.log is gone or empty"
  rolewall ban 198.18.0.1 $with_dir
  rolewall status $with_dir
  refuse_out "bans.log is gone or empty"
done
# Without any ban there is nothing to miss.
rolewall unban 198.18.0.1 $with_dir
expect_status 0
play_reboot
rolewall boot --as-unit $with_dir
refuse_err "bans.log"
play_reboot
rolewall boot --as-unit $with_dir
refuse_err "bans.log"

# The command is printed for the host that was applied.
printf x >"$state/generations/1/snapshot.json"
play_reboot
rolewall boot --as-unit $with_dir site
expect_status 0
refuse_out "--host ''"
expect_out "--host web-01"
