"""Scene for tests/cli/blocks_live.sh: what the shipped block dhcp-client admits, from real sockets."""

import socket

from live_guard import Client, run
from scene import apply, check, finish, put_beyond, write_site

SITE = """
[site]
name = "s"
[hosts.srv]
role = "server"
addresses = ["203.0.113.10", "2001:db8:1::10"]
"""
SERVER, CLIENT = 547, 546


class Peer(Client):
    def do(self, what, words, held):
        if what == "send":  # from, its port, to, to port
            scope = socket.if_nametoindex("eth0")
            with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as out:
                out.bind((words[0], int(words[1]), 0, scope if words[0].startswith("fe80") else 0))
                out.sendto(b"reply", (words[2], int(words[3]), 0, scope))
            return "done"
        return super().do(what, words, held)


def main():
    peer = put_beyond("eth0", Peer())
    for host, number in ((run, 10), (peer.must, 1)):
        host("ip", "address", "add", f"2001:db8:1::{number}/64", "dev", "eth0", "nodad")
        host("ip", "address", "add", f"fe80::{number}/64", "dev", "eth0", "nodad")
    write_site(site=SITE, server='role = "server"\nuse = ["baseline", "dhcp-client"]\n')
    apply()
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as client:
        client.bind(("::", CLIENT))
        client.settimeout(0.5)
        for source, port, to, expected in (
                ("2001:db8:1::1", SERVER, "fe80::10", True),  # a server answers from any address
                ("fe80::1", SERVER, "fe80::10", True),
                ("2001:db8:1::1", 40000, "fe80::10", True),  # or from another port
                ("2001:db8:1::1", SERVER, "2001:db8:1::10", False)):
            peer.ask("send", source, port, to, CLIENT)
            try:
                came = client.recv(16) == b"reply"
            except TimeoutError:
                came = False
            check(came == expected, f"DHCPv6 from {source} port {port} to {to}: {'came' if came else 'dropped'}")
    finish(peer)


main()
