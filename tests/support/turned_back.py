#!/usr/bin/env python3
"""What a host's own rules turn to the host itself (redirect, dnat in output) leaves by the loopback and comes in again:
random rules, a real datagram to each port, and what `eval` and `prove` say of it. The kernel's word: a listener got it, or
it left by eth0.

usage: turned_back.py ROLEWALL SEED RULESETS
"""

import json
import random
import select
import socket
import subprocess
import sys

PORTS = range(1000, 1005)
REMOTE = {4: "198.51.100.9", 6: "2001:db8:99::9"}
OWN = {4: ["192.0.2.10", "127.0.0.1", "192.0.2.11"], 6: ["2001:db8::10", "::1"]}


def ruleset(chance, family):
    """Each hook that it passes has a rule or two, of what has changed on its way and what has not."""
    ip = "ip" if family == 4 else "ip6"
    port = lambda: chance.choice(PORTS)

    def match():
        return chance.choice([
            f"udp dport {port()}", f"udp dport {port()}", 'iifname "lo"', 'iifname "eth0"', "meta mark 7", "ct status dnat",
            f"ct original {ip} daddr {REMOTE[family]}", f"{ip} daddr {chance.choice(OWN[family])}", "ct state new", "meta pkttype host",
            f"meta l4proto udp ct original proto-dst {port()}", "iif lo udp sport 4000-4010", "meta skuid 0", "ct state established", 'oifname "lo"'])

    def rules(verdicts, most):
        written = []
        for _ in range(chance.randint(0, most)):
            verdict = chance.choice(verdicts)
            written.append(f"    {match()} {verdict}\n")
        return "".join(written)

    turned = []
    for each in PORTS:
        to = f":{port()}" if chance.random() < 0.5 else ""
        kind = chance.random()
        if kind < 0.4:
            turned.append(f"    udp dport {each} redirect{' to ' + to if to else ''}\n")
        elif kind < 0.75:
            own = chance.choice(OWN[family])
            turned.append(f"    udp dport {each} dnat to {f'[{own}]' if to and family == 6 else own}{to}\n")
    base = lambda kind, hook, priority, policy="accept": f"    type {kind} hook {hook} priority {priority}; policy {policy};\n"
    return f"""flush ruleset
table {ip} t {{
  chain marks {{\n{base("filter", "output", -150)}    udp dport {port()} meta mark set 7\n  }}
  chain turns {{\n{base("nat", "output", -100)}{"".join(turned)}  }}
  chain sent {{\n{base("filter", "output", 0)}{rules(["drop", "accept", "notrack"][:2], 1)}  }}
  chain early {{\n{base("filter", "prerouting", -300)}{rules(["drop", "accept", "notrack"], 1)}  }}
  chain again {{\n{base("nat", "prerouting", -100)}    iifname "lo" udp dport {port()} redirect to :{port()}\n  }}
  chain taken {{\n{base("filter", "input", 0, chance.choice(["accept", "drop", "drop"]))}{rules(["drop", "accept", "accept"], 4)}  }}
}}
table {ip} counts {{
  counter left {{ }}
  chain after {{\n{base("filter", "postrouting", 400)}    oifname "eth0" udp dport 1000-1004 counter name left\n  }}
}}
"""


class Kernel:
    def __init__(self, family):
        self.family = family
        self.kind = socket.AF_INET if family == 4 else socket.AF_INET6
        self.listeners = []
        for port in PORTS:
            listener = socket.socket(self.kind, socket.SOCK_DGRAM)
            listener.bind(("", port))
            listener.setblocking(False)
            self.listeners.append(listener)

    def left(self):
        ip = "ip" if self.family == 4 else "ip6"
        printed = subprocess.run(["nft", "-j", "list", "counter", ip, "counts", "left"], check=True, capture_output=True)
        return json.loads(printed.stdout)["nftables"][-1]["counter"]["packets"]

    def accepts(self, port):
        before = self.left()
        with socket.socket(self.kind, socket.SOCK_DGRAM) as sender:
            try:
                sender.sendto(b"asks", (REMOTE[self.family], port))
            except PermissionError:
                return False
            ready, _, _ = select.select(self.listeners, [], [], 0.02)
            for listener in ready:
                listener.recv(100)
            return bool(ready) or self.left() != before


def main():
    rolewall, seed, rulesets = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    asked = turned = wrong = 0
    for number in range(seed, seed + rulesets):
        chance = random.Random(number)
        family = chance.choice([4, 4, 6])
        text = ruleset(chance, family)
        subprocess.run(["nft", "-f", "-"], input=text, text=True, check=True)
        kernel = Kernel(family)
        for port in PORTS:
            to = f"{REMOTE[family]}:{port}" if family == 4 else f"[{REMOTE[6]}]:{port}"
            ask = lambda verb, words: subprocess.run([rolewall, verb, "--live", "--state-dir", "state", words, "--format", "json"],
                                                     capture_output=True, text=True)
            words = f"udp self > {to} out=eth0 user=root"
            said = json.loads(ask("eval", words).stdout)
            accepts = kernel.accepts(port)
            asked += 1
            turned += any(hop["hook"] == "input" for hop in said["hops"])
            if said["verdict"] not in (["accept"] if accepts else ["drop", "stack"]):
                wrong += 1
                print(f"ruleset {number}: `{words}`: {said['verdict']}, the kernel {'accepts' if accepts else 'drops'} it\n{text}")
            claim = "never" if accepts else "always"
            if ask("prove", f"{claim} {words}").returncode == 0:
                wrong += 1
                print(f"ruleset {number}: `{claim} {words}` is proven, the kernel {'accepts' if accepts else 'drops'} it\n{text}")
        for listener in kernel.listeners:
            listener.close()
    print(f"{asked} packets, {turned} came in again, {wrong} wrong")
    return 1 if wrong or not turned else 0


if __name__ == "__main__":
    sys.exit(main())
