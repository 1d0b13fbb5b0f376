#!/usr/bin/env python3
"""usage: write_reference.py PROGRAM FILE...

Writes PROGRAM's man pages and shell completions. The FILEs must be all that there are: a verb whose
page is not installed is an error."""
import pathlib
import sys

import command_line
import completions
import man_pages
import policy_page


def main() -> int:
    if len(sys.argv) < 3:
        print(__doc__, file=sys.stderr)
        return 2
    source = pathlib.Path(__file__).resolve().parents[1] / "man"
    line = command_line.read(sys.argv[1])
    language = source.parents[1] / "docs/policy-language.md"
    texts = man_pages.pages(line, source) | completions.scripts(line)
    texts["rolewall-policy.5"] = policy_page.page(language.read_text(), line.version)
    wanted = {pathlib.Path(name).name: pathlib.Path(name) for name in sys.argv[2:]}
    if texts.keys() != wanted.keys():
        raise SystemExit(f"packaging/meson.build: not what there is: {sorted(texts.keys() ^ wanted.keys())}")
    for name, text in texts.items():
        wanted[name].write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
