# apply --sandbox: all of it, in a namespace, without root, and nothing of this machine is touched.
. "$(dirname "$0")/prelude.sh"
need_namespaces

rolewall apply --sandbox "$ROLEWALL_SOURCE/policies" --host web-01 --print
expect_status 0
expect_out "generation 1 is in force"
expect_out "table inet rolewall {"
expect_out "chain web.inbound.app-from-lb {"
expect_out "nothing on this machine was changed"

example_site wrong
printf '\n[[test]]\nname = "wrong on purpose"\ndeny = "https lb > self"\n' >>wrong/web.toml
rolewall apply --sandbox wrong --host web-01
expect_status 1
expect_err "refused, nothing was changed"
expect_err 'failed: deny "https lb > self"'
