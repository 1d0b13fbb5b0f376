"""Scenes for tests/cli/mss_live.sh: behind the gateway's eth0 the path carries less than either host
knows of, and nobody tells them: too large packets are lost in silence."""

import ftplib
import socket
import threading

import gateway
from ftp_and_tftp import SECONDS, FtpSession, serve_ftp
from gateway import INSIDE, INSIDE6, PEER, PEER6
from live_guard import Client, run
from scene import NEIGHBOURS, apply, check, finish, same_by_nft, write_site

PATH = 1300  # the gateway's device takes no more, and gives no more on
PORT, OTHER = 8000, 8001
FTP = 21
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
        size = size_of(connection)
        connection.settimeout(3)
        try:
            connection.sendall(b"!" * MUCH)
            through = take(connection, MUCH)
        except OSError:
            through = False
    return f"{size} {'through' if through else 'stuck'}"


def size_of(connection):
    return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG)


class SaysSize(FtpSession):
    """A server whose text is the segment size of its data connection."""

    def text(self, data):
        return str(size_of(data))


def ftp(address, port, kind):
    """The segment sizes of a data connection, as its client and its server have them."""
    try:
        with ftplib.FTP(timeout=SECONDS + 1) as control:
            control.trust_server_pasv_ipv4_address = True
            control.connect(address, port)
            control.set_pasv(kind == "passive")
            control.voidcmd("TYPE I")  # the helper reads no connection's first line
            with control.transfercmd("LIST") as data:
                return f"{size_of(data)} {data.recv(64).decode()}"
    except (OSError, EOFError, ftplib.Error) as error:
        return f"failed: {error}"


class Host(Client):
    def do(self, what, words, held):
        if what == "serve":
            for port in (PORT, OTHER):
                serve(port)
            for address in words:
                serve_ftp(FTP, address, SaysSize)
            return "done"
        if what == "ftp":
            return ftp(words[0], int(words[1]), words[2])
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


def expect_data(who, addresses, sizes, what):
    """What both ends of FTP's data connections are told, whoever opens them."""
    for kind in ("passive", "active"):
        for address, size in zip(addresses, sizes):
            came = who.ask("ftp", address, FTP, kind)
            check(came == f"{size} {size}", f"{what}, {kind}, {address}: {came}, not {size} twice")


def what_helpers_expect(peer, inside, ways):
    """It is of the rule that names the helper, though (established) accepts it."""
    outside, within = (PEER, PEER6), (INSIDE, INSIDE6)
    helper = 'helper = "ftp"'
    put_in_force(rule("ftp", FTP, *ways, helper, 'mss = 1250'))
    expect_data(inside, outside, [1250, 1230], "FTP outwards")
    same_by_nft()
    put_in_force(rule("ftp", FTP, *ways, helper, 'mss = 1250') +
                 '[[nat]]\nid = "out"\nfrom = "inside"\nout = "public"\nnew-source = "masquerade"\n')
    expect_data(inside, outside, [1250, 1230], "FTP behind the gateway's address")
    put_in_force(rule("in", FTP, 'in = "public"', 'to = "self"', helper, 'mss = 1250') +
                 "".join(f'[[nat]]\nid = "to-{number}"\nservice = "ftp"\nto = "self"\nin = "public"\n'
                         f'new-destination = "{address}"\n'
                         for number, address in enumerate(within)))
    expect_data(peer, (gateway.GATEWAY, gateway.GATEWAY6), [1250, 1230], "FTP translated")
    # Of several rules with the helper, the one with these ends, and no other.
    elsewhere = ['from = "198.51.100.0/24"', helper, 'mss = 1100']
    put_in_force(rule("not", FTP, *elsewhere) + rule("out", FTP, *ways, helper, 'mss = 1250') +
                 rule("plain", OTHER, helper))
    expect_data(inside, outside, [1250, 1230], "FTP by the second of three rules")
    put_in_force(rule("not", FTP, *elsewhere) + rule("plain", FTP, helper))
    expect_data(inside, outside, [1460, 1440], "FTP by a rule without mss")


def main():
    peer, inside = Host(), Host()
    gateway.join(peer, inside)
    run("ip", "link", "set", "eth0", "mtu", str(PATH))
    for host in (peer, inside):
        # Without timestamps a segment is as long as the size says; nobody is told of the path.
        host.must("sysctl", "-qw", "net.ipv4.tcp_timestamps=0")
        host.must("nft", "add table inet deaf { chain i { type filter hook input priority 0; "
                  "icmp code frag-needed drop; icmpv6 type packet-too-big drop; }; }")
        host.ask("serve", *((PEER, PEER6) if host is peer else (INSIDE, INSIDE6)))
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
    what_helpers_expect(peer, inside, ways)
    finish(peer, inside)


main()
