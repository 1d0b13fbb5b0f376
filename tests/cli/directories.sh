# Which directory a verb takes: what is named, else for reading the current one; said where it was
# not named.
. "$(dirname "$0")/prelude.sh"

example_site policies
rolewall check
expect_status 0
expect_err "policies from policies"
rolewall check policies
refuse_err "policies from"
cd policies || exit 99
rolewall lint
expect_status 0
expect_err "policies from ./"
rolewall check web.toml
expect_status 2
expect_err "web.toml is a file: name its directory"
# A verb that touches the server never takes the current directory.
if [ ! -e /etc/rolewall ]; then
  rolewall apply --host web-01 --state-dir "$scratch/state"
  expect_status 2
  expect_err "/etc/rolewall"
fi
# The host is never guessed.
rolewall compile
expect_status 2
expect_err "--host"
rolewall compile --host web-1
expect_status 2
expect_err 'did you mean `web-01`?'
