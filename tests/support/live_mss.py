"""Scenes for tests/cli/mss_live.sh: behind the gateway's eth0 the path carries less than either host
knows of, and nobody tells them: too large packets are lost in silence."""

import socket
import threading

import gateway
from gateway import INSIDE, INSIDE6, PEER, PEER6
from live_guard import Client, run
from scene import NEIGHBOURS, apply, check, finish, same_by_nft, write_site

PATH = 1300  # the gateway's device takes no more, and gives no more on
PORT, OTHER = 8000, 8001
MUCH = 100_000  # bytes, either way


def serve(port):
    """Reads as much as is sent, then sends as much."""
    server = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True)

    def each(connection):
        try:
            take(connection, MUCH)
            connection.sendall(b"!" * MUCH)
        except OSError:
            pass

    def accept():
        while True:
            threading.Thread(target=each, args=(server.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()


def take(connection, left):
    while left > 0 and (data := connection.recv(65536)):
        left -= len(data)
    return left == 0


def talk(address, port):
    """The segment size in force, and whether much came through in both directions."""
    with socket.create_connection((address, port), 3) as connection:
        size = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG)
        connection.settimeout(3)
        try:
            connection.sendall(b"!" * MUCH)
            through = take(connection, MUCH)
        except OSError:
            through = False
    return f"{size} {'through' if through else 'stuck'}"


class Host(Client):
    def do(self, what, words, held):
        if what == "serve":
            for port in (PORT, OTHER):
                serve(port)
            return "done"
        if what == "talk":
            return talk(words[0], int(words[1]))
        return super().do(what, words, held)


def put_in_force(text):
    run("nft", "flush", "ruleset")
    write_site(server=f'role = "server"\n{NEIGHBOURS}{text}')
    apply()


def rule(name, port, *keys):
    return "\n".join(["[[forward]]", f'id = "{name}"', f'service = "tcp/{port}"', *keys, ""])


def expect(who, addresses, port, answers, what):
    for address, answer in zip(addresses, answers):
        came = who.ask("talk", address, port)
        check(came == answer, f"{what}, {address}: {came}, not {answer}")


def main():
    peer, inside = Host(), Host()
    gateway.join(peer, inside)
    run("ip", "link", "set", "eth0", "mtu", str(PATH))
    for host in (peer, inside):
        # Without timestamps a segment is as long as the size says; nobody is told of the path.
        host.must("sysctl", "-qw", "net.ipv4.tcp_timestamps=0")
        host.must("nft", "add table inet deaf { chain i { type filter hook input priority 0; "
                  "icmp code frag-needed drop; icmpv6 type packet-too-big drop; }; }")
        host.ask("serve")
    write_site(site=gateway.SITE)
    outside, within = (PEER, PEER6), (INSIDE, INSIDE6)
    ways = ['in = "private"', 'out = "public"', 'from = "inside"']
    back = ['in = "public"', 'out = "private"', 'to = "inside"']

    put_in_force(rule("plain", PORT, *ways))
    expect(inside, outside, PORT, ["1460 stuck", "1440 stuck"], "without mss")
    lowered = [f"{PATH - 40} through", f"{PATH - 60} through"]
    put_in_force(rule("out", PORT, *ways, 'mss = "path"') + rule("in", PORT, *back, 'mss = "path"'))
    expect(inside, outside, PORT, lowered, "the path's, outwards")
    expect(peer, within, PORT, lowered, "the path's, inwards")
    same_by_nft()
    put_in_force(rule("out", PORT, 'mss = 1250'))
    expect(inside, outside, PORT, ["1250 through", "1230 through"], "a number, outwards")
    expect(peer, within, PORT, ["1250 through", "1230 through"], "a number, inwards")
    same_by_nft()
    put_in_force(rule("out", PORT, 'mss = 1000'))
    expect(inside, outside, PORT, ["1000 through", "1220 through"], "less than IPv6 goes by")
    put_in_force(rule("out", PORT, 'mss = 9000'))
    expect(inside, outside, PORT, ["1460 stuck", "1440 stuck"], "never raised")
    # The first rule that matches decides, here too.
    put_in_force(rule("plain", OTHER, *ways) + rule("all", f"{PORT}-{OTHER}", 'mss = "path"'))
    expect(inside, outside, PORT, lowered, "behind a rule without mss")
    expect(inside, outside, OTHER, ["1460 stuck", "1440 stuck"], "a rule without mss")
    # Where the client's destination is translated, the rule says what the client wrote.
    put_in_force(rule("in", PORT, 'in = "public"', 'to = "self"', 'mss = "path"') +
                 f'[[nat]]\nid = "to"\nservice = "tcp/{PORT}"\nto = "self"\nin = "public"\n'
                 f'new-destination = "{INSIDE}"\n')
    expect(peer, [gateway.GATEWAY], PORT, lowered, "translated")
    finish(peer, inside)


main()
