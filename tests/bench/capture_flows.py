#!/usr/bin/env python3
"""What a packet of a capture costs `eval --pcap`, and how much memory, however many flows there are.

usage: capture_flows.py PROGRAM POLICIES RULES_DIR [--few N] [--many N] [--runs N] [--only SCENE ...]
defaults: 10000 1000000 3, all scenes

Captures of new flows alone, each packet the first of another connection, 10,000 a second: of many addresses to a
balancer and to a gateway, half of them admitted; and through the gateway's masquerade, of a few machines that open all
their ports to one server, until none is left, and of one port of one machine to ever other servers. The processor's
time a packet, without what it takes to begin (the same of a capture of one packet), the median of the runs; it is to
be at most twice as much with many flows as with few, since connection tracking has room for so many (nf_conntrack_max)
and no more. Exits with 1 if not.
"""
import argparse
import os
import pathlib
import resource
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
from typing import Callable, NamedTuple

A_SECOND = 10_000
MOST_TIMES = 2.0
FIRST_PORT = 1024
PORTS = 65_536 - FIRST_PORT


class Flow(NamedTuple):
    source: str
    port: int
    to: str
    to_port: int
    udp: bool = False


class Scene(NamedTuple):
    host: str
    device: str
    flow: Callable[[int], Flow]


def address(first: str, number: int) -> str:
    return socket.inet_ntoa(struct.pack("!I", struct.unpack("!I", socket.inet_aton(first))[0] + number))


def from_many(to: str, ports: tuple[int, int]) -> Callable[[int], Flow]:
    """From 65,536 addresses, and ever another port."""
    return lambda number: Flow(address("100.64.0.0", number % 65_536), FIRST_PORT + number // 65_536 * 256 + number % 251,
                               to, ports[number % 2], number % 4 == 3)


def all_ports(number: int) -> Flow:
    return Flow(address("10.0.9.1", number // PORTS), FIRST_PORT + number % PORTS, "192.0.2.1", 443)


def one_port(number: int) -> Flow:
    return Flow("10.0.9.1", 40_000, address("11.0.0.1", number), 443)


SCENES = {
    "lb-01": Scene("lb-01", "public", from_many("203.0.113.10", (443, 8443))),
    "gw-01": Scene("gw-01", "public", from_many("203.0.113.12", (8443, 25))),
    "all ports": Scene("gw-01", "private", all_ports),
    "one port": Scene("gw-01", "private", one_port),
}


def sum_of(words: bytes) -> int:
    total = sum(struct.unpack(f"!{len(words) // 2}H", words))
    total = (total & 0xFFFF) + (total >> 16)
    return ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF


def packet(number: int, flow: Flow) -> bytes:
    if flow.udp:
        protocol, place = socket.IPPROTO_UDP, 6
        head = struct.pack("!HHHH", flow.port, flow.to_port, 12, 0) + b"1234"
    else:
        protocol, place = socket.IPPROTO_TCP, 16
        head = struct.pack("!HHIIBBHHH", flow.port, flow.to_port, number, 0, 0x50, 2, 64_000, 0, 0)
    ends = socket.inet_aton(flow.source) + socket.inet_aton(flow.to)
    checksum = sum_of(ends + struct.pack("!HH", protocol, len(head)) + head)
    head = head[:place] + struct.pack("!H", checksum) + head[place + 2:]
    fields = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(head), number & 0xFFFF, 0, 60, protocol, 0)
    fields = fields[:10] + struct.pack("!H", sum_of(fields + ends))
    return b"\x02\0\0\0\0\x01\x02\0\0\0\0\x02\x08\0" + fields + ends + head


def write_capture(path: pathlib.Path, flows: int, scene: Scene) -> None:
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262_144, 1))
        for number in range(flows):
            frame = packet(number, scene.flow(number))
            seconds, rest = divmod(number, A_SECOND)
            micros = rest * (1_000_000 // A_SECOND)
            file.write(struct.pack("<IIII", 1_700_000_000 + seconds, micros, len(frame), len(frame)) + frame)


def asked(program: str, words: list[str]) -> tuple[float, int, str]:
    """Processor time, memory in KB and what it said."""
    read, write = os.pipe()
    child = subprocess.Popen([program, "eval", *words], stdout=write, stderr=subprocess.STDOUT)
    os.close(write)
    with os.fdopen(read) as said:
        text = said.read()
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode not in (0, 1):
        sys.exit(f"{' '.join(words)}: {text}")
    return used.ru_utime + used.ru_stime, used.ru_maxrss, text


def measure(arguments, name_of_scene: str, folder: pathlib.Path) -> bool:
    scene = SCENES[name_of_scene]
    common = ["-p", arguments.policies, "--host", scene.host, "--in", scene.device]
    counts = {"begin": 1, "few": arguments.few, "many": arguments.many}
    for name, flows in counts.items():
        write_capture(folder / name, flows, scene)
    times = {name: [] for name in counts}
    memory = dict.fromkeys(counts, 0)
    for _ in range(arguments.runs):
        for name in counts:
            seconds, kilobytes, text = asked(arguments.program, [*common, "--pcap", str(folder / name)])
            times[name].append(seconds)
            memory[name] = max(memory[name], kilobytes)
            if arguments.show:
                print(text)
    begin = statistics.median(times["begin"])
    each = {name: (statistics.median(times[name]) - begin) / counts[name] for name in ("few", "many")}
    ratio = each["many"] / each["few"]
    print(f"{name_of_scene}: {counts['few']:,} flows {each['few'] * 1e6:.2f} us a packet, {memory['few'] // 1024} MB; "
          f"{counts['many']:,} flows {each['many'] * 1e6:.2f} us, {memory['many'] // 1024} MB")
    met = ratio <= MOST_TIMES
    print(f"{'met' if met else 'MISSED'}  at most {MOST_TIMES:g} times as much: {ratio:.2f}", flush=True)
    return met


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program")
    parser.add_argument("policies")
    parser.add_argument("rules")
    parser.add_argument("--few", type=int, default=10_000)
    parser.add_argument("--many", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", action="append", choices=SCENES)
    parser.add_argument("--show", action="store_true", help="what the program said")
    arguments = parser.parse_args()
    os.environ["ROLEWALL_RULES_DIR"] = arguments.rules
    with tempfile.TemporaryDirectory() as folder:
        met = [measure(arguments, name, pathlib.Path(folder)) for name in arguments.only or SCENES]
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
