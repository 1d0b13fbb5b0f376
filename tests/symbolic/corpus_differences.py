#!/usr/bin/env python3
"""Rulesets that real tools and people wrote, each with edits: difference_judge on their dumps.

    corpus_differences.py ROLEWALL JUDGE CORPUS [--edits N] [--every N] [--only NAME]

Each is loaded in a network namespace of its own, with the devices that it needs, and dumped. Exits
with 77 where the corpus is not there. ROLEWALL_LONG_TESTS: all of them, whatever their size, with
three edits each: over 300 pairs.
"""
import argparse
import os
import pathlib
import re
import subprocess
import sys
import tempfile

ADDRESSES = ["192.0.2.10/24", "10.9.0.1/24", "2001:db8:9::1/64"]


def devices(corpus: pathlib.Path) -> dict[str, list[str]]:
    """By file, those that must be there before it loads."""
    found = {}
    for line in (corpus / "index.tsv").read_text().splitlines()[1:]:
        fields = line.split("\t")
        found[fields[0]] = [name for name in fields[2].split(",") if name] if len(fields) > 2 else []
    return found


def dump(rolewall: str, path: pathlib.Path, names: list[str], to: pathlib.Path) -> str:
    """"", or why it cannot be loaded here."""
    if path.suffix == ".save":
        six = re.search(r"ip6|v6", path.name) is not None
        load = f"{'ip6' if six else 'ip'}tables-nft-restore {path}"
    else:
        load = f"nft -f {path}"
    lines = ["ip link set lo up"]
    for name in dict.fromkeys(["eth0", *names]):
        lines.append(f"ip link add '{name}' type ifb && ip link set '{name}' up")
    lines += [f"ip address add {address} dev eth0 nodad" for address in ADDRESSES]
    lines += [load, f"{rolewall} dump > {to}"]
    done = subprocess.run(["unshare", "-rn", "sh", "-ec", "\n".join(lines)], capture_output=True,
                          text=True, timeout=120, check=False)
    return "" if done.returncode == 0 else (done.stderr.strip().splitlines() or ["?"])[-1]


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("rolewall")
    parser.add_argument("judge")
    parser.add_argument("corpus", type=pathlib.Path)
    parser.add_argument("--edits", default="2")
    parser.add_argument("--packets", default="200")
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--only", default="")
    parser.add_argument("--largest", type=int, default=1 << 30, help="bytes of a file")
    options = parser.parse_args()
    if "ROLEWALL_LONG_TESTS" in os.environ:
        options.edits, options.packets, options.every, options.largest = "3", "200", 1, 1 << 30
    if not (options.corpus / "index.tsv").is_file():
        print(f"skipped: no corpus at {options.corpus}")
        return 77
    if subprocess.run(["unshare", "-rn", "true"], check=False).returncode != 0:
        print("skipped: no namespaces here")
        return 77
    needed = devices(options.corpus)
    paths = sorted(options.corpus.glob("nft/*/*.nft")) + sorted(options.corpus.glob("iptables/*.save"))
    paths = [path for path in paths if options.only in path.name][::options.every]
    judged, pairs, failed, left_out = 0, 0, 0, 0
    with tempfile.TemporaryDirectory() as scratch:
        for path in paths:
            if path.stat().st_size > options.largest:
                left_out += 1
                continue
            to = pathlib.Path(scratch) / "ruleset.json"
            why = dump(options.rolewall, path, needed.get(str(path.relative_to(options.corpus)), []), to)
            if why:
                left_out += 1
                print(f"{path.name}: not loaded here: {why}")
                continue
            done = subprocess.run([options.judge, "--snapshot", to, "--pairs", options.edits, "--packets",
                                   options.packets], capture_output=True, text=True, timeout=600, check=False)
            judged += 1
            pairs += int(done.stdout.split(" pairs", 1)[0].split()[-1]) if " pairs" in done.stdout else 0
            if done.returncode != 0:
                failed += 1
                print(f"{path.name}: {done.stdout}{done.stderr}")
            else:
                print(f"{path.name}: {done.stdout.splitlines()[0]}")
    print(f"{judged} rulesets judged, {pairs} pairs, {failed} with disagreements, {left_out} left out")
    return 1 if failed or not judged else 0


if __name__ == "__main__":
    sys.exit(main())
