# What cannot be read is said by name, without a hang, a crash or a guess.
. "$(dirname "$0")/prelude.sh"

rolewall check nowhere
expect_status 2
expect_err "nowhere"
rolewall check
expect_status 2
expect_err "no policies found"
mkdir empty
rolewall check empty
expect_status 2
expect_err "site.toml"

example_site huge
truncate -s 100M huge/web.toml
rolewall check huge
expect_status 2
expect_out "web.toml"
example_site directory
rm directory/web.toml && mkdir directory/web.toml
rolewall check directory
expect_status 2
expect_out "web.toml"
example_site fifo
rm fifo/web.toml && mkfifo fifo/web.toml
rolewall check fifo
expect_status 2
expect_out "web.toml"
# A list that is missing is told where it is named.
example_site list
rm list/lists/*
rolewall check list
expect_status 2
expect_out "list/site.toml:"
example_site bytes
printf '\377\376' >>bytes/web.toml
rolewall check bytes
expect_status 1
expect_out "[invalid-utf8]"

export ROLEWALL_RULES_DIR=/nonexistent
rolewall check "$ROLEWALL_SOURCE/policies"
expect_status 2
expect_err "ROLEWALL_RULES_DIR"
