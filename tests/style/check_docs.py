#!/usr/bin/env python3
"""What a user can write or be told stands in docs/policy-language.md, and what ships is tried.

Every key and finding of the front end, every name of an ICMP type and every shipped block has its
line in the reference, and nothing is there that is not in the code; every shipped block is used by
tests/cases/site/every-block, where what it must not let through is asked.
"""
import pathlib
import re
import sys
import tomllib

ROOT = pathlib.Path(__file__).resolve().parents[2]
DOCS = "docs/policy-language.md"


def text(path: str) -> str:
    return (ROOT / path).read_text()




def section(page: str, title: str) -> str:
    """What stands under a heading, up to the next of its level."""
    found = re.search(rf"^## {re.escape(title)}$(.*?)(?=^## |\Z)", page, re.M | re.S)
    if not found:
        sys.exit(f"{DOCS}: no section {title}")
    return found.group(1)


def first_cells(body: str) -> list[str]:
    """The words in backticks of each table row's first cell."""
    words = []
    for row in re.findall(r"^\| ([^|]*) \|", body, re.M):
        words += re.findall(r"`([^`]+)`", row)
    return words


def findings() -> set[str]:
    row = re.compile(r'CodeRow\{\s*Code::\w+,\s*k\w+,\s*"([a-z0-9-]+)",\s*(?:"[^"]*"\s*)+\}')
    codes = set(row.findall(text("src/policy/codes.cc")))
    for path in (ROOT / "src").glob("[ac]*/*.cc"):
        codes |= set(re.findall(r'\.(?:error|warning|note)\(\s*"([a-z0-9-]+)"', path.read_text()))
    return codes


def compare(what: str, in_code: set[str], in_docs: set[str]) -> list[str]:
    problems = [f"{DOCS}: {what} `{word}` is not documented" for word in sorted(in_code - in_docs)]
    problems += [f"{DOCS}: {what} `{word}` does not exist" for word in sorted(in_docs - in_code)]
    return problems


def main() -> int:
    page = text(DOCS)
    problems = compare("finding", findings(), set(first_cells(section(page, "Errors"))))

    keys = set(re.findall(r'Key\{"([a-z-]+)",\s*(?:KeyType::)?(\w+)', text("src/policy/keys.cc")))
    for key, kind in sorted(keys):
        written = rf"`\[*{key}\]*`|\b{key} = "
        if key not in {"hosts", "interfaces", "networks", "services", "site"} and not re.search(
            written, page
        ):
            problems.append(f"{DOCS}: key `{key}` is not documented")

    types = set(re.findall(r'IcmpType\{"([a-z0-9-]+)"', text("src/net/icmp_types.h")))
    rows = re.findall(r"^\| `icmp(?:v6)?/` \| (.*) \|$", page, re.M)
    problems += compare("ICMP type", types, set(re.findall(r"`([^`]+)`", " ".join(rows))))

    blocks = {path.stem for path in (ROOT / "rules").glob("*.toml")} - {"services"}
    table = section(page, "Roles and blocks").split("The shipped blocks:")[1]
    problems += compare("block", blocks, set(first_cells(table)))
    site = ROOT / "tests/cases/site/every-block"
    used = set()
    for path in site.glob("*.toml"):
        used |= set(tomllib.loads(path.read_text()).get("use", []))
    problems += [f"{site.relative_to(ROOT)}: no role uses {name}" for name in sorted(blocks - used)]

    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
