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
