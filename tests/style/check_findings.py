#!/usr/bin/env python3
"""Holds the tables of tests/README.md that name, for each thing that was found wrong, the test that holds the
right value: no number is missing, every test exists, and so does what is named within it.

What stands behind a test and a colon is a scene of it: a function of guard_live.sh's scenes, a kind or a row of
lock_outs.sh, else a word of the script.
"""
import os
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
TESTS = ROOT / "tests"
ROW = re.compile(r"^\| ([A-Z])(\d+) \|.*\|([^|]*)\|$", re.M)
MOST = {"G": 16, "S": 21}  # of these two nothing may be left out


def trials() -> list[str]:
    os.environ.setdefault("ROLEWALL_PROGRAM", "none")
    os.environ.setdefault("ROLEWALL_STATE", "none")
    sys.path.insert(0, str(TESTS / "support"))
    from lock_out_trials import TRIALS
    return [f"{trial.kind}: {trial.name}" for trial in TRIALS]


def is_scene(test: str, word: str, rows: list[str]) -> bool:
    if test == "cli/lock_outs.sh":
        return any(word in row for row in rows)
    if test == "cli/guard_live.sh":
        text = (TESTS / "support/live_guard.py").read_text()
        return f"def {word}(" in text and len(re.findall(rf"\b{word}\b", text)) > 1  # and run
    return word in (TESTS / test).read_text()


def main() -> int:
    rows = trials()
    problems, seen = [], {letter: set() for letter in MOST}
    text = (TESTS / "README.md").read_text()
    for letter, number, cell in ROW.findall(text):
        seen.setdefault(letter, set()).add(int(number))
        name = letter + number
        tests = re.findall(r"`([\w./-]+)`(?:: ([^;`]+))?", cell)
        if not tests:
            problems.append(f"{name} names no test")
        for test, scenes in tests:
            if not (TESTS / test).exists() and not (ROOT / test).exists():
                problems.append(f"{name}: there is no tests/{test}")
                continue
            problems += [f"{name}: {test} has nothing called `{word}`"
                         for word in filter(None, (each.strip() for each in scenes.split(",")))
                         if not is_scene(test, word, rows)]
    for letter, most in MOST.items():
        problems += [f"{letter}{number} is not there" for number in range(1, most + 1)
                     if number not in seen[letter]]
    print("\n".join(f"tests/README.md: {each}" for each in problems) if problems else
          f"{sum(len(numbers) for numbers in seen.values())} findings, each with the tests that hold it")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
