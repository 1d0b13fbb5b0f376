"""Scenes for tests/cli/trace_live.sh: this network namespace is a server and router, a client is beyond eth0, a host
inside beyond eth1. Each scene traces what the client or the host sends, and reads what is told of it."""

import json
import signal
import socket
import subprocess
import sys
import time

from live_guard import PROGRAM, STATE, Client, run, serve_echo
from scene import NEIGHBOURS, apply, check, finish, must, put_beyond, write_site

CLIENT, OURS, WITHIN, INSIDE = "192.0.2.7", "192.0.2.10", "10.0.9.1", "10.0.9.2"
CLIENT6, OURS6 = "2001:db8:1::7", "2001:db8:1::10"
SITE = f"""
[site]
name = "s"
management = "{CLIENT}"
[interfaces.public]
device = "eth0"
[interfaces.private]
device = "eth1"
[hosts.srv]
role = "server"
addresses = ["{OURS}", "{OURS6}", "{WITHIN}"]
interfaces = ["public", "private"]
"""
RULES = f"""
role = "server"
[defaults]
forward = "reject"
{NEIGHBOURS}[[inbound]]
id = "web"
service = "tcp/8000"
[[inbound]]
id = "closed"
service = "tcp/8001"
action = "reject"
[[outbound]]
id = "out"
service = ["tcp", "udp"]
[[forward]]
id = "in"
service = "tcp/9000"
[[nat]]
id = "door"
service = "tcp/9001"
to = "{OURS}"
new-destination = "{INSIDE}:9000"
"""
OTHER = """
table inet other {
  chain in {
    type filter hook input priority 10;
    tcp dport 8000 tcp sport 4444 drop comment "not from there"
    tcp dport 8000 tcp sport 4445 accept
  }
}
"""


class Sender(Client):
    def do(self, what, words, held):
        if what == "serve":
            serve_echo(int(words[0]))
            return "done"
        if what == "from":  # a connection from a port of one's own; what came of it
            to, port, own = words
            family = socket.AF_INET6 if ":" in to else socket.AF_INET
            with socket.socket(family, socket.SOCK_STREAM) as client:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                client.settimeout(0.5)
                client.bind(("", int(own)))
                try:
                    client.connect((to, int(port)))
                    return "open"
                except TimeoutError:
                    return "timeout"
                except OSError as error:
                    return type(error).__name__
        if what == "datagram":
            source, to = words
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
                out.bind((source, 0))
                out.sendto(b"!", (to, 53))
            return "done"
        if what == "large":  # in three fragments
            (to,) = words
            family = socket.AF_INET6 if ":" in to else socket.AF_INET
            with socket.socket(family, socket.SOCK_DGRAM) as out:
                if family == socket.AF_INET:
                    out.setsockopt(socket.IPPROTO_IP, 10, 0)  # IP_MTU_DISCOVER: fragments may be made
                out.sendto(b"!" * 4000, (to, 53))
            return "done"
        return super().do(what, words, held)


class Trace:
    """A trace that runs while packets are sent: `with Trace(words) as trace: ...; trace.packets`."""

    def __init__(self, words, *more, count=1, seconds=5):
        self.command = [PROGRAM, "trace", words, "--for", f"{seconds}s", "--count", str(count), "--state-dir", STATE,
                        "--format", "json", *more]

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if not await_trace():
            sys.exit(f"{self.command}: {self.process.communicate(timeout=20)}")
        return self

    def __exit__(self, *_):
        text, self.errors = self.process.communicate(timeout=20)
        lines = [json.loads(line) for line in text.splitlines()] or [{}]
        self.packets, self.end = lines[:-1], lines[-1]
        self.status = self.process.returncode


def is_traced():
    return "rolewall-trace-" in run("nft", "list", "tables").stdout


def await_trace():
    for _ in range(200):
        if is_traced():
            return True
        time.sleep(0.02)
    return False


def is_same(trace, what):
    check(trace.status == 0 and trace.end["agree"] == len(trace.packets) > 0, f"{what}: the dry run: {trace.packets}")


def hop(packet, hook):
    return next((each for each in packet["hops"] if each["hook"] == hook), {})


def join():
    client, inside = put_beyond("eth0", Sender()), put_beyond("eth1", Sender())
    for words in [["ip", "address", "add", f"{OURS}/24", "dev", "eth0"],
                  ["ip", "address", "add", f"{WITHIN}/24", "dev", "eth1"],
                  ["ip", "-6", "address", "add", f"{OURS6}/64", "dev", "eth0", "nodad"],
                  ["sysctl", "-qw", "net.ipv4.ip_forward=1"]]:
        run(*words)
    for words in [["ip", "address", "add", f"{CLIENT}/24", "dev", "eth0"],
                  ["ip", "-6", "address", "add", f"{CLIENT6}/64", "dev", "eth0", "nodad"],
                  ["ip", "route", "add", "default", "via", OURS]]:
        client.must(*words)
    for words in [["ip", "address", "add", f"{INSIDE}/24", "dev", "eth1"],
                  ["ip", "route", "add", "default", "via", WITHIN]]:
        inside.must(*words)
    inside.ask("serve", 9000)
    serve_echo(8000)
    return client, inside


def by_policy(client):
    """In policy lines, both families, accepted, rejected and dropped by default."""
    for words, to, port, verdict, rule in [
            ("tcp 192.0.2.7 > self:8000 flags=syn", OURS, 8000, "accept", "server.inbound.web"),
            ("tcp any > self:8000 flags=syn family=6", OURS6, 8000, "accept", "server.inbound.web"),
            ("tcp 192.0.2.7 > self flags=syn", OURS, 8001, "reject", "server.inbound.closed"),
            ("tcp 192.0.2.0/24 > 192.0.2.10:7 in=eth0", OURS, 7, "drop", "(default)")]:
        with Trace(words) as trace:
            client.ask("from", to, port, 0)
        check(len(trace.packets) == 1, f"{words}: {trace.packets} {trace.errors}")
        packet = trace.packets[0]
        by = hop(packet, "input").get("decided_by", {})
        check(packet["verdict"] == verdict and by.get("rule") == rule, f"{words}: {packet}")
        check(rule == "(default)" or by.get("file", "").endswith("server.toml"), f"{words}: its line: {by}")
        ran = [each.get("rule") for each in hop(packet, "input")["tried"]]
        check(rule in ran, f"{words}: the rules that ran: {ran}")
        is_same(trace, words)


def sent(client):
    """What this host sends, and that a packet of other words is not told of."""
    client.ask("serve", 7000)
    with Trace("tcp self > 192.0.2.7:7000 flags=syn") as trace:
        second = subprocess.run([PROGRAM, "trace", "tcp any > self", "--state-dir", STATE], capture_output=True, text=True)
        check(second.returncode == 1 and f"process {trace.process.pid}" in second.stderr, f"a second trace: {second}")
        client.ask("from", OURS, 8000, 0)
        Client.connect("-", CLIENT, 7000, 2).close()
    check([each["packet"].split()[0] for each in trace.packets] == ["tcp"], f"sent: {trace.packets}")
    check(":7000" in trace.packets[0]["packet"] and "out=eth0" in trace.packets[0]["packet"], f"sent: {trace.packets}")
    check(hop(trace.packets[0], "output")["decided_by"]["rule"] == "server.outbound.out", f"sent: {trace.packets}")
    is_same(trace, "sent")


def by_others(client):
    """Another program's table: by its handle; and its silence."""
    subprocess.run(["nft", "-f", "-"], input=OTHER, text=True, check=True)
    handle = run("nft", "-a", "list", "table", "inet", "other").stdout.split("not from there\" # handle ")[1].split()[0]
    with Trace("tcp 192.0.2.7 > self:8000 flags=syn", count=1) as trace:
        check(client.ask("from", OURS, 8000, 4444) == "timeout", "the other program does not drop it")
    by = hop(trace.packets[0], "input").get("decided_by", {})
    check(trace.packets[0]["verdict"] == "drop" and by.get("table") == "other", f"by others: {trace.packets}")
    check(str(by.get("handle")) == handle, f"by others: handle {handle}: {by}")
    is_same(trace, "by others")
    text = subprocess.Popen([PROGRAM, "trace", "tcp 192.0.2.7 > self:8000 flags=syn", "--count", "1", "--for", "5s",
                             "--state-dir", STATE], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    await_trace()
    client.ask("from", OURS, 8000, 4445)
    shown, errors = text.communicate(timeout=20)
    for each in ("server.inbound.web", "server.toml:", "inet other, chain in", " accept (handle ",
                 "dry run: the same", "1 packet: the dry run says the same of 1"):
        check(each in shown, f"the text lacks {each}: {shown}{errors}")
    run("nft", "delete", "table", "inet", "other")


def translated(client):
    """Through us to the inside, by our own destination NAT: a first packet, and one of the middle."""
    with Trace("tcp 192.0.2.7 > 192.0.2.10:9001", count=2) as trace:
        check(client.ask("from", OURS, 9001, 0) == "open", "it does not come through")
    first = trace.packets[0]
    check(first["verdict"] == "accept" and [each["hook"] for each in first["hops"]][-2:] == ["forward", "postrouting"],
          f"translated: {first}")
    check(first["translations"][:1] == [f"to {INSIDE}:9000"], f"translated: {first}")
    check(trace.status == 0 and first["dry_run"]["agrees"], f"translated: the dry run: {first}")
    later = trace.packets[1]["dry_run"]
    check(later["agrees"] or not later["compared"], f"of the middle: {later}")
    # What is published is a service, and one series.
    found = json.loads(must("stats", "--once", "--format", "json"))
    door = [each for each in found["services"] if each.get("service") == "tcp/9001"]
    check(len(door) == 1 and door[0]["direction"] == "nat" and door[0]["new"] == 1, f"published: {found['services']}")
    check(not [each for each in found["services"] if each.get("unattributed") and each["direction"] == "forward"],
          f"somebody else's: {found['services']}")
    series = [line for line in must("stats", "--format", "prometheus").splitlines()
              if line.startswith("rolewall_rule_new_packets_total") and "nat.door" in line]
    check(len(series) == 1, f"its series: {series}")


def discarded(client):
    """The stack discards it between the hooks: no route leads back by which it came."""
    run("sysctl", "-qw", "net.ipv4.conf.eth0.rp_filter=1")
    run("sysctl", "-qw", "net.ipv4.conf.all.rp_filter=1")
    client.must("ip", "address", "add", "10.0.9.77/32", "dev", "lo")
    with Trace("udp 10.0.9.77 > self") as trace:
        client.ask("datagram", "10.0.9.77", OURS)
    check(len(trace.packets) == 1, f"discarded: {trace.packets}")
    if trace.packets:
        check(trace.packets[0]["verdict"] in ("stack", "drop"), f"discarded: {trace.packets}")
        is_same(trace, "discarded")
    client.must("ip", "address", "del", "10.0.9.77/32", "dev", "lo")
    run("sysctl", "-qw", "net.ipv4.conf.eth0.rp_filter=0")
    run("sysctl", "-qw", "net.ipv4.conf.all.rp_filter=0")


def different(client):
    """What the dry run does not know of is found: the stack is set otherwise while the trace runs."""
    client.must("ip", "address", "add", "10.0.9.77/32", "dev", "lo")
    with Trace("udp 10.0.9.77 > self") as trace:
        for each in ("all", "eth0"):
            run("sysctl", "-qw", f"net.ipv4.conf.{each}.rp_filter=1")
        client.ask("datagram", "10.0.9.77", OURS)
    for each in ("all", "eth0"):
        run("sysctl", "-qw", f"net.ipv4.conf.{each}.rp_filter=0")
    client.must("ip", "address", "del", "10.0.9.77/32", "dev", "lo")
    check(trace.status == 1 and trace.end["differ"] == 1, f"a difference: {trace.end} {trace.packets}")
    dry = trace.packets[0]["dry_run"]
    check(dry["compared"] and not dry["agrees"] and "the dry run" in dry["why"], f"a difference: {dry}")


def changed_meanwhile(client):
    """Another program's new rule is read, and what comes afterwards is compared again."""
    with Trace("tcp 192.0.2.7 > self:8000 flags=syn", count=2, seconds=10) as trace:
        subprocess.run(["nft", "-f", "-"], input=OTHER, text=True, check=True)
        client.ask("from", OURS, 8000, 0)
        time.sleep(0.5)
        client.ask("from", OURS, 8000, 4444)
    run("nft", "delete", "table", "inet", "other")
    check(len(trace.packets) == 2 and trace.status == 0, f"changed meanwhile: {trace.end} {trace.packets}")
    check(trace.packets[1]["verdict"] == "drop" and trace.packets[1]["dry_run"]["agrees"],
          f"after the change: {trace.packets[1]}")


def shown(words, send):
    """A trace of one packet for people."""
    text = subprocess.Popen([PROGRAM, "trace", words, "--count", "1", "--for", "5s", "--state-dir", STATE],
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    await_trace()
    send()
    out, errors = text.communicate(timeout=20)
    return out + errors


def in_words(client):
    """Where a packet goes by rules of ours that no policy line owns is said in words: no jump and no map is shown."""
    client.must("ip", "address", "add", "192.0.2.66/24", "dev", "eth0")
    must("ban", "192.0.2.66", "--for", "1h")
    must("allow", "tcp/8002", "from", CLIENT, "--for", "1h")
    for words, send, told in [
            (f"tcp {CLIENT} > self:8000 flags=syn", lambda: client.ask("from", OURS, 8000, 0),
             ["whether its sender is banned", "whether it is open for a time", "the policy's inbound rules",
              "server.inbound.web"]),
            ("tcp 192.0.2.66 > self flags=syn", lambda: client.ask("open", "192.0.2.66", OURS, 8000),
             ["whether its sender is banned", "what becomes of who is banned", "(banned)"]),
            (f"tcp {CLIENT} > self:8003 flags=syn", lambda: client.ask("from", OURS, 8003, 0),
             ["matches: counts it", "matches: logs it", "matches: drop"]),
            (f"tcp {CLIENT} > self:8002 flags=syn", lambda: client.ask("from", OURS, 8002, 0),
             ["whether it is open for a time", "(allowed)"]),
            (f"tcp self > {CLIENT}:7000 flags=syn", lambda: Client.connect("-", CLIENT, 7000, 2).close(),
             ["whether its receiver is banned", "server.outbound.out"]),
            (f"tcp {CLIENT} > {OURS}:9001 flags=syn", lambda: client.ask("from", OURS, 9001, 0),
             ["whether its sender is banned", "by where it went before translation", "server.nat.door"])]:
        text = shown(words, send)
        for each in told:
            check(each in text, f"{words}: the text lacks {each}: {text}")
        check("jump" not in text and "vmap" not in text and "goto" not in text, f"{words}: as the kernel has it: {text}")
    must("unban", "192.0.2.66")
    must("unallow", "tcp/8002", "from", CLIENT)
    client.must("ip", "address", "del", "192.0.2.66/24", "dev", "eth0")


def over_the_loopback():
    with Trace("tcp 127.0.0.1 > 127.0.0.1:8000 flags=syn", count=2) as trace:
        Client.connect("-", "127.0.0.1", 8000, 2).close()
    check([each["hops"][0]["hook"] for each in trace.packets] == ["output", "prerouting"], f"loopback: {trace.packets}")
    check(all(each["verdict"] == "accept" for each in trace.packets), f"loopback: {trace.packets}")
    check(trace.end["differ"] == 0, f"loopback: the dry run: {trace.packets}")
    # The bit is on the packet still as it arrives: that makes no third of it.
    with Trace("tcp 127.0.0.1 > 127.0.0.1:8000 flags=syn", count=20, seconds=3) as trace:
        Client.connect("-", "127.0.0.1", 8000, 2).close()
    check(len(trace.packets) == 2, f"loopback: once sent, once come: {trace.packets}")
    is_same(trace, "over the loopback")


def in_fragments(client):
    """One datagram, and nothing is said of its pieces."""
    with Trace("udp any > self", count=20, seconds=3) as trace:
        client.ask("large", OURS)
        client.ask("large", OURS6)
    check(len(trace.packets) == 2, f"in fragments: {trace.packets}")
    check(all(":53 " in each["packet"] and not each["translations"] for each in trace.packets), f"{trace.packets}")
    is_same(trace, "in fragments")


def two_at_once():
    """One of them goes on."""
    both = [subprocess.Popen([PROGRAM, "trace", "tcp any > self:9", "--for", "2s", "--state-dir", STATE],
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    errors = [each.communicate(timeout=20)[1] for each in both]
    refused = [each.returncode for each in both]
    check(sorted(refused)[0] == 0 and sum("another trace runs here" in error for error in errors) == 1,
          f"two at once: {refused} {errors}")


def unmarked_by_others(client):
    """What became of it then is not known; that is no difference."""
    run("nft", "table inet foreign { chain p { type filter hook prerouting priority -150; meta nftrace set 0; }; }")
    with Trace("tcp any > self:8000 flags=syn") as trace:
        client.ask("from", OURS, 8000, 0)
    run("nft", "delete", "table", "inet", "foreign")
    check(trace.status == 0 and trace.end["not_compared"] == 1 and trace.packets[0]["verdict"] == "undecided",
          f"unmarked: {trace.packets}")


def nothing_stays(client):
    """Its table goes with it: at its end, at Ctrl-C, at SIGKILL; and it ends by its time."""
    # Without counters: a packet may come meanwhile.
    before = run("nft", "-s", "list", "ruleset").stdout
    for how in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        with Trace("tcp any > self", count=1000, seconds=60) as trace:
            trace.process.send_signal(how)
            trace.process.wait(timeout=10)
            for _ in range(100):
                if not is_traced():
                    break
                time.sleep(0.02)
            check(not is_traced(), f"{how}: its table stays")
    check(run("nft", "-s", "list", "ruleset").stdout == before, "another ruleset than before")
    begin = time.monotonic()
    with Trace("tcp any > self:8000", seconds=1) as trace:
        pass
    check(trace.end["packets"] == 0 and trace.status == 0 and time.monotonic() - begin < 6, f"its time: {trace.end}")
    # Who watches it by the very session that is traced is not in its own way: it is stopped, and packets pass.
    with Trace("tcp any > self:8000", count=1000, seconds=60) as trace:
        trace.process.send_signal(signal.SIGSTOP)
        check(client.ask("from", OURS, 8000, 0) == "open", "a stopped trace holds a packet")
        time.sleep(2.5)
        check(client.ask("from", OURS, 8000, 0) == "open", "a stopped trace holds a later packet")
        trace.process.send_signal(signal.SIGCONT)
        trace.process.send_signal(signal.SIGINT)
    check(len(trace.packets) >= 4 and trace.end["differ"] == 0, f"stopped: {trace.end}")
    # After a silence the first packet is told of again.
    with Trace("tcp any > self:8000 flags=syn", count=2, seconds=20) as trace:
        client.ask("from", OURS, 8000, 0)
        time.sleep(3)
        client.ask("from", OURS, 8000, 0)
    is_same(trace, "after a silence")
    check(len(trace.packets) == 2, f"after a silence: {trace.packets}")
    # Whoever kills the process that marks is told of it, and nothing stays.
    with Trace("tcp any > self:8000", count=1000, seconds=60) as trace:
        children = run("pgrep", "-P", str(trace.process.pid)).stdout.split()
        check(len(children) == 1, f"its processes: {children}")
        run("kill", "-KILL", *children)
        for _ in range(200):
            if not is_traced():
                break
            time.sleep(0.02)
        check(client.ask("from", OURS, 8000, 0) == "open", "without it a packet does not pass")
    check(trace.status == 3 and "has ended" in trace.errors, f"without the process: {trace.status} {trace.errors}")
    check(not is_traced(), "the table stays")
    done = subprocess.run([PROGRAM, "trace", "tcp any > self:8000 state=new"], capture_output=True, text=True)
    check(done.returncode == 2 and "`state=` cannot be traced by" in done.stderr, f"state=: {done.stderr}")


def without_policies():
    """Names of the policies are no names then, and the advice is one that this verb can follow."""
    for words in ("tcp srv > any", "http internet > srv", "icmp self > any"):
        done = run(PROGRAM, "trace", words, "--for", "1s", "--state-dir", STATE, check=False)
        check(done.returncode == 0, f"without policies, {words}: {done}")
    done = run(PROGRAM, "trace", "ssh office > self", "--for", "1s", "--state-dir", STATE, check=False)
    check(done.returncode == 2 and "name their directory with -p" in done.stderr and "--live" not in done.stderr,
          f"a name of the policies: {done}")


def main():
    client, inside = join()
    write_site(site=SITE, server=RULES)
    apply()
    by_policy(client)
    sent(client)
    by_others(client)
    translated(client)
    in_words(client)
    without_policies()
    over_the_loopback()
    in_fragments(client)
    two_at_once()
    unmarked_by_others(client)
    discarded(client)
    different(client)
    changed_meanwhile(client)
    nothing_stays(client)
    must("status")
    finish(client, inside)


main()
