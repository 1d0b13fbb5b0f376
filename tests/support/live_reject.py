"""Scenes for tests/cli/reject_live.sh: this network namespace is a gateway between a peer, beyond
eth0, and a host inside, beyond eth1; each is rejected, and must be told at once."""

import errno
import os
import socket
import struct
import sys
import threading
import time

import gateway
from gateway import GATEWAY, GATEWAY6, INSIDE, INSIDE6, PEER, PEER6
from live_guard import Client, run
from scene import NEIGHBOURS, apply, check, finish, write_site

OPEN, SHUT = 2200, 2300
AT_ONCE = 0.3  # seconds: SYNs are sent again after one
ECHO = f"""
[[inbound]]
id = "echo"
service = "tcp/{OPEN}"
"""
REJECT = """
[defaults]
inbound = "reject"
outbound = "reject"
forward = "reject"
"""
RULE = f"""
[[inbound]]
id = "no"
service = ["tcp/{SHUT}", "udp/{SHUT}"]
action = "reject"
"""


def family_of(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def answer_of(address, port, kind=socket.SOCK_STREAM):
    """How connect(), or a datagram, is answered, and after how many seconds."""
    begin = time.monotonic()
    with socket.socket(family_of(address), kind) as out:
        out.settimeout(3)
        try:
            out.connect((address, port))
            if kind == socket.SOCK_DGRAM:
                out.send(b"?")
                out.recv(64)
            name = "open"
        except TimeoutError:
            name = "nothing"
        except OSError as error:
            name = errno.errorcode.get(error.errno, str(error))
    return name, time.monotonic() - begin


def serve(port):
    """Each connection's bytes come back."""
    server = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True)

    def each(connection):
        while said := connection.recv(64):
            connection.sendall(said)

    def accept():
        while True:
            threading.Thread(target=each, args=(server.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()


class Host(Client):
    def do(self, what, words, held):
        if what == "answer":
            kind = socket.SOCK_DGRAM if words[2] == "udp" else socket.SOCK_STREAM
            name, seconds = answer_of(words[0], int(words[1]), kind)
            return f"{name} {seconds:.2f}"
        if what == "serve":
            serve(OPEN)
            return "done"
        if what == "echoes":
            return " ".join(self.echo_of(each, float(words[0])) for each in held)
        return super().do(what, words, held)

    @staticmethod
    def echo_of(session, seconds):
        session.settimeout(seconds)
        try:
            session.sendall(b"?")
            return "yes" if session.recv(64) else "ended"
        except OSError as error:
            return "nothing" if isinstance(error, TimeoutError) else "ended"

    def answer(self, address, port, protocol="tcp"):
        name, seconds = self.ask("answer", address, port, protocol).split()
        return name, float(seconds)


def join():
    peer, inside = Host(), Host()
    gateway.join(peer, inside)
    peer.ask("serve")
    inside.ask("serve")
    serve(OPEN)
    serve(SHUT)
    return peer, inside


def forget_connections():
    """Every entry of this network namespace (IPCTNL_MSG_CT_DELETE without a tuple)."""
    netfilter, delete, request_and_acknowledge = 12, 1 << 8 | 2, 1 | 4
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, netfilter) as kernel:
        kernel.send(struct.pack("=IHHII4x", 20, delete, request_and_acknowledge, 1, 0))
        error = struct.unpack_from("=i", kernel.recv(4096), 16)[0]
    if error != 0:
        sys.exit(f"conntrack entries stay: {os.strerror(-error)}")


def put_in_force(rules):
    write_site(server=f'role = "server"\n{NEIGHBOURS}{rules}')
    apply()


def told(answer, words, what):
    name, seconds = answer
    check(name in words and seconds < AT_ONCE, f"{what}: {name} after {seconds:.2f} s")


def everyone_is_told(peer, inside):
    """Ten times each: the kernel limits its ICMP errors to one peer, and a reset has no limit."""
    for number in range(10):
        for address in (GATEWAY, GATEWAY6):
            told(peer.answer(address, SHUT), ["ECONNREFUSED"], f"from outside, {address}, {number}")
        for address in (INSIDE, INSIDE6):
            told(peer.answer(address, OPEN), ["ECONNREFUSED"], f"through us, {address}, {number}")
        for address in (PEER, PEER6):
            told(inside.answer(address, OPEN), ["ECONNREFUSED"], f"outwards, {address}, {number}")
            told(answer_of(address, OPEN), ["ECONNREFUSED"], f"from this host, {address}, {number}")


def datagrams_are_told(peer):
    """By ICMP: administratively prohibited."""
    time.sleep(1.1)  # so much for one peer and second
    for address in (GATEWAY, GATEWAY6):
        told(peer.answer(address, SHUT, "udp"), ["EHOSTUNREACH", "EACCES", "ECONNREFUSED"],
             f"a datagram to {address}")


def open_session_goes_on(peer):
    """A reject rule that the packets of an open session meet does not end it: once the kernel has
    forgotten the entry, they are new to conntrack and come to the rule; the session waits."""
    put_in_force(ECHO + REJECT)
    for address in (GATEWAY, GATEWAY6):
        answer = peer.ask("open", PEER if address == GATEWAY else PEER6, address, OPEN)
        check(answer.startswith("port"), f"a session to {address}: {answer}")
    check(peer.ask("echoes", 2) == "yes yes", "the sessions are dead from the beginning")
    put_in_force(REJECT + RULE.replace(str(SHUT), str(OPEN)))
    run("sysctl", "-qw", "net.netfilter.nf_conntrack_tcp_loose=1")
    forget_connections()
    answer = peer.ask("echoes", 1)
    check(answer == "nothing nothing", f"at the rule: {answer}")
    listed = run("nft", "list", "chain", "inet", "rolewall", "server.inbound.no").stdout
    check("packets 0" not in listed.splitlines()[2], f"nothing met the rule:\n{listed}")
    put_in_force(ECHO + REJECT)
    answer = peer.ask("echoes", 5)
    check(answer == "yes yes", f"after a reject rule: {answer}")


def main():
    peer, inside = join()
    write_site(site=gateway.SITE)
    put_in_force(REJECT)
    everyone_is_told(peer, inside)
    put_in_force(RULE)  # by a rule, where the default drops
    for number in range(10):
        for address in (GATEWAY, GATEWAY6):
            told(peer.answer(address, SHUT), ["ECONNREFUSED"], f"by a rule, {address}, {number}")
    datagrams_are_told(peer)
    open_session_goes_on(peer)
    finish(peer, inside)


main()
