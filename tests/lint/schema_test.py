#!/usr/bin/env python3
"""`rolewall schema` holds what the parser holds: valid files are valid, and wrong keys and types are found by both.

Valid: the example sites, the shipped rules, the sites of tests/cases/site. Wrong: each known key misspelt, each with a value of
another type, asked of `rolewall lint` too. Usage: schema_test.py PROGRAM SOURCE
"""
import datetime
import json
import pathlib
import subprocess
import sys
import tempfile
import tomllib

try:
    import jsonschema
except ImportError:
    print("python3-jsonschema is not installed")
    sys.exit(77)

KINDS = ("any", "site", "role", "block", "services", "lock")


def plain(value: object) -> object:
    """As editors see TOML: a date is its text."""
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [plain(each) for each in value]
    return value.isoformat() if isinstance(value, (datetime.date, datetime.time)) else value


def kind_of(path: pathlib.Path) -> str:
    if path.suffix == ".lock":
        return "lock"
    if path.parent.name == "rules":
        return "services" if path.stem == "services" else "block"
    return "site" if path.stem == "site" else "role"


def is_valid(schema: dict, text: str) -> bool:
    return jsonschema.Draft7Validator(schema).is_valid(plain(tomllib.loads(text)))


# Of the small site below: what is wrong, and in which file.
WRONG = [
    ("site.toml", "[site]\nmanagment = \"office\"\n"), ("site.toml", "[site]\nname = 7\n"), ("site.toml", "hosts = 1\n"),
    ("site.toml", "[hosts.a]\nrole = \"web\"\n"), ("site.toml", "[hosts.a]\naddresses = \"10.0.0.9\"\n"),
    ("site.toml", "[hosts.a]\nrole = [\"web\"]\naddresses = [1]\n"), ("site.toml", "[networks]\na = 1\n"),
    ("site.toml", "[networks]\na = { files = \"x\" }\n"), ("site.toml", "[networks]\na = { keep = \"1h\" }\n"),
    ("site.toml", "[networks]\na = { names = \"a.example\", addresses = \"10.0.0.9\" }\n"), ("site.toml", "[services]\na = 443\n"),
    ("site.toml", "[kinds]\ndatabases = \"mysql\"\n"), ("site.toml", "[kinds]\ndatabase = 1\n"),
    ("site.toml", "[lint]\nlevels = {}\n"), ("site.toml", "[lint]\nlevel = { no-tests = \"loud\" }\n"),
    ("site.toml", "[lint]\nlevel = { no-such = \"off\" }\n"), ("site.toml", "[defaults]\ninbound = \"deny\"\n"),
    ("site.toml", "[defaults]\nmode = \"off\"\n"), ("site.toml", "[defaults]\nlog = true\n"),
    ("site.toml", "[defaults]\nlog = { rate = \"1/second\" }\n"), ("site.toml", "[interfaces.a]\nname = \"eth0\"\n"),
    ("site.toml", "[interfaces.a]\ndevice = [\"eth0\"]\n"), ("site.toml", "[site]\nallow-finding = { no-such = \"x\" }\n"),
    ("site.toml", "[site]\nallow-finding = { no-tests = true }\n"), ("site.toml", "[[inbound]]\nservice = \"http\"\n"),
    ("web.toml", "[[inbound]]\nport = 80\nid = \"a\"\n"), ("web.toml", "[[inbound]]\nservice = 80\nid = \"a\"\n"),
    ("web.toml", "[[inbound]]\nservice = \"http\"\nlog = \"yes\"\n"), ("web.toml", "[[inbound]]\nservice = \"http\"\naction = \"deny\"\n"),
    ("web.toml", "[[inbound]]\nservice = \"http\"\nconnections = \"5\"\n"), ("web.toml", "[[inbound]]\nservice = \"http\"\nexpires = 5\n"),
    ("web.toml", "[[inbound]]\nservice = \"http\"\nfrom = []\n"), ("web.toml", "[[inbound]]\nservice = \"http\"\nout = \"a\"\n"),
    ("web.toml", "[[outbound]]\nservice = \"http\"\nearly = true\n"), ("web.toml", "[[outbound]]\nservice = \"http\"\nredirect-only = \"x\"\n"),
    ("web.toml", "[[forward]]\nid = \"a\"\nmss = true\n"), ("web.toml", "[[nat]]\nid = \"a\"\naction = \"accept\"\n"),
    ("web.toml", "[[test]]\naccepts = \"http any > self\"\n"), ("web.toml", "[[test]]\nname = [\"a\"]\naccept = \"http any > self\"\n"),
    ("web.toml", "[hosts.b]\nrole = \"web\"\naddresses = \"10.0.0.2\"\n"), ("web.toml", "[defaults]\noutbound = 1\n"),
    ("rules/own.toml", "use = \"baseline\"\n"), ("rules/own.toml", "[defaults]\ninbound = \"drop\"\n"),
    ("rules/own.toml", "[[inbound]]\nservice = [1]\n"), ("rules/services.toml", "[networks]\na = \"10.0.0.1\"\n"),
    ("rules/services.toml", "[kinds]\nagent = 1\n"),
]
SMALL = {
    "site.toml": '[hosts.w]\nrole = "web"\naddresses = "10.0.0.1"\n', "web.toml": 'role = "web"\nuse = "own"\n',
    "rules/own.toml": 'description = "own"\n', "rules/services.toml": "[services]\nmine = \"tcp/99\"\n",
}


def main() -> int:
    program, source = sys.argv[1], pathlib.Path(sys.argv[2])
    schemas = {}
    for kind in KINDS:
        schemas[kind] = json.loads(subprocess.run([program, "schema", kind], capture_output=True, text=True, check=True).stdout)
        jsonschema.Draft7Validator.check_schema(schemas[kind])
    problems = []
    files = [path for folder in ("policies", "docs/examples", "rules", "tests/cases/site")
             for pattern in ("*.toml", "*.lock") for path in sorted((source / folder).rglob(pattern))
             if path.name != "case.toml" and "not-yet" not in path.read_text()]
    count = 0
    for path in files:
        text = path.read_text()
        kind = kind_of(path)
        if path.parts[-2] != "rules" and kind == "role" and "role" not in tomllib.loads(text):
            continue  # a test's own file
        count += 1
        names = (kind,) if kind == "lock" else (kind, "any")
        problems += [f"{path} is not valid as {name}" for name in names if not is_valid(schemas[name], text)]
    for name, wrong in WRONG:
        with tempfile.TemporaryDirectory() as folder:
            for file, text in SMALL.items():
                path = pathlib.Path(folder) / file
                path.parent.mkdir(exist_ok=True)
                path.write_text(text + ("\n" + wrong if file == name and not wrong.startswith(("hosts =", "use =")) else ""))
            path = pathlib.Path(folder) / name
            if wrong.startswith(("hosts =", "use =")):
                path.write_text(wrong)
            text = path.read_text()
            done = subprocess.run([program, "lint", folder], capture_output=True, text=True, check=False,
                                  env={"ROLEWALL_RULES_DIR": str(source / "rules")})
            if done.returncode == 0:
                problems.append(f"lint takes {wrong!r} in {name}")
            try:
                if is_valid(schemas[kind_of(path)], text):
                    problems.append(f"the schema takes {wrong!r} in {name}")
            except tomllib.TOMLDecodeError as error:
                problems.append(f"{wrong!r}: {error}")
    for problem in problems:
        print(problem)
    print(f"{count} valid files, {len(WRONG)} wrong ones: {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
