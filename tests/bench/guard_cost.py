#!/usr/bin/env python3
"""What the guard adds to an apply on a host with many rules of other programs.

usage: guard_cost.py PROGRAM RULES_DIR [--rules N] [--runs N] [--draws [--let-pass | --untrack]]      defaults: 1000 7

In a network namespace of its own: `apply` of a policy that differs by one rule each time, beside no other
table, and beside N rules in tables as Docker, fail2ban and ufw make them. Each is given as the processor's
time, the median of the runs; the difference is what reading and asking them costs. At most 50 ms. With
--draws the N rules match by chance (`numgen`), so that none is known to match, and the policy translates;
with --let-pass they accept, and so deny nobody; with --untrack they let go untracked, which all that
follows is shown.
"""
import argparse
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile

SITE = """
[site]
name = "s"
management = "office"
[defaults]
inbound = "drop"
outbound = "reject"
[networks]
office = ["198.51.100.0/24", "2001:db8:0ff1::/64"]
[interfaces.public]
device = "eth0"
[hosts.srv]
role = "server"
addresses = ["203.0.113.10", "2001:db8:1::10"]
interfaces = ["public"]
"""
ROLE = 'role = "server"\nuse = ["baseline"]\n[[inbound]]\nid = "other"\nservice = "tcp/{port}"\n'


def run(*words: str, text: str | None = None) -> None:
    subprocess.run(words, input=text, check=True, text=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)


def others(count: int) -> list[str]:
    """Line by line for nft. A nat table with an undecided jump, and filter chains of rules that do not decide."""
    lines = ["add table ip docker", "add chain ip docker pre { type nat hook prerouting priority -100; }",
             "add chain ip docker ports", "add rule ip docker pre fib daddr type local jump ports",
             "add table inet ufw", "add chain inet ufw in { type filter hook input priority 0; }",
             "add chain inet ufw out { type filter hook output priority 0; }",
             "add chain inet ufw many"]
    for i in range(count // 10):
        lines.append(f"add rule ip docker ports tcp dport {8000 + i} dnat to 172.17.0.{i % 250 + 2}:80")
    for i in range(count - count // 10):
        where = ("in", "out", "many")[i % 3]
        lines.append(f"add rule inet ufw {where} ip saddr 192.0.2.{i % 256} tcp dport {i + 1} drop")
    lines.append("add rule inet ufw in jump many")
    return lines


def draws(count: int, verdict: str) -> list[str]:
    hooks = ("prerouting priority raw", "output priority raw") if verdict == "notrack" else (
        "input priority 5", "output priority 5")
    lines = ["add table inet draws"] + [f"add chain inet draws {chain} {{ type filter hook {hook}; }}"
                                        for chain, hook in zip(("in", "out"), hooks)]
    return lines + [f"add rule inet draws {('in', 'out')[i % 2]} numgen random mod 1000 {i % 1000} {verdict}"
                    for i in range(count)]


NAT = '[[nat]]\nid = "door"\nservice = "tcp/2022"\nnew-destination = "203.0.113.10:22"\n'


def measure(program: str, directory: pathlib.Path, runs: int, more: str = "") -> float:
    times = []
    for turn in range(runs):
        port = measure.port = getattr(measure, "port", 9000) + 1
        (directory / "site/server.toml").write_text(ROLE.format(port=port) + more, encoding="utf-8")
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        run(program, "apply", str(directory / "site"), "--host", "srv", "--state-dir",
            str(directory / "state"))
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        if turn > 0:
            times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return statistics.median(times) * 1000


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("rules_dir")
    parser.add_argument("--rules", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--draws", action="store_true")
    parser.add_argument("--let-pass", action="store_true")
    parser.add_argument("--untrack", action="store_true")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not options.inside:
        sys.exit(subprocess.run(["unshare", "-rn", sys.executable, __file__, *sys.argv[1:], "--inside"],
                                check=False).returncode)
    os.environ["ROLEWALL_RULES_DIR"] = options.rules_dir
    os.environ["SSH_CONNECTION"] = "198.51.100.7 50022 203.0.113.10 22"
    run("ip", "link", "set", "lo", "up")
    run("ip", "link", "add", "eth0", "type", "veth", "peer", "name", "peer0")
    run("ip", "link", "set", "eth0", "up")
    run("ip", "link", "set", "peer0", "up")
    run("ip", "address", "add", "203.0.113.10/24", "dev", "eth0")
    run("ip", "-6", "address", "add", "2001:db8:1::10/64", "dev", "eth0", "nodad")
    run("ip", "route", "add", "default", "via", "203.0.113.1")
    run("ip", "-6", "route", "add", "default", "via", "2001:db8:1::1")
    with tempfile.TemporaryDirectory() as scratch:
        directory = pathlib.Path(scratch)
        (directory / "site").mkdir()
        (directory / "site/site.toml").write_text(SITE, encoding="utf-8")
        more = NAT if options.draws else ""
        alone = measure(options.program, directory, options.runs, more)
        verdict = "accept" if options.let_pass else "notrack" if options.untrack else "drop"
        lines = draws(options.rules, verdict) if options.draws else others(options.rules)
        for i in range(0, len(lines), 100):  # a batch must fit the socket's buffer
            run("nft", "-f", "-", text="\n".join(lines[i:i + 100]) + "\n")
        beside = measure(options.program, directory, options.runs, more)
    print(f"apply alone {alone:.0f} ms, beside {options.rules} rules of others {beside:.0f} ms: "
          f"{beside - alone:.0f} ms more")


if __name__ == "__main__":
    main()
