"""Breaches of the example site, seeded one by one: each must be found by its laws and tests, each
with a counterexample, and the live kernel must do with that packet what the counterexample says.

    breaches.py PROGRAM POLICIES SCRATCH [WORD]
"""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

# (name, file, text, in its place); "" for the text: at the end of the file.
BREACHES = [
    ("balancers write to the database", "db.toml", 'from    = "web"\non      = "db-primary"',
     'from    = ["web", "lb"]\non      = "db-primary"'),
    ("replication from everywhere inside", "db.toml", '[[inbound]]\nid      = "replication"\nservice = "mysql"\nfrom    = "db"',
     '[[inbound]]\nid      = "replication"\nservice = "mysql"\nfrom    = "inside"'),
    ("an address that is no sample", "db.toml", "",
     '[[inbound]]\nid = "vendor"\nservice = "tcp/7001"\nfrom = "8.8.4.0/24"\n'),
    ("a database calls out", "db.toml", "", '[[outbound]]\nid = "updates"\nservice = "https"\nto = "any"\n'),
    ("the office asks the application", "web.toml", 'id      = "app-from-lb"\nservice = "https"\nfrom    = "lb"',
     'id      = "app-from-lb"\nservice = "https"\nfrom    = ["lb", "office"]'),
    ("plain HTTP behind the balancer", "web.toml", 'id      = "app-from-lb"\nservice = "https"',
     'id      = "app-from-lb"\nservice = ["https", "http"]'),
    ("metrics for everyone", "web.toml", 'service = "nginx-exporter"\nfrom    = "prometheus"', 'service = "nginx-exporter"'),
    ("the partner on every web server", "web.toml", 'from    = "partner"\non      = "web-01"', 'from    = "partner"'),
    ("the replica is asked", "web.toml", 'service = "mysql"\nto      = "db-primary"', 'service = "mysql"\nto      = "db"'),
    ("ssh to the balancers", "lb.toml", "", '[[inbound]]\nid = "help"\nservice = "ssh"\n'),
    ("ports in the middle of a range", "lb.toml", "", '[[inbound]]\nid = "debug"\nservice = "tcp/7000-7100"\nfrom = "internet"\n'),
    ("balancers call anybody", "lb.toml", 'id      = "app"\nservice = "https"\nto      = ["web", "apps"]',
     'id      = "app"\nservice = "https"\nto      = "any"'),
    ("some users are left out", "lb.toml", 'service     = "https"\nlimit',
     'service     = "https"\nfrom        = ["any", "!192.0.2.128/25"]\nlimit'),
    ("builders log in outside", "gateway.toml", 'id      = "builders-out"\nservice = ["http", "https"]',
     'id      = "builders-out"\nservice = ["http", "https", "ssh"]'),
    ("all servers get out by the gateway", "gateway.toml", 'from    = "builders"\nto      = "internet"', 'from    = "inside"\nto      = "internet"'),
    ("the partner's port for everyone", "gateway.toml", 'service         = "tcp/8443"\nfrom            = "partner"\n',
     'service         = "tcp/8443"\n'),
    ("logs to anybody", "gateway.toml", 'to      = "collector"', 'to      = "internet"'),
    ("anybody logs in through the gateway", "gateway.toml", 'service = "ssh"\nfrom    = "management"', 'service = "ssh"'),
    ("builders count as management", "site.toml", 'management = "office" ', 'management = ["office", "builders"] '),
    ("resolvers are anybody", "site.toml", 'resolvers     = ["10.0.0.53", "fd00:db8::53"]\n', ""),
    ("what no rule matches gets in", "site.toml", 'inbound  = "drop"', 'inbound  = "accept"'),
    ("the shop's host serves the internet", "apps.toml", "", '[[inbound]]\nid = "shop-too"\nservice = "https"\n'),
    ("early drops take Prometheus", "lb.toml", "", '[[inbound]]\nid = "noise"\nservice = "node-exporter"\naction = "drop"\nearly = true\n'),
]


def run(program: str, *words: str, rules: pathlib.Path | None = None) -> dict:
    environment = os.environ | ({"ROLEWALL_RULES_DIR": str(rules)} if rules else {})
    done = subprocess.run([program, *words, "--format", "json"], capture_output=True, text=True, timeout=120,
                          env=environment)
    if not done.stdout.strip():
        raise SystemExit(f"rolewall {' '.join(words)}: {done.stderr}")
    return json.loads(done.stdout)


def seed(policies: pathlib.Path, site: pathlib.Path, file: str, old: str, new: str) -> None:
    shutil.rmtree(site, ignore_errors=True)
    shutil.copytree(policies, site)
    text = (site / file).read_text()
    if old and old not in text:
        raise SystemExit(f"{file} has no {old!r} any more: mend this list")
    text = text.replace(old, new, 1) if old else text + "\n" + new
    (site / file).write_text(text)


def counterexamples(answer: dict) -> list[tuple[str, str, str]]:
    """(the host that is asked alone or "", the packet, the verdict that was said)"""
    found = []
    for law in answer["laws"]["results"]:
        if law["outcome"] == "not proven":
            raise SystemExit(f"not proven: {law['packet']}: {law['why']}")
        if law["outcome"] == "broken":
            alone = law.get("host", "")
            example = law["counterexample"]
            if not alone and law["kind"] == "always":  # the host that denies was asked
                alone = example["hops"][-1]["host"]
            found.append((alone, example["packet"], example["verdict"]))
    for test in answer["tests"]["results"]:
        for failure in test.get("failures", []):
            if test["expected"] != "accept":
                found.append((test.get("host", ""), failure["packet"], failure["verdict"]))
    return found


TABLE = re.compile(r"^\[", re.M)


def strip(text: str) -> str:
    """Without its tests and laws."""
    starts = [match.start() for match in TABLE.finditer(text)] + [len(text)]
    kept = text[: starts[0]]
    for begin, end in zip(starts, starts[1:]):
        if not re.match(r"\[\[(test|never|always)\]\]", text[begin:end]):
            kept += text[begin:end]
    return kept


def asks_kernel(program: str, site: pathlib.Path, alone: str, packet: str, verdict: str) -> tuple[bool, str]:
    rules = site.parent / "rules-alone"
    shutil.rmtree(rules, ignore_errors=True)
    shutil.copytree(os.environ["ROLEWALL_RULES_DIR"], rules)
    for file in [*site.glob("*.toml"), *rules.glob("*.toml")]:
        file.write_text(strip(file.read_text()))
    role = "site"
    if alone:
        text = (site / "site.toml").read_text()
        role = re.search(r"\[hosts\." + alone + r"\]\nrole +=\s*\"([a-z]+)\"", text)[1]
        packet += "" if " at=" in packet else " at=self"
        packet = re.sub(r" at=" + alone + r"\b", " at=self", packet)
    table = f'\n[[test]]\nname = "as the kernel has it"\n{verdict} = "{packet}"\n'
    if alone:
        table += f'on = "{alone}"\n'
    path = site / f"{role}.toml"
    path.write_text(path.read_text() + table)
    answer = run(program, "test", str(site), "--kernel", rules=rules)
    asked = [test for test in answer["tests"]["results"] if test["test"] == "as the kernel has it"]
    if not asked:
        return False, f"was not asked: {answer['findings']}"
    if answer["tests"].get("left_out"):
        return False, f"cannot be asked: {answer['tests']['left_out_why']}"
    return asked[0]["passed"], json.dumps(asked[0].get("failures", ""))[:600]


def main() -> int:
    program, policies, scratch = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
    word = sys.argv[4] if len(sys.argv) > 4 else ""
    site = scratch / "breached"
    wrong = 0
    told = run(program, "test", str(policies))
    if not told["ok"]:
        raise SystemExit("the example site itself is not proven")
    for name, file, old, new in BREACHES:
        if word not in name:
            continue
        seed(policies, site, file, old, new)
        answer = run(program, "test", str(site))
        found = counterexamples(answer) if not answer["ok"] else []
        if not found:
            print(f"NOT FOUND: {name}: {answer['findings'][:2]}")
            wrong += 1
            continue
        confirmed, why = False, ""
        for alone, packet, verdict in found[:4]:
            seed(policies, site, file, old, new)
            confirmed, why = asks_kernel(program, site, alone, packet, verdict)
            if confirmed:
                print(f"found: {name}: {len(found)} counterexamples; the kernel, too: {packet}: {verdict}")
                break
            if "cannot be asked" not in why:
                break
        if not confirmed:
            print(f"NOT CONFIRMED: {name}: {found[0]}: {why}")
            wrong += 1
    print(f"{len(BREACHES)} breaches, {wrong} not found or not confirmed")
    return 1 if wrong else 0


sys.exit(main())
