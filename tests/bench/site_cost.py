#!/usr/bin/env python3
"""What it costs to look at a whole policy: exact lint of long lists of rules, and lint, reach and report of a large site.

usage: site_cost.py PROGRAM RULES-DIR [--runs 5] [--count 10000] [--hosts 1000] [--classbench DIR] [--quick]

The medians of the runs, in processor seconds of the whole command, and the most memory; beside them what they should reach
on two cores that are quiet. A list is a gateway's [[forward]] rules, of three kinds: `site` (of 100 networks and hosts in
them, 60 services, 85 % accept), `hosts` (each rule its own prefixes and port) and `wild` (any address and action,
overlapping); and of ClassBench's kinds, where --classbench (or ROLEWALL_CLASSBENCH) names a checkout of it, as
all_packets.py has them. --quick: small, once; that it runs.
"""
import argparse
import os
import pathlib
import random
import re
import resource
import statistics
import subprocess
import sys
import tempfile
from typing import NamedTuple

import all_packets


class Question(NamedTuple):
    name: str
    arguments: list[str]
    reach: float  # seconds
    megabytes: int


def list_rule(kind: str, rng: random.Random) -> tuple[str, str, str, str]:
    """Source, destination, service in quotes, action."""
    if kind == "site":
        def end() -> str:
            network = rng.randrange(100)
            return f"10.{network}.0.0/16" if rng.random() < 0.5 else f"10.{network}.{rng.randrange(250)}.7"
        service = f'"{rng.choice(["tcp", "udp"])}/{1000 + rng.randrange(60)}"'
        return end(), end(), service, "accept" if rng.random() < 0.85 else "drop"
    if kind == "hosts":
        ends = [f"{rng.randrange(1, 200)}.{rng.randrange(256)}.{rng.randrange(256)}.0/24" for _ in range(2)]
        return ends[0], ends[1], f'"tcp/{rng.randrange(1, 65000)}"', "accept"
    length = rng.randrange(8, 25)
    address = rng.randrange(1, 200) << 24 | rng.randrange(1 << 24)
    masked = address >> (32 - length) << (32 - length)
    prefix = ".".join(str(masked >> shift & 255) for shift in (24, 16, 8, 0)) + f"/{length}"
    low = rng.randrange(1, 60000)
    service = rng.choice(["tcp", "udp"]) + (f"/{low}" if rng.random() < 0.7 else f"/{low}-{low + rng.randrange(2000)}")
    ends = [prefix, "any"] if rng.random() < 0.5 else ["any", prefix]
    return ends[0], ends[1], f'"{service}"', rng.choice(["accept", "drop"])


def service_words(protocol: int, any_protocol: bool, source: tuple[int, int], destination: tuple[int, int]) -> str:
    """As the policy has them, in quotes; "": every packet."""
    def ports(name: str) -> str:
        def words(of: tuple[int, int]) -> str:
            return str(of[0]) if of[0] == of[1] else f"{of[0]}-{of[1]}"
        if source == destination == (0, 65535):
            return f'"{name}"'
        return f'"{name}/{words(destination)}' + ("" if source == (0, 65535) else f" from {words(source)}") + '"'
    if any_protocol:
        return "" if source == destination == (0, 65535) else f"[{ports('tcp')}, {ports('udp')}]"
    if protocol in (6, 17):
        return ports("tcp" if protocol == 6 else "udp")
    return '"icmp"' if protocol == 1 else f'"protocol/{protocol}"'


def as_source(prefix: str) -> str:
    """ClassBench has groups as sources, which a policy refuses: other networks in their place."""
    first, rest = prefix.split(".", 1)
    return f"{int(first) - 64}.{rest}" if int(first) >= 224 else prefix


def classbench_lines(file: pathlib.Path, count: int) -> list[tuple[str, str, str, str]]:
    """As list_rule(): "@1.2.3.0/24  5.6.7.8/32  0 : 65535  80 : 80  0x06/0xFF ..."; an action it has not."""
    rng = random.Random(1)
    rules = []
    for line in file.read_text().splitlines()[:count]:
        source, destination, *numbers = re.match(
            r"@(\S+)\s+(\S+)\s+(\d+) : (\d+)\s+(\d+) : (\d+)\s+0x(\w+)/0x(\w+)", line).groups()
        ports = list(map(int, numbers[:4]))
        service = service_words(int(numbers[4], 16), numbers[5] == "00", (ports[0], ports[1]), (ports[2], ports[3]))
        ends = ["any" if end.endswith("/0") else end for end in (as_source(source), destination)]
        rules.append((*ends, service, rng.choice(["accept", "drop"])))
    return rules


def write_list(directory: pathlib.Path, rules: list[tuple[str, str, str, str]]) -> None:
    directory.mkdir()
    (directory / "site.toml").write_text('[site]\nname = "list"\n\n[hosts.gw]\nrole = "gateway"\naddresses = ["192.0.2.1"]\n')
    text = ['role = "gateway"\n']
    for number, (source, destination, service, action) in enumerate(rules):
        text.append(f'\n[[forward]]\nid = "r{number}"\n' + (f"service = {service}\n" if service else "") +
                    f'from = "{source}"\nto = "{destination}"\naction = "{action}"\n')
    (directory / "gateway.toml").write_text("".join(text))


def write_site(directory: pathlib.Path, hosts: int, rules: int) -> None:
    """Ten roles that have the rules evenly, among twenty networks, with sixty services."""
    rng = random.Random(2)
    directory.mkdir()
    text = ['[site]\nname = "large"\nmanagement = "net0"\ninternal = "inside"\n\n[networks]\n'
            'inside = ["10.0.0.0/8", "fd00::/16"]\n']
    text += [f'net{n} = ["10.{100 + n}.0.0/16", "fd00:{100 + n:x}::/32"]\n' for n in range(20)]
    for host in range(hosts):
        part, number = host // 250, host % 250
        text.append(f'\n[hosts.h{host}]\nrole = "r{host % 10}"\n'
                    f'addresses = ["10.{part}.{number}.1", "fd00:{part:x}:{number:x}::1"]\n')
    (directory / "site.toml").write_text("".join(text))
    for role in range(10):
        text = [f'role = "r{role}"\n']
        for number in range(rules // 10):
            inbound = rng.random() < 0.7
            draw = rng.random()
            if draw < 0.4:
                other = f"r{rng.randrange(10)}"
            elif draw < 0.8:
                other = f"net{rng.randrange(20)}"
            elif draw < 0.85:
                other = "internet"
            else:
                other = f"10.{100 + rng.randrange(20)}.{rng.randrange(250)}.0/24"
            text.append(f'\n[[{"inbound" if inbound else "outbound"}]]\nid = "rule-{number}"\n'
                        f'service = "{rng.choice(["tcp", "udp"])}/{8000 + rng.randrange(30)}"\n'
                        f'{"from" if inbound else "to"} = "{other}"\n')
        (directory / f"r{role}.toml").write_text("".join(text))


def run_once(command: list[str], rules: str) -> tuple[float, int, str]:
    """Processor seconds, megabytes at most, and what was not decided within the budget."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          env=os.environ | {"ROLEWALL_RULES_DIR": rules}) as process:
        words = process.stdout.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"{command}: {process.returncode}: {words[-500:]}")
    undecided = next((line.partition("note: ")[2] for line in words.splitlines() if line.endswith("[not-decided]")), "")
    return used.ru_utime + used.ru_stime, used.ru_maxrss // 1024, undecided


def lists(folder: pathlib.Path, count: int, classbench: str | None) -> dict[str, list[tuple[str, str, str, str]]]:
    all_kinds = {}
    for kind in ("site", "hosts", "wild"):
        rng = random.Random(1)
        all_kinds[kind] = [list_rule(kind, rng) for _ in range(count)]
    if classbench is None:
        print("ClassBench is not there: --classbench DIR, or ROLEWALL_CLASSBENCH", flush=True)
        return all_kinds
    built = all_packets.build_classbench(pathlib.Path(classbench).resolve(), folder)
    for kind in all_packets.CLASSBENCH:
        all_kinds[kind] = classbench_lines(all_packets.classbench_rules(built, kind, count), count)
    return all_kinds


def questions(folder: pathlib.Path, program: str, count: int, hosts: int, classbench: str | None) -> list[Question]:
    asked = []
    for kind, rules in lists(folder, count, classbench).items():
        directory = folder / kind
        write_list(directory, rules)
        reach = 6 if kind in ("wild", "fw1", "fw2") else 1
        asked.append(Question(f"exact lint, {len(rules):,} rules of kind {kind}", [program, "lint", str(directory)], reach, 256))
    for rules in (count // 10, count):
        directory = folder / f"large-{rules}"
        write_site(directory, hosts, rules)
        name = f"{hosts:,} hosts, 10 roles, {rules:,} rules"
        # The figures to reach are asked of the first; the second shows how they grow.
        asked += [Question(f"{name}: lint", [program, "lint", str(directory)], 1, 300),
                  Question(f"{name}: reach", [program, "reach", "-p", str(directory)], 2, 300),
                  Question(f"{name}: report", [program, "report", str(directory), "-o", str(folder / "page.html")], 3, 300)]
    return asked


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("rules")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--hosts", type=int, default=1_000)
    parser.add_argument("--classbench", default=os.environ.get("ROLEWALL_CLASSBENCH"))
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    if options.quick:
        options.runs, options.count, options.hosts = 1, 200, 30
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with tempfile.TemporaryDirectory() as folder:
        for question in questions(pathlib.Path(folder), options.program, options.count, options.hosts, options.classbench):
            runs = [run_once(question.arguments, options.rules) for _ in range(options.runs)]
            seconds = statistics.median(seconds for seconds, _, _ in runs)
            megabytes = max(megabytes for _, megabytes, _ in runs)
            print(f"{question.name:<52} {seconds:7.2f} s (reach {question.reach:g})  {megabytes:5} MB (reach "
                  f"{question.megabytes})  {runs[0][2]}".rstrip(), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
