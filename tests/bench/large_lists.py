#!/usr/bin/env python3
"""What a large list costs, side by side with nft and with the kernel alone, as ratios.

usage: large_lists.py PROGRAM RULES_DIR [--count N] [--runs N]      defaults: 1000000 3

For a list of addresses and one of prefixes, each in a network namespace of its own:
  nft       `nft -f` of one set with them
  batch     the same set as one prepared batch, sent in one message: what the kernel needs
  first     the first `rolewall apply`: policies and list read, tests, guard, plan, commit, record
  again     the same, nothing changed
  changed   the same, one address more
  stranger  the same, one address more, and another program has changed its own table meanwhile
Each is given as elapsed time, the time of its own processor, and memory: medians of the runs. `sent` is
the time of first's longest message to the kernel (strace -T).
"""
import argparse
import os
import pathlib
import random
import re
import shutil
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time

SITE = pathlib.Path(__file__).parents[1] / "large-site"


def dotted(number: int) -> str:
    return ".".join(str(number >> shift & 255) for shift in (24, 16, 8, 0))


def first_addresses(kind: str, count: int) -> list[int]:
    """In no order, none beside another."""
    bits = 1 if kind == "addresses" else 6
    rng = random.Random(1)
    found: set[int] = set()
    while len(found) < count:
        found.add(rng.randrange(0x0B000000 >> bits, 0x7E000000 >> bits) << bits)
    numbers = list(found)
    rng.shuffle(numbers)
    return numbers


# --- one prepared batch: linux/netfilter/nf_tables.h ---

def attribute(kind: int, payload: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(payload), kind) + payload + bytes(-len(payload) % 4)


def nest(kind: int, *inner: bytes) -> bytes:
    return attribute(kind | 0x8000, b"".join(inner))


def be32(kind: int, value: int) -> bytes:
    return attribute(kind, struct.pack(">I", value))


def message(kind: int, flags: int, family: int, resource: int, payload: bytes) -> bytes:
    return struct.pack("=IHHII", 20 + len(payload), kind, flags, 0, 0) + struct.pack(
        ">BBH", family, 0, resource) + payload


def prepared_batch(kind: str, numbers: list[int], size: int) -> bytes:
    create = 0x400 | 1
    inet, table, name = 1, attribute(1, b"t\0"), attribute(2, b"s\0")
    if kind == "addresses":
        elements = [nest(1, nest(1, be32(1, n))) for n in numbers]
    else:
        elements = [nest(1, be32(3, 1), nest(1, be32(1, 0)))]
        for n in sorted(numbers):
            elements.append(nest(1, nest(1, be32(1, n))))
            elements.append(nest(1, be32(3, 1), nest(1, be32(1, n + 32))))
    parts = [
        message(0x10, 1, 0, 10, b""),
        message(0xA00, create, inet, 0, table),
        message(0xA09, create, inet, 0, b"".join([
            table, name, be32(3, 0 if kind == "addresses" else 4), be32(4, 7), be32(5, 4),
            nest(9, be32(1, size)) if size else b"", be32(10, 1)])),
    ]
    for at in range(0, len(elements), 1000):
        parts.append(message(0xA0C, create, inet, 0,
                             table + name + nest(3, *elements[at:at + 1000])))
    parts.append(message(0x11, 1, 0, 10, b""))
    return b"".join(parts)


def send_batch(path: str) -> None:
    """Within the namespace: prints the seconds that one message takes."""
    batch = pathlib.Path(path).read_bytes()
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12) as netlink:
        netlink.setsockopt(socket.SOL_SOCKET, 32, len(batch) + 4096)  # SO_SNDBUFFORCE
        netlink.bind((0, 0))
        before = time.monotonic()
        netlink.sendto(batch, (0, 0))
        print(time.monotonic() - before)
    found = subprocess.run(["nft", "list", "sets"], capture_output=True, text=True, check=True)
    if "set s" not in found.stdout:
        sys.exit("the prepared batch was refused")


# --- runs ---

class Cost:
    def __init__(self, elapsed: float, processor: float = 0, memory: float = 0, sent: float = 0):
        self.elapsed, self.processor, self.memory, self.sent = elapsed, processor, memory, sent


def measured(command: list[str]) -> Cost:
    before = time.monotonic()
    with tempfile.TemporaryFile() as said:
        child = subprocess.Popen(command, stdout=said, stderr=said)
        _, status, usage = os.wait4(child.pid, 0)
        elapsed = time.monotonic() - before
        if status != 0:
            said.seek(0)
            sys.exit(f"{' '.join(command)}: {said.read().decode()[-2000:]}")
    return Cost(elapsed, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def apply_command(program: str, site: str, state: str) -> list[str]:
    return [program, "apply", site, "--host", "web-01", "--state-dir", state, "--yes"]


def applies(program: str, site: str, trace: str) -> None:
    """Within the namespace: prints a line for each run."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    subprocess.run(["nft", "add table ip other"], check=True)
    with tempfile.TemporaryDirectory() as state:
        command = apply_command(program, site, state)
        if trace:
            log = state + "-trace"
            measured(["strace", "-qq", "-o", log, "-T", "-e", "trace=sendto", *command])
            times = re.findall(r"<([0-9.]+)>$", pathlib.Path(log).read_text(), re.MULTILINE)
            os.unlink(log)
            print("sent", max(map(float, times)), 0, 0)
            return
        show = lambda name, cost: print(name, cost.elapsed, cost.processor, cost.memory, flush=True)
        show("first", measured(command))
        show("again", measured(command))
        path = pathlib.Path(site, "lists/abusers.txt")
        kept = path.read_bytes()
        try:
            path.write_bytes(kept + b"9.9.9.1\n")
            show("changed", measured(command))
            subprocess.run(["nft", "add chain ip other mine"], check=True)
            path.write_bytes(kept + b"9.9.9.1\n9.9.9.4\n")
            show("stranger", measured(command))
        finally:
            path.write_bytes(kept)


def in_namespace(*arguments: str) -> str:
    how = ["unshare", "-n"] if os.geteuid() == 0 else ["unshare", "-rn"]
    child = subprocess.run([*how, sys.executable, os.path.abspath(__file__), *arguments],
                           capture_output=True, text=True, check=False)
    if child.returncode != 0:
        sys.exit(child.stderr or child.stdout)
    return child.stdout


def add_runs(costs: dict[str, list[Cost]], said: str) -> None:
    for line in said.splitlines():
        name, *numbers = line.split()
        costs.setdefault(name, []).append(Cost(*map(float, numbers)))


def bench(kind: str, options: argparse.Namespace, scratch: pathlib.Path) -> None:
    numbers = first_addresses(kind, options.count)
    texts = [dotted(n) + ("" if kind == "addresses" else "/27") for n in numbers]
    site = scratch / kind
    shutil.copytree(SITE, site)
    (site / "lists").mkdir()
    (site / "lists/abusers.txt").write_text("\n".join(texts) + "\n")
    flags = "" if kind == "addresses" else "flags interval; "
    (scratch / "nft").write_text(
        f"table inet t {{\nset s {{ type ipv4_addr; {flags}elements = {{ {','.join(texts)} }};\n}}\n}}\n")
    # As rolewall declares it (compile/address_sets.cc).
    size = 3
    while size < options.count + options.count // 8:
        size *= 2
    (scratch / "batch").write_bytes(
        prepared_batch(kind, numbers, size if kind == "addresses" else 0))
    costs: dict[str, list[Cost]] = {}
    for _ in range(options.runs):
        add_runs(costs, in_namespace("--inside", "applies", options.program, str(site), ""))
        if shutil.which("strace"):
            add_runs(costs, in_namespace("--inside", "applies", options.program, str(site), "trace"))
        add_runs(costs, in_namespace("--inside", "nft", str(scratch / "nft")))
        costs.setdefault("batch", []).append(
            Cost(float(in_namespace("--inside", "batch", str(scratch / "batch")))))
    middle = {name: Cost(*(statistics.median(getattr(run, part) for run in runs)
                           for part in ("elapsed", "processor", "memory")))
              for name, runs in costs.items()}
    print(f"{options.count} {kind}            elapsed    cpu  memory   medians of {options.runs}")
    for name in ("nft", "batch", "sent", "first", "again", "changed", "stranger"):
        if name in middle:
            cost = middle[name]
            rest = f"{cost.processor:5.2f} s {cost.memory:5.0f} MB" if cost.memory else ""
            print(f"  {name:24} {cost.elapsed:8.3f} s {rest}")
    first, nft = middle["first"], middle["nft"]
    print(f"  first / nft: elapsed {first.elapsed / nft.elapsed:.2f}, "
          f"cpu {first.processor / nft.processor:.2f}, memory {first.memory / nft.memory:.2f}")
    if "sent" in middle:
        print(f"  sent / batch: {middle['sent'].elapsed / middle['batch'].elapsed:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description="large lists, as ratios")
    parser.add_argument("program")
    parser.add_argument("rules")
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    how = ["unshare", "-n"] if os.geteuid() == 0 else ["unshare", "-rn"]
    if not shutil.which("nft") or subprocess.run([*how, "true"], check=False).returncode != 0:
        print("skipped: no nft, or no namespaces here")
        sys.exit(77)
    options.program = os.path.abspath(options.program)
    os.environ["ROLEWALL_RULES_DIR"] = os.path.abspath(options.rules)
    with tempfile.TemporaryDirectory() as directory:
        for kind in ("addresses", "prefixes"):
            bench(kind, options, pathlib.Path(directory))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--inside"]:
        verb, *rest = sys.argv[2:]
        if verb == "applies":
            applies(*rest)
        elif verb == "batch":
            send_batch(*rest)
        else:
            add = measured(["nft", "-f", rest[0]])
            print("nft", add.elapsed, add.processor, add.memory)
    else:
        main()
