#!/usr/bin/env python3
"""Whether `rolewall log` keeps up with a flood of lines, and whether the packets' way is slower for it.

usage: log_flood.py PROGRAM RULES_DIR [--rate N] [--seconds N]      defaults: 50000 10

In network namespaces: a sender beyond a veth sends datagrams that the default drops and logs, at a rate. Three
times: nobody reads the group; `rolewall log` reads it; and once more while it is stopped with SIGSTOP, so
that its buffer must run over. Each line is shown, repeated or counted as lost: the sum must be what was sent.
What a packet costs is the processor time of the sender, on which the packet's whole way is run.
Exit status 1 where the sum is another.
"""
import argparse
import ctypes
import json
import os
import pathlib
import random
import signal
import socket
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


def counted():
    """By the kernel: the default's counter of input."""
    listed = json.loads(subprocess.run(["nft", "-j", "list", "chain", "inet", "rolewall", "input"],
                                       check=True, capture_output=True, text=True).stdout)
    return sum(expr["counter"]["packets"] for each in listed["nftables"] if "rule" in each
               and each["rule"].get("comment") == "(default)" for expr in each["rule"]["expr"] if "counter" in expr)


def flood(program, sender, rate, seconds, read, stopped=0.0):
    before = counted()
    reader = None
    if read:
        reader = subprocess.Popen([program, "log", "--state-dir", "state", "--format", "json", "--fold", "1s"],
                                  stdout=open("lines", "w", encoding="utf-8"))
        time.sleep(1)
    if stopped:
        os.kill(reader.pid, signal.SIGSTOP)
    answer = sender.ask(rate, seconds)
    if stopped:
        time.sleep(stopped)
        os.kill(reader.pid, signal.SIGCONT)
    answer["denied"] = counted() - before
    if reader:
        time.sleep(1.5)
        # How many were lost, the next line shows.
        answer["denied"] += sender.ask(100, 0.2)["sent"]
        time.sleep(1)
        usage = pathlib.Path(f"/proc/{reader.pid}/stat").read_text().rsplit(") ", 1)[1].split()
        answer["reader"] = (int(usage[11]) + int(usage[12])) / os.sysconf("SC_CLK_TCK")
        reader.send_signal(signal.SIGINT)
        shown = lost = 0
        reader.wait()
        for line in pathlib.Path("lines").read_text(encoding="utf-8").splitlines():
            event = json.loads(line)
            if event["event"] == "lost":
                lost += event["count"]
            elif event.get("direction") == "inbound":
                shown += event.get("times", 1)
        answer.update(shown=shown, lost=lost)
    return answer


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program")
    parser.add_argument("rules")
    parser.add_argument("--rate", type=float, default=50000)
    parser.add_argument("--seconds", type=float, default=10)
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
            for name, words in (("nobody reads", {"read": False}), ("rolewall log", {"read": True}),
                                ("nobody reads", {"read": False}), ("rolewall log", {"read": True}),
                                ("reader stopped", {"read": True, "stopped": 1.0})):
                got = flood(options.program, sender, options.rate, options.seconds, **words)
                cost = got["processor"] / got["sent"] * 1e9
                print(f"{name:18}{got['sent']:9}{got['sent'] / got['seconds']:10.0f}{got['denied']:9}"
                      f"{got.get('shown', '-'):>9}{got.get('lost', '-'):>9}{cost:13.0f}{got.get('reader', '-'):>11}")
                if words["read"] and got["shown"] + got["lost"] != got["denied"]:
                    print(f"  {got['denied'] - got['shown'] - got['lost']} lines are neither shown nor counted as lost")
                    wrong += 1
            os.chdir("/")
        return 1 if wrong else 0
    finally:
        os.kill(sender.pid, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
