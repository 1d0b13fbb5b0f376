#!/usr/bin/env python3
"""src/report/style.css as C++, with the hash by which the page permits it and no other style."""
import base64
import hashlib
import pathlib
import sys


def main() -> None:
    target, source = map(pathlib.Path, sys.argv[1:])
    text = source.read_text()
    if "<" in text or ')css"' in text:
        sys.exit(f"{source}: a style sheet has no `<`, which could end it within a page")
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    target.write_text("\n".join([
        '#include "report/html.h"', "", "namespace rolewall::report {", "",
        f'const Sheet kSheet{{R"css({text})css", "{digest}"}};', "", "}  // namespace rolewall::report", ""]))


if __name__ == "__main__":
    main()
