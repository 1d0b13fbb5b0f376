# The help groups the verbs, lists those that exist and no others, and has examples.
. "$(dirname "$0")/prelude.sh"

rolewall --help
expect_status 0
for group in policy: ask: server: emergency: tools:; do expect_out "$group"; done
expect_out "Examples:"
for verb in check lint test compile lock eval prove diff explain reach plan apply confirm rollback history boot status trace stats log refresh disable ban unban bans allow unallow dump schema report; do
  rolewall "$verb" --help
  expect_status 0
  expect_out "Examples:"
  expect_out "rolewall $verb"
done

rolewall --version
expect_status 0
expect_out "rolewall 0."

rolewall version
expect_status 0
expect_out "rolewall 0."
rolewall help
expect_status 0
expect_out "Examples:"
rolewall help eval
expect_status 0
expect_out "rolewall eval 'https internet > lb-01'"
rolewall help evil
expect_status 2
expect_err 'did you mean `eval`?'

rolewall chek
expect_status 2
expect_err 'did you mean `check`?'
rolewall rollback 3
expect_status 2
expect_err "rollback --to 3"
rolewall apply --dry-run
expect_status 2
expect_err "rolewall plan"
rolewall check --formt json
expect_status 2
rolewall check . extra-word
expect_status 2
rolewall compile --format yaml
expect_status 2
