# explain: from a rule's id to its line, its hosts and the kernel's rules.
. "$(dirname "$0")/prelude.sh"
site="$ROLEWALL_SOURCE/policies"

rolewall explain -p "$site" web.inbound.app-from-lb
expect_status 0
expect_out "web.toml:"
expect_out "of web-01, web-02"
expect_out "chain web.inbound.app-from-lb: counter"
expect_out "chain web.inbound.app-from-lb: accept"
rolewall explain -p "$site" web.inbound.app-from-lp
expect_status 2
expect_err 'did you mean `web.inbound.app-from-lb`?'
rolewall explain '(spoofed)'
expect_status 0
expect_out "built-in step"
rolewall explain -p "$site" web.inbound.app-from-lb --host db-01
expect_status 0
expect_out "db-01 does not have this rule"
# A finding's code, wherever it is asked.
rolewall explain shadowed-rule
expect_status 0
expect_out "shadowed-rule: a warning of \`check\`: earlier rules decide every packet"
expect_out "## What can happen"
expect_out "## Good"
rolewall explain no-sample
expect_status 0
expect_out "no-sample: an error of"
rolewall explain absent-device
expect_status 0
expect_out "absent-device: a finding of \`status\`: rules name a device"
expect_out "## How to mend it"
expect_out "\`ip link\` lists the devices"
rolewall explain names-unanswered
expect_out "## What can happen"
rolewall explain -p "$site" absent-devise
expect_status 2
expect_err 'did you mean `absent-device`?'
rolewall explain -p "$site" shadowed-rul
expect_status 2
expect_err 'did you mean `shadowed-rule`?'
