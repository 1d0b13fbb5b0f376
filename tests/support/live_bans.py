"""Scenes for tests/cli/bans_live.sh: this network namespace is a gateway between a stranger, beyond
eth0, and a host inside, beyond eth1; each has sessions with the others, and the stranger is banned."""

import socket
import sys
import threading
import time

from live_guard import Client, run, serve_echo
from scene import NEIGHBOURS, apply, check, finish, must, put_beyond, rolewall, write_site

STRANGER, FRIEND, GATEWAY, INSIDE = "198.51.100.7", "198.51.100.8", "203.0.113.10", "10.0.9.2"
STRANGER6, GATEWAY6, ROUTER6 = "2001:db8:bad::7", "2001:db8:1::10", "fe80::1"
PORT, OURS = 7777, 2200  # theirs, and ours
AT_ONCE = 1.0  # seconds
SITE = f"""
[site]
name = "s"
management = "198.51.100.99"
[interfaces.public]
device = "eth0"
[interfaces.private]
device = "eth1"
[hosts.srv]
role = "server"
addresses = ["{GATEWAY}", "10.0.9.1", "{GATEWAY6}"]
interfaces = ["public", "private"]
"""
RULES = f"""
role = "server"
[defaults]
forward = "reject"
{NEIGHBOURS}[[inbound]]
id = "echo"
service = "tcp/2200"
[[outbound]]
id = "out"
service = ["tcp/7777", "udp/7777"]
[[forward]]
id = "through"
service = ["tcp/7777", "udp/7777"]
from = "10.0.9.0/24"
"""


class Host(Client):
    """That serves, too, and counts what its UDP port gets."""

    got = 0

    def do(self, what, words, held):
        if what == "serve":
            serve_echo(PORT)
            threading.Thread(target=self.serve_datagrams, daemon=True).start()
            return "done"
        if what == "got":
            return str(self.got)
        if what == "datagram":
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
                out.sendto(b"!", (words[0], PORT))
            return "done"
        if what == "timed":
            begin = time.monotonic()
            try:
                self.connect("-", words[0], words[1], 3).close()
                answer = "open"
            except OSError as error:
                answer = "timeout" if isinstance(error, TimeoutError) else "told"
            return f"{answer} {time.monotonic() - begin:.2f}"
        return super().do(what, words, held)

    def serve_datagrams(self):
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        server.bind(("", PORT))
        while True:
            server.recv(64)
            self.got += 1


def join():
    stranger, inside = put_beyond("eth0", Host()), put_beyond("eth1", Host())
    for words in [["ip", "address", "add", f"{GATEWAY}/24", "dev", "eth0"],
                  ["ip", "address", "add", "10.0.9.1/24", "dev", "eth1"],
                  ["ip", "-6", "address", "add", f"{GATEWAY6}/64", "dev", "eth0", "nodad"],
                  ["ip", "route", "add", "198.51.100.0/24", "via", "203.0.113.1"],
                  ["sysctl", "-qw", "net.ipv4.ip_forward=1"]]:
        run(*words)
    for words in [["ip", "address", "add", "203.0.113.1/24", "dev", "eth0"],
                  ["ip", "address", "add", f"{STRANGER}/32", "dev", "lo"],
                  ["ip", "address", "add", f"{FRIEND}/32", "dev", "lo"],
                  ["ip", "-6", "address", "add", f"{STRANGER6}/128", "dev", "lo", "nodad"],
                  ["ip", "-6", "address", "add", f"{ROUTER6}/64", "dev", "eth0", "nodad"],
                  ["ip", "-6", "route", "add", "2001:db8:1::/64", "dev", "eth0"],
                  ["ip", "route", "add", "10.0.9.0/24", "via", GATEWAY]]:
        stranger.must(*words)
    for words in [["ip", "address", "add", f"{INSIDE}/24", "dev", "eth1"],
                  ["ip", "route", "add", "default", "via", "10.0.9.1"]]:
        inside.must(*words)
    time.sleep(2)  # link-local addresses are tried out first
    run("ip", "-6", "route", "add", "default", "via", ROUTER6, "dev", "eth0")
    stranger.ask("serve")
    inside.ask("serve")
    serve_echo(OURS)
    return stranger, inside


def hears(connection, said):
    """Whether the other end, which echoes, still does."""
    connection.settimeout(1)
    try:
        connection.sendall(said)
        return connection.recv(64) == said
    except OSError:
        return False


def open_everything(stranger, inside):
    ours = {each: Client.connect("-", each, PORT, 3) for each in (STRANGER, FRIEND)}
    for host, words in [(stranger, (STRANGER, GATEWAY, OURS)), (inside, ("-", STRANGER, PORT))]:
        answer = host.ask("open", *words)
        if not answer.startswith("port"):
            sys.exit(f"{words}: {answer}")
    return ours


def is_timed(host, to, port, answer):
    got, seconds = host.ask("timed", to, port).split()
    return got == answer and (answer == "timeout" or float(seconds) < AT_ONCE)


def jumps():
    listed = run("nft", "list", "table", "inet", "rolewall").stdout
    return sorted(line.strip() for line in listed.splitlines()
                  if line.strip().startswith(("jump banned-", "jump allowed")))


def banned(stranger, inside):
    """Neither side can go on, in whichever direction the connection was opened, or through us."""
    check(jumps() == [], "jumps are there before the first ban")
    ours = open_everything(stranger, inside)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        datagrams.sendto(b"!", (STRANGER, PORT))
        inside.ask("datagram", STRANGER)
        time.sleep(0.2)
        check(stranger.ask("got") == "2", "datagrams do not reach the stranger")
        for each in ours.values():
            check(hears(each, b"before"), "a session is dead before the ban")
        check(stranger.ask("alive", 2) == "yes", "the stranger's session is dead before the ban")
        check(inside.ask("alive", 2) == "yes", "the session through us is dead before the ban")

        done = must("ban", STRANGER)
        check("5 open connections cut, 2 sockets of this host closed" in done, f"what was cut: {done}")
        check(jumps() == ["jump banned-forward", "jump banned-input", "jump banned-output"],
              f"jumps: {jumps()}")
        check(not hears(ours[STRANGER], b"after"), "our connection to it goes on")
        check(stranger.ask("alive", 1) != "yes", "its connection to us goes on")
        check(inside.ask("alive", 1) != "yes", "the connection through us goes on")
        for _ in range(3):
            try:
                datagrams.sendto(b"!", (STRANGER, PORT))
            except OSError:
                pass  # the former one was rejected
            inside.ask("datagram", STRANGER)
        time.sleep(0.2)
        check(stranger.ask("got") == "2", "datagrams reach the stranger")
    check(hears(ours[FRIEND], b"after"), "another address's connection was ended")

    # New ones: who is banned gets no answer, who is ours is told at once.
    check(stranger.ask("new", STRANGER, GATEWAY, OURS) != "yes", "the stranger comes in")
    check(stranger.ask("new", FRIEND, GATEWAY, OURS) == "yes", "another address does not come in")
    check(is_timed(inside, STRANGER, PORT, "told"), "who is inside is not told at once")
    begin = time.monotonic()
    try:
        Client.connect("-", STRANGER, PORT, 3)
        check(False, "a connection to the banned address is opened")
    except TimeoutError:
        check(False, "a local program is not told")
    except OSError:
        check(time.monotonic() - begin < AT_ONCE, "a local program is not told at once")

    must("unban", STRANGER)
    check(stranger.ask("new", STRANGER, GATEWAY, OURS) == "yes", "after unban it does not come in")
    check(is_timed(inside, STRANGER, PORT, "open"), "after unban it cannot be reached through us")
    check(len(jumps()) == 3, "the jumps went before an apply came")
    must("apply", "site", "--host", "srv")
    check(jumps() == [], "jumps stay over an apply without a ban")


def kept(stranger, inside):
    """With --keep-connections what is open goes on, and nothing new begins."""
    stranger.ask("close")
    inside.ask("close")
    ours = open_everything(stranger, inside)
    must("ban", STRANGER, "--keep-connections")
    check(hears(ours[STRANGER], b"after"), "our connection was not kept")
    check(stranger.ask("alive", 2) == "yes", "its connection was not kept")
    check(inside.ask("alive", 2) == "yes", "the connection through us was not kept")
    check(stranger.ask("new", STRANGER, GATEWAY, OURS) != "yes", "it comes in")
    must("unban", STRANGER)


def recalled(stranger, inside):
    """What was opened with a banned address while there was no table ends as the table comes with
    the remembered bans, whichever verb makes it: conntrack would go on passing it as established."""
    must("ban", STRANGER)
    with open("site/server.toml", "a", encoding="utf-8") as file:
        file.write('[[inbound]]\nid = "more"\nservice = "tcp/2201"\n')
    apply()
    for verb in [("apply", "site", "--host", "srv", "--force"),
                 ("boot", "-p", "site", "--host", "srv", "--force"),
                 ("rollback", "--force")]:
        for host in (stranger, inside):
            host.ask("close")
        run("nft", "delete", "table", "inet", "rolewall")
        ours = open_everything(stranger, inside)
        check(hears(ours[STRANGER], b"before"), "without a table a session does not begin")
        must(*verb)
        check(not hears(ours[STRANGER], b"after"), f"{verb[0]}: our connection to it goes on")
        check(stranger.ask("alive", 1) != "yes", f"{verb[0]}: its connection to us goes on")
        check(inside.ask("alive", 1) != "yes", f"{verb[0]}: the one through us goes on")
        check(hears(ours[FRIEND], b"after"), f"{verb[0]}: another address's was ended")
    must("unban", STRANGER)


def router(stranger):
    """A ban of the router's own address, which needs --force, leaves IPv6 alive through it."""
    by_router = (STRANGER6, GATEWAY6, OURS)
    check(stranger.ask("new", *by_router) == "yes", "there is no way by the router")
    done = rolewall("ban", ROUTER6)
    check(done.returncode == 1 and "a router that this host uses" in done.stderr,
          f"a ban of the router: {done.stdout}{done.stderr}")
    must("ban", ROUTER6, "--force")
    for _ in range(2):
        run("ip", "-6", "neighbour", "flush", "dev", "eth0")
        stranger.must("ip", "-6", "neighbour", "flush", "dev", "eth0")
        check(stranger.ask("new", *by_router) == "yes", "IPv6 is dead after a ban of the router")
    must("unban", ROUTER6)
    # One of several, or by a table that a rule leads to.
    run("ip", "route", "replace", "192.0.2.0/24", "nexthop", "via", "203.0.113.1", "nexthop", "via",
        "203.0.113.2")
    run("ip", "rule", "add", "fwmark", "9", "lookup", "100")
    run("ip", "route", "add", "default", "via", "203.0.113.3", "table", "100")
    for address in ["203.0.113.1", "203.0.113.2", "203.0.113.3", ROUTER6]:
        done = rolewall("ban", address)
        check(done.returncode == 1 and "a router that this host uses" in done.stderr,
              f"a ban of {address}: {done.stdout}{done.stderr}")
    check(rolewall("ban", "203.0.113.4").returncode == 0, "a ban of nobody")
    must("unban", "203.0.113.4")


def main():
    stranger, inside = join()
    write_site(site=SITE, server=RULES)
    apply()
    banned(stranger, inside)
    kept(stranger, inside)
    recalled(stranger, inside)
    router(stranger)
    finish(stranger, inside)


main()
