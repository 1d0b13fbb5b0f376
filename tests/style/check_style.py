#!/usr/bin/env python3
"""House rules that a machine can hold: see CONTRIBUTING.md."""
import pathlib
import re
import subprocess
import sys

LONGEST_FILE = 800
LONGEST_FUNCTION = 80
BAD_NAMES = {"utils", "util", "common", "manager", "helper", "helpers", "misc"}

# The names of our own table's chains, sets and steps, and how its log lines begin, stand in these
# files alone; everybody else asks there.
OWN_NAMES = {"src/ruleset/own_table.h", "src/ruleset/own_table.cc", "src/net/built_in_steps.h"}
OWN_NAME = re.compile(
    r'"\((?:loopback|established|banned|invalid|spoofed|allowed|default)\)"'
    r'|"(?:banned|allowed)(?:"|/)'
    r'|"(?:unusual|banned-[a-z]+|discovery|forwarding|dstnat|srcnat)"'
    r'|"(?:net|behind)/"|"[^"]*(?:/translated|/excess|/rate|/connections|-prefixes)(?:"|[46{])'
    r'|"(?:rolewall|\{\}) \{\} \{\}: "'
    r'|(?:find_chain|find_set|accepts_by_default|has_step)\([^"()]*(?:\([^()]*\)[^"()]*)*"'
)


def own_names(name: pathlib.Path, lines: list[str]) -> list[str]:
    if name.parts[0] != "src" or str(name) in OWN_NAMES:
        return []
    return [
        f"{name}:{number}: a name of our own table: take it from ruleset/own_table.h"
        for number, line in enumerate(lines, 1)
        if not line.lstrip().startswith(("//", "#include")) and OWN_NAME.search(line)
    ]


def is_closed_visit(body: str, lines: int) -> bool:
    """An arm for each alternative or enumerator: as long as what it visits, and read an arm at a
    time."""
    arms = len(re.findall(r"^\s*case |\[[^\]]*\]\((?:const )?[\w:]+&", body, re.MULTILINE))
    arms += sum(one_of.count(",") + 1 for one_of in re.findall(r"OneOf<([^>]*)>", body))
    return (("std::visit(" in body or "visit_closed(" in body) or "switch (" in body) and arms * 7 >= lines


def long_functions(lines: list[str]) -> list[tuple[int, int]]:
    """Where each begins that is too long, and its lines. By the formatter's hand: a function of a
    namespace begins and ends at the line's first column."""
    found = []
    begin = None
    for number, line in enumerate(lines, 1):
        if line == "}" and begin is not None:
            length = number - begin + 1
            body = "\n".join(lines[begin - 1 : number])
            if length > LONGEST_FUNCTION and not is_closed_visit(body, length):
                found.append((begin, length))
        if line.startswith("}") or line.endswith(";") and not line.startswith(" "):
            begin = None
        elif begin is None and re.match(r"[A-Za-z_].*\(", line) and not line.startswith("#"):
            begin = number
    return found


def main() -> int:
    root = pathlib.Path(__file__).resolve().parents[2]
    problems = []
    sources = sorted(
        path
        for top in ("src", "tests")
        for path in (root / top).rglob("*")
        if path.suffix in (".h", ".cc")
    )
    for path in sources:
        name = path.relative_to(root)
        text = path.read_text()
        lines = text.splitlines()
        if len(lines) > LONGEST_FILE:
            problems.append(f"{name}: {len(lines)} lines; {LONGEST_FILE} is one idea too many")
        if path.stem in BAD_NAMES:
            problems.append(f"{name}: name it for what it is")
        if path.suffix == ".h":
            if not text.startswith("//"):
                problems.append(f"{name}:1: a header begins by saying what it is")
            if "#pragma once" not in text:
                problems.append(f"{name}: no #pragma once")
            if '#include "base/check.h"' in text:
                problems.append(f"{name}: base/check.h is for .cc files")
        if name.parts[0] == "src":
            for number, length in long_functions(lines):
                problems.append(
                    f"{name}:{number}: {length} lines in one function, of at most {LONGEST_FUNCTION}"
                )
        problems += own_names(name, lines)
        for number, line in enumerate(lines, 1):
            if re.search(r"\bTODO\b|\bFIXME\b|\bXXX\b", line):
                problems.append(f"{name}:{number}: unfinished: {line.strip()}")
    formatted = subprocess.run(
        ["clang-format-19", "--dry-run", "--Werror", *map(str, sources)],
        capture_output=True,
        text=True,
        check=False,
    )
    if formatted.returncode != 0:
        problems.append(formatted.stderr.strip()[:4000])
    print("\n".join(problems) if problems else f"{len(sources)} files in style")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
