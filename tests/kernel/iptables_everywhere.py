#!/usr/bin/env python3
"""iptables_everywhere.py PROGRAM RULES-PROGRAM CORPUS-TEST [SEED COUNT]: each match and target, through all that reads rules.

Random rules of iptables, which have each option of each match and target (iptables_options.py), are loaded in a namespace.
Each match and target that is told there must be among them, or be named as one that this kernel has not. What
iptables-nft-save then writes goes through corpus_test: loaded, read, written as a snapshot and read, listed as bytecode as
nft lists it, written to the kernel by our netlink and read again, the same each time. `status`, and a question from the
file of `dump`, run with all of them in force. Rules with a set of ip_set are left out of corpus_test's networks, which
have none: in ruleset_judge each of them is written by our netlink too.
"""

import json
import os
import re
import sys
import tempfile

from iptables_options import MATCHES, TARGETS
from iptables_words import CHUNK, SKIPPED, in_namespace, names_of_sets, refused, run, say_and_exit, tables_of

# No kernel of the tests has these, or it takes them in places that it has not (iptables_options.py says why); unit tests
# read their payloads.
NOT_HERE = {"udplite", "SECMARK", "CONNSECMARK", "LED"}
ROLES = {"-m": MATCHES, "-j": TARGETS}


def names_in(text):
    """{"-m": {"tcp", ...}, "-j": {"LOG", ...}}"""
    return {flag: set(re.findall(rf" {flag} (\S+)", text)) for flag in ROLES}


def missing(saved):
    """Which of the lists stand in no rule. iptables writes the protocols' own and `-m comment` as words of the rule."""
    found = names_in(saved)
    same = {"state": "conntrack", "NOTRACK": "CT", "udplite": "udplite"}
    for flag, names in ROLES.items():
        for name in names:
            if name in found[flag] or same.get(name) in found[flag] or name in NOT_HERE:
                continue
            yield f"{flag} {name}"


def without_sets(saved):
    return "\n".join(line for line in saved.splitlines() if " -m set " not in line and " -j SET " not in line) + "\n"


def main():
    program, rules_program, corpus_test = sys.argv[1:4]
    seed, count = (sys.argv[4:6] + ["1", "240"])[:2] if len(sys.argv) > 5 else ("1", "240")
    for each in ("iptables-nft-restore", "ip6tables-nft-restore", "iptables-nft-save", "nft", "unshare", "ipset"):
        if run(["sh", "-c", f"command -v {each}"]).returncode != 0:
            say_and_exit(f"skipped: no {each}", SKIPPED)
    in_namespace()
    for words in ("link set lo up", "link add veth0 type veth peer name veth1", "address add 192.0.2.8/24 dev veth0",
                  "link set veth0 up", "link set veth1 up"):
        run(["ip", *words.split()])
    text = run([rules_program, seed, count]).stdout
    for name in names_of_sets([text]):
        family = "inet6" if name.startswith("s6") else "inet"
        mapped = ["skbinfo"] if "map" in name else []
        run(["ipset", "create", name, "hash:ip", "family", family, "timeout", "0", *mapped])
    left_out = []
    for (family, table), rules in sorted(tables_of(text).items()):
        for at in range(0, len(rules), CHUNK):
            refused(family, table, rules[at : at + CHUNK], left_out)
    saved = {"v4": run(["iptables-nft-save"]).stdout, "v6": run(["ip6tables-nft-save"]).stdout}
    faults = [f"in no rule: {each}" for each in missing(saved["v4"] + saved["v6"])]
    if os.environ.get("SHOW_REFUSALS"):
        print(*left_out, sep="\n")

    with tempfile.TemporaryDirectory() as scratch:
        dump = os.path.join(scratch, "dump.json")
        for words in (
            ["dump", "-o", dump],
            ["status", "--state-dir", os.path.join(scratch, "state"), "--format", "json"],
            ["eval", "--ruleset", dump, "tcp 192.0.2.7 > 192.0.2.8:22 in=veth0"],
        ):
            answer = run([program, *words])
            if answer.returncode != 0:
                faults.append(f"{words[0]} ends with {answer.returncode}: {answer.stderr.strip()[:300]}")
        if not faults:
            with open(dump, encoding="utf-8") as file:
                tables = json.load(file)["ruleset"]["tables"]
            read = sum(len(chain["rules"]) for table in tables for chain in table["chains"])
            written = sum(text.count("\n-A ") for text in saved.values())
            if read != written:
                faults.append(f"dump has {read} rules of {written}")
        os.mkdir(os.path.join(scratch, "iptables"))
        for version, rules in saved.items():
            with open(os.path.join(scratch, "iptables", f"all.{version}.save"), "w", encoding="utf-8") as file:
                file.write(without_sets(rules))
        os.environ.pop("ROLEWALL_CORPUS", None)
        trip = run([corpus_test, scratch, "--verbose", "--only", "all"])
        if trip.returncode != 0:
            faults.append(f"corpus_test ends with {trip.returncode}:\n{(trip.stdout + trip.stderr)[-3000:]}")
    for fault in faults:
        print(fault)
    print(trip.stdout.strip()[-600:])
    kinds = sum(map(len, ROLES.values()))
    print(f"{kinds} matches and targets, {sum(map(len, saved.values()))} bytes of rules, {len(left_out)} refused, {len(faults)} faults")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
