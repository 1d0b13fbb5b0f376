# What is easily mistyped: an empty value is no option left out, options go behind the verb, and what
# is missing is named.
. "$(dirname "$0")/prelude.sh"
example_site site

# A script's variable that is not set: `apply --confirm "$TIME"`.
for command in "apply site --confirm" "rollback --confirm" "disable --confirm" "ban 192.0.2.7 --for" \
  "allow ssh from 192.0.2.7 --for" "check --date" "check -p" "compile site --host" "plan --state-dir" "status --state-dir" \
  "rollback --to" "eval"; do
  # shellcheck disable=SC2086 # words
  rolewall $command ""
  expect_status 2
  expect_err "an empty value is none"
done
rolewall apply site --confirm=
expect_status 2

rolewall -p site check
expect_status 2
expect_err "options go behind the verb: \`rolewall check -p ...\`"
rolewall --version
expect_status 0

rolewall allow ssh 192.0.2.7 --for 1h
expect_status 2
expect_err "write \`ssh from 192.0.2.7\`"
rolewall allow ssh from
expect_status 2
expect_err "write \`ssh from ADDRESS\`"
rolewall allow ssh from 192.0.2.0/24 --for 1h
expect_status 2
expect_err "an opening is for one address"

rolewall log --group abc
expect_status 2
expect_err "--group = abc: not a number that it takes"

# In the folder of the policies the server's verbs still want to be told.
if [ ! -e /etc/rolewall/site.toml ]; then
  cd site || exit 99
  rolewall plan
  expect_status 2
  expect_err "\`-p .\` takes the site.toml here"
fi
echo "$checks checks"
