#!/usr/bin/env python3
"""Lint on the example site: three mistakes of each finding are found at their line, and no finding is on sites that are right.

A mistake is a list of edits; the line that must be named ends in `#@`. Usage: seeded_mistakes.py PROGRAM SOURCE
"""
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import seeds

DATE = "2026-06-01"


def edited(source: pathlib.Path, folder: pathlib.Path, edits: list[tuple[str, str, str]]) -> pathlib.Path:
    """A copy of the example site, or nothing (ANEW). An edit: a file, what stands there ("" adds at the end), what comes in its place."""
    site = folder / "site"
    shutil.rmtree(site, ignore_errors=True)
    shutil.copytree(source / "policies", site)
    for name, old, new in edits:
        if (name, old, new) == seeds.ANEW:
            shutil.rmtree(site)
            site.mkdir()
            continue
        path = site / name
        path.parent.mkdir(exist_ok=True)
        text = path.read_text() if path.exists() else ""
        if old and old not in text:
            raise SystemExit(f"{name} lacks: {old}")
        path.write_text(text.replace(old, new, 1) if old else f"{text}\n{new}\n")
    return site


def marked(site: pathlib.Path) -> tuple[str, int | None]:
    """None: the file as a whole."""
    places = [(str(path.relative_to(site)), number if line.endswith("#@") else None) for path in sorted(site.rglob("*.toml"))
              for number, line in enumerate(path.read_text().splitlines(), 1) if line.endswith(("#@", "#@@"))]
    if len(places) != 1:
        raise SystemExit(f"one line must be marked, not {places}")
    return places[0]


def unseeded(source: pathlib.Path) -> list[str]:
    """Findings of valid policies that nobody has seeded three times; that errors have cases is for tests/unit/policy/cases_test.cc."""
    problems = []
    rows = re.findall(r'Code::\w+, (k\w+), "([a-z0-9-]+)"', re.sub(r"\s+", " ", (source / "src/policy/codes.cc").read_text()))
    for level, code in rows:
        here = len((seeds.MISTAKES | seeds.MISTAKES_OF_CHECK).get(code, []))
        if code in seeds.ELSEWHERE:
            if code not in (source / "tests" / seeds.ELSEWHERE[code]).read_text():
                problems.append(f"{code} is not in tests/{seeds.ELSEWHERE[code]}")
        elif here < 3 and (level != "kError" or here > 0):
            problems.append(f"{code}: only {here} mistakes")
    if len(rows) < 90:
        problems.append(f"only {len(rows)} codes were found")
    return problems


def findings(verb: str, program: str, source: pathlib.Path, site: pathlib.Path) -> list[dict]:
    done = subprocess.run([program, verb, str(site), "--format", "json", "--date", DATE], capture_output=True, text=True,
                          env={"ROLEWALL_RULES_DIR": str(source / "rules")}, check=False)
    if not done.stdout:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout)["findings"]


def all_mistakes() -> list[tuple[str, list]]:
    return [(code, edits) for table in (seeds.MISTAKES, seeds.MISTAKES_OF_CHECK) for code, mistakes in table.items()
            for edits in mistakes]


def main() -> int:
    program, source = sys.argv[1], pathlib.Path(sys.argv[2])
    problems = unseeded(source)
    count = 0
    with tempfile.TemporaryDirectory() as folder:
        for code, edits in all_mistakes():
            count += 1
            site = edited(source, pathlib.Path(folder), edits)
            file, line = marked(site)
            found = findings("check" if code in seeds.MISTAKES_OF_CHECK else "lint", program, source, site)
            if not any(f["code"] == code and f.get("file") == f"{site}/{file}" and f.get("line") == line for f in found):
                seen = [(f["code"], f.get("file", "")[len(str(site)) + 1:], f.get("line"), f["message"]) for f in found]
                problems.append(f"{code} at {file}:{line} of {edits}: found {seen}")
        for name, edits in seeds.RIGHT.items():
            found = findings("lint", program, source, edited(source, pathlib.Path(folder), edits))
            if found:
                problems.append(f"{name}: {[(f['code'], f['message']) for f in found]}")
    for problem in problems:
        print(problem)
    print(f"{count} mistakes, {len(seeds.RIGHT)} sites that are right: {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
