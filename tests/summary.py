#!/usr/bin/env python3
"""The closing line of tests/run, from the logs that `meson test` writes.

A doctest executable counts as its test cases; any other test as one, or as what it says itself in
a line `N passed, N failed, N skipped`. Exits 1 where anything failed or nothing ran.
"""
import json
import re
import sys

DOCTEST = re.compile(r"test cases:\s+\d+ \|\s+(\d+) passed \|\s+(\d+) failed \|\s+(\d+) skipped")
PLAIN = re.compile(r"^(\d+) passed, (\d+) failed, (\d+) skipped$", re.MULTILINE)


def counts(test):
    """(passed, failed, skipped) of one test of meson's."""
    if test["result"] == "SKIP":
        return 0, 0, 1
    said = DOCTEST.search(test.get("stdout") or "") or PLAIN.search(test.get("stdout") or "")
    passed, failed, skipped = map(int, said.groups()) if said else (1, 0, 0)
    if test["result"] not in ("OK", "EXPECTEDFAIL"):
        # It died or timed out: its own count cannot be trusted to hold that.
        failed = max(failed, 1)
        passed = passed if said else 0
    return passed, failed, skipped


def main() -> int:
    total = [0, 0, 0]
    for path in sys.argv[1:]:
        with open(path, encoding="utf-8") as log:
            for line in log:
                test = json.loads(line)
                found = counts(test)
                total = [a + b for a, b in zip(total, found)]
                if found[2]:
                    reason = (test.get("stdout") or test.get("stderr") or "").strip()
                    print(f"skipped: {test['name']}: {reason.splitlines()[-1] if reason else '?'}")
                if found[1]:
                    print(f"FAILED: {test['name']}")
    print(f"{total[0]} passed, {total[1]} failed, {total[2]} skipped")
    return 1 if total[1] or not total[0] else 0


if __name__ == "__main__":
    sys.exit(main())
