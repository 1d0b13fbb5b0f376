"""A peer beyond eth0 that meets each kind of denial of a site whose one host is this network namespace, and
what its rules log and count of that."""

import os
import socket
import struct
import time

from live_guard import Client, run
from scene import NEIGHBOURS, put_beyond

PEER, OTHER, INSIDE, BANNED, HERE = ("203.0.113.1", "203.0.113.2", "10.0.9.7", "198.51.100.66",
                                     "203.0.113.10")
SITE = f"""
[site]
name = "s"
management = "198.51.100.99"
[networks]
inside = "10.0.0.0/8"
friends = ["{PEER}", "{OTHER}"]
[interfaces.public]
device = "eth0"
[interfaces.private]
device = "eth1"
behind = "inside"
[hosts.srv]
role = "server"
addresses = ["{HERE}"]
interfaces = ["public", "private"]
[hosts.other]
role = "server"
addresses = ["{OTHER}"]
"""
RULES = f"""
role = "server"
{NEIGHBOURS}[[inbound]]
id = "app"
service = "tcp/8000"
from = "friends"
[[inbound]]
id = "limited"
service = "udp/1000"
limit = "1/hour"
[[inbound]]
id = "own"
service = "udp/2000"
action = "drop"
log = true
[[inbound]]
id = "friends-only"
service = "udp/4000"
from = "{OTHER}"
"""


def line_of(text, site=RULES):
    """Where a rule with this id begins in server.toml."""
    lines = site.splitlines()
    return lines.index(f'id = "{text}"')  # the line before it, counted from 1


class Peer(Client):
    def do(self, what, words, held):
        if what == "datagrams":  # from, to, port, how many
            source, to, port, count = words
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
                out.bind((source, 0))
                for _ in range(int(count)):
                    out.sendto(b"!", (to, int(port)))
            return "done"
        if what == "connections":  # from, to, port, how many; each sends and gets 1,000 bytes
            source, to, port, count = words
            for _ in range(int(count)):
                with self.connect(source, to, port, 3) as each:
                    each.sendall(b"?" * 1000)
                    left = 1000
                    while left > 0 and (data := each.recv(left)):
                        left -= len(data)
            return "done"
        if what == "to-all":  # from, to, port
            source, to, port = words
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
                out.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
                out.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth0")
                out.bind((source, 0))
                out.sendto(b"!", (to, int(port)))
            return "done"
        if what == "again":  # from, to, port, how many: from one port, each reset when it has got its answer
            source, to, port, count = words
            with self.connect(source, to, port, 3) as first:
                own = first.getsockname()[1]
                first.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            for _ in range(int(count)):
                with socket.socket() as each:
                    each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    each.bind((source, own))
                    each.connect((to, int(port)))
                    each.sendall(b"?" * 50)
                    each.recv(50)
                time.sleep(0.15)
            return "done"
        if what == "answer":  # a SYN+ACK without a SYN, which is invalid
            source, to = (socket.inet_aton(word) for word in words)
            with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP) as out:
                out.bind((words[0], 0))
                head = struct.pack("!HHIIBBHHH", 4000, 5000, 1, 1, 0x50, 0x12, 100, 0, 0)
                pseudo = source + to + struct.pack("!BBH", 0, 6, len(head))
                total = sum(struct.unpack(f"!{len(pseudo + head) // 2}H", pseudo + head))
                total = (total & 0xFFFF) + (total >> 16)
                total = ~(total + (total >> 16)) & 0xFFFF
                out.sendto(head[:16] + struct.pack("!H", total) + head[18:], (words[1], 0))
            return "done"
        return super().do(what, words, held)


def join():
    peer = put_beyond("eth0", Peer())
    run("ip", "address", "add", f"{HERE}/24", "dev", "eth0")
    run("sysctl", "-qw", "net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.eth0.rp_filter=0",
        "net.ipv6.conf.eth0.disable_ipv6=1")
    peer.must("sysctl", "-qw", "net.ipv6.conf.eth0.disable_ipv6=1")
    for address in (f"{PEER}/24", f"{OTHER}/24", f"{INSIDE}/32", f"{BANNED}/32"):
        peer.must("ip", "address", "add", address, "dev", "eth0")
    for address in (INSIDE, BANNED):
        run("ip", "route", "add", address, "dev", "eth0")
    return peer


def everything(peer, times=1):
    """Each kind of denial, so many times: by default, spoofed, banned, a rule's, over a limit and invalid."""
    peer.ask("datagrams", PEER, HERE, 3000, times)
    peer.ask("datagrams", INSIDE, HERE, 3000, times)
    peer.ask("datagrams", BANNED, HERE, 3000, times)
    peer.ask("datagrams", OTHER, HERE, 2000, times)
    peer.ask("datagrams", OTHER, HERE, 1000, times + 1)
    for _ in range(times):
        peer.ask("answer", OTHER, HERE)


def environment():
    return {name: value for name, value in os.environ.items() if name != "SSH_CONNECTION"}
