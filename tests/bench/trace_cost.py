#!/usr/bin/env python3
"""What a trace costs the packets that it does not ask for.

usage: trace_cost.py PROGRAM RULES_DIR [--rounds N] [--hosts N]      defaults: 40 7

On each of seven hosts with a policy of 100 rules (kernel_cost.py): packets are timed with no trace, and while
`rolewall trace` waits for others, of the same family and protocol, in turn. Of a host's rounds the lowest tenth
counts, of the hosts the one in the middle. At most 60 ns a packet. Needs root.
"""
import argparse
import os
import statistics
import subprocess
import sys
import time

from kernel_cost import ACCEPTED, ESTABLISHED, SKIPPED, SMALL, Station, programs_for, reason_to_skip

MOST = 60.0  # nanoseconds
ASKED = "tcp 192.0.2.250 > any:65000"


def is_there() -> bool:
    return "rolewall-trace-" in subprocess.run(["nft", "list", "tables"], capture_output=True, text=True).stdout


def await_table(there: bool) -> None:
    for _ in range(500):
        if is_there() == there:
            return
        time.sleep(0.01)
    raise RuntimeError("the trace does not begin" if there else "the trace does not end")


def measure(station: Station, program: str, rounds: int) -> dict[str, float]:
    """Nanoseconds more, by kind of packet."""
    found: dict[bool, dict[str, float]] = {}
    taken: dict[bool, dict[str, list[float]]] = {False: {}, True: {}}
    for _ in range(rounds // 5):
        for traced in (False, True):
            waiting = None
            if traced:
                with station.host.inside():
                    waiting = subprocess.Popen([program, "trace", ASKED, "--for", "5m"], stdout=subprocess.DEVNULL,
                                               stderr=subprocess.DEVNULL)
                    await_table(True)
            station.rounds = {kind: [] for kind in station.rounds}
            for _ in range(5):
                station.ask()
            for kind, times in station.rounds.items():
                taken[traced].setdefault(kind, []).extend(times)
            if waiting:
                waiting.terminate()
                waiting.wait()
                with station.host.inside():
                    await_table(False)
    for traced, kinds in taken.items():
        station.rounds = kinds
        found[traced] = {kind: station.nanoseconds(kind) for kind in kinds}
    return {kind: found[True][kind] - found[False][kind] for kind in found[True]}


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("rolewall")
    options.add_argument("rules")
    options.add_argument("--rounds", type=int, default=40)
    options.add_argument("--hosts", type=int, default=7)
    given = options.parse_args()
    os.environ["ROLEWALL_RULES_DIR"] = given.rules
    reason = reason_to_skip(["rolewall"])
    if reason:
        print(f"skipped: {reason}")
        return SKIPPED
    programs = programs_for(SMALL)
    stations = [Station("rolewall", SMALL, given.rolewall, programs) for _ in range(given.hosts)]
    more = [measure(station, given.rolewall, given.rounds) for station in stations]
    worst = 0.0
    for kind in (ACCEPTED, ESTABLISHED):
        each = sorted(host[kind] for host in more)
        worst = max(worst, statistics.median(each))
        print(f"{kind:14} {statistics.median(each):6.1f} ns more, of hosts {' '.join(f'{ns:.0f}' for ns in each)}")
    print(f"{'met' if worst <= MOST else 'MISSED'}: at most {MOST:.0f} ns")
    return 0 if worst <= MOST else 1


if __name__ == "__main__":
    sys.exit(main())
