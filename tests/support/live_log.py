"""Scenes for tests/cli/log_live.sh: what this network namespace denies to a peer beyond eth0 is read
from an NFLOG group, line by line."""

import collections
import os
import socket
import struct
import sys
import time

from live_guard import Client, run
from scene import NEIGHBOURS, apply, check, finish, must, put_beyond, write_site

PEER, OTHER, INSIDE, BANNED, HERE = ("203.0.113.1", "203.0.113.2", "10.0.9.7", "198.51.100.66",
                                     "203.0.113.10")
PEER6, NEAR6, FAR6, HERE6 = ("2001:db8:1::1", "2001:db8:1::2", "2001:db8:2::1", "2001:db8:1::10")
GROUP = 7
SITE = f"""
[site]
name = "s"
management = "198.51.100.99"
[networks]
inside = "10.0.0.0/8"
[interfaces.public]
device = "eth0"
[interfaces.private]
device = "eth1"
behind = "inside"
[hosts.srv]
role = "server"
addresses = ["{HERE}", "{HERE6}"]
interfaces = ["public", "private"]
"""
RULES = f"""
role = "server"
{NEIGHBOURS}[[inbound]]
id = "limited"
service = "udp/1000"
limit = "1/hour"
[[inbound]]
id = "own"
service = "udp/2000"
action = "drop"
log = true
log-limit = "2/hour burst 2"
"""


class Log:
    """The prefixes of a group's packets (net/netfilter/nfnetlink_log.c)."""

    def __init__(self, group):
        config, bind, request = 4 << 8 | 1, 1, 1
        self.kernel = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)
        command = struct.pack("=HHB3x", 5, 1, bind)  # NFULA_CFG_CMD
        mode = struct.pack("=HH", 10, 2) + struct.pack("!IBx", 0, 1)  # NFULA_CFG_MODE: no payload
        each = struct.pack("=HH", 8, 5) + struct.pack("!I", 1)  # NFULA_CFG_QTHRESH: each at once
        body = struct.pack("=BBH", 0, 0, socket.htons(group)) + command + mode + b"\0\0" + each
        self.kernel.send(struct.pack("=IHHII", 16 + len(body), config, request | 4, 1, 0) + body)
        error = struct.unpack_from("=i", self.kernel.recv(4096), 16)[0]
        if error != 0:
            sys.exit(f"group {group} cannot be read: {os.strerror(-error)}")

    def lines(self, seconds=0.5):
        """How often each prefix came, but of what this host sends by itself (MLD reports)."""
        found = collections.Counter()
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.kernel.settimeout(left)
            try:
                data = self.kernel.recv(65536)
            except TimeoutError:
                break
            while len(data) >= 16:
                length, kind = struct.unpack_from("=IH", data)
                if kind == 4 << 8:
                    found[self.prefix(data[20:length])] += 1
                data = data[(length + 3) & ~3:]
        return {line: count for line, count in found.items() if " outbound " not in line}

    @staticmethod
    def prefix(attributes):
        while len(attributes) >= 4:
            length, kind = struct.unpack_from("=HH", attributes)
            if kind & 0x3FFF == 10:  # NFULA_PREFIX
                return attributes[4:length].rstrip(b"\0").decode().rstrip(": ")
            attributes = attributes[(length + 3) & ~3:]
        return "no prefix"


class Peer(Client):
    def do(self, what, words, held):
        if what == "datagrams":  # from, to, port, how many
            source, to, port, count = words
            family = socket.AF_INET6 if ":" in to else socket.AF_INET
            with socket.socket(family, socket.SOCK_DGRAM) as out:
                out.bind((source, 0))
                for _ in range(int(count)):
                    out.sendto(b"!", (to, int(port)))
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


def put_in_force(log, mode="enforce"):
    """From the beginning: no limit has been used."""
    run("nft", "flush", "ruleset")
    write_site(server=f'{RULES}[defaults]\nmode = "{mode}"\nlog = {{ {log} }}\n')
    apply()


def join():
    peer = put_beyond("eth0", Peer())
    run("ip", "address", "add", f"{HERE}/24", "dev", "eth0")
    run("ip", "-6", "address", "add", f"{HERE6}/48", "dev", "eth0", "nodad")
    run("sysctl", "-qw", "net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.eth0.rp_filter=0")
    for address in (f"{PEER}/24", f"{OTHER}/24", f"{INSIDE}/32", f"{BANNED}/32"):
        peer.must("ip", "address", "add", address, "dev", "eth0")
    for address in (f"{PEER6}/48", f"{NEAR6}/48", f"{FAR6}/48"):
        peer.must("ip", "-6", "address", "add", address, "dev", "eth0", "nodad")
    for address in (INSIDE, BANNED):
        run("ip", "route", "add", address, "dev", "eth0")
    return peer


def everything_once(peer):
    peer.ask("datagrams", PEER, HERE, 3000, 1)
    peer.ask("datagrams", INSIDE, HERE, 3000, 1)
    peer.ask("datagrams", BANNED, HERE, 3000, 1)
    peer.ask("datagrams", OTHER, HERE, 1000, 1)
    peer.ask("datagrams", OTHER, HERE, 1000, 1)
    peer.ask("answer", OTHER, HERE)


def steps(peer, log):
    default = {"rolewall (default) inbound drop": 1}
    spoofed = {"rolewall (spoofed) drop": 1}
    excess = {"rolewall server.inbound.limited excess": 1}
    every = {"rolewall (invalid) drop": 1, "rolewall (banned) drop": 1}
    for words, expected in [("", default | spoofed | excess), ("steps = []", default),
                            ('steps = ["limits"]', default | excess),
                            ('steps = ["invalid", "banned", "spoofed", "limits"]',
                             default | spoofed | excess | every)]:
        put_in_force(", ".join(filter(None, [f"to = {GROUP}", words])))
        must("ban", BANNED)
        log.lines(0.2)
        everything_once(peer)
        got = log.lines()
        check(got == expected, f"{words or 'by default'}: {got}, not {expected}")
        must("unban", BANNED)

    put_in_force(f"to = {GROUP}", mode="audit")
    log.lines(0.2)
    everything_once(peer)
    got = log.lines()
    check(got.get("rolewall (spoofed) audit") == 1 and got.get("rolewall (invalid) audit", 0) >= 1  # and its answer
          and got.get("rolewall (default) inbound audit", 0) >= 3, f"in audit mode: {got}")


def rates(peer, log):
    line = "rolewall (default) inbound drop"
    put_in_force(f'to = {GROUP}, limit = "5/hour in all"')
    log.lines(0.2)
    peer.ask("datagrams", PEER, HERE, 3000, 20)
    peer.ask("datagrams", OTHER, HERE, 3000, 20)
    check(log.lines() == {line: 5}, "limit: one source fills the log")
    put_in_force(f'to = {GROUP}, limit = "50/hour in all", per-source = "2/hour burst 2"')
    log.lines(0.2)
    for source in (PEER, OTHER):
        peer.ask("datagrams", source, HERE, 3000, 20)
        got = log.lines()
        check(got == {line: 2}, f"per-source, {source}: {got}")
    # Two addresses of one /64 are one source.
    for source, count in ((PEER6, 2), (NEAR6, 0), (FAR6, 2)):
        peer.ask("datagrams", source, HERE6, 3000, 20)
        got = log.lines().get(line, 0)
        check(got == count, f"per-source, {source}: {got}, not {count}")
    # A rule's own takes the place of both: two for each source, and not of the fifty.
    put_in_force(f'to = {GROUP}, limit = "1/hour in all", per-source = "1/hour"')
    log.lines(0.2)
    for source in (PEER, OTHER):
        peer.ask("datagrams", source, HERE, 2000, 20)
        got = log.lines()
        check(got == {"rolewall server.inbound.own drop": 2}, f"log-limit, {source}: {got}")


def main():
    peer = join()
    write_site(site=SITE)
    log = Log(GROUP)
    steps(peer, log)
    rates(peer, log)
    finish(peer)


main()
