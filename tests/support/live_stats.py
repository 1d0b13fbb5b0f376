"""Scenes for tests/cli/stats.sh: a peer beyond eth0 does things, and `stats` counts them."""

import fcntl
import json
import os
import pty
import re
import select
import shutil
import struct
import subprocess
import sys
import termios
import time

from denied_peer import BANNED, HERE, OTHER, PEER, RULES, SITE, everything, join, line_of
from live_guard import PROGRAM, STATE, run, serve_echo
from scene import apply, check, finish, must, rolewall, write_site


def stats(*words):
    return json.loads(must("stats", "--format", "json", *words))


def rule(found, name, excess=False, chain=None):
    rows = [each for each in found["rules"] if each["name"] == name and each["excess"] == excess
            and (chain is None or each["chain"] == chain)]
    return rows[0] if rows else {"packets": None}


def metrics():
    """By name and labels, and the types."""
    text = must("stats", "--format", "prometheus")
    if shutil.which("promtool"):
        done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True)
        check(done.returncode == 0 and not done.stderr, f"promtool: {done.stderr}{done.stdout}")
    values, types = {}, {}
    for line in text.splitlines():
        if line.startswith("# TYPE"):
            types[line.split()[2]] = line.split()[3]
        elif not line.startswith("#"):
            key, value = line.rsplit(" ", 1)
            check(key not in values, f"twice in one exposition: {key}")
            values[key] = int(value)
    return values, types


def counters(values, types):
    return {key: value for key, value in values.items() if types[key.split("{")[0]] == "counter"}


def nothing_in_force():
    run("nft", "flush", "ruleset")
    found = stats("--once")
    check(found["in_force"] is False and found["rules"] == [], f"without a table: {found}")
    check("nothing is in force" in must("stats", "--once"), "without a table, in words")
    must("stats", "--format", "prometheus")


def counted(peer):
    peer.ask("connections", PEER, HERE, 8000, 7)
    everything(peer, 3)
    found = stats("--once")
    check(rule(found, "server.inbound.app")["packets"] == 7, f"new connections: {rule(found, 'server.inbound.app')}")
    check(rule(found, "server.inbound.limited", True)["packets"] == 3, "over a limit")
    check(rule(found, "server.inbound.own")["packets"] == 3, "by a rule that drops")
    check(rule(found, "server.inbound.own")["fate"] == "drop", "its fate")
    check(rule(found, "(default)", chain="input")["packets"] == 3, f"by default: {found['rules']}")
    check(rule(found, "(spoofed)")["packets"] == 3, "spoofed")
    check(rule(found, "(banned)", chain="banned-drop")["packets"] == 3, "banned")
    check(rule(found, "(invalid)")["packets"] == 3, "invalid")
    for name in ("app", "limited", "own"):
        each = rule(found, f"server.inbound.{name}")
        check(each["line"] == line_of(name) and each["file"].endswith("server.toml"), f"the line of {name}: {each}")
    service = next(each for each in found["services"] if each.get("service") == "tcp/8000")
    check(service["new"] == 7 and service["direction"] == "inbound", f"the service: {service}")
    bans = next(each for each in found["sets"] if each["name"] == "banned/4")
    check(bans["elements"] == 1 and bans["size"] == 1000000, f"the bans: {bans}")
    limited = next(each for each in found["sets"] if each.get("rule") == "server.inbound.limited")
    check(limited["elements"] == 1 and limited["size"] == 65536, f"a limit's sources: {limited}")
    text = must("stats", "--once")
    for words in ("packets/s", "of what", "  bans\n", "  sources, limit\n"):
        check(words in text, f"the columns lack {words}: {text}")
    check(found["conntrack"]["entries"] >= 7 and found["conntrack"]["limit"] > 0, f"{found['conntrack']}")


def traffic(peer):
    run("sysctl", "-qw", "net.netfilter.nf_conntrack_acct=0")
    text = must("stats", "--once")
    check("nf_conntrack_acct=1" in text, f"how to count bytes: {text}")
    run("sysctl", "-qw", "net.netfilter.nf_conntrack_acct=1")
    peer.ask("connections", PEER, HERE, 8000, 1)
    counting = subprocess.Popen([PROGRAM, "stats", "--format", "json", "--over", "2s", "--state-dir", STATE],
                                stdout=subprocess.PIPE, text=True)
    time.sleep(0.5)
    peer.ask("connections", PEER, HERE, 8000, 20)
    found = json.loads(counting.communicate()[0])
    service = next(each for each in found["services"] if each.get("service") == "tcp/8000")
    check(service["gained"] == 20, f"new within the time: {service}")
    check(abs(service["per_1000_seconds"] - 20 * 1000 * 1000 / found["interval_ms"]) <= 10, f"{service}")
    passed = service["traffic_passed"]
    # A connection: 1,000 bytes each way, the answers in small packets, each with 52 bytes of headers.
    check(20 * 1200 < passed["in_bytes"] < 20 * 3000 and 20 * 1200 < passed["out_bytes"] < 20 * 3000,
          f"bytes within the time: {passed}")


def from_a_port_again(peer):
    """Each is a connection with bytes of its own, though connection tracking has the last one's entry still."""
    peer.ask("again", PEER, HERE, 8000, 41000, 40)
    counting = subprocess.Popen([PROGRAM, "stats", "--watch", "--format", "json", "--over", "1s", "--state-dir", STATE],
                                stdout=subprocess.PIPE, text=True)
    counting.stdout.readline()
    time.sleep(2.5)  # entries are told apart by when they will be forgotten, in seconds
    peer.ask("again", PEER, HERE, 8000, 41000, 40)
    # Each sends SYN, 50 bytes and RST at least: 40 bytes of headers and more.
    passed, least = 0, 40 * 170
    for _ in range(6):
        look = json.loads(counting.stdout.readline())
        passed += sum(each["traffic_passed"]["in_bytes"] for each in look["services"] if each.get("service") == "tcp/8000")
        if passed >= least:
            break
    counting.kill()
    counting.communicate(timeout=20)
    check(passed >= least, f"from ports used before: {passed}")


def broadcasts(peer):
    write_site(server=RULES + '[[inbound]]\nid = "names"\nservice = "udp/137"\n')
    apply()
    peer.ask("to-all", PEER, "203.0.113.255", 137)
    peer.ask("to-all", PEER, "255.255.255.255", 137)
    services = stats("--once")["services"]
    names = [each for each in services if each.get("service") == "udp/137"]
    check(names and names[0]["open"] == 2, f"broadcasts: {services}")
    check(not [each for each in services if each["direction"] == "forward"], f"forwarded: {services}")
    write_site(server=RULES)
    apply()


def monotonic(peer):
    before, types = metrics()
    check(types["rolewall_rule_new_packets_total"] == "counter", "types")
    changed = RULES.replace('limit = "1/hour"', 'limit = "2/hour"') + '[[inbound]]\nid = "more"\nservice = "tcp/99"\n'
    for what in ("apply", "rollback"):
        if what == "apply":
            write_site(server=changed)
            apply()
        else:
            must("rollback", "--force")
        everything(peer)
        after, types = metrics()
        for key, value in counters(before, types).items():
            check(key in after or "more" in key, f"{what} has lost {key}")
            check(after.get(key, value) >= value, f"{what}: {key} went from {value} to {after.get(key)}")
        before = after
    write_site(server=RULES)
    key = 'rolewall_denied_packets_total{by="(default)",chain="input",action="drop"}'
    check(before.get(key, 0) == 3 + 2, f"{key}: {before.get(key)}")


def prefixes_are_counted():
    for each in range(3):
        must("ban", f"10.9{each}.0.0/24")
    fills = {each["name"]: each["elements"] for each in stats("--once")["sets"]}
    check(fills["banned/4-prefixes"] == 3, f"three prefixes are banned: {fills}")
    for each in range(3):
        must("unban", f"10.9{each}.0.0/24")
    # What is over stays in the kernel's count until another one comes.
    for each in range(2):
        must("ban", f"10.9{each}.0.0/24", "--for", "1s")
    time.sleep(1.5)
    fills = {each["name"]: each["elements"] for each in stats("--once")["sets"]}
    check(fills["banned/4-prefixes"] == 0, f"bans of prefixes that are over: {fills}")


def limits_come_and_go(peer):
    """What a limit has denied is never shown as let in, whatever becomes of the limit."""
    def new():
        return next(each["new"] for each in stats("--once")["services"] if each.get("service") == "udp/1000")

    def put(rules, mode="enforce"):
        write_site(server=rules + f'[defaults]\nmode = "{mode}"\n')
        apply()

    limited = RULES.replace('limit = "1/hour"', 'limit = "2/hour burst 2"')
    put(limited)
    peer.ask("datagrams", PEER, HERE, 1000, 40)
    let_in = new()
    check(let_in <= 3, f"let in: {let_in}")
    put(limited, "audit")
    check(new() <= let_in, f"as audit mode begins: {new()}")
    peer.ask("datagrams", OTHER, HERE, 1000, 10)
    check(new() >= 10, f"in audit mode all pass: {new()}")
    put(limited)
    check(new() <= let_in + 10, f"as audit mode ends: {new()}")
    put(limited.replace('limit = "2/hour burst 2"\n', ""))
    check(new() <= let_in + 10, f"without the limit: {new()}")
    put(RULES)


def without_the_record():
    elsewhere = subprocess.run([PROGRAM, "stats", "--once", "--format", "json", "--state-dir", "nowhere"],
                               capture_output=True, text=True)
    found = json.loads(elsewhere.stdout)
    check(elsewhere.returncode == 0 and found["in_force"] and "no_record" in found, f"without a record: {found}")
    check(rule(found, "server.inbound.app")["packets"] >= 7, "its counters")


def to_a_file():
    with open("metrics.prom", "w", encoding="utf-8") as file:
        file.write("old")
    done = rolewall("stats", "--format", "prometheus", "-o", "metrics.prom")
    with open("metrics.prom", encoding="utf-8") as file:
        text = file.read()
    check(done.returncode == 0 and text.startswith("# HELP") and text.endswith("\n"), f"to a file: {done}")
    check(os.stat("metrics.prom").st_mode & 0o777 == 0o644, "node exporter, which is another user, must read it")
    check([name for name in os.listdir(".") if name.startswith("metrics")] == ["metrics.prom"], "left over")


def drawn():
    """On a terminal of 80 columns and 24 lines, until q."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.update(TERM="xterm")
        os.execv(PROGRAM, [PROGRAM, "stats", "--watch", "--over", "1s", "--state-dir", STATE])
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    before = None
    data = b""
    end = time.monotonic() + 3.5
    sent = False
    while True:
        ready, _, _ = select.select([terminal], [], [], 0.1)
        if ready:
            try:
                more = os.read(terminal, 65536)
            except OSError:
                break
            if not more:
                break
            data += more
            if before is None:
                before = termios.tcgetattr(terminal)[3]
        if time.monotonic() > end and not sent:
            os.write(terminal, b"\x1b[6~q")  # a page down
            sent = True
        if time.monotonic() > end + 10:
            os.kill(pid, 9)
            break
    _, status = os.waitpid(pid, 0)
    check(status == 0, f"--watch ended with {status}")
    text = data.decode()
    check("\x1b[?1049h" in text and text.rstrip().endswith("\x1b[?1049l"), f"the screen: {text[:80]!r} ... {text[-40:]!r}")
    frames = text.split("\x1b[H")[2:]
    check(len(frames) >= 3, f"{len(frames)} drawings in 3.5 s")
    for line in (frames[-2] + frames[-1]).split("\r\n"):
        plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", line)
        check(len(plain) <= 80, f"{len(plain)} columns: {plain}")
    check("q quit" in frames[-2] and "server.inbound" in frames[-2] and "rates over" in frames[-2], frames[-2])
    check(" above" in frames[-1] and "connection tracking" in frames[-1], f"a page further: {frames[-1]}")


def main():
    peer = join()
    write_site(site=SITE, server=RULES)
    nothing_in_force()
    apply()
    must("ban", BANNED)
    serve_echo(8000, HERE)
    counted(peer)
    traffic(peer)
    monotonic(peer)
    without_the_record()
    to_a_file()
    drawn()
    from_a_port_again(peer)
    broadcasts(peer)
    prefixes_are_counted()
    limits_come_and_go(peer)
    check(OTHER != PEER, "")
    finish(peer)


main()
