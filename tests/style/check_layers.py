#!/usr/bin/env python3
"""Which folder of src/ may include which; docs/architecture.md shows the same table.

Also: an external library that belongs to one folder (or one file) is included nowhere else.

    check_layers.py            is it kept, and does the page show it?
    check_layers.py --write    write the page's table anew
"""
import pathlib
import re
import sys

MAY_INCLUDE = {
    "base": set(),
    "net": {"base"},
    "ruleset": {"base", "net"},
    "policy": {"base", "net"},
    "compile": {"base", "net", "policy", "ruleset"},
    "print": {"base", "net", "ruleset"},
    "eval": {"base", "net", "ruleset"},
    "analyze": {"base", "net", "ruleset", "policy", "eval"},
    "netlink": {"base", "net", "ruleset"},
    "observe": {"base", "net", "ruleset", "netlink", "eval"},
    "apply": {"base", "net", "ruleset", "netlink", "observe", "print", "eval", "analyze"},
    "sandbox": {"base", "net", "ruleset", "netlink", "observe", "eval"},
    "ask": {"base", "net", "policy", "compile", "ruleset", "print", "eval", "analyze"},
    "report": {"base", "net", "policy", "compile", "ruleset", "print", "ask"},
    "cli": {"base", "net", "ruleset", "policy", "compile", "print", "eval", "netlink", "observe",
            "analyze", "apply", "sandbox", "ask", "report"},
}
# Folders of which `eval` is open to another folder by these headers alone.
ONLY_HEADERS = {
    ("analyze", "eval"): {"eval/packet.h"},
    ("observe", "eval"): {"eval/packet.h"},
    ("sandbox", "eval"): {"eval/packet.h"},
}
# Folders that another folder may include in this one file alone.
ONLY_IN_FILE = {("analyze", "policy"): "denotation.h"}
# An external header's prefix, and the folders that may include it.
EXTERNAL = {
    "toml++/": {"policy"},
    "git2": {"policy"},
    "libnftnl/": {"netlink"},
    "libipset/": {"netlink"},
    "libmnl/": {"netlink", "sandbox"},
    "nlohmann/": {"print", "apply", "cli"},
    "CLI/": {"cli"},
    "pcap": {"eval"},
    "systemd/": {"apply"},
    "nettle/": {"apply"},
}
ONE_FILE = {"toml++/", "git2", "systemd/", "pcap", "libipset/", "CLI/", "nettle/"}
# In this folder one file includes it, in the others as many as like.
ONE_FILE_OF_FOLDER = {("nlohmann/", "cli")}
# A library's name, where it is not its headers' folder.
LIBRARY = {"nlohmann/": "nlohmann-json", "CLI/": "CLI11", "pcap": "libpcap", "git2": "libgit2", "systemd/": "libsystemd"}

PAGE = "docs/architecture.md"
BEGIN = "<!-- tests/style/check_layers.py --write -->\n"
END = "<!-- the table ends -->\n"

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def libraries(folder: str) -> str:
    """" (libnftnl, libmnl; libipset in one file)"; "" where the folder has none of its own."""
    many, one = [], []
    for prefix, folders in EXTERNAL.items():
        if folder in folders:
            name = LIBRARY.get(prefix, prefix.rstrip("/"))
            (one if prefix in ONE_FILE else many).append(name)
    alone = [", ".join(one) + " in one file"] if one else []
    text = "; ".join([", ".join(many)] * bool(many) + alone)
    return f" ({text})" if text else ""


def table() -> str:
    rows = ["| folder of src/ | may include |", "|---|---|"]
    for folder, others in MAY_INCLUDE.items():
        names = []
        for other in (name for name in MAY_INCLUDE if name in others):
            only = ONLY_HEADERS.get((folder, other))
            name = ", ".join(sorted(only)) + " alone" if only else other
            in_file = ONLY_IN_FILE.get((folder, other))
            names.append(f"{name} (in {in_file} alone)" if in_file else name)
        text = ", ".join(names) or "the standard library, fmt"
        if len(others) == len(MAY_INCLUDE) - 1:
            text = "everything"
        rows.append(f"| {folder}{libraries(folder)} | {text} |")
    return "\n".join(rows) + "\n"


def page_problems(root: pathlib.Path, write: bool) -> list[str]:
    page = root / PAGE
    before, begin, rest = page.read_text().partition(BEGIN)
    shown, end, after = rest.partition(END)
    if not begin or not end:
        return [f"{PAGE}: no table between {BEGIN.strip()} and {END.strip()}"]
    if shown == table():
        return []
    if write:
        page.write_text(before + begin + table() + end + after)
        return []
    return [f"{PAGE}: its table of folders is another: tests/style/check_layers.py --write"]


def main() -> int:
    root = pathlib.Path(__file__).resolve().parents[2]
    problems = []
    users = {prefix: set() for prefix in ONE_FILE} | {pair: set() for pair in ONE_FILE_OF_FOLDER}
    for path in sorted((root / "src").rglob("*")):
        if path.suffix not in (".h", ".cc"):
            continue
        folder = path.relative_to(root / "src").parts[0]
        name = path.relative_to(root)
        if folder not in MAY_INCLUDE:
            problems.append(f"{name}: folder {folder} is not in the table")
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            match = INCLUDE.match(line)
            if not match:
                continue
            quote, header = match.groups()
            where = f"{name}:{number}"
            if quote == '"':
                target = header.split("/")[0]
                if target == folder:
                    continue
                if target not in MAY_INCLUDE[folder]:
                    problems.append(f"{where}: {folder} may not include {header}")
                in_file = ONLY_IN_FILE.get((folder, target))
                if in_file is not None and path.name != in_file:
                    problems.append(f"{where}: in {folder} {in_file} alone may include {header}")
                only = ONLY_HEADERS.get((folder, target))
                if only is not None and header not in only:
                    problems.append(f"{where}: {folder} may include {sorted(only)} alone of {target}")
                continue
            for prefix, folders in EXTERNAL.items():
                if header.startswith(prefix) and folder not in folders:
                    problems.append(f"{where}: <{header}> belongs to {sorted(folders)}")
            for prefix in ONE_FILE:
                if header.startswith(prefix):
                    users[prefix].add(str(name))
            for pair in ONE_FILE_OF_FOLDER:
                if header.startswith(pair[0]) and folder == pair[1]:
                    users[pair].add(str(name))
    for key, files in users.items():
        if len(files) > 1:
            prefix = key if isinstance(key, str) else key[0]
            problems.append(f"<{prefix}> is included in more than one file: {sorted(files)}")
    problems += [f"src/{folder}/ is in the table and not there" for folder in MAY_INCLUDE
                 if not (root / "src" / folder).is_dir()]
    problems += page_problems(root, "--write" in sys.argv[1:])
    print("\n".join(problems) if problems else "every include is allowed")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
