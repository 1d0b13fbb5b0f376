#!/usr/bin/env python3
"""Random rulesets as nft and iptables load them, each with edits: difference_judge on their dumps.

    loaded_differences.py ROLEWALL JUDGE RULES-PROGRAM [SEED COUNT] [--from FROM ...] [--edits N] [--packets N]

What generated expressions have not: lists of recent and hashlimit, sets of ip_set and rules that
change them, maps of objects, maps of translations. A part of iptables' is judged in the payloads and
forms of older iptables. COUNT rulesets of each kind are loaded in a
network namespace of their own and dumped; what nft or iptables does not load is left out. Exits with
77 where there are no namespaces. ROLEWALL_LONG_TESTS: 200 of each kind, with five edits each.
"""
import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

DEVICES = ["eth0", "eth1"]
ADDRESSES = ["192.0.2.10/24 dev eth0", "10.9.0.1/24 dev eth0", "10.9.1.1/24 dev eth1",
             "2001:db8:9::1/64 dev eth0 nodad", "2001:db8:9:1::1/64 dev eth1 nodad"]


def rulesets(program: str, kind: str, seed: int, count: int) -> list[str]:
    done = subprocess.run([program, str(seed), str(count), kind], capture_output=True, text=True, check=True)
    return [text.split("\n", 1)[1] for text in done.stdout.split("# ruleset ")[1:]]


OLDER = "# in earlier revisions\n"  # before rules that are to be judged so


def loading(kind: str, text: str, sets: str, scratch: pathlib.Path) -> list[str]:
    """The commands that load it."""
    if kind != "iptables":
        (scratch / "rules.nft").write_text(text)
        return [f"nft -f {scratch / 'rules.nft'}"]
    four, _, six = text.partition("# ip6tables\n")
    lines = []
    if "-set " in text:
        (scratch / "sets").write_text(sets)
        lines.append(f"ipset restore <{scratch / 'sets'}")
    for program, rules in (("iptables-nft-restore", four), ("ip6tables-nft-restore", six)):
        if rules:
            (scratch / program).write_text(rules)
            lines.append(f"{program} {scratch / program}")
    return lines


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("rolewall")
    parser.add_argument("judge")
    parser.add_argument("rules")
    parser.add_argument("seed", nargs="?", type=int, default=1)
    parser.add_argument("count", nargs="?", type=int, default=10)
    parser.add_argument("--from", dest="kinds", nargs="+", default=["iptables", "text", "shapes"])
    parser.add_argument("--edits", default="2")
    parser.add_argument("--packets", default="100")
    options = parser.parse_args()
    if "ROLEWALL_LONG_TESTS" in os.environ:
        options.count, options.edits, options.packets = 200, "5", "200"
    if subprocess.run(["unshare", "-rn", "true"], check=False).returncode != 0:
        print("skipped: no namespaces here")
        return 77
    sets = subprocess.run([options.rules, "sets"], capture_output=True, text=True, check=True).stdout
    failed = 0
    for kind in options.kinds:
        if kind == "iptables" and not (shutil.which("iptables-nft-restore") and shutil.which("ipset")):
            print("iptables: left out, it is not installed")
            continue
        judged = pairs = left_out = over = 0
        for number, text in enumerate(rulesets(options.rules, kind, options.seed, options.count)):
            with tempfile.TemporaryDirectory() as folder:
                scratch = pathlib.Path(folder)
                to = scratch / "ruleset.json"
                lines = ["ip link set lo up"]
                lines += [f"ip link add {name} type ifb && ip link set {name} up" for name in DEVICES]
                lines += [f"ip address add {address}" for address in ADDRESSES]
                lines += loading(kind, text, sets, scratch) + [f"{options.rolewall} dump > {scratch / 'dump.json'}"]
                older = f"{options.rules} older {options.seed + number}" if text.startswith(OLDER) else "cat"
                lines += [f"{older} <{scratch / 'dump.json'} >{to}"]
                done = subprocess.run(["unshare", "-rn", "sh", "-ec", "\n".join(lines)], capture_output=True,
                                      text=True, timeout=120, check=False)
                if done.returncode != 0:
                    left_out += 1
                    continue
                done = subprocess.run([options.judge, "--snapshot", to, "--seed", str(options.seed + number),
                                       "--pairs", options.edits, "--packets", options.packets],
                                      capture_output=True, text=True, timeout=600, check=False)
                judged += 1
                pairs += int(done.stdout.split(" pairs", 1)[0].split()[-1]) if " pairs" in done.stdout else 0
                over += int(done.stdout.split(" over the budget", 1)[0].split("(")[-1]) if " pairs" in done.stdout else 0
                if done.returncode != 0:
                    failed += 1
                    print(f"{kind} {options.seed + number}: {done.stdout}{done.stderr}", flush=True)
        print(f"{kind}: {judged} rulesets judged, {pairs} pairs ({over} over the budget), {left_out} not loaded here",
              flush=True)
    print(f"{failed} with disagreements")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
