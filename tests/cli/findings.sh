# What a site makes of findings, by check and lint alike: allowed, weighed, chosen, known; and the exit status with it.
. "$(dirname "$0")/prelude.sh"

example_site site
for verb in check lint; do
  rolewall "$verb" site
  expect_status 0
  expect_out "no findings (4 allowed by the policy)"
  rolewall "$verb" site --strict
  expect_status 0
done
rolewall lint site --format json
expect_json 'd["ok"] and d["silenced"] == {"by_policy": 4, "left_out": 0, "in_baseline": 0, "gone": 0}'

# A weak point: a warning, which --strict counts.
sed -i '/^redirect-only/d' site/lb.toml
for verb in check lint; do
  rolewall "$verb" site
  expect_status 0
  expect_out "lb.inbound.http takes plain HTTP from the internet [plain-from-internet]"
  rolewall "$verb" site --strict
  expect_status 1
done
rolewall check site --strict --format json
expect_status 1
expect_json 'not d["ok"]'

# Chosen by codes; errors are not for choosing.
rolewall lint site --strict --ignore plain-from-internet,single-host
expect_status 0
expect_out "1 left out"
rolewall lint site --strict --select single-host --select no-tests
expect_status 0
rolewall lint site --ignore plain-from-internt
expect_status 2
expect_err 'did you mean `plain-from-internet`?'
rolewall lint site --select unknown-key
expect_status 2
expect_err "an error cannot be chosen or left out"

# A baseline knows a finding though its line moves, and tells what is new and what is gone.
rolewall lint site --write-baseline known.json
expect_status 0
expect_out "1 in the baseline"
sed -i '1i # one line more' site/lb.toml
rolewall check site --strict --baseline known.json
expect_status 0
expect_out "no findings (4 allowed by the policy, 1 in the baseline)"
printf '\n[[inbound]]\nid = "db"\nservice = "mongodb"\n' >>site/web.toml
rolewall lint site --strict --baseline known.json
expect_status 1
expect_out "[open-to-internet]"
refuse_out "[plain-from-internet]"
example_site clean
rolewall lint clean --baseline known.json
expect_status 0
expect_out "1 of the baseline no longer found"
echo '{}' >other.json
rolewall lint site --baseline other.json
expect_status 2
expect_err "not a baseline"
rolewall lint site --baseline no.json
expect_status 2
rolewall lint site --baseline known.json --write-baseline known.json
expect_status 2

# What a rule opens belongs to the finding: a database in it is a new one. With an error nothing is written.
example_site opened
printf '\n[[inbound]]\nid = "admin"\nservice = "ssh"\nfrom = "any"\n' >>opened/web.toml
rolewall lint opened --write-baseline opened.json
expect_status 0
sed -i 's/^service = "ssh"$/service = ["ssh", "mysql"]/' opened/web.toml
rolewall lint opened --strict --baseline opened.json
expect_status 1
expect_out "web.inbound.admin opens a database to the internet"
refuse_out "opens a management service"
cp opened.json as-it-was.json
printf 'limit = "x"\n' >>opened/web.toml
rolewall lint opened --write-baseline opened.json
expect_status 1
expect_err "opened.json is not written"
cmp opened.json as-it-was.json

# The site's own levels.
printf '\n[lint.level]\nopen-to-internet = "error"\nplain-from-internet = "note"\n' >>site/site.toml
rolewall lint site
expect_status 1
expect_out "error: web.inbound.db opens a database to the internet"
rolewall check site --ignore open-to-internet
expect_status 0
expect_out "note: lb.inbound.http"

# The same status in every form, and a form into a file beside another.
for form in text json sarif junit github markdown gitlab; do
  rolewall lint site --format "$form"
  expect_status 1
  rolewall lint clean --format "$form"
  expect_status 0
done
rolewall check site --also sarif=a.sarif --also junit=a.xml
expect_status 1
expect_out "open-to-internet"
grep -q '"version":"2.1.0"' a.sarif || complain "no SARIF in a.sarif"
grep -q '<testsuites' a.xml || complain "no JUnit in a.xml"
rolewall check site --also sarif
expect_status 2
expect_err "FORM=FILE"
rolewall check clean --also sarif=no/such/folder/a.sarif
expect_status 2
