# rolewall test --kernel: the same tests, answered by a live kernel in namespaces.
. "$(dirname "$0")/prelude.sh"
need_namespaces

rolewall test "$ROLEWALL_SOURCE/policies" --kernel
expect_status 0
expect_out "all as expected"
# What cannot be put to it is said, with the reason.
expect_out "not asked: "
example_site wrong
printf '\n[[test]]\nname = "wrong on purpose"\ndeny = "https lb > self"\n' >>wrong/web.toml
rolewall test wrong --kernel --format json
expect_status 1
expect_json 'd["answered_by"] == "kernel" and d["tests"]["failed"] == 1'
expect_json 'next(r for r in d["tests"]["results"] if not r["passed"])["failures"][0]["hops"][-1]["decided_by"]["handle"] > 0'

# The sender is the user that the words mean: none that a rule names, where they say nothing. A
# network may be behind two devices.
site_of_srv '"203.0.113.10", "2001:db8:1::10"' other eth2
cat >site/server.toml <<'END'
role = "server"
[[inbound]]
id = "web"
service = "https"
from = "inside"
[[outbound]]
id = "root-dns"
service = "dns"
to = "office"
user = 0
[[outbound]]
id = "proxy"
service = "https"
to = "office"
user = 65534
[[test]]
name = "by user, and by device"
accept = ["dns self > office user=0", "https self > office user=65534",
          "https inside > self in=private", "https inside > self in=other"]
deny = ["dns self > office user=65534", "https self > office user=0", "https inside > self in=public"]
END
# Denials hold for every user, where they name none.
cat >>site/site.toml <<'END'
[[test]]
name = "by nobody whom a rule names"
deny = ["dns srv > office user=1000", "https srv > office user=1000"]
END
rolewall test site
expect_status 0
rolewall test site --kernel
expect_status 0
expect_out "all as expected"
