"""For tests/cli/real_servers.sh: a balancer, a web server and a database, each a host in a network namespace of its own with
its own policy in force, on one link with a client."""

import json
import os
import pathlib
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

from live_guard import PROGRAM, Client, run
from scene import NEIGHBOURS, check, finish, write_site

LB, WEB, DB, NEW_DB, CLIENT, BANNED, SPOOFED = ("10.0.1.10", "10.0.2.10", "10.0.3.10", "10.0.3.11", "192.0.2.5",
                                                "192.0.2.66", "172.16.0.9")
TOLERANCE = 0.02
SITE = f"""
[site]
name = "shop"
management = "198.51.100.99"
internal = ["inside"]
[defaults]
outbound = "reject"
log = {{ to = 5, limit = "1000/second in all", steps = ["invalid", "spoofed", "banned", "limits"] }}
[networks]
inside = "10.0.0.0/16"
far = "172.16.0.0/12"
[interfaces.link]
device = "eth0"
[interfaces.other]
device = "eth1"
behind = "far"
[hosts.lb-01]
role = "lb"
addresses = ["{LB}"]
interfaces = ["link", "other"]
[hosts.web-01]
role = "web"
addresses = ["{WEB}"]
interfaces = ["link"]
[hosts.db-01]
role = "db"
tags = "db-primary"
addresses = ["{DB}"]
interfaces = ["link"]
[hosts.db-02]
role = "db"
tags = "db-replica"
addresses = ["{NEW_DB}"]
interfaces = ["link"]
"""
LB_RULES = f"""role = "lb"
{NEIGHBOURS}[[inbound]]
id = "http"
service = "http"
from = "internet"
[[inbound]]
id = "queries"
service = "udp/53"
limit = "1/hour"
[[inbound]]
id = "no-telnet"
service = "telnet"
action = "drop"
log = true
[[inbound]]
id = "no-ident"
service = "tcp/113"
action = "reject"
log = true
[[inbound]]
id = "few"
service = "tcp/7000"
connections = 1
[[inbound]]
id = "early"
service = "udp/1900"
action = "drop"
early = true
log = true
[[outbound]]
id = "no-smtp"
service = "smtp"
action = "reject"
log = true
[[outbound]]
id = "app"
service = "tcp/8080"
to = "web"
"""
WEB_RULES = f"""role = "web"
{NEIGHBOURS}[[inbound]]
id = "app"
service = "tcp/8080"
from = "lb"
[[outbound]]
id = "mysql"
service = "mysql"
to = "db-primary"
"""
DB_RULES = f"""role = "db"
{NEIGHBOURS}[[inbound]]
id = "mysql"
service = "mysql"
from = "web"
"""
HAPROXY = f"""global
  maxconn 1000
defaults
  mode http
  option httpclose
  timeout connect 5s
  timeout client 10s
  timeout server 10s
frontend www
  bind {LB}:80
  bind {LB}:7000
  default_backend web
backend web
  http-reuse never
  server web-01 {WEB}:8080
"""
NGINX = """user root root;
daemon off;
master_process off;
pid nginx.pid;
error_log nginx-error.log;
events { worker_connections 1024; }
http {
  access_log off;
  client_body_temp_path tmp1; proxy_temp_path tmp2; fastcgi_temp_path tmp3; uwsgi_temp_path tmp4; scgi_temp_path tmp5;
  server { listen %s:8080; location / { return 200 "%s"; } location /status { stub_status; } }
}
""" % (WEB, "x" * 2000)
ASK = "GET / HTTP/1.0\r\nHost: www\r\n\r\n"
started = []


class Host(Client):
    def __init__(self, name, addresses):
        super().__init__()
        self.name = name
        run("ip", "link", "add", f"to-{name}", "type", "veth", "peer", "name", "eth0", "netns", str(self.pid))
        run("ip", "link", "set", f"to-{name}", "master", "switch", "up")
        self.must("ip", "link", "set", "lo", "up")
        self.must("ip", "link", "set", "eth0", "up")
        self.must("sysctl", "-qw", "net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.eth0.rp_filter=0",
                  "net.ipv6.conf.eth0.disable_ipv6=1")
        for address in addresses:
            self.must("ip", "address", "add", f"{address}/32", "dev", "eth0")
        self.must("ip", "route", "add", "default", "dev", "eth0", "src", addresses[0])

    def start(self, *words, **more):
        process = subprocess.Popen(["nsenter", "-t", str(self.pid), "-n", *words], **more)
        started.append(process)
        return process

    def rolewall(self, *words):
        done = subprocess.run(["nsenter", "-t", str(self.pid), "-n", PROGRAM, *words, "--state-dir", f"state-{self.name}"],
                              capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"{self.name}: rolewall {words}: {done.stdout}{done.stderr}")
        return done.stdout

    def begin(self):
        self.must("sysctl", "-qw", "net.netfilter.nf_conntrack_acct=1")
        self.rolewall("apply", "site", "--host", self.name, "--force")

    def measure(self, seconds):
        return self.start(PROGRAM, "stats", "--format", "json", "--over", f"{seconds}s", "--state-dir",
                          f"state-{self.name}", stdout=subprocess.PIPE, text=True)

    def follow(self):
        return self.start(PROGRAM, "log", "--format", "json", "--state-dir", f"state-{self.name}",
                          stdout=subprocess.PIPE, text=True)

    def do(self, what, words, held):
        if what == "requests":  # how many a second, for how long; the answer: how many were answered
            rate, seconds = map(float, words)
            begin, done = time.monotonic(), 0
            while (now := time.monotonic() - begin) < seconds:
                if done > rate * now:
                    time.sleep(0.002)
                    continue
                with self.connect(CLIENT, LB, 80, 5) as each:
                    each.sendall(ASK.encode())
                    got = b""
                    while data := each.recv(65536):
                        got += data
                if b"200 OK" in got and got.count(b"x") >= 2000:
                    done += 1
            return str(done)
        if what == "queries":  # how many, one after the other, each by a connection of its own
            done = 0
            for _ in range(int(words[0])):
                asked = subprocess.run(["mariadb", "-h", DB, "-u", "root", "--skip-ssl", "-N", "-e", "select 40 + 2"],
                                       capture_output=True, text=True)
                done += asked.stdout.strip() == "42"
            return str(done)
        if what == "datagram":
            source, to, port = words
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
                out.bind((source, 0))
                out.sendto(b"!", (to, int(port)))
            return "done"
        if what in ("datagrams", "syns"):  # two, the second of which is one too many
            kind = what.removesuffix("s")
            for number in range(2):
                self.do(kind, [*words, "hold"] if kind == "syn" and number == 0 else words, held)
            return "done"
        if what == "syn":
            if words[3:]:  # stays half-open or open
                held.append(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
                held[-1].setblocking(False)
                held[-1].bind((words[0], 0))
                held[-1].connect_ex((words[1], int(words[2])))
                time.sleep(0.1)
                return "done"
            try:
                self.connect(*words, 0.5).close()
            except OSError:
                pass
            return "done"
        if what == "answer":  # a SYN+ACK without a SYN
            head = struct.pack("!HHIIBBHHH", 4000, 5000, 1, 1, 0x50, 0x12, 100, 0, 0)
            pseudo = socket.inet_aton(words[0]) + socket.inet_aton(words[1]) + struct.pack("!BBH", 0, 6, len(head))
            total = sum(struct.unpack(f"!{len(pseudo + head) // 2}H", pseudo + head))
            total = (total & 0xFFFF) + (total >> 16)
            total = ~(total + (total >> 16)) & 0xFFFF
            with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP) as out:
                out.bind((words[0], 0))
                out.sendto(head[:16] + struct.pack("!H", total) + head[18:], (words[1], 0))
            return "done"
        return super().do(what, words, held)


def await_port(host, source, to, port):
    for _ in range(200):
        if host.ask("new", source, to, port) == "yes":
            return
        time.sleep(0.1)
    said = "".join(path.read_text(encoding="utf-8", errors="replace")[-1500:]
                   for path in map(pathlib.Path, ("servers.log", "nginx-error.log")) if path.exists())
    sys.exit(f"nothing answers at {to}:{port}: {said}")


def database(host, address, log):
    """A mariadbd without tables of its own: nobody is asked for a password."""
    here = f"{os.getcwd()}/{host.name}"
    os.mkdir(here)
    host.start("mariadbd", "--no-defaults", "--user=root", f"--datadir={here}", f"--socket={here}/db.sock",
               f"--pid-file={here}/db.pid", f"--bind-address={address}", "--skip-grant-tables", "--skip-name-resolve",
               "--skip-networking=0", "--port=3306", "--innodb-buffer-pool-size=16M", stdout=log, stderr=log)


def servers(lb, web, dbs):
    for name, text in (("haproxy.cfg", HAPROXY), ("nginx.conf", NGINX)):
        pathlib.Path(name).write_text(text, encoding="utf-8")
    with open("servers.log", "w", encoding="utf-8") as log:
        for host, address in zip(dbs, (DB, NEW_DB)):
            database(host, address, log)
        here = os.getcwd()
        web.start("nginx", "-p", here, "-c", f"{here}/nginx.conf", stdout=log, stderr=log)
        lb.start("haproxy", "-f", "haproxy.cfg", "-db", stdout=log, stderr=log)
    await_port(web, WEB, DB, 3306)
    await_port(dbs[1], NEW_DB, NEW_DB, 3306)
    await_port(lb, LB, WEB, 8080)


def is_near(shown, real, what):
    check(real > 0 and abs(shown - real) <= TOLERANCE * real, f"{what}: {shown} shown, {real} by the clients")


def service(found, name, direction):
    return next(each for each in found["services"] if each.get("service") == name and each["direction"] == direction)


def rates(lb, web, db, client):
    # Before and after the measurement nobody asks anything, so that it has all of it.
    measured = {host.name: host.measure(14) for host in (lb, web, db)}
    time.sleep(2)
    requests = int(client.ask("requests", 50, 6))
    queries = int(web.ask("queries", 30))
    check(requests > 100, f"{requests} requests")
    check(queries == 30, f"{queries} of 30 queries were answered")
    found = {name: json.loads(each.communicate(timeout=60)[0]) for name, each in measured.items()}
    for host, name, direction, real in (("lb-01", "http", "inbound", requests), ("lb-01", "tcp/8080", "outbound", requests),
                                        ("web-01", "tcp/8080", "inbound", requests),
                                        ("web-01", "mysql", "outbound", queries), ("db-01", "mysql", "inbound", queries)):
        row = service(found[host], name, direction)
        is_near(row["gained"], real, f"{host}, {direction} {name}")
        is_near(row["per_1000_seconds"] / 1000, real / (found[host]["interval_ms"] / 1000), f"{host}, {name}: the rate")
    # A response is 2,000 bytes and its head, in a connection of some ten packets.
    traffic = service(found["lb-01"], "http", "inbound")["traffic_passed"]
    check(requests * 2200 < traffic["out_bytes"] < requests * 4000, f"{requests} responses: {traffic}")


# Each kind of denial: at which host, who sends what, the rule that denies it, its chain and its fate, and the words by which
# it is traced. "" for the words: it cannot be told from what is admitted before it, by words.
DENIALS = [
    ("lb-01", "client", ["datagram", CLIENT, LB, 9999], "(default)", "input", "drop", f"udp {CLIENT} > self:9999"),
    ("db-01", "client", ["syn", CLIENT, DB, 3306], "(default)", "input", "drop", f"tcp {CLIENT} > self:3306"),
    ("lb-01", "client", ["datagram", BANNED, LB, 80], "(banned)", "banned-drop", "drop", f"udp {BANNED} > self:80"),
    ("lb-01", "client", ["datagram", SPOOFED, LB, 80], "(spoofed)", "spoofed", "drop", f"udp {SPOOFED} > self:80"),
    ("lb-01", "client", ["answer", CLIENT, LB], "(invalid)", "unusual", "drop", f"tcp {CLIENT} > self:5000"),
    ("lb-01", "client", ["syn", CLIENT, LB, 23], "lb.inbound.no-telnet", "lb.inbound.no-telnet", "drop",
     f"tcp {CLIENT} > self:23"),
    ("lb-01", "client", ["syn", CLIENT, LB, 113], "lb.inbound.no-ident", "lb.inbound.no-ident", "reject",
     f"tcp {CLIENT} > self:113"),
    ("lb-01", "client", ["datagram", CLIENT, LB, 1900], "lb.inbound.early", "lb.inbound.early", "drop",
     f"udp {CLIENT} > self:1900"),
    ("lb-01", "client", ["datagrams", CLIENT, LB, 53], "lb.inbound.queries", "lb.inbound.queries/excess", "excess",
     f"udp {CLIENT} > self:53"),
    ("lb-01", "client", ["syns", CLIENT, LB, 7000], "lb.inbound.few", "lb.inbound.few/excess", "excess",
     f"tcp {CLIENT} > self:7000 flags=syn"),
    ("lb-01", "client", ["datagram", CLIENT, "203.0.113.77", 9], "(default)", "forward", "drop",
     f"udp {CLIENT} > 203.0.113.77:9"),
    ("lb-01", "lb-01", ["syn", LB, CLIENT, 25], "lb.outbound.no-smtp", "lb.outbound.no-smtp", "reject",
     f"tcp self > {CLIENT}:25"),
    ("web-01", "web-01", ["syn", WEB, CLIENT, 80], "(default)", "output", "reject", f"tcp self > {CLIENT}:80"),
]


def denied(found, rule, chain):
    return sum(each["packets"] for each in found["rules"]
               if each["name"] == rule and each["chain"] == chain and each["fate"] in ("drop", "reject"))


def line_of_rule(rule):
    """Where its table begins: a line before its id."""
    return LB_RULES.splitlines().index(f'id = "{rule.split(".")[-1]}"')


def traced(hosts, host, actor, what, words):
    """What `trace` tells of the packets, those that were denied."""
    tracing = hosts[host].start(PROGRAM, "trace", "-p", "site", "--host", host, words, "--for", "4s", "--count", "3",
                                "--format", "json", "--state-dir", f"state-{host}", stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True)
    for _ in range(100):
        if "rolewall-trace-" in run("nsenter", "-t", str(hosts[host].pid), "-n", "nft", "list", "tables").stdout:
            break
        time.sleep(0.02)
    hosts[actor].ask(*what)
    time.sleep(0.6)
    tracing.send_signal(signal.SIGINT)
    text, errors = tracing.communicate(timeout=20)
    packets = [json.loads(line) for line in text.splitlines()][:-1]
    check(packets, f"trace {words}: nothing was traced: {errors}")
    return [each for each in packets if each["verdict"] != "accept"]


def denials(lb, web, db, client):
    hosts = {each.name: each for each in (lb, web, db, client)}
    servers = (lb, web, db)
    lb.must("sysctl", "-qw", "net.ipv4.ip_forward=1")
    client.must("ip", "route", "add", "203.0.113.77", "via", LB, "dev", "eth0", "onlink")
    following = {host.name: host.follow() for host in servers}
    time.sleep(1.5)
    before = {host.name: json.loads(host.rolewall("stats", "--once", "--format", "json")) for host in servers}
    lb.rolewall("ban", BANNED)
    for host, actor, what, rule, chain, fate, words in DENIALS:
        told = traced(hosts, host, actor, what, words)
        deciders = [each["decided_by"] for packet in told for each in packet["hops"] if "decided_by" in each]
        mine = [by for by in deciders if by.get("rule") == rule]
        check(mine, f"trace {words}: not by {rule}: {deciders} {told}")
        if not rule.startswith("("):
            check(all(by["file"].endswith("lb.toml") and by["line"] == line_of_rule(rule) for by in mine), f"{words}: {mine}")
        differ = [each["dry_run"] for each in told if each["dry_run"]["compared"] and not each["dry_run"]["agrees"]]
        check(not differ, f"trace {words}: the dry run: {differ}")
    time.sleep(1)
    after = {host.name: json.loads(host.rolewall("stats", "--once", "--format", "json")) for host in servers}
    logged = {}
    for name, each in following.items():
        # nsenter has become the program.
        each.send_signal(signal.SIGINT)
        logged[name] = [json.loads(line) for line in each.communicate(timeout=30)[0].splitlines()]
    for host, _, _, rule, chain, fate, _ in DENIALS:
        more = denied(after[host], rule, chain) - denied(before[host], rule, chain)
        check(more >= 1, f"stats of {host}: {rule} in {chain} has denied {more} more")
        events = [each for each in logged[host] if each.get("rule") == rule and each["fate"] == fate]
        check(events, f"log of {host}: nothing of {rule} {fate}: {[(e.get('rule'), e.get('fate')) for e in logged[host]]}")
        if rule.startswith("("):
            check(all(each["file"].endswith("site.toml") for each in events), f"{events}")
        else:
            check(all(each["file"].endswith("lb.toml") and each["line"] == line_of_rule(rule) for each in events), f"{events}")


def sql(host, words):
    """By its own socket: no firewall is in between."""
    return run("mariadb", "--socket", f"{os.getcwd()}/{host.name}/db.sock", "-u", "root", "-N", "-e", words).stdout.strip()


class Writer(threading.Thread):
    """A client at web-01 that writes row by row, each answered, and where it cannot, begins anew with `primary`."""

    primary, stopped = DB, False

    def __init__(self, web):
        super().__init__(daemon=True)
        self.web = web
        self.start()

    def run(self):
        while not Writer.stopped:
            client = self.web.start("mariadb", "-h", Writer.primary, "-u", "root", "--skip-ssl", "-N", "-n", "--skip-reconnect",
                                    "--connect-timeout=1", "shop", stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                    stderr=subprocess.DEVNULL, text=True)
            try:
                while not Writer.stopped:
                    client.stdin.write("insert into written () values (); select 1;\n")
                    client.stdin.flush()
                    if client.stdout.readline().strip() != "1":
                        break
                client.stdin.close()
            except OSError:
                pass
            client.kill()
            client.wait()


def swapped(web, dbs):
    """The tag db-primary moves under load. Not one row is written to the old primary after the end of the apply."""
    for db in dbs:
        sql(db, "create database shop; create table shop.written (n bigint auto_increment primary key, "
                "at timestamp(6) default current_timestamp(6)) engine=innodb")
    writers = [Writer(web) for _ in range(4)]
    time.sleep(2)
    check(int(sql(dbs[0], "select count(*) from shop.written")) > 20, "nobody writes")
    write_site(site=SITE.replace("db-primary", "x").replace("db-replica", "db-primary").replace('"x"', '"db-replica"'))
    planned = json.loads(web.rolewall("plan", "site", "--host", "web-01", "--format", "json"))["connections"]
    check(planned["not_admitted"] == 4, f"the plan: {planned}")
    Writer.primary = NEW_DB
    done = web.rolewall("apply", "site", "--host", "web-01", "--cut")
    end = time.time()
    at_end = int(sql(dbs[0], "select count(*) from shop.written"))
    time.sleep(3)
    later = int(sql(dbs[0], f"select count(*) from shop.written where at > from_unixtime({end:.6f})"))
    total = int(sql(dbs[0], "select count(*) from shop.written"))
    new = int(sql(dbs[1], "select count(*) from shop.written"))
    Writer.stopped = True
    for writer in writers:
        writer.join()
    check("cut: 4 open connections" in done and "4 sockets" in done, f"what was cut: {done}")
    check(later == 0 and total == at_end, f"{later} rows were written to the old primary after the apply's end")
    check(new > 20, f"{new} rows were written to the new primary")
    print(f"the tag swapped: {total} rows at the old primary, {later} of them after the apply's end; {new} at the new one")


def main():
    run("ip", "link", "add", "switch", "type", "bridge")
    run("ip", "link", "set", "switch", "up")
    write_site(site=SITE, lb=LB_RULES, web=WEB_RULES, db=DB_RULES)
    hosts = [Host("lb-01", [LB]), Host("web-01", [WEB]), Host("db-01", [DB]), Host("db-02", [NEW_DB]),
             Host("client", [CLIENT, BANNED, SPOOFED])]
    lb, web, db, new_db, client = hosts
    try:
        for host in (lb, web, db, new_db):
            host.begin()
        servers(lb, web, (db, new_db))
        rates(lb, web, db, client)
        denials(lb, web, db, client)
        swapped(web, (db, new_db))
    finally:
        for process in started:
            process.kill()
            process.wait()
    finish(*hosts)


main()
