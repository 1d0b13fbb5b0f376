#!/usr/bin/env python3
"""What it costs to ask about all that is open, and to end it.

usage: open_connections.py PROGRAM RULES_DIR [--count N] [--runs N]      defaults: 100000 3

In a network namespace of its own: `plan` of a policy that no longer admits N connections (UDP, each to another
address and port), beside the same with nothing open; then the `apply --cut` that ends them. The processor's
time, the median of the runs; the difference is what the connections cost. At most 5 s for 100,000.
"""
import argparse
import json
import os
import pathlib
import resource
import socket
import statistics
import struct
import subprocess
import sys
import tempfile

SITE = """
[site]
name = "s"
[defaults]
outbound = "reject"
[interfaces.public]
device = "eth0"
[hosts.srv]
role = "server"
addresses = ["10.0.0.1"]
interfaces = ["public"]
"""
ROLE = 'role = "server"\nuse = ["baseline"]\n'
OUT = '[[outbound]]\nid = "out"\nservice = "udp/5000-5099"\n'


def run(*words: str) -> str:
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(words)}: {done.stdout}{done.stderr}")
    return done.stdout


def timed(*words: str) -> tuple[float, str]:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    text = run(*words)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, text


def answer(source: str, from_port: int, to_port: int) -> bytes:
    """A datagram to 10.0.0.1; without an answer each packet is new to the rules, and nothing is open."""
    ends = socket.inet_aton(source) + socket.inet_aton("10.0.0.1")
    header = struct.pack("!BBHHHBBH", 0x45, 0, 29, 0, 0, 64, socket.IPPROTO_UDP, 0) + ends
    total = sum(struct.unpack("!10H", header))
    total = (total & 0xFFFF) + (total >> 16)
    checksum = ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
    return header[:10] + struct.pack("!H", checksum) + header[12:] + struct.pack("!HHHH", from_port, to_port, 9, 0) + b"!"


def open_many(count: int) -> None:
    mac = json.loads(run("ip", "-j", "link", "show", "eth0"))[0]["address"]
    frame = bytes.fromhex(mac.replace(":", "")) + bytes(6) + b"\x08\x00"
    with (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out,
          socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as far):
        far.bind(("far", 0x0800))
        for i in range(count):
            to = (f"10.1.{i // 100 // 250}.{i // 100 % 250 + 1}", 5000 + i % 100)
            out.sendto(b"!", to)
            far.send(frame + answer(*to, out.getsockname()[1]))


def inside(options: argparse.Namespace) -> int:
    for words in (["ip", "link", "set", "lo", "up"], ["ip", "link", "add", "eth0", "type", "veth", "peer", "name", "far"],
                  ["ip", "link", "set", "far", "up"],
                  ["ip", "address", "add", "10.0.0.1/8", "dev", "eth0"], ["ip", "link", "set", "eth0", "arp", "off"],
                  ["ip", "link", "set", "eth0", "up"]):
        run(*words)
    with tempfile.TemporaryDirectory() as name:
        site = pathlib.Path(name) / "site"
        site.mkdir()
        (site / "site.toml").write_text(SITE, encoding="utf-8")
        role = site / "server.toml"
        state = ["--host", "srv", "--state-dir", f"{name}/state"]
        cost: dict[str, list[float]] = {"nothing open": [], "plan": [], "apply --cut": []}
        for _ in range(options.runs):
            role.write_text(ROLE + OUT, encoding="utf-8")
            run(options.program, "apply", str(site), *state, "--force", "--cut")
            role.write_text(ROLE, encoding="utf-8")
            cost["nothing open"].append(timed(options.program, "plan", str(site), *state)[0])
            try:
                pathlib.Path("/proc/sys/net/netfilter/nf_conntrack_udp_timeout").write_text("600", encoding="utf-8")
            except OSError:
                pass
            open_many(options.count)
            seconds, text = timed(options.program, "plan", str(site), *state, "--format", "json")
            cost["plan"].append(seconds)
            found = json.loads(text)["connections"]
            if found["not_admitted"] < options.count * 0.9:
                sys.exit(f"of {options.count} connections: {found}")
            cost["apply --cut"].append(timed(options.program, "apply", str(site), *state, "--force", "--cut")[0])
    medians = {what: statistics.median(each) for what, each in cost.items()}
    for what, each in medians.items():
        print(f"{what:14} {each:6.2f} s")
    each = (medians["plan"] - medians["nothing open"]) / options.count
    print(f"{each * 1e6:.1f} us a connection asked about; {options.count} connections: "
          f"{medians['plan'] - medians['nothing open']:.2f} s")
    return 0


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("rules")
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--inside", action="store_true")
    options = parser.parse_args()
    os.environ["ROLEWALL_RULES_DIR"] = options.rules
    if options.inside:
        return inside(options)
    if subprocess.run(["unshare", "-rn", "true"], capture_output=True).returncode != 0:
        print("skipped: no user and network namespaces here")
        return 77
    return subprocess.run(["unshare", "-rn", sys.executable, __file__, options.program, options.rules, "--count",
                           str(options.count), "--runs", str(options.runs), "--inside"]).returncode


if __name__ == "__main__":
    sys.exit(main())
