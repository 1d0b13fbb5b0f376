#!/usr/bin/env python3
"""Rules of iptables from the corpus, loaded as iptables-nft has them and as iptables-restore-translate
translates them to nft's own: the evaluator must say the same of both, wherever it decides both.

    iptables_translated.py PROGRAM RULES FOLDER
"""
import json
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile

SKIPPED = 77
QUESTIONS = 400 if os.environ.get("ROLEWALL_LONG_TESTS") else 60  # of each dump
DEVICES = [("eth0", "192.0.2.1/24"), ("eth1", "10.0.0.1/24"), ("eth0", "2001:db8::1/64"), ("eth1", "2001:db8:1::1/64")]
OPEN = {"undecided", "conditional"}
MOST_NAMED = 6  # of the devices that a dump's rules name, which are made for it


def run(words, text=None):
    return subprocess.run(words, input=text, capture_output=True, text=True, check=False)


def set_up():
    run(["ip", "link", "set", "lo", "up"])
    for name in ["eth0", "eth1"]:
        run(["ip", "link", "add", name, "type", "veth", "peer", "name", "far-" + name])
        run(["ip", "link", "set", name, "up"])
    for name, address in DEVICES:
        run(["ip", "address", "add", address, "dev", name] + (["nodad"] if ":" in address else []))
    run(["ip", "route", "add", "default", "via", "10.0.0.2"])
    run(["ip", "-6", "route", "add", "default", "via", "2001:db8:1::2"])
    run(["sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"])


class NamedDevices:
    """Those that the rules name, each with a network of its own, while one dump is asked."""

    def __init__(self, rules):
        named = {name for name in re.findall(r" -[io] ([\w.-]{1,15})(?= )", rules) if not name.startswith("-")}
        self.names = sorted(named - {"lo", "eth0", "eth1"})[:MOST_NAMED]

    def __enter__(self):
        for number, name in enumerate(self.names):
            run(["ip", "link", "add", name, "type", "veth", "peer", "name", f"far-{number}"])
            run(["ip", "link", "set", f"far-{number}", "up"])
            run(["ip", "address", "add", f"10.66.{number}.1/24", "dev", name])
            run(["ip", "address", "add", f"2001:db8:66:{number}::1/64", "dev", name, "nodad"])
            run(["ip", "link", "set", name, "up"])
        return self.names

    def __exit__(self, *_):
        for name in self.names:
            run(["ip", "link", "delete", name])


def is_host(text):
    """Whether a packet may come from there."""
    octets = [int(octet) for octet in text.split(".")]
    return max(octets) < 256 and 0 < octets[0] < 224 and octets[0] != 127


def questions(rules, devices, ipv6, seed):
    """About what the rules name: sources, ports, states, devices; to this host and through it."""
    draw = random.Random(seed)
    ports = re.findall(r"(?:port|ports) ([0-9]+)", rules) or ["22"]
    sources = [text for text in re.findall(r"\b\d+\.\d+\.\d+\.\d+\b", rules) if is_host(text)]
    sources = [text for text in sources if text not in ("192.0.2.1", "10.0.0.1")]
    behind = [f"2001:db8:66:{n}::7" if ipv6 else f"10.66.{n}.7" for n in range(len(devices))]
    for _ in range(QUESTIONS):
        forwarded = draw.random() < 0.4
        source = f"2001:db8::{draw.randint(2, 99):x}" if ipv6 else draw.choice(
            sources + ["192.0.2.9", "10.0.0.5", "203.0.113.5"])
        if forwarded:
            to = draw.choice(behind + (["2001:db8:1::9", "2001:db8:9::9"] if ipv6 else sources[:20] + ["198.51.100.9"]))
        else:
            to = "2001:db8::1" if ipv6 else draw.choice(["192.0.2.1", "10.0.0.1"])
        if to == source:
            continue
        to = f"[{to}]" if ipv6 else to
        state = draw.choice(["", "", " state=new", " state=established", " state=invalid"])
        yield (f"{draw.choice(['tcp', 'tcp', 'udp'])} {source} > {to}:{draw.choice(ports)} "
               f"in={draw.choice(['eth0', 'eth1', *devices])}{' at=self' if forwarded else ''}{state}")


def verdicts(program, dump, asked):
    with tempfile.TemporaryDirectory() as folder:
        ruleset = pathlib.Path(folder, "ruleset.json")
        ruleset.write_text(dump, encoding="utf-8")
        file = pathlib.Path(folder, "questions")
        file.write_text("\n".join(asked) + "\n", encoding="utf-8")
        said = run([program, "eval", "--ruleset", str(ruleset), "--file", str(file), "--format",
                    "json"])
    if not said.stdout:
        sys.exit(f"eval says nothing: {said.stderr}")
    return [answer["verdict"] for answer in json.loads(said.stdout)["questions"]]


def compare(program, dump):
    """How many were asked, how many are open on a side, and what differs; none: not translated."""
    rules = dump.read_text(encoding="utf-8", errors="replace")
    with NamedDevices(rules) as devices:
        return compare_with(devices, program, dump, rules)


def compare_with(devices, program, dump, rules):
    ipv6 = ".v6." in dump.name
    iptables = "ip6tables" if ipv6 else "iptables"
    loaded = []
    for translated in [False, True]:
        run(["nft", "flush", "ruleset"])
        if translated:
            nft = run([iptables + "-restore-translate", "-f", str(dump)]).stdout
            status = run(["nft", "-f", "-"], nft).returncode
        else:
            status = run([iptables + "-nft-restore"], rules).returncode
        if status != 0:
            return None
        loaded.append(run([program, "dump"]).stdout)
    asked = list(questions(rules, devices, ipv6, dump.name))
    pairs = list(zip(asked, *[verdicts(program, text, asked) for text in loaded]))
    unsettled = [pair for pair in pairs if OPEN & set(pair[1:])]
    return len(pairs), len(unsettled), [pair for pair in pairs
                                        if pair not in unsettled and pair[1] != pair[2]]


def main(program, rules, folder):
    folder = pathlib.Path(os.environ.get("ROLEWALL_CORPUS", folder)) / "iptables"
    if not folder.is_dir():
        print(f"skipped: there is no corpus at `{folder}` (ROLEWALL_CORPUS names its folder)")
        return SKIPPED
    if not shutil.which("iptables-restore-translate") or not shutil.which("nft"):
        print("skipped: no iptables-restore-translate, or no nft")
        return SKIPPED
    if os.environ.get("ROLEWALL_IN_NAMESPACE") is None:
        new = ["unshare", "-n" if os.geteuid() == 0 else "-rn"]
        if run([*new, "true"]).returncode != 0:
            print("skipped: no network namespace can be made")
            return SKIPPED
        os.environ["ROLEWALL_IN_NAMESPACE"] = "1"
        os.execvp("unshare", [*new, sys.executable, *sys.argv])
    os.environ["ROLEWALL_RULES_DIR"] = rules
    set_up()
    dumps = asked = unsettled = 0
    differ = []
    for dump in sorted(folder.glob("*.save")):
        found = compare(program, dump)
        if found is None:
            print(f"not loaded or not translated: {dump.name}")
            continue
        dumps += 1
        asked += found[0]
        unsettled += found[1]
        differ += [(dump.name, *pair) for pair in found[2]]
    for name, question, one, other in differ[:20]:
        print(f"DIFFERS: {name}: {question}: {one} by iptables' rules, {other} by nft's")
    print(f"{dumps} dumps, {asked} packets, {unsettled} open, {len(differ)} differ")
    return 1 if differ or dumps == 0 else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
