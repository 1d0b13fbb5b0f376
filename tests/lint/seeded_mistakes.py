#!/usr/bin/env python3
"""Lint on the example site: three mistakes of each finding are found at their line, and no finding is on sites that are right.

A mistake is a list of edits; the line that must be named ends in `#@`. Usage: seeded_mistakes.py PROGRAM SOURCE
"""
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

import seeds

DATE = "2026-06-01"


def edited(source: pathlib.Path, folder: pathlib.Path, edits: list[tuple[str, str, str]]) -> pathlib.Path:
    """A copy of the example site. An edit: a file, what stands there ("" adds at the end), what comes in its place."""
    site = folder / "site"
    shutil.rmtree(site, ignore_errors=True)
    shutil.copytree(source / "policies", site)
    for name, old, new in edits:
        path = site / name
        path.parent.mkdir(exist_ok=True)
        text = path.read_text() if path.exists() else ""
        if old and old not in text:
            raise SystemExit(f"{name} lacks: {old}")
        path.write_text(text.replace(old, new, 1) if old else f"{text}\n{new}\n")
    return site


def marked(site: pathlib.Path) -> tuple[str, int]:
    places = [(str(path.relative_to(site)), number) for path in sorted(site.rglob("*.toml"))
              for number, line in enumerate(path.read_text().splitlines(), 1) if line.endswith("#@")]
    if len(places) != 1:
        raise SystemExit(f"one line must be marked, not {places}")
    return places[0]


def lint(program: str, source: pathlib.Path, site: pathlib.Path) -> list[dict]:
    done = subprocess.run([program, "lint", str(site), "--format", "json", "--date", DATE], capture_output=True, text=True,
                          env={"ROLEWALL_RULES_DIR": str(source / "rules")}, check=False)
    if not done.stdout:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout)["findings"]


def main() -> int:
    program, source = sys.argv[1], pathlib.Path(sys.argv[2])
    problems = []
    count = 0
    with tempfile.TemporaryDirectory() as folder:
        for code, mistakes in seeds.MISTAKES.items():
            if len(mistakes) < 3:
                problems.append(f"{code}: only {len(mistakes)} mistakes")
            for edits in mistakes:
                count += 1
                site = edited(source, pathlib.Path(folder), edits)
                file, line = marked(site)
                found = lint(program, source, site)
                if not any(f["code"] == code and f["file"] == f"{site}/{file}" and f.get("line") == line for f in found):
                    seen = [(f["code"], f.get("file", "")[len(str(site)) + 1:], f.get("line"), f["message"]) for f in found]
                    problems.append(f"{code} at {file}:{line} of {edits}: found {seen}")
        for name, edits in seeds.RIGHT.items():
            found = lint(program, source, edited(source, pathlib.Path(folder), edits))
            if found:
                problems.append(f"{name}: {[(f['code'], f['message']) for f in found]}")
    for problem in problems:
        print(problem)
    print(f"{count} mistakes, {len(seeds.RIGHT)} sites that are right: {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
