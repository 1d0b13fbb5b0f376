#!/usr/bin/env python3
"""What a packet costs in the kernel, by firewall and by the number of rules: see docs/performance.md.

For each size a policy (same_policy.py) is put in force by each firewall on hosts of its own (live_frames.py). All
hosts stay up, and each round asks each of them once, so that whatever else the machine does meets all alike. Of a
host's rounds the lowest tenth counts: what disturbs only ever adds, and lasts longer than a measurement. Where in
memory a host comes to lie makes a packet dearer by up to 150 ns, and its neighbours' packets too: there are several
hosts, made in a mixed order, and the one in the middle counts. A cost is what a packet takes longer than on a host
whose table is one `ct state` rule.
"""
import argparse
import os
import pathlib
import random
import shutil
import statistics
import sys
import tempfile
from typing import NamedTuple

from live_frames import Flow, Host, load_new_flows, load_same_flow
from same_policy import DENIED, FIREWALLS, Task, policy, probes

ACCEPTED, ESTABLISHED, REFUSED = KINDS = ("new, accepted", "established", "new, denied")
SKIPPED = 77
PACKETS = 10_000  # a measurement, at most
LONGEST_MEASUREMENT_NS = 100_000_000
SMALL = 100  # what a person would still write by hand
HOSTS_OF_SMALL, HOSTS_OF_LARGE = 7, 3
ALIKE = 25  # nanoseconds that one run cannot tell from nothing
ESTABLISHED_MORE = 10  # nanoseconds that an established packet may cost more than by hand
FLAT = 1.25  # what the largest policy may cost, over the smallest


class Programs(NamedTuple):
    """For one size of policy: whose frames are each a new connection, and whose are all the same."""

    accepted: int
    denied: int
    same_flow: int


def programs_for(size: int) -> Programs:
    return Programs(load_new_flows(probes(policy(size))), load_new_flows([DENIED]), load_same_flow())


class Station:
    """A host behind one firewall, and what its packets took, round by round."""

    def __init__(self, firewall: str, size: int, rolewall: str, programs: Programs):
        rules = policy(size)
        self.programs = programs
        self.flows = probes(rules)
        self.host = Host([*self.flows, DENIED])
        self.rounds: dict[str, list[float]] = {kind: [] for kind in KINDS}
        with self.host.inside(), tempfile.TemporaryDirectory() as directory:
            FIREWALLS[firewall](Task(rules, pathlib.Path(directory), rolewall))
        self.name = f"{firewall} with {size:,} rules"
        self.host.keep_connections()
        self.check_accepted()
        self.check_established()
        denied = self.host.answer_one(DENIED, programs.denied) is None
        if denied != (firewall != "baseline"):
            raise RuntimeError(f"{self.name}: {DENIED} is {'denied' if denied else 'accepted'}")
        self.host.remember_no_more_connections()

    def check_accepted(self) -> None:
        """A new connection of each probe arrives."""
        arrived = {self.host.answer_one(self.flows[0], self.programs.accepted) for _ in self.flows}
        if arrived != set(self.flows):
            raise RuntimeError(f"{self.name}: of {self.flows} arrived {arrived}")

    def check_established(self) -> None:
        """These arrive, too: first as new connections, which are established by that."""
        for flow in self.flows:
            if self.host.answer_one(flow, self.programs.same_flow) != flow:
                raise RuntimeError(f"{self.name}: {flow} is denied")

    def _ask(self, kind: str, flow: Flow, program: int) -> None:
        packets = PACKETS
        if self.rounds[kind]:  # a long list of rules, where fewer packets are exact enough
            packets = min(PACKETS, int(LONGEST_MEASUREMENT_NS / self.rounds[kind][0]))
        self.rounds[kind].append(self.host.receive(flow, packets, program) / packets)

    def ask(self) -> None:
        self._ask(ACCEPTED, self.flows[0], self.programs.accepted)
        self._ask(ESTABLISHED, self.flows[0], self.programs.same_flow)
        self._ask(REFUSED, DENIED, self.programs.denied)

    def nanoseconds(self, kind: str) -> float:
        return sorted(self.rounds[kind])[len(self.rounds[kind]) // 10]


class Costs:
    """Nanoseconds a packet, over the baseline of the same size."""

    def __init__(self, stations: dict[tuple[str, int], list[Station]]):
        self.sizes = sorted({size for _, size in stations})
        self.firewalls = [name for name in FIREWALLS if name != "baseline" and (name, self.sizes[0]) in stations]
        self.whole = {(firewall, size, kind): statistics.median(host.nanoseconds(kind) for host in hosts)
                      for (firewall, size), hosts in stations.items() for kind in KINDS}

    def over(self, firewall: str, size: int, kind: str) -> float:
        return self.whole[firewall, size, kind] - self.whole["baseline", size, kind]

    def print(self) -> None:
        print(f"{'ns a packet, over the baseline':32}" + "".join(f"{size:>10,}" for size in self.sizes) + "  rules")
        for kind in KINDS:
            print(f"\n{kind}")
            for firewall in self.firewalls:
                print(f"  {firewall:30}" + "".join(f"{self.over(firewall, size, kind):10,.0f}" for size in self.sizes))
            print(f"  {'(the baseline itself)':30}"
                  + "".join(f"{self.whole['baseline', size, kind]:10,.0f}" for size in self.sizes))

    def _ratio(self, firewall: str, size: int, kind: str) -> float:
        """Rolewall's cost over that of another, each a nanosecond at least."""
        return max(1.0, self.over("rolewall", size, kind)) / max(1.0, self.over(firewall, size, kind))

    def _like_by_hand(self, size: int, kind: str) -> bool:
        by_hand = self.over("by hand", size, kind)
        return self.over("rolewall", size, kind) <= max(1.2 * by_hand, by_hand + ALIKE)

    def targets(self) -> list[tuple[str, str, bool]]:
        """What is aimed at, what was measured, and whether that is met."""
        lines = []
        for kind in (ACCEPTED, REFUSED):
            for firewall, most in (("firewalld", 0.1), ("ufw", 0.25)):
                if firewall not in self.firewalls:
                    continue
                ratios = [self._ratio(firewall, size, kind) for size in self.sizes]
                lines.append((f"{kind}: at most {most} of {firewall}'s", ratios, max(ratios) <= most))
        if "firewalld" in self.firewalls:
            worst = max(self.sizes, key=lambda size: self.over("rolewall", size, ESTABLISHED))
            most = max(50.0, 0.25 * self.over("firewalld", worst, ESTABLISHED))
            lines.append((f"{ESTABLISHED}: at most 50 ns or 0.25 of firewalld's",
                          [self._ratio("firewalld", size, ESTABLISHED) for size in self.sizes],
                          self.over("rolewall", worst, ESTABLISHED) <= most))
        more = [self.over("rolewall", size, ESTABLISHED) - self.over("by hand", size, ESTABLISHED)
                for size in self.sizes]
        lines.append((f"{ESTABLISHED}: at most {ESTABLISHED_MORE} ns over what is written by hand, the sizes' median",
                      more, statistics.median(more) <= ESTABLISHED_MORE))
        for kind in KINDS:
            small = [size for size in self.sizes if size <= SMALL]
            lines.append((f"{kind}: at most 1.2 of what is written by hand, or {ALIKE} ns more",
                          [self._ratio("by hand", size, kind) for size in small],
                          all(self._like_by_hand(size, kind) for size in small)))
            least, most = (self.over("rolewall", self.sizes[end], kind) for end in (0, -1))
            lines.append((f"{kind}: {self.sizes[-1]:,} rules over {self.sizes[0]:,}, at most {FLAT} or {ALIKE} ns more",
                          [max(1.0, most) / max(1.0, least)], most <= max(FLAT * least, least + ALIKE)))
        return [(what, " ".join(f"{ratio:.2f}" for ratio in ratios), met) for what, ratios, met in lines]


def reason_to_skip(firewalls: list[str]) -> str | None:
    if os.geteuid() != 0:
        return "needs root"
    needed = ["ip", "nft"]
    needed += ["ufw", "unshare"] if "ufw" in firewalls else []
    needed += ["firewalld", "firewall-cmd", "dbus-daemon"] if "firewalld" in firewalls else []
    missing = [program for program in needed if shutil.which(program) is None]
    if missing:
        return f"needs {', '.join(missing)} (packaging/install-deps --bench)"
    try:
        Host([]).receive(DENIED, 1, load_same_flow())
    except (OSError, RuntimeError) as error:
        return f"the kernel makes no frames here: {error}"
    return None


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("rolewall", help="the program")
    options.add_argument("rules", help="the folder rules/ of the source")
    options.add_argument("--sizes", type=int, nargs="+", default=[10, 100, 1000, 10_000])
    options.add_argument("--rounds", type=int, default=40)
    options.add_argument("--firewalls", nargs="+", choices=list(FIREWALLS), default=list(FIREWALLS),
                         help="with baseline, rolewall and \"by hand\" at least")
    options.add_argument("--quick", action="store_true",
                         help="a test: rolewall at 10 and 1,000 rules alone, in a few rounds; no targets, but "
                              "1,000 rules may not make a packet twice as dear")
    given = options.parse_args()
    os.environ["ROLEWALL_RULES_DIR"] = given.rules
    if given.quick:
        given.sizes, given.rounds = [10, 1000], 10
    firewalls = ["baseline", "rolewall"] if given.quick else given.firewalls
    reason = reason_to_skip(firewalls)
    if reason:
        print(f"skipped: {reason}")
        return SKIPPED

    stations: dict[tuple[str, int], list[Station]] = {}
    order = random.Random(1)
    for size in given.sizes:
        programs = programs_for(size)
        for _ in range(1 if given.quick else HOSTS_OF_SMALL if size <= SMALL else HOSTS_OF_LARGE):
            for firewall in order.sample(firewalls, len(firewalls)):
                station = Station(firewall, size, given.rolewall, programs)
                stations.setdefault((firewall, size), []).append(station)
        print(f"{size:,} rules: in force everywhere", file=sys.stderr)
    every = [station for hosts in stations.values() for station in hosts]
    for _ in range(given.rounds):
        for station in every:
            station.ask()
    for station in every:
        station.check_established()
    costs = Costs(stations)
    costs.print()
    if given.quick:
        dearer = max(costs.whole["rolewall", 1000, kind] / costs.whole["rolewall", 10, kind] for kind in KINDS)
        print(f"\n1,000 rules over 10, the whole packet: {dearer:.2f}, at most 2")
        return 0 if dearer <= 2 else 1
    print()
    missed = 0
    for what, measured, met in costs.targets():
        print(f"{'met   ' if met else 'MISSED'}  {what}: {measured}")
        missed += not met
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
