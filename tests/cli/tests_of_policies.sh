# rolewall test: each failure at its line, with the packet and the line that decides.
. "$(dirname "$0")/prelude.sh"

rolewall test "$ROLEWALL_SOURCE/policies"
expect_status 0
expect_out "all as expected"

example_site wrong
line=$(($(wc -l <wrong/web.toml) + 4))
cat >>wrong/web.toml <<'TOML'

[[test]]
name   = "wrong on purpose"
deny   = "https lb > self"
TOML
rolewall test wrong
expect_status 1
expect_out "wrong/web.toml:$line:"
expect_out 'failed: deny "https lb > self" on web-01 is accepted'
expect_out "web.inbound.app-from-lb"
rolewall test wrong --format json
expect_status 1
expect_json 'd["tests"]["failed"] == 1 and not d["ok"]'
expect_json '[r["line"] for r in d["tests"]["results"] if not r["passed"]] == ['"$line, $line"']'
expect_json 'next(r for r in d["tests"]["results"] if not r["passed"])["failures"][0]["verdict"] == "accept"'
# In every form for CI systems: the packet, and the rule that lets it pass.
for form in sarif junit github markdown gitlab; do
  rolewall check wrong --format $form
  expect_status 1
  sed 's/&#[0-9]*;/?/g; s/&gt;/?/g' "$scratch/out" | tr '>:_' '???' | grep -q 'is accepted?.*tcp 10.*web.inbound.app-from-lb, .*web.toml' ||
    complain "$form lacks the packet or the rule of a failed test"
done
rolewall explain test-failed
expect_status 0
expect_out "What can happen"

sed -i 's/^deny   = "https lb > self"/accept = "https lb > self"\nby = "baseline.inbound.ssh"/' wrong/web.toml
rolewall test wrong
expect_status 1
expect_out "but by web.inbound.app-from-lb and not by baseline.inbound.ssh"
sed -i 's/^accept = "https lb > self"/accept = "https 2001:db8::1 > 10.0.2.10 at=self"/; /^by = "baseline/d' wrong/web.toml
rolewall test wrong
expect_status 1
expect_out "[no-sample]"
