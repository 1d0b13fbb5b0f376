#!/usr/bin/env python3
"""Whether `rolewall log` keeps up with a flood of lines, and whether the packets' way is slower for it.

usage: log_flood.py PROGRAM RULES_DIR [--rate N] [--seconds N] [--times N]      defaults: 50000 10 2

In network namespaces: a sender beyond a veth sends datagrams that the default drops and logs, at a rate. In turn:
nobody reads the group; `rolewall log` reads it, folded and each line by itself; a reader of a page reads it, which binds
the group with the kernel's own settings and throws all away, and tcpdump, where it is there: what they cost a packet is the
kernel's NFLOG alone. And once more while `rolewall log` is stopped with SIGSTOP, so that its buffer must run over. Each line is shown, repeated or
counted as lost: the sum must be what was sent. What a packet costs is the processor time of the sender, on which the
packet's whole way is run. The last line has what each reader adds, in the median. Exit status 1 where the sum is another.
"""
import argparse
import ctypes
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time

SITE = """
[site]
name = "s"
[defaults]
inbound = "drop"
log = { to = 7, limit = "1000000/second in all" }
[hosts.srv]
role = "server"
addresses = ["203.0.113.10"]
"""
ROLE = 'role = "server"\n'
HERE, PEER = "203.0.113.10", "203.0.113.1"
CLONE_NEWNET = 0x40000000


def run(*words):
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


class Sender:
    """In a namespace of its own; sends when it is told to, and says how many, in what time and processor time."""

    def __init__(self):
        orders_in, self.orders = os.pipe()
        self.answers, answers_out = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            if ctypes.CDLL(None).unshare(CLONE_NEWNET) != 0:
                os._exit(3)
            os.write(answers_out, b"ready\n")
            with os.fdopen(orders_in) as lines:
                for line in lines:
                    os.write(answers_out, json.dumps(self.send(*map(float, line.split()))).encode() + b"\n")
            os._exit(0)
        os.close(orders_in)
        self.said = os.fdopen(self.answers)
        self.said.readline()

    @staticmethod
    def send(rate, seconds):
        sockets = []
        for port in range(5000, 5016):
            out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            out.bind((PEER, 0))
            out.connect((HERE, port))
            sockets.append(out)
        sent = 0
        begin, used = time.monotonic(), time.process_time()
        while (now := time.monotonic() - begin) < seconds:
            due = int(rate * now) - sent
            if due <= 0:
                time.sleep(0.0005)
                continue
            out = sockets[random.randrange(len(sockets))]
            for _ in range(min(due, 200)):
                out.send(b"!")
            sent += min(due, 200)
        return {"sent": sent, "seconds": time.monotonic() - begin, "processor": time.process_time() - used}

    def ask(self, rate, seconds):
        os.write(self.orders, f"{rate} {seconds}\n".encode())
        return json.loads(self.said.readline())


def read_plainly(group=7):
    """The group's lines, with the kernel's settings but for how much of a packet it copies (128 bytes, as ours)."""
    out = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)
    out.setsockopt(socket.SOL_SOCKET, 33, 32 << 20)  # SO_RCVBUFFORCE

    def ask(kind, value):
        body = struct.pack("!BBH", 0, 0, group) + struct.pack("=HH", 4 + len(value), kind) + value
        body += b"\0" * (-len(body) % 4)
        out.send(struct.pack("=IHHII", 16 + len(body), 4 << 8 | 1, 5, 1, 0) + body)
        if struct.unpack_from("=i", out.recv(4096), 16)[0] != 0:
            sys.exit("the group cannot be read")

    ask(1, b"\1")  # NFULA_CFG_CMD: bind
    ask(2, struct.pack("!IBB", 128, 2, 0))  # NFULA_CFG_MODE: packets
    room = bytearray(1 << 18)
    while True:
        out.recv_into(room)


class Plain:
    def __init__(self):
        self.pid = os.fork()
        if self.pid == 0:
            read_plainly()
        time.sleep(0.5)

    def end(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


class Tcpdump:
    def __init__(self):
        self.process = subprocess.Popen(["tcpdump", "-q", "-i", "nflog:7", "-s", "128", "-B", "32768", "-w", "/dev/null"],
                                        stderr=subprocess.DEVNULL)
        time.sleep(1)

    def end(self):
        self.process.kill()
        self.process.wait()


def counted():
    """By the kernel: the counters of the defaults, which deny what the host itself sends as well."""
    listed = json.loads(subprocess.run(["nft", "-j", "list", "table", "inet", "rolewall"],
                                       check=True, capture_output=True, text=True).stdout)
    return sum(expr["counter"]["packets"] for each in listed["nftables"] if "rule" in each
               and each["rule"].get("comment") == "(default)" for expr in each["rule"]["expr"] if "counter" in expr)


def flood(program, sender, rate, seconds, read=(), stopped=0.0, peer=None):
    before = counted()
    reader = None
    other = peer() if peer else None
    if read:
        reader = subprocess.Popen([program, "log", "--state-dir", "state", "--format", "json", *read],
                                  stdout=open("lines", "w", encoding="utf-8"))
        time.sleep(1)
    if stopped:
        os.kill(reader.pid, signal.SIGSTOP)
    answer = sender.ask(rate, seconds)
    if stopped:
        time.sleep(stopped)
        os.kill(reader.pid, signal.SIGCONT)
    answer["denied"] = counted() - before
    if other:
        other.end()
    if reader:
        time.sleep(1.5)
        # How many were lost, the next line shows.
        sender.ask(100, 0.2)
        time.sleep(1)
        answer["denied"] = counted() - before
        usage = pathlib.Path(f"/proc/{reader.pid}/stat").read_text().rsplit(") ", 1)[1].split()
        answer["reader"] = (int(usage[11]) + int(usage[12])) / os.sysconf("SC_CLK_TCK")
        reader.send_signal(signal.SIGINT)
        shown = lost = 0
        reader.wait()
        for line in pathlib.Path("lines").read_text(encoding="utf-8").splitlines():
            event = json.loads(line)
            if event["event"] == "lost":
                lost += event["count"]
            elif event["event"] in ("packet", "repeated"):
                shown += event.get("times", 1)
        answer.update(shown=shown, lost=lost)
    return answer


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program")
    parser.add_argument("rules")
    parser.add_argument("--rate", type=float, default=50000)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--times", type=int, default=2)
    options = parser.parse_args()
    options.program = os.path.abspath(options.program)
    os.environ["ROLEWALL_RULES_DIR"] = os.path.abspath(options.rules)
    if ctypes.CDLL(None).unshare(CLONE_NEWNET) != 0:
        print("skipped: no network namespaces here (run it as root)")
        return 77
    sender = Sender()
    try:
        run("ip", "link", "set", "lo", "up")
        run("ip", "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", str(sender.pid))
        run("ip", "address", "add", f"{HERE}/24", "dev", "eth0")
        run("ip", "link", "set", "eth0", "up")
        for words in (["ip", "address", "add", f"{PEER}/24", "dev", "eth0"], ["ip", "link", "set", "eth0", "up"]):
            run("nsenter", "-t", str(sender.pid), "-n", *words)
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            os.mkdir("site")
            pathlib.Path("site/site.toml").write_text(SITE, encoding="utf-8")
            pathlib.Path("site/server.toml").write_text(ROLE, encoding="utf-8")
            run(options.program, "apply", "site", "--host", "srv", "--state-dir", "state", "--force")
            time.sleep(0.5)
            wrong = 0
            print(f"{'':18}{'sent':>9}{'a second':>10}{'denied':>9}{'shown':>9}{'lost':>9}{'ns a packet':>13}{'reader, s':>11}")
            rounds = [("nobody reads", {}), ("rolewall log", {"read": ["--fold", "1s"]}),
                      ("log --each", {"read": ["--each"]}), ("plain reader", {"peer": Plain})]
            if shutil.which("tcpdump"):
                rounds.append(("tcpdump", {"peer": Tcpdump}))
            costs = {}
            for name, words in rounds * options.times + [("reader stopped", {"read": ["--fold", "1s"], "stopped": 1.0})]:
                got = flood(options.program, sender, options.rate, options.seconds, **words)
                cost = got["processor"] / got["sent"] * 1e9
                costs.setdefault(name, []).append(cost)
                print(f"{name:18}{got['sent']:9}{got['sent'] / got['seconds']:10.0f}{got['denied']:9}"
                      f"{got.get('shown', '-'):>9}{got.get('lost', '-'):>9}{cost:13.0f}{got.get('reader', '-'):>11}", flush=True)
                if words.get("read") and got["shown"] + got["lost"] != got["denied"]:
                    print(f"  {got['denied'] - got['shown'] - got['lost']} lines are neither shown nor counted as lost")
                    wrong += 1
            base = statistics.median(costs["nobody reads"])
            print("a reader adds, ns a packet: " + ", ".join(
                f"{name} {statistics.median(costs[name]) - base:.0f}" for name, _ in rounds[1:]))
            os.chdir("/")
        return 1 if wrong else 0
    finally:
        os.kill(sender.pid, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
