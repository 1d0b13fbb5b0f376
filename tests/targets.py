#!/usr/bin/env python3
"""Prints what ninja must build for the tests of a build folder: its own `all` is every test's.

usage: targets.py FOLDER [--without SUITE]...
"""
import argparse
import json
import os
import subprocess


def introspect(folder: str, what: str) -> list[dict]:
    told = subprocess.run(["meson", "introspect", what, folder], capture_output=True, check=True)
    return json.loads(told.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder")
    parser.add_argument("--without", action="append", default=[], metavar="SUITE")
    options = parser.parse_args()

    without = {f"rolewall:{suite}" for suite in options.without}
    needed = set()
    for test in introspect(options.folder, "--tests"):
        if not without & set(test["suite"]):
            needed |= set(test["depends"])
    for target in introspect(options.folder, "--targets"):
        if target["id"] in needed:
            for file in target["filename"]:
                print(os.path.relpath(file, os.path.realpath(options.folder)))


if __name__ == "__main__":
    main()
