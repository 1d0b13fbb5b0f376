#!/usr/bin/env python3
"""iptables_options.py RULES-PROGRAM: which options of iptables' matches and targets the random rules have.

What `iptables -m X --help` (`-j X --help`) tells of each match and target that rolewall models is compared with the rules
that iptables_rules.cc writes: an option that stands in none of them, or that may be negated and never is, must be named
below, with the reason. So an option that a new iptables brings shows up, and one that the generator forgets.
"""

import re
import subprocess
import sys

SKIPPED = 77
RULESETS = 1500

MATCHES = """comment tcp udp udplite sctp dccp icmp icmp6 multiport conntrack state mark connmark connlabel connbytes connlimit
limit hashlimit addrtype iprange mac owner cgroup devgroup length tcpmss ttl hl tos dscp ecn set recent statistic pkttype
physdev rpfilter socket policy rt ipv6header frag hbh dst mh ah esp helper string time quota realm cpu u32 eui64""".split()
TARGETS = """LOG NFLOG REJECT MARK CONNMARK CONNSECMARK SECMARK MASQUERADE SNAT DNAT REDIRECT NETMAP TCPMSS TCPOPTSTRIP CT
NOTRACK TPROXY DSCP TOS TTL HL CLASSIFY CHECKSUM TRACE SET AUDIT RATEEST TEE SYNPROXY NFQUEUE ECN IDLETIMER LED""".split()

IPV6_ALONE = {"icmp6", "hl", "rt", "ipv6header", "frag", "hbh", "dst", "mh", "eui64", "HL"}

# Another spelling of an option that is there.
SAME_AS = {
    "--source-port": "--sport", "--destination-port": "--dport", "--source-ports": "--sports",
    "--destination-ports": "--dports", "--log-level": "--log-level",
}

# (match or target, option): why no random rule has it.
NOT_PLAYED = {
    ("udplite", ""): "iptables has no extension for it; the unit tests read its payload",
    ("CONNSECMARK", ""): "the kernel takes it with a security module alone, in the table of that name",
    ("SECMARK", ""): "the kernel takes it with a security module alone, in the table of that name",
    ("LED", ""): "no kernel of the tests has it",
    ("TEE", "--oif"): "its copies leave, and what is traced of them cannot be told from the packet's",
    ("CT", "--helper"): "no kernel of the tests has a helper",
    ("CT", "--timeout"): "no kernel of the tests has policies of timeouts",
}


def run(command):
    return subprocess.run(command, capture_output=True, text=True, check=False)


def options_of(rule):
    """Of a rule, or of what `--help` says: `--option`, and `! --option` where it is negated."""
    found = re.findall(r"(?<![\w-])(! )?(--[a-z][a-z0-9-]*)", rule)
    return {negation + option for negation, option in found}


def options_told(text):
    """What `--help` says of one that may be negated: `[!] --option`, `[! --option]`."""
    both = set(re.findall(r"\[!\]? ?(--[a-z][a-z0-9-]*)", text))
    return {option.removeprefix("! ") for option in options_of(text)} | {"! " + option for option in both}


def told(flag, name):
    """The options beyond those of every rule, or None where there is no such match or target."""
    program = "ip6tables-nft" if name in IPV6_ALONE else "iptables-nft"
    answer = run([program, flag, name, "--help"])
    if answer.returncode != 0:
        return None
    usual = run([program, "--help"]).stdout
    assert answer.stdout.startswith(usual[:200])
    return options_told(answer.stdout[len(usual) :]) - {"--help"}


def written(program):
    """{match or target: options in the random rules}"""
    found = {}
    for line in run([program, "1", str(RULESETS)]).stdout.splitlines():
        if not line.startswith("-A "):
            continue
        for part in re.split(r" (?=-[mj] )", line):
            words = part.split()
            if words[0] in ("-m", "-j"):
                found.setdefault(words[1], set()).update(options_of(part))
    return found


def main():
    if run(["sh", "-c", "command -v iptables-nft ip6tables-nft"]).returncode != 0:
        print("skipped: no iptables-nft")
        sys.exit(SKIPPED)
    rules = written(sys.argv[1])
    missing, count, idle = [], 0, dict(NOT_PLAYED)
    for flag, names in (("-m", MATCHES), ("-j", TARGETS)):
        for name in names:
            options = told(flag, name)
            if options is None:
                idle.pop((name, ""), None)  # of this iptables there is nothing to compare
                continue
            has = rules.get(name, set())
            if name not in rules and (name, "") in NOT_PLAYED:
                idle.pop((name, ""), None)
                continue
            if name not in rules:
                missing.append(f"{flag} {name}")
                continue
            for option in sorted(options):
                count += 1
                negation = "! " if option.startswith("! ") else ""
                plain = option.removeprefix("! ")
                if negation + SAME_AS.get(plain, plain) in has or option in has:
                    continue
                if idle.pop((name, option), None) is None:
                    missing.append(f"{flag} {name} {option}")
    for each in missing:
        print("NOT IN ANY RULE:", each)
    for (name, option), reason in idle.items():
        print(f"NO SUCH GAP: {name} {option} ({reason})")
    print(f"{count} options of {len(MATCHES) + len(TARGETS)} matches and targets, {len(NOT_PLAYED)} not played")
    sys.exit(1 if missing or idle else 0)


if __name__ == "__main__":
    main()
