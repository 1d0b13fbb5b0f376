#!/usr/bin/env python3
"""iptables_words.py PROGRAM RULES-PROGRAM [SEED COUNT] [--corpus FOLDER]: rules of iptables in our words and in its own.

Random rules (iptables_rules.cc), and the corpus' where there is one, are loaded by iptables-nft-restore in a namespace;
what `rolewall dump` says of each match and target must stand in iptables-nft-save's line of that rule, in this order, and
beside them nothing but what iptables has made into expressions of nf_tables. No packet is sent, so that the rules of many
rulesets stand in one table, each chain with its ruleset's number. A rule that this kernel or iptables refuses is left out.
"""

import json
import os
import re
import subprocess
import sys
import tempfile

SKIPPED = 77
IN_NAMESPACE = "ROLEWALL_WORDS_IN_NAMESPACE"
CHUNK = 400  # rules loaded at once
MOST_SHOWN = 12

# What is not an expression of xt: the rule's own options, verdicts, and matches that iptables 1.8.9 writes as nft would.
NATIVE = [
    r"(! )?-[sd] \S+", r"(! )?-[io] \S+", r"(! )?-p \S+", r"(! )?-f", r"-[jg] \S+",
    r"-m (tcp|udp|mark|limit|comment|sctp|dccp)",
    r"(! )?--(sport|dport|mark|limit|limit-burst) \S+", r"(! )?--tcp-flags \S+ \S+",
    r'-j NFLOG|--nflog-(prefix|group|threshold|size|range) ("[^"]*"|\S+)', r'--comment ("[^"]*"|\S+)',
    r"-j TRACE",
]
NATIVE_ONLY = re.compile(r"^(\s*(" + "|".join(NATIVE) + r"))*\s*$")


def say_and_exit(text, status):
    print(text)
    sys.exit(status)


def in_namespace():
    if os.environ.get(IN_NAMESPACE):
        return
    os.environ[IN_NAMESPACE] = "1"
    ours = [sys.executable, *sys.argv]
    if os.geteuid() == 0:
        os.execvp("unshare", ["unshare", "-n", *ours])
    os.execvp("unshare", ["unshare", "-r", "-n", *ours])


def run(command, text=None):
    return subprocess.run(command, input=text, capture_output=True, text=True, check=False)


def tables_of(text):
    """{(family, table): [(chain, rule)]}; chains are renamed, so that several rulesets fit into one table."""
    tables, number, family, table, chains = {}, 0, "ip", None, {}
    for line in text.splitlines():
        if line.startswith("# ip6tables"):
            family = "ip6"
        elif line.startswith("# ruleset"):
            number, family = line.split()[2], "ip"
        elif line.startswith("*"):
            table, chains = (family, line[1:].strip()), {}
        elif line.startswith(":"):
            name = line[1:].split()[0]
            chains[name] = f"r{number}c{len(chains)}"
        elif line.startswith("-A "):
            _, name, *rest = line.split(" ", 2)
            rest = re.sub(r"(-[jg]) (\S+)", lambda m: m[1] + " " + chains.get(m[2], m[2]), rest[0] if rest else "")
            tables.setdefault(table, []).append((chains.setdefault(name, f"r{number}c{len(chains)}"), rest))
    return tables


def refused(family, table, rules, found):
    """Which of the rules are not taken: by halves."""
    chains = sorted({chain for chain, _ in rules} | set(re.findall(r"-[jg] (r\d+(?:corpus)?c\d+)", " ".join(rest for _, rest in rules))))
    text = f"*{table}\n" + "".join(f":{chain} - [0:0]\n" for chain in chains)
    text += "".join(f"-A {chain} {rest}\n" for chain, rest in rules) + "COMMIT\n"
    program = "iptables-nft-restore" if family == "ip" else "ip6tables-nft-restore"
    answer = run([program, "--noflush"], text)
    if answer.returncode == 0:
        return
    if len(rules) == 1:
        found.append((rules[0][1], answer.stderr.strip().splitlines()[:1]))
        return
    middle = len(rules) // 2
    refused(family, table, rules[:middle], found)
    refused(family, table, rules[middle:], found)


def saved_lines(family):
    """{(table, chain): [line, ...]}"""
    program = "iptables-nft-save" if family == "ip" else "ip6tables-nft-save"
    lines, table = {}, None
    for line in run([program]).stdout.splitlines():
        if line.startswith("*"):
            table = line[1:]
        elif line.startswith("-A "):
            chain, _, rest = line[3:].partition(" ")
            lines.setdefault((table, chain), []).append(rest)
    return lines


# iptables before 1.8.10 does not say that all of a range is negated ("never"), and says "0:0" as "0", which it reads as
# all from 0 on.
UNSAID = re.compile(r" ! --(?:[sd]port 0:65535|(?:esp|ah)spi 0:4294967295|mh-type 0:255)")


def as_said(words, line):
    """Our words without what this iptables leaves unsaid of them."""
    shorter = UNSAID.sub(lambda m: m[0] if m[0] in " " + line else "", words)
    return shorter.replace("--connbytes 0:0", "--connbytes 0")


def differs(line, words):
    """What is not alike, or None. Names of groups and realms are this machine's, of which the kernel knows numbers."""
    left = []
    line = re.sub(r"(--(?:src|dst)-group|--realm) (?:default|cosmos)\b", r"\1 0x0", line)
    rest = " " + line + " "
    for each in words:
        each = as_said(each, line)
        at = rest.find(" " + each + " ")
        if at < 0:
            return f"has not: {each}"
        left.append(rest[:at])
        rest = " " + rest[at + len(each) + 2 :]
    left.append(rest)
    for part in left:
        if not NATIVE_ONLY.match(part):
            return f"has more: {part.strip()}"
    return None


def names_of_sets(texts):
    return sorted({name for text in texts for name in re.findall(r"--(?:match|add|del|map)-set (\S+)", text)})


def main():
    arguments = sys.argv[1:]
    corpus = None  # a folder of what iptables-save has written, NAME.v4.save and NAME.v6.save
    if "--corpus" in arguments:
        at = arguments.index("--corpus")
        corpus = arguments[at + 1]
        del arguments[at : at + 2]
    program, rules_program = arguments[:2]
    seed, count = (int(arguments[2]), int(arguments[3])) if len(arguments) > 2 else (1, 400)
    for each in ("iptables-nft-restore", "ip6tables-nft-restore", "iptables-nft-save", "unshare", "ipset"):
        if run(["sh", "-c", f"command -v {each}"]).returncode != 0:
            say_and_exit(f"skipped: no {each}", SKIPPED)
    in_namespace()
    texts = [run([rules_program, str(seed), str(count)]).stdout]
    for number, name in enumerate(sorted(os.listdir(corpus)) if corpus and os.path.isdir(corpus) else []):
        with open(os.path.join(corpus, name), encoding="utf-8", errors="replace") as file:
            family = "# ip6tables\n" if name.endswith(".v6.save") else ""
            texts.append(f"# ruleset {number}corpus\n{family}{file.read()}")
    tables = {}
    for text in texts:
        for key, rules in tables_of(text).items():
            tables.setdefault(key, []).extend(rules)
    for name in names_of_sets(texts):
        family = "inet6" if name.startswith("s6") else "inet"
        mapped = ["skbinfo"] if "map" in name else []
        run(["ipset", "create", name, "hash:ip", "family", family, "timeout", "0", *mapped])
    left_out = []
    for (family, table), rules in sorted(tables.items()):
        for at in range(0, len(rules), CHUNK):
            refused(family, table, rules[at : at + CHUNK], left_out)
    with tempfile.NamedTemporaryFile("r", suffix=".json") as out:
        answer = run(["sh", "-c", f'"$0" dump >{out.name}', program])
        if answer.returncode != 0:
            say_and_exit("dump fails: " + answer.stderr, 1)
        snapshot = json.load(out)
    wrong, compared, kinds = {}, 0, set()
    for table in snapshot["ruleset"]["tables"]:
        if table["family"] not in ("ip", "ip6"):
            continue
        saved = saved_lines(table["family"])
        for chain in table["chains"]:
            lines = saved.get((table["name"], chain["name"]), [])
            ours = chain.get("rules", [])
            if len(lines) != len(ours):
                wrong.setdefault(f"{table['name']} {chain['name']}: {len(ours)} rules of {len(lines)}", []).append("")
                continue
            for line, rule in zip(lines, ours):
                words = [expr["words"] for expr in rule["exprs"] if "words" in expr]
                compared += len(words)
                kinds.update(" ".join(each.split()[:2]) for each in words)
                difference = differs(line, words)
                if difference:
                    wrong.setdefault(difference.split(" --")[0][:40], []).append((line, difference))
    for key, found in sorted(wrong.items(), key=lambda each: -len(each[1]))[:MOST_SHOWN]:
        print(f"DIFFERS {len(found)} times: {key}")
        for line, difference in [each for each in found if each][:2]:
            print(f"  iptables: {line}\n  ours {difference}")
    by_reason = {}
    for rest, reason in left_out:
        by_reason.setdefault(str(reason)[:60], []).append(rest)
    for reason, rests in sorted(by_reason.items()):
        print(f"refused {len(rests)} times: {reason}: {rests[0]}")
    differing = sum(len(found) for found in wrong.values())
    print(f"{compared} matches and targets of {len(kinds)} kinds compared, {differing} differ, {len(left_out)} rules refused")
    sys.exit(1 if differing or compared == 0 else 0)


if __name__ == "__main__":
    main()
