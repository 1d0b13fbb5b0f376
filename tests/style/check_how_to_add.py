#!/usr/bin/env python3
"""Goes through the lists of docs/architecture.md, "How to add".

Each list has an example that is there. Every file that the list names exists and names the example
(of a folder: one file in it). Where a list says "Every file of src/ with `A` or `B` is here.", every
file that has one of them as a word is in it, so that no place is left out.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = "docs/architecture.md"
PLACE = re.compile(r"`((?:src|tests|docs|packaging)/[^`]*)`")


def names(path: pathlib.Path, examples: list[str]) -> bool:
    """As words: `osf` is in run_osf and in "osf", and not in `closfit`."""
    if path.is_dir():
        return any(names(file, examples) for file in path.rglob("*") if file.is_file())
    text = path.name + "\n" + path.read_text(errors="replace")
    return any(re.search(rf"(?<![A-Za-z0-9]){re.escape(word)}(?![A-Za-z0-9])", text)
               for word in examples)


def check(title: str, text: str) -> list[str]:
    where = f"{PAGE}, {title}"
    example = re.search(r"^Example: (`[^`]+`(?:, `[^`]+`)*)", text, re.M)
    if not example:
        return [f"{where}: no line \"Example: `...`\""]
    examples = re.findall(r"`([^`]+)`", example.group(1))
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    places = [place for cell in rows for place in PLACE.findall(cell)]
    if not places:
        return [f"{where}: names no place"]
    problems = []
    for place in places:
        path = ROOT / place
        if not path.exists():
            problems.append(f"{where}: there is no {place}")
        elif not names(path, examples):
            problems.append(f"{where}: {place} does not name {' or '.join(examples)}")
    return problems + left_out(where, text, places)


def left_out(where: str, text: str, places: list[str]) -> list[str]:
    """Where the list says that it has every file of src/."""
    said = re.search(r"Every file of src/ with (`[^`]+`(?: or `[^`]+`)*) is here\.",
                     " ".join(text.split()))
    if not said:
        return []
    marks = re.findall(r"`([^`]+)`", said.group(1))
    return [f"{where}: {path.relative_to(ROOT)} has {' or '.join(marks)} and is left out"
            for path in sorted((ROOT / "src").rglob("*"))
            if path.suffix in (".h", ".cc") and str(path.relative_to(ROOT)) not in places
            and names(path, marks)]


def main() -> int:
    section = re.search(r"^## How to add$(.*?)(?=^## |\Z)", (ROOT / PAGE).read_text(), re.M | re.S)
    lists = re.split(r"^### (.*)$", section.group(1), flags=re.M)[1:] if section else []
    if not lists:
        print(f"{PAGE}: no lists of how to add")
        return 1
    problems = []
    for title, text in zip(lists[::2], lists[1::2]):
        problems += check(title, text)
    print("\n".join(problems) if problems else f"{len(lists) // 2} lists, every place there")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
