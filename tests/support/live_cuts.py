"""Scenes for tests/cli/cuts_live.sh: this network namespace is the web server `srv`, which passes on, too;
beyond eth0 are a manager, a client and two databases, each of which counts what is written to it; beyond eth1
is a host inside. What a new policy no longer admits is named, goes on without --cut, and ends with it."""

import json
import os
import socket
import sys
import threading
import time

from live_guard import Client, run, serve_echo
from scene import NEIGHBOURS, check, finish, must, put_beyond, rolewall, write_site

OLD, NEW, OLD6 = "10.0.3.10", "10.0.3.11", "fd00:db8::10"
OURS, OURS6, WITHIN, INSIDE = "10.0.2.10", "fd00:db8::1", "10.0.9.1", "10.0.9.2"
CLIENT, MANAGER = "10.0.2.7", "10.0.2.99"
MYSQL, WEB, SSH, PUSHED = 3306, 8000, 22, 8001
SITE = f"""
[site]
name = "s"
management = "{MANAGER}"
[interfaces.public]
device = "eth0"
[interfaces.private]
device = "eth1"
[hosts.srv]
role = "web"
addresses = ["{OURS}", "{OURS6}", "{WITHIN}"]
interfaces = ["public", "private"]
[hosts.db-01]
role = "db"
tags = "%s"
addresses = ["{OLD}", "{OLD6}"]
[hosts.db-02]
role = "db"
tags = "%s"
addresses = ["{NEW}", "fd00:db8::11"]
"""
DATABASE = 'role = "db"\n'
BASIS = f"""
role = "web"
[defaults]
outbound = "reject"
forward = "reject"
{NEIGHBOURS}[[inbound]]
id = "ssh"
service = "ssh"
from = "management"
[[outbound]]
id = "writes"
service = "mysql"
to = "db-primary"
[[outbound]]
id = "reads"
service = "tcp/3307"
to = "db-replica"
[[forward]]
id = "through"
service = "mysql"
from = "10.0.9.0/24"
to = "db-primary"
"""
CLIENTS = f"""
[[inbound]]
id = "clients"
service = "tcp/{WEB}"
from = "{CLIENT}"
"""


class Databases(Client):
    """Their sides: what was written to each, and how its connections ended."""

    written = {}
    ends = []

    def do(self, what, words, held):
        if what == "serve":
            for address in words:
                self.written[address] = 0
                family = socket.AF_INET6 if ":" in address else socket.AF_INET
                for port in (MYSQL, MYSQL + 1):
                    server = socket.create_server((address, port), family=family)
                    threading.Thread(target=self.accept, args=[address, server], daemon=True).start()
            return "done"
        if what == "written":
            return str(sum(self.written[address] for address in words))
        if what == "ends":
            ends, self.ends[:] = list(self.ends), []
            return " ".join(ends)
        return super().do(what, words, held)

    def accept(self, address, server):
        while True:
            connection, _ = server.accept()
            threading.Thread(target=self.read, args=[address, connection], daemon=True).start()

    def read(self, address, connection):
        try:
            while data := connection.recv(64):
                self.written[address] += len(data)
                connection.sendall(data)
            self.ends.append("closed")
        except ConnectionResetError:
            self.ends.append("reset")
        except OSError as error:
            self.ends.append(type(error).__name__)


class Writer(threading.Thread):
    """A program that keeps writing, and connects again to whom `primary` names when it cannot."""

    primary = {4: OLD, 6: OLD6}
    stopped = False

    def __init__(self, family=4):
        super().__init__(daemon=True)
        self.family = family
        self.connections = 0
        self.start()

    def run(self):
        while not Writer.stopped:
            try:
                connection = Client.connect("-", Writer.primary[self.family], MYSQL, 2)
                self.connections += 1
                while not Writer.stopped:
                    connection.sendall(b"w")
                    if not connection.recv(64):
                        break
                    time.sleep(0.002)
            except OSError:
                time.sleep(0.01)


def join():
    beyond, inside = put_beyond("eth0", Databases()), put_beyond("eth1", Client())
    for words in [["ip", "address", "add", f"{OURS}/16", "dev", "eth0"],
                  ["ip", "address", "add", f"{WITHIN}/24", "dev", "eth1"],
                  ["ip", "-6", "address", "add", f"{OURS6}/64", "dev", "eth0", "nodad"],
                  ["sysctl", "-qw", "net.ipv4.ip_forward=1"]]:
        run(*words)
    for address in (OLD, NEW, CLIENT, MANAGER):
        beyond.must("ip", "address", "add", f"{address}/16", "dev", "eth0")
    for address in (OLD6, "fd00:db8::11"):
        beyond.must("ip", "-6", "address", "add", f"{address}/64", "dev", "eth0", "nodad")
    beyond.must("ip", "route", "add", "10.0.9.0/24", "via", OURS)
    inside.must("ip", "address", "add", f"{INSIDE}/24", "dev", "eth1")
    inside.must("ip", "route", "add", "default", "via", WITHIN)
    beyond.ask("serve", OLD, NEW, OLD6, "fd00:db8::11")
    serve_echo(WEB)
    serve_echo(SSH)
    return beyond, inside


def site(primary=("db-primary", "db-replica"), rules=BASIS + CLIENTS):
    write_site(site=SITE % primary, web=rules, db=DATABASE)


def asked():
    return json.loads(must("plan", "site", "--host", "srv", "--format", "json"))["connections"]


def rates(beyond, seconds=0.5):
    """What is written meanwhile, to the old primary and to the new one."""
    before = [int(beyond.ask("written", *each)) for each in ([OLD, OLD6], [NEW])]
    time.sleep(seconds)
    after = [int(beyond.ask("written", *each)) for each in ([OLD, OLD6], [NEW])]
    return after[0] - before[0], after[1] - before[1]


def swapped(beyond, inside):
    """The tag moves, and the writes with it."""
    writers = [Writer(), Writer(), Writer(), Writer(6)]
    time.sleep(0.5)
    check(inside.ask("open", "-", OLD, MYSQL).startswith("port"), "nothing goes through")
    check(rates(beyond)[0] > 100, "nothing is written to the old primary")
    check(asked()["not_admitted"] == 0, f"before the swap: {asked()}")

    site(("db-replica", "db-primary"))
    found = asked()
    rules = {rule["admitted_by"]: rule for rule in found["rules"]}
    check(found["not_admitted"] == 5 and found["unclear"] == 0, f"of the plan: {found}")
    check(rules.get("web.outbound.writes", {}).get("count") == 4, f"of the rule: {found}")
    check(rules.get("web.forward.through", {}).get("count") == 1, f"through us: {found}")
    check(rules.get("web.outbound.writes", {}).get("file", "").endswith("web.toml"), f"its line: {found}")
    check(all(rule["denied_by"] == "(default)" for rule in found["rules"]), f"who denies: {found}")
    text = must("plan", "site", "--host", "srv")
    check("5 of 5 open connections are no longer admitted" in text and f"> {OLD}:3306" in text, text)

    # Without --cut what is established goes on.
    done = must("apply", "site", "--host", "srv")
    check("go on unless `rolewall apply --cut" in done, f"an apply without --cut: {done}")
    check(rates(beyond)[0] > 100, "they did not go on")
    check(asked()["not_admitted"] == 5, f"after an apply without --cut: {asked()}")

    Writer.primary = {4: NEW, 6: "fd00:db8::11"}
    before = [writer.connections for writer in writers]
    done = must("apply", "site", "--host", "srv", "--cut")
    old, new = rates(beyond, 1)
    check(old == 0, f"{old} writes to the old primary after the end of the apply")
    check(new > 100, f"{new} writes to the new one")
    check("cut: 5 open connections" in done and "4 sockets" in done, f"what was cut: {done}")
    check([writer.connections for writer in writers] == [each + 1 for each in before], "they connected anew once")
    ends = beyond.ask("ends")
    check(ends.split().count("reset") == 4, f"the old primary's ends: {ends}")
    check(inside.ask("alive", 1) != "yes", "the connection through us goes on")
    found = asked()
    check(found["not_admitted"] == 0, f"after the cut: {found}")
    check("nothing is open that the policy does not admit" in must("apply", "site", "--host", "srv", "--cut"),
          "cut again")
    Writer.stopped = True
    for writer in writers:
        writer.join()


def at_once(beyond):
    """In one apply, under load, both ways; what a rule still admits is not touched."""
    site()
    must("apply", "site", "--host", "srv", "--cut")
    Writer.stopped, Writer.primary = False, {4: OLD, 6: OLD6}
    writers = [Writer() for _ in range(8)]
    check(beyond.ask("open", CLIENT, OURS, WEB).startswith("port"), "the client does not come in")
    time.sleep(0.5)
    site(("db-replica", "db-primary"))
    threading.Timer(0.05, lambda: setattr(Writer, "primary", {4: NEW, 6: NEW})).start()
    must("apply", "site", "--host", "srv", "--cut")
    old, new = rates(beyond, 1)
    check(old == 0 and new > 100, f"{old} writes to the old primary, {new} to the new one")
    check(beyond.ask("alive", 2) == "yes", "a connection that is admitted was cut")
    Writer.stopped = True
    for writer in writers:
        writer.join()


def spared(beyond, inside):
    """An administrator's session is not cut, not even by --force."""
    beyond.ask("close")
    inside.ask("close")
    check(inside.ask("open", "-", NEW, MYSQL).startswith("port"), "nothing goes through")
    answer = beyond.ask("open", MANAGER, OURS, SSH)
    _, address, port = answer.split()
    os.environ["SSH_CONNECTION"] = f"{address} {port} {OURS} {SSH}"
    rules = BASIS.replace('id = "ssh"\nservice = "ssh"', 'id = "ssh"\nservice = "tcp/2200"')
    site(("db-primary", "db-replica"), rules)
    done = rolewall("apply", "site", "--host", "srv", "--cut")
    check(done.returncode == 1 and "lost" in done.stderr, f"the guard: {done.stdout}{done.stderr}")
    check(beyond.ask("alive", 2) == "yes", "the session did not outlive the refusal")
    done = rolewall("apply", "site", "--host", "srv", "--cut", "--force")
    check(done.returncode == 0 and "cut: 1 open connection " in done.stdout, f"--force: {done.stdout}{done.stderr}")
    check(f"an administrator's: tcp {MANAGER}:{port} > {OURS}:22" in done.stdout, f"spared: {done.stdout}")
    check(beyond.ask("alive", 2) == "yes", "the administrator's session was cut")
    check(inside.ask("alive", 1) != "yes", "the connection through us goes on")
    del os.environ["SSH_CONNECTION"]


def refreshed(beyond):
    """What a rule admitted that has expired: a refresh names it, and ends it where that is asked for."""
    beyond.ask("close")
    site(rules=BASIS + CLIENTS + "expires = 2099-06-01\n")
    must("apply", "site", "--host", "srv", "--cut", "--force")
    check(beyond.ask("open", CLIENT, OURS, WEB).startswith("port"), "the client does not come in")
    check("open:" not in must("refresh"), "a refresh that changes nothing")
    done = must("refresh", "--date", "2099-06-01")
    check("1 of 1 open connection is no longer admitted; goes on unless `rolewall refresh --cut" in done and
          "1 of web.inbound.clients (" in done and f"tcp {CLIENT}:" in done, f"a refresh: {done}")
    check(beyond.ask("alive", 1) == "yes", "it did not go on")
    done = must("refresh", "--date", "2099-06-01", "--cut")
    check("cut: 1 open connection " in done and "nothing has changed" in done, f"of an earlier change: {done}")
    check(beyond.ask("alive", 1) != "yes", "it goes on")
    must("refresh", "--date", "2099-05-01")
    check(beyond.ask("open", CLIENT, OURS, WEB).startswith("port"), "the client does not come in again")
    done = must("refresh", "--date", "2099-06-01", "--cut")
    check("--cut will end it" in done and "cut: 1 open connection " in done, f"refresh --cut: {done}")
    check(beyond.ask("alive", 2) != "yes", "it goes on after refresh --cut")


def before_the_first(beyond):
    """Connection tracking knows nothing yet, and the sessions that are open are asked about all the same."""
    check(beyond.ask("open", CLIENT, OURS, WEB).startswith("port"), "the client does not come in")
    site(rules=BASIS)
    found = asked()
    check(found["not_admitted"] == 1 and "admitted_by" not in found["rules"][0], f"before the first apply: {found}")
    check(found["rules"][0]["first"][0]["to"] == f"{OURS}:{WEB}", f"before the first apply: {found}")
    beyond.ask("close")


def push_server(port):
    """It speaks first, and goes on."""
    def push(connection):
        try:
            while True:
                connection.sendall(b"x")
                time.sleep(0.02)
        except OSError:
            pass

    def accept(server):
        while True:
            threading.Thread(target=push, args=[server.accept()[0]], daemon=True).start()

    threading.Thread(target=accept, args=[socket.create_server(("", port))], daemon=True).start()


def met_midway(beyond):
    """Another program has connection tracking begin while our server speaks: its entry takes the server for the
    one who opened the connection. It is asked about as what it is."""
    push_server(PUSHED)
    check(beyond.ask("open", CLIENT, OURS, PUSHED).startswith("port"), "the client does not come in")
    run("nft", "table inet later { chain in { type filter hook input priority 10; ct state established accept; }; }")
    time.sleep(0.3)
    site(rules=BASIS + CLIENTS.replace(f"tcp/{WEB}", f"tcp/{PUSHED}"))
    found = asked()
    check(found["not_admitted"] == 0 and found["unclear"] == 0, f"met midway, admitted: {found}")
    site(rules=BASIS)
    found = asked()
    check(found["not_admitted"] == 1, f"met midway, not admitted: {found}")
    check(found["rules"][0]["first"][0]["to"] == f"{OURS}:{PUSHED}", f"met midway: {found}")
    beyond.ask("close")
    time.sleep(0.2)  # tracked to its end: what is not goes on as open
    run("nft", "delete table inet later")


def looked_at(beyond):
    """Who only looks writes nothing: no session that is named, and not there, gets an entry."""
    run("nft", "table inet later { chain in { type filter hook input priority 10; ct state established accept; }; }")
    os.environ["SSH_CONNECTION"] = f"{MANAGER} 40404 {OURS} {SSH}"
    site()
    must("plan", "site", "--host", "srv")
    must("apply", "site", "--host", "srv", "--sandbox")
    with open("/proc/net/nf_conntrack", encoding="ascii") as entries:
        check("40404" not in entries.read(), "a plan has made an entry for a session that is not there")
    del os.environ["SSH_CONNECTION"]
    run("nft", "delete table inet later")


def main():
    beyond, inside = join()
    met_midway(beyond)
    if os.path.exists("/proc/net/nf_conntrack"):
        looked_at(beyond)
    before_the_first(beyond)
    site()
    must("apply", "site", "--host", "srv", "--force")
    swapped(beyond, inside)
    at_once(beyond)
    spared(beyond, inside)
    refreshed(beyond)
    finish(beyond, inside)


main()
