# lock writes the whole lock or nothing.
. "$(dirname "$0")/prelude.sh"

mkdir plain
printf '[site]\nname = "plain"\n[hosts.h]\nrole = "r"\naddresses = "192.0.2.1"\n' >plain/site.toml
printf 'role = "r"\n' >plain/r.toml
rolewall lock plain
expect_status 0
expect_out "nothing to lock"
[ -e plain/rolewall.lock ] && complain "a lock was written"

example_site named
cp named/rolewall.lock before
sed -i 's/names *= *\[.*\]/names = ["no-such-name.invalid"]/' named/site.toml
rolewall lock named
expect_status 3
expect_err "no-such-name.invalid"
expect_err "named/site.toml:"
expect_err "1 of 1 name could not be resolved: named/rolewall.lock stays as it was"
cmp -s before named/rolewall.lock || complain "the old lock was touched"
# Unlocked names are an error everywhere else.
rolewall check named
expect_status 1
expect_out "[not-locked]"
