"""Scenes for tests/cli/guard_live.sh: a server (this network namespace) and a client in one of its
own, joined by eth0 and eth1, with sessions of TCP that answer what they are sent."""

import ctypes
import os
import shutil
import socket
import subprocess
import sys
import threading
import time

PROGRAM = os.environ["ROLEWALL_PROGRAM"]
STATE = os.environ["ROLEWALL_STATE"]
CLONE_NEWNET = 0x40000000
libc = ctypes.CDLL(None, use_errno=True)

SITE = """
[site]
name = "s"
management = ["office"]
[defaults]
inbound = "drop"
outbound = "reject"
forward = "drop"
[networks]
office = ["198.51.100.0/24", "2001:db8:0ff1::/64", "link-local"]
elsewhere = ["192.0.2.0/24"]
[interfaces.public]
device = "eth0"
[interfaces.private]
device = "eth1"
[hosts.srv]
role = "server"
addresses = ["203.0.113.10", "2001:db8:1::10"]
interfaces = ["public", "private"]
"""
ND = """
[[inbound]]
id = "nd"
service = "ndp"
[[outbound]]
id = "nd-out"
service = "ndp"
"""
SSH = """
[[inbound]]
id = "ssh"
service = "ssh"
from = "management"
"""
RULES = ND + SSH
OTHER = """
[[inbound]]
id = "other"
service = "tcp/8000"
from = "office"
"""


def run(*words, check=True):
    done = subprocess.run(words, capture_output=True, text=True)
    if check and done.returncode != 0:
        sys.exit(f"{' '.join(words)}: {done.stdout}{done.stderr}")
    return done


class Client:
    """A process in a network of its own, which does what it is told by a pipe."""

    def __init__(self):
        self.from_client, to_parent = os.pipe()
        to_client, self.to_client = os.pipe()
        self.to_client_file = os.fdopen(self.to_client, "w")
        self.pid = os.fork()
        if self.pid == 0:
            self.to_client_file.close()
            os.close(self.from_client)
            if libc.unshare(CLONE_NEWNET) != 0:
                os._exit(3)
            self.serve(os.fdopen(to_client), os.fdopen(to_parent, "w"))
            os._exit(0)
        os.close(to_client)
        os.close(to_parent)
        self.answers = os.fdopen(self.from_client)
        assert self.answers.readline().strip() == "ready"

    def serve(self, orders, answers):
        held = []
        print("ready", file=answers, flush=True)
        for line in orders:
            what, *words = line.split()
            try:
                answer = self.do(what, words, held)
            except OSError as error:
                answer = f"failed {error}"
            print(answer, file=answers, flush=True)

    @staticmethod
    def connect(source, to, port, seconds):
        scope = 0
        if "%" in to:
            scope = socket.if_nametoindex(to.split("%")[1])
        family = socket.AF_INET6 if ":" in to else socket.AF_INET
        client = socket.socket(family, socket.SOCK_STREAM)
        client.settimeout(seconds)
        if source != "-":
            client.bind((source, 0))
        address = to.split("%")[0]
        client.connect((address, int(port), 0, scope) if scope else (address, int(port)))
        return client

    def do(self, what, words, held):
        if what == "run":
            done = subprocess.run(words, capture_output=True, text=True)
            return "done" if done.returncode == 0 else "failed " + done.stderr.replace("\n", " ")
        if what == "open":
            held.append(self.connect(*words, 3))
            return "port {} {}".format(*held[-1].getsockname()[:2])
        if what == "alive":
            held[-1].settimeout(float(words[0]))
            held[-1].sendall(b"?")
            return "yes" if held[-1].recv(1) == b"?" else "no"
        if what == "much":  # more than one packet, and as much back
            sent = b"?" * 6000
            held[-1].settimeout(float(words[0]))
            held[-1].sendall(sent)
            left = len(sent)
            while left > 0 and (data := held[-1].recv(left)):
                left -= len(data)
            return "yes" if left == 0 else "no"
        if what == "new":
            self.connect(*words, 1.5).close()
            return "yes"
        if what == "close":
            for each in held:
                each.close()
            held.clear()
            return "done"
        return "what?"

    latest = None  # what was opened last, as this side knows it

    def ask(self, *words):
        if words[0] == "open":
            self.latest = object()
        print(*words, file=self.to_client_file, flush=True)
        return self.answers.readline().strip()

    def must(self, *words):
        answer = self.ask("run", *words)
        if answer != "done":
            sys.exit(f"client: {' '.join(words)}: {answer}")


SERVED = []


def serve_echo(port, address="::"):
    """As sshd, as far as anybody can see: the process's name is set below."""
    if address == "::":
        server = socket.create_server((address, port), family=socket.AF_INET6, dualstack_ipv6=True)
    else:
        server = socket.create_server((address, port))

    def answer(connection):
        SERVED.append(connection)
        try:
            while data := connection.recv(64):
                connection.sendall(data)
        except OSError:
            pass
        connection.close()

    def accept():
        while True:
            connection, _ = server.accept()
            threading.Thread(target=answer, args=[connection], daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()


class Scene:
    def __init__(self, client):
        self.client = client
        self.server_port = 22
        self.failures = []
        self.counts = {"refused": 0, "passes": 0}

    def write_site(self, rules, site=SITE):
        shutil.rmtree("site", ignore_errors=True)
        os.mkdir("site")
        with open("site/site.toml", "w", encoding="utf-8") as file:
            file.write(site)
        with open("site/server.toml", "w", encoding="utf-8") as file:
            file.write('role = "server"\n' + rules)

    def rolewall(self, *words, session=None):
        environment = dict(os.environ)
        environment.pop("SSH_CONNECTION", None)
        if session:
            environment["SSH_CONNECTION"] = session
        return subprocess.run([PROGRAM, *words], capture_output=True, text=True, env=environment)

    def apply(self, *words, session=None):
        return self.rolewall("apply", "site", "--host", "srv", "--state-dir", STATE, *words,
                             session=session)

    def begin(self, rules=RULES, site=SITE):
        """The ruleset that is in force when a scene begins; none: nothing ever was."""
        self.client.ask("close")
        run("nft", "flush", "ruleset")
        while SERVED:
            served = SERVED.pop()
            try:
                served.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        shutil.rmtree(STATE, ignore_errors=True)
        if rules is None:
            return
        self.write_site(rules, site)
        done = self.apply("--force")
        if done.returncode != 0:
            sys.exit(f"the scene does not begin: {done.stdout}{done.stderr}")

    def open(self, source="198.51.100.7", to="203.0.113.10", port=22):
        answer = self.client.ask("open", source, to, port)
        if not answer.startswith("port"):
            sys.exit(f"the session was not opened: {answer}")
        _, address, own_port = answer.split()
        return f"{address} {own_port} {to.split('%')[0]} {self.server_port}"

    def complain(self, name, what, done):
        links = "".join(run("ip", *words, check=False).stdout
                        for words in [["-o", "address"], ["-6", "route", "show", "table", "all"]])
        self.failures.append(f"{name}: {what}\n{done.stdout}{done.stderr}{links}")

    def expect(self, name, done, status, texts=(), new=None):
        """`new`: by which a new session must come in, where the guard let pass; `texts` None: it
        is no word of the guard's that refuses."""
        self.counts["passes" if status == 0 else "refused"] += 1
        if done.returncode != status:
            self.complain(name, f"exit status {done.returncode}, not {status}", done)
        for text in texts or []:
            if text not in done.stdout + done.stderr:
                self.complain(name, f"nothing is said of `{text}`", done)
        if status == 1 and texts is not None and ": lost: " not in done.stderr:
            self.complain(name, "nothing is said to be lost", done)
        if self.client.ask("alive", 2) != "yes":
            self.complain(name, "the session is dead", done)
        if new and self.client.ask("new", *new) != "yes":
            self.complain(name, "no new session comes in", done)


    def end(self):
        for failure in self.failures:
            print("FAILED:", failure)
        print(f"{self.counts['refused']} refused, {self.counts['passes']} pass, "
              f"{len(self.failures)} failures")
        os.kill(self.client.pid, 9)
        sys.exit(1 if self.failures else 0)


V4 = ("198.51.100.7", "203.0.113.10", 22)


def beside_others(scene):
    """G1: another program's rule that is undecided, conditional, or in the way today as well."""
    rules = [
        ("ether saddr", "inet t", "filter hook input priority 0",
         "ether saddr 02:00:00:00:00:99 drop"),
        ("mss clamp", "inet t", "filter hook output priority 0",
         "tcp flags syn tcp option maxseg size set rt mtu"),
        ("fib with a mark", "inet t", "filter hook prerouting priority -150",
         "fib saddr . mark . iif oif missing drop"),
        ("numgen", "inet t", "filter hook input priority 5", "numgen random mod 1000 0 drop"),
        ("osf", "inet t", "filter hook input priority 5", 'osf name "Windows" drop'),
        ("hour", "inet t", "filter hook input priority 5",
         'meta hour "03:00"-"03:01" tcp dport 22 drop'),
        ("day", "inet t", "filter hook input priority 5", "meta day 9 drop"),
        ("rt", "inet t", "filter hook output priority 5", "rt classid 77 drop"),
        ("queue", "inet t", "filter hook input priority 5", "tcp dport 8022 queue num 3 bypass"),
        ("random", "inet t", "filter hook output priority 5", "numgen random mod 1000 0 drop"),
        ("symhash", "inet t", "filter hook input priority 5", "symhash mod 1000 0 tcp dport 23 drop"),
        ("socket", "inet t", "filter hook input priority 5", "socket mark 77 drop"),
        ("cgroup", "inet t", "filter hook output priority 5", "meta cgroup 77 drop"),
        ("cpu", "inet t", "filter hook input priority 5", "meta cpu 99 drop"),
        ("nat docker", "ip t", "nat hook prerouting priority -100",
         "fib daddr type local tcp dport 8080 dnat to 10.9.9.9:80"),
        ("drops another port", "inet t", "filter hook input priority 5", "tcp dport 23 drop"),
    ]
    for name, table, hook, rule in rules:
        scene.begin()
        policy_rule = name == "fib with a mark"
        if policy_rule:
            run("ip", "rule", "add", "fwmark", "77", "lookup", "main")
        run("nft", f"add table {table}; add chain {table} c {{ type {hook}; policy accept; }}")
        added = run("nft", f"add rule {table} c {rule}", check=False)
        if added.returncode != 0:
            print(f"left out, the kernel or nft has no `{rule}`")
        else:
            session = scene.open()
            scene.write_site(RULES + OTHER)
            noted = name in ("numgen", "random", "hour", "fib with a mark")
            scene.expect(f"beside {name}", scene.apply(session=session), 0,
                         [": note: "] if noted else [], new=V4)
        if policy_rule:
            run("ip", "rule", "del", "fwmark", "77", "lookup", "main")
    # And what really takes the session away is refused beside them as well.
    for name, table, hook, rule in rules[:8]:
        scene.begin()
        run("nft", f"add table {table}; add chain {table} c {{ type {hook}; policy accept; }}")
        if run("nft", f"add rule {table} c {rule}", check=False).returncode != 0:
            continue
        session = scene.open()
        scene.write_site(ND + SSH.replace("management", "elsewhere"))
        scene.expect(f"beside {name}, ssh for others alone", scene.apply(session=session), 1)


def beside_iptables(scene):
    """G1: the same from iptables-nft, whose rules are decided."""
    if not shutil.which("iptables-nft"):
        print("left out: no iptables-nft")
        return
    for name, words in [
            ("docker", "-t nat -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER"),
            ("fail2ban", "-A INPUT -p tcp -m multiport --dports 22 -j f2b-sshd"),
            ("a comment", "-A INPUT -p tcp -m comment --comment x -m tcp --dport 23 -j DROP"),
            ("a clamp", "-t mangle -A OUTPUT -p tcp --tcp-flags SYN,RST SYN -j TCPMSS "
                        "--clamp-mss-to-pmtu"),
            ("a log", "-A INPUT -p tcp --dport 22 -j LOG"),
            ("a recent list", "-A INPUT -p tcp --dport 22 -m recent --name x --rcheck -j DROP"),
            ("a set", "-A INPUT -p tcp --dport 22 -m set --match-set banned src -j DROP")]:
        scene.begin()
        if shutil.which("ipset"):
            run("ipset", "create", "banned", "hash:ip", check=False)
            run("ipset", "add", "banned", "192.0.2.66", check=False)
        for chain in [("nat", "DOCKER"), ("filter", "f2b-sshd")]:
            run("iptables-nft", "-t", chain[0], "-N", chain[1], check=False)
        run("iptables-nft", "-A", "f2b-sshd", "-s", "192.0.2.66", "-j", "REJECT", check=False)
        if run("iptables-nft", *words.split(), check=False).returncode != 0:
            print(f"left out, iptables-nft does not take: {words}")
            continue
        session = scene.open()
        scene.write_site(RULES + OTHER)
        scene.expect(f"beside {name}", scene.apply(session=session), 0, new=V4)


def today_too(scene):
    """G1: what fails by another program's rule today as well is a note that names it."""
    for rule in ["tcp dport 22 ct state new drop", "ip saddr 198.51.100.0/25 ct state new drop"]:
        scene.begin()
        session = scene.open()
        run("nft", "add table inet theirs; add chain inet theirs c "
            "{ type filter hook input priority 5; policy accept; }")
        run("nft", f"add rule inet theirs c {rule}")
        scene.write_site(RULES + OTHER)
        scene.expect(f"today too: {rule}", scene.apply(session=session), 0,
                     [": note: ", "table inet theirs", "today as well"])


def waits(scene):
    """G1: today is what was confirmed, not what waits."""
    redirect = ('add table ip theirs; add chain ip theirs c { type nat hook prerouting '
                'priority -100; }; add rule ip theirs c tcp dport 2022 redirect to :22')
    forwards = '[[forward]]\nid = "f"\nservice = "http"\nfrom = "office"\nto = "elsewhere"\n'
    scene.begin()
    run("nft", redirect)
    session = scene.open(port=2022)
    scene.write_site(RULES + forwards)
    done = scene.apply("--force", "--confirm", "60s", session=session)
    scene.expect("forced, and waits", done, 0)
    scene.write_site(RULES + forwards + OTHER)
    scene.expect("what waits is not today", scene.apply("--confirm", "60s", session=session), 1)
    scene.rolewall("rollback", "--force", "--state-dir", STATE)


def translated(scene):
    """G10: the session's packets as they arrive, before another program redirects them."""
    redirect = ('add table ip theirs; add chain ip theirs c { type nat hook prerouting '
                'priority -100; }; add rule ip theirs c tcp dport 2022 redirect to :22')
    forwards = '[[forward]]\nid = "f"\nservice = "http"\nfrom = "office"\nto = "elsewhere"\n'
    by = ("198.51.100.7", "203.0.113.10", 2022)
    scene.begin()
    run("nft", redirect)
    session = scene.open(port=2022)
    scene.write_site(RULES + OTHER)
    scene.expect("redirected, no [[forward]]", scene.apply(session=session), 0, new=by)
    scene.write_site(RULES + forwards)
    scene.expect("redirected, and a [[forward]]", scene.apply(session=session), 1)
    for action in ["apply", "disable"]:
        own = '[[nat]]\nid = "door"\nservice = "tcp/2022"\nin = "public"\n' \
              'new-destination = "203.0.113.10:22"\n'
        scene.begin(RULES + own)
        if scene.client.ask("new", *by) != "yes":
            print("left out: our own redirect is said otherwise")
            return
        session = scene.open(port=2022)
        if action == "apply":
            scene.write_site(RULES + OTHER)
            scene.expect("our own redirect goes", scene.apply(session=session), 1)
        else:
            scene.expect("our own redirect goes with disable",
                         scene.rolewall("disable", "--state-dir", STATE, session=session), 1)


def gone(scene):
    """G6: SSH_CONNECTION names a session that is over; the real one is from elsewhere."""
    stale = "198.51.100.9 50022 203.0.113.10 22"
    scene.begin(ND + SSH.replace('"management"', '["office", "elsewhere"]'))
    scene.open(source="192.0.2.9")
    scene.write_site(RULES)
    scene.expect("a session that is over is named", scene.apply(session=stale), 1,
                 ["names a session that is over", "192.0.2.9"])
    scene.expect("a ban of the real one", scene.rolewall("ban", "192.0.2.9", "--state-dir", STATE,
                                                         session=stale), 1, None)
    scene.write_site(ND + SSH.replace('"management"', '["office", "elsewhere"]') + OTHER)
    scene.expect("the real one stays", scene.apply(session=stale), 0,
                 ["names a session that is over"], new=("192.0.2.9", "203.0.113.10", 22))


def shells(scene):
    """G6: the same session, whichever shell the command is typed in: what the policy would cut is found."""
    both = ND + SSH.replace('"management"', '["office", "elsewhere"]')
    command = [PROGRAM, "apply", "site", "--host", "srv", "--state-dir", STATE]
    ways = {
        "below sudo, which takes the variable away":
            lambda session: ["env", f"SSH_CONNECTION={session}", "sh", "-c",
                             'env -u SSH_CONNECTION "$@"; exit $?', "sh", *command],
        "on a serial console": lambda _: ["env", "-u", "SSH_CONNECTION", "setsid", "-w", *command],
        "in screen, begun by a session that is over":
            lambda _: ["env", "SSH_CONNECTION=198.51.100.9 50022 203.0.113.10 22", "setsid", "-w", *command],
        "in a container with processes of its own":
            lambda _: ["env", "-u", "SSH_CONNECTION", "unshare", "-pf", "--mount-proc", *command],
    }
    for where, words in ways.items():
        scene.begin(both)
        session = scene.open(source="192.0.2.9")
        scene.write_site(RULES)
        scene.expect(where, subprocess.run(words(session), capture_output=True, text=True, check=False), 1,
                     ["192.0.2.9"])
        scene.write_site(both + OTHER)
        scene.expect(f"{where}, and nothing is taken away",
                     subprocess.run(words(session), capture_output=True, text=True, check=False), 0,
                     new=("192.0.2.9", "203.0.113.10", 22))


def several_devices(scene):
    """G7: the client's packets arrive by eth1, and the route back is by eth0."""
    for rp_filter in ["0", "2"]:
        scene.begin()
        set_rp_filter(rp_filter)
        session = scene.open()
        scene.write_site(ND + SSH + 'in = "public"\n')
        scene.expect(f"rp_filter {rp_filter}, one device alone", scene.apply(session=session), 1,
                     ["by eth1"])
        set_rp_filter("0")
    scene.begin()
    set_rp_filter("1")
    session = scene.open()
    # IPv6 has no rp_filter: its ssh rule is for both devices.
    four = SITE.replace(', "2001:db8:0ff1::/64", "link-local"', "")
    scene.write_site(ND + SSH + 'in = "public"\n', four)
    scene.expect("rp_filter 1, one device alone", scene.apply(session=session), 0, new=V4)
    set_rp_filter("0")


def set_rp_filter(value):
    for device in ["all", "eth0", "eth1"]:
        run("sysctl", "-qw", f"net.ipv4.conf.{device}.rp_filter={value}")


def link_local(scene):
    """A session from a link's own address, and neighbours in each form (G2, G3)."""
    own = scene.own_link_local
    scene.begin()
    answer = scene.client.ask("open", "-", f"{own}%eth0", 22)
    if not answer.startswith("port"):
        sys.exit(f"no session over a link's own addresses: {answer}")
    _, address, port = answer.split()
    session = f"{address}%eth0 {port} {own}%eth0 22"
    scene.write_site(RULES + OTHER)
    scene.expect("link-local, nothing is lost", scene.apply(session=session), 0,
                 new=("-", f"{own}%eth0", 22))
    scene.write_site(ND + SSH.replace('"management"', '"198.51.100.0/24"'))
    scene.expect("link-local, for IPv4 alone", scene.apply(session=session), 1)
    for name, rule in [
            ("from link-local", 'from = "link-local"'),
            ("from one neighbour", 'from = "fe80::2"'),
            ("from the network alone", 'from = "2001:db8:1::/64"'),
            ("to the host itself alone", 'to = "2001:db8:1::10"'),
            ("to link-local alone", 'to = "link-local"'),
            ("by one device", 'in = "private"')]:
        scene.begin()
        session = scene.open(source="2001:db8:0ff1::7", to="2001:db8:1::10")
        narrow = ND.replace('service = "ndp"\n[[outbound]]', f'service = "ndp"\n{rule}\n[[outbound]]')
        scene.write_site(narrow + SSH)
        scene.expect(f"ndp {name}", scene.apply(session=session), 1, ['use = ["baseline"]'])
    for name, rule in [("link-local", 'to = "link-local"'), ("the network", 'to = "2001:db8:1::/64"'),
                       ("groups alone", 'to = "ff02::/16"')]:
        scene.begin()
        session = scene.open(source="2001:db8:0ff1::7", to="2001:db8:1::10")
        scene.write_site(ND + rule + "\n" + SSH)
        scene.expect(f"ndp sent to {name}", scene.apply(session=session), 1, ['use = ["baseline"]'])
    # The advice, word for word.
    scene.begin()
    session = scene.open(source="2001:db8:0ff1::7", to="2001:db8:1::10")
    scene.write_site('use = ["baseline"]\n')
    scene.expect("the advice followed", scene.apply(session=session), 0,
                 new=("2001:db8:0ff1::7", "2001:db8:1::10", 22))
    scene.client.must("ip", "-6", "neigh", "flush", "dev", "eth0")
    run("ip", "-6", "neigh", "flush", "dev", "eth0")
    if scene.client.ask("alive", 4) != "yes":
        scene.failures.append("the advice followed: IPv6 died with its neighbours")


def advertised(scene):
    """G5: what keeps addresses and routes alive."""
    no_advertisements = RULES.replace(
        'id = "nd"\nservice = "ndp"',
        'id = "nd"\nservice = ["icmpv6/neighbour-solicitation", "icmpv6/neighbour-advertisement"]')
    scene.begin()
    session = scene.open(source="2001:db8:0ff1::7", to="2001:db8:1::10")
    scene.write_site(no_advertisements)
    scene.expect("no advertised route, no advertisements", scene.apply(session=session), 0)
    run("ip", "-6", "route", "replace", "2001:db8:77::/64", "via", scene.client_link_local, "dev",
        "eth0", "proto", "ra")
    scene.write_site(no_advertisements + OTHER)
    scene.expect("an advertised route, no advertisements", scene.apply(session=session), 1,
                 ["router advertisements on eth0", 'use = ["baseline"]'])
    scene.write_site(RULES + OTHER)
    scene.expect("an advertised route, and advertisements", scene.apply(session=session), 0)
    run("ip", "-6", "route", "del", "2001:db8:77::/64", "dev", "eth0")
    run("ip", "-6", "address", "add", "2001:db8:1::77/128", "dev", "eth0", "nodad", "valid_lft",
        "3600", "preferred_lft", "3600")
    scene.write_site(RULES)
    scene.expect("an address by DHCPv6", scene.apply(session=session), 1,
                 ["the DHCPv6 lease of 2001:db8:1::77", 'use = ["dhcp-client"]'])
    scene.write_site('use = ["dhcp-client"]\n' + RULES)
    scene.expect("an address by DHCPv6, renewed", scene.apply(session=session), 0)
    run("ip", "-6", "address", "del", "2001:db8:1::77/128", "dev", "eth0")


def by_hand(scene):
    """G8, G9: rollback, boot, ban, unallow ask as apply does."""
    elsewhere = ND + SSH.replace("management", "elsewhere")
    scene.begin(elsewhere)
    scene.write_site(RULES)
    scene.apply("--force")
    session = scene.open()
    done = scene.rolewall("rollback", "--state-dir", STATE, session=session)
    scene.expect("rollback", done, 1)
    done = scene.rolewall("rollback", "--to", "1", "--state-dir", STATE, session=session)
    scene.expect("rollback to", done, 1)
    scene.expect("a ban of the session", scene.rolewall("ban", "198.51.100.7", "--state-dir", STATE,
                                                        session=session), 1, None)
    run("ip", "route", "add", "192.0.2.128/25", "via", "203.0.113.2", "dev", "eth0")
    scene.expect("a ban of a router", scene.rolewall("ban", "203.0.113.2", "--state-dir", STATE,
                                                     session=session), 1, None)
    run("ip", "route", "del", "192.0.2.128/25")
    # An opening is all that admits the session.
    scene.begin(elsewhere)
    if scene.rolewall("allow", "-p", "site", "ssh", "from", "198.51.100.7", "--for", "1h", "--state-dir",
                      STATE).returncode != 0:
        sys.exit("no opening")
    session = scene.open()
    done = scene.rolewall("unallow", "-p", "site", "ssh", "from", "198.51.100.7", "--state-dir", STATE,
                          session=session)
    scene.expect("unallow", done, 1)
    done = scene.rolewall("unallow", "-p", "site", "ssh", "from", "198.51.100.7", "--state-dir", STATE,
                          "--force", session=session)
    scene.expect("unallow, forced", done, 0, ["overridden"])
    # Boot by hand, and as the unit does it.
    scene.begin(elsewhere)
    run("nft", "flush", "ruleset")
    session = scene.open()
    done = scene.rolewall("boot", "--state-dir", STATE, session=session)
    scene.expect("boot by hand", done, 1)
    done = scene.rolewall("boot", "--as-unit", "--state-dir", STATE, session=session)
    scene.expect("boot as the unit", done, 0, ["lost", "generation 1 is in force"])


def within_management(scene):
    """G2: all of management, and each boundary that a rule draws within."""
    for name, rule in [("a half", 'from = "198.51.100.0/25"'),
                       ("ends alone", 'from = ["198.51.100.1", "198.51.100.254"]'),
                       ("a hole", 'from = ["management", "!198.51.100.77"]'),
                       ("one family", 'from = "198.51.100.0/24"'),
                       ("another port", 'from = "elsewhere"')]:
        scene.begin()
        session = scene.open()
        scene.write_site(ND + SSH.replace('from = "management"', rule))
        scene.expect(f"management: {name}", scene.apply(session=session), 1)
    scene.begin()
    session = scene.open()
    hole = '[[inbound]]\nid = "no"\naction = "drop"\nfrom = "198.51.100.192/30"\n'
    scene.write_site(ND + hole + SSH)
    scene.expect("management: four addresses dropped", scene.apply(session=session), 1,
                 ["198.51.100.192"])


def joined_client(devices):
    """A client whose network is joined to ours by these."""
    with open("/proc/self/comm", "w", encoding="utf-8") as comm:
        comm.write("sshd")
    client = Client()
    # Else the links' own addresses are missing for a second or two, and with them ways to come in.
    without_trial = ["sysctl", "-qw", "net.ipv6.conf.all.accept_dad=0",
                     "net.ipv6.conf.default.accept_dad=0"]
    run(*without_trial)
    client.must(*without_trial)
    for device in devices:
        run("ip", "link", "add", device, "type", "veth", "peer", "name", device, "netns",
            str(client.pid))
        run("ip", "link", "set", device, "up")
        client.must("ip", "link", "set", device, "up")
    client.must("ip", "link", "set", "lo", "up")
    for device in devices:
        until_it_has_its_address(device)
    return client


def until_it_has_its_address(device):
    for _ in range(100):
        shown = run("ip", "-6", "-o", "address", "show", "dev", device, "scope", "link").stdout
        if shown and "tentative" not in shown:
            return
        time.sleep(0.05)
    sys.exit(f"{device} has no address of its link")


def main():
    client = joined_client(["eth0", "eth1"])
    for words in [["ip", "address", "add", "203.0.113.10/24", "dev", "eth0"],
                  ["ip", "address", "add", "10.0.2.10/24", "dev", "eth1"],
                  ["ip", "-6", "address", "add", "2001:db8:1::10/64", "dev", "eth0", "nodad"],
                  ["ip", "-6", "address", "add", "2001:db8:2::10/64", "dev", "eth1", "nodad"],
                  ["ip", "route", "add", "default", "via", "203.0.113.1"],
                  ["ip", "-6", "route", "add", "default", "via", "2001:db8:1::1"]]:
        run(*words)
    for words in [["ip", "address", "add", "203.0.113.1/24", "dev", "eth0"],
                  ["ip", "address", "add", "203.0.113.2/24", "dev", "eth0"],
                  ["ip", "address", "add", "198.51.100.7/32", "dev", "lo"],
                  ["ip", "address", "add", "192.0.2.9/32", "dev", "lo"],
                  ["ip", "-6", "address", "add", "2001:db8:1::1/64", "dev", "eth0", "nodad"],
                  ["ip", "-6", "address", "add", "2001:db8:0ff1::7/128", "dev", "lo", "nodad"]]:
        client.must(*words)
    scene = Scene(client)
    links = run("ip", "-6", "-o", "address", "show", "dev", "eth0", "scope", "link").stdout
    scene.own_link_local = links.split("inet6 ")[1].split("/")[0]
    scene.client_link_local = "fe80::2"
    serve_echo(22)
    wanted = sys.argv[1:]
    for each in [beside_others, beside_iptables, today_too, waits, translated, gone, shells,
                 several_devices, link_local, advertised, by_hand, within_management]:
        if not wanted or each.__name__ in wanted:
            each(scene)
    scene.end()


if __name__ == "__main__":
    main()
