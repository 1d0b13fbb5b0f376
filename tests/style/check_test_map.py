#!/usr/bin/env python3
"""Holds tests/README.md's table of which test covers which source.

Every .cc of src/ has a test of its name in tests/unit/, or a row of the table that names it; every
row names sources and tests that are there. And every script of tests/cli/ is one that Meson runs.
"""
import fnmatch
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = ROOT / "tests/README.md"
ROW = re.compile(r"^\| (`[^|]*`) \| (`[^|]*`) \|$", re.M)


def words(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def words_in_quotes(text: str) -> set[str]:
    return set(re.findall(r"'([^']+)'", text))


def has_own_test(source: str) -> bool:
    folder, name = source.split("/")
    return (ROOT / "tests/unit" / folder / f"{name}_test.cc").is_file()


def main() -> int:
    section = PAGE.read_text().partition("## Which test covers which source\n")[2]
    rows = [(words(left), words(right)) for left, right in ROW.findall(section)]
    sources = [str(path.relative_to(ROOT / "src").with_suffix(""))
               for path in sorted((ROOT / "src").glob("*/*.cc"))]
    problems = [] if rows else ["tests/README.md: no table of sources and tests"]
    covered = {source for source in sources if has_own_test(source)}
    for patterns, tests in rows:
        for pattern in patterns:
            found = fnmatch.filter(sources, pattern)
            covered.update(found)
            if not found:
                problems.append(f"tests/README.md: no source is src/{pattern}.cc")
        problems += [f"tests/README.md: there is no tests/{test}" for test in tests
                     if not (ROOT / "tests" / test).exists()]
    problems += [f"src/{source}.cc: tests/README.md names no test that covers it"
                 for source in sources if source not in covered]
    listed = words_in_quotes((ROOT / "tests/cli/meson.build").read_text())
    problems += [f"tests/cli/meson.build: {script.name} is not run"
                 for script in sorted((ROOT / "tests/cli").glob("*.sh"))
                 if not listed & {script.stem, script.name, f"cli-{script.stem}"}
                 and script.name != "prelude.sh"]
    print("\n".join(problems) if problems else f"{len(sources)} sources, each with its tests")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
