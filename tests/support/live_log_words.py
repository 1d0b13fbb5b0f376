"""Scenes for tests/cli/log_words.sh: a peer meets each kind of denial, and `log` says so."""

import json
import os
import signal
import socket
import subprocess
import time

from denied_peer import BANNED, HERE, INSIDE, OTHER, PEER, RULES, SITE, everything, join, line_of
from live_guard import PROGRAM, STATE, run
from scene import apply, check, finish, must, rolewall, write_site

GROUP = 7
LOG = f'to = {GROUP}, limit = "1000/second in all", steps = ["invalid", "spoofed", "banned", "limits"]'


def put_in_force(mode="enforce", log=LOG, rules=RULES):
    write_site(server=f'{rules}[defaults]\nmode = "{mode}"\nlog = {{ {log} }}\n')
    apply()


class Following:
    def __init__(self, *words):
        self.process = subprocess.Popen([PROGRAM, "log", "--state-dir", STATE, *words], stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True)
        time.sleep(0.7)

    def end(self, seconds=0.7):
        time.sleep(seconds)
        self.process.send_signal(signal.SIGINT)
        out, err = self.process.communicate(timeout=20)
        check(self.process.returncode == 0, f"log ended with {self.process.returncode}: {err}")
        return out

    def events(self):
        return [json.loads(line) for line in self.end().splitlines()]


def not_a_group():
    write_site(server=RULES)
    apply()
    done = rolewall("log", "--for", "1s")
    check(done.returncode == 1 and "to = 5" in done.stderr, f"a policy without a group: {done}")
    check("nf_log_all_netns" in done.stderr, f"in a network namespace: {done.stderr}")


def words_of_each(peer):
    put_in_force()
    must("ban", BANNED)
    following = Following("--format", "json", "--explain")
    everything(peer)
    second = rolewall("log", "--for", "1s")
    check(second.returncode == 3 and "has a reader already" in second.stderr, f"a second reader: {second}")
    peer.ask("datagrams", PEER, HERE, 4000, 1)
    events = following.events()
    by = {(each["rule"], each["fate"]): each for each in events if each["event"] == "packet" and each["direction"] == "inbound"}
    expected = {"(default)": "drop", "(spoofed)": "drop", "(banned)": "drop", "(invalid)": "drop",
                "server.inbound.own": "drop", "server.inbound.limited": "excess"}
    for rule, fate in expected.items():
        check((rule, fate) in by, f"nothing is logged of {rule} {fate}: {sorted(by)}")
    for (rule, fate), event in by.items():
        check(event["in"] == "eth0" and event["to"] == HERE and event["to_name"] == "srv", f"{rule}: {event}")
        check(event["advice"], f"{rule}: no advice")
    for name in ("own", "limited"):
        event = by[f"server.inbound.{name}", expected[f"server.inbound.{name}"]]
        check(event["line"] == line_of(name) and event["file"].endswith("server.toml"), f"the line of {name}: {event}")
        check(event["from"] == OTHER and event["from_name"] == "other", f"its names: {event}")
    advice = {rule: " ".join(event["advice"]) for (rule, _), event in by.items()}
    check(f"unban {BANNED}" in advice["(banned)"], advice["(banned)"])
    check("no rule" in advice["(invalid)"], advice["(invalid)"])
    check(INSIDE in advice["(spoofed)"] and "behind" in advice["(spoofed)"], advice["(spoofed)"])
    check("limit" in advice["server.inbound.limited"] and "1/hour" in advice["server.inbound.limited"],
          advice["server.inbound.limited"])
    check(f'"!{OTHER}"' in advice["server.inbound.own"], advice["server.inbound.own"])
    defaults = [" ".join(each["advice"]) for each in events if each["rule"] == "(default)" and each["event"] == "packet"]
    check(any('service = "udp/3000"' in each and PEER in each for each in defaults), f"{defaults}")
    near = [each for each in defaults if "server.inbound.friends-only" in each]
    check(near and f'add "{PEER}"' in near[0] and f"server.toml:{line_of('friends-only')}" in near[0], f"{defaults}")


def the_advice_is_right(peer):
    """What it says, done, lets the packet in."""
    put_in_force(rules=RULES.replace(f'from = "{OTHER}"', f'from = ["{OTHER}", "{PEER}"]'))
    following = Following("--format", "json")
    peer.ask("datagrams", PEER, HERE, 4000, 1)
    check(not [each for each in following.events() if each["from"] == PEER], "it is still denied")


def folded(peer):
    put_in_force()
    following = Following("--fold", "1s")
    peer.ask("datagrams", PEER, HERE, 3000, 40)
    text = following.end(2.5)
    lines = [line for line in text.splitlines() if f"{HERE}:3000" in line]
    check(len(lines) == 2 and "39 more lines in 1 s" in lines[1], f"folded: {text}")
    check("(default)" in lines[0] and "inbound" in lines[0] and f"{HERE}:3000 (srv)" in lines[0], lines[0])
    following = Following("--each")
    peer.ask("datagrams", PEER, HERE, 3000, 40)
    text = following.end()
    check(len([line for line in text.splitlines() if f"{HERE}:3000" in line]) == 40, f"each: {text}")


def suggested(peer):
    put_in_force(mode="audit")
    following = Following("--suggest", "--format", "json")
    for source, port, count in ((PEER, 53, 3), (OTHER, 53, 2), (OTHER, 5000, 1)):
        peer.ask("datagrams", source, HERE, port, count)
    found = json.loads(following.end())
    inbound = {each["service"]: each for each in found["suggestions"] if each["direction"] == "inbound"}
    check(set(inbound) == {"dns", "udp/5000"}, f"suggested: {found}")
    check(inbound["dns"]["peers"] == [PEER, "other"] and inbound["dns"]["lines"] == 5, f"{inbound['dns']}")
    # Each is a rule, and with them the same is admitted.
    rules = "\n".join(each["rule"] for each in inbound.values())
    put_in_force(rules=RULES + rules)
    following = Following("--format", "json")
    peer.ask("datagrams", PEER, HERE, 53, 1)
    peer.ask("datagrams", OTHER, HERE, 5000, 1)
    peer.ask("datagrams", PEER, HERE, 5001, 1)
    denied = {(each["from"], each["service"]) for each in following.events()}
    check(denied == {(PEER, "udp/5001")}, f"with what was suggested, denied: {denied}")


def held_back_by_limits(peer):
    """Fewer lines than packets: it says so, and which limit it was. The host's own packets have one source."""
    def asked_for():
        for port in range(25, 30):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as each:
                each.sendto(b"x", (PEER, port))

    for log, words in ((f'{LOG}, per-source = "1/second"', 'per-source` ("1/second per source") holds lines back'),
                       (f'to = {GROUP}, limit = "2/second in all"', 'limit` ("2/second in all") holds lines back'), (LOG, "")):
        put_in_force(mode="audit", log=log)
        following = Following("--suggest", "-p", "nowhere")
        asked_for()
        text = following.end()
        check(("WARNING: perhaps not all is suggested" in text) == bool(words) and words in text, f"with {log}: {text}")
        if not words:
            check(text.count("[[outbound]]") == 5, f"without a limit in the way: {text}")
    following = Following("--suggest", "--format", "json")
    asked_for()
    found = json.loads(following.end())
    check(found["default_packets"] == found["default_lines"] >= 5, f"packets and lines: {found}")
    following = Following("--suggest", "-p", "nowhere")
    must("disable", "--force")
    text = following.end()
    check("is not known: there is no table inet rolewall" in text, f"without a table: {text}")


def held_back_while_it_follows(peer):
    """Packets without a line are told of at its end."""
    put_in_force(log=f'to = {GROUP}, limit = "2/hour burst 2 in all"')
    following = Following("--each")
    peer.ask("datagrams", PEER, HERE, 3000, 30)
    text = following.end()
    lines = sum(f"{HERE}:3000" in line for line in text.splitlines())
    check(lines <= 2 and f"{30 - lines} further packets met the defaults and were not logged" in text, f"held back: {text}")
    put_in_force()
    following = Following("--each")
    peer.ask("datagrams", PEER, HERE, 3000, 30)
    check("not logged" not in following.end(), "nothing was held back")


def translated_by_another(peer):
    """On a host that passes nothing on a rule is asked about the packet as it comes; what its client wrote is said."""
    put_in_force()
    run("nft", "table ip other { chain before { type nat hook prerouting priority -100; udp dport 4500 redirect to :4600; }; }")
    following = Following("--format", "json", "--explain")
    peer.ask("datagrams", PEER, HERE, 4500, 1)
    advice = [" ".join(each["advice"]) for each in following.events() if each["event"] == "packet" and each["direction"] == "inbound"]
    check(len(advice) == 1 and 'service = "udp/4600"' in advice[0], f"translated: {advice}")
    # Where the kernel tells (CONFIG_NETFILTER_NETLINK_GLUE_CT).
    if "its client" in advice[0]:
        check("port 4500" in advice[0], f"what the client wrote: {advice}")
    run("nft", "delete", "table", "ip", "other")


def counted_by_source(peer):
    done = rolewall("log", "--group", str(GROUP), "--for", "1s", "--counts", "no/such/sources")
    check(done.returncode == 2 and "no/such" in done.stderr, f"where no file can be: {done}")
    put_in_force()
    following = Following("--counts", "run/sources")
    peer.ask("datagrams", PEER, HERE, 3000, 9)
    peer.ask("datagrams", OTHER, HERE, 2000, 4)
    following.end(1.5)
    check(os.stat("run").st_mode & 0o777 == 0o755, "the directory of the counts")
    with open("run/sources", encoding="utf-8") as file:
        lines = file.read().splitlines()
    check(f"9 (default) drop {PEER}" in lines and f"4 server.inbound.own drop {OTHER}" in lines, f"{lines}")
    found = json.loads(must("stats", "--once", "--format", "json", "--sources", "run/sources"))
    check({"rule": "(default)", "fate": "drop", "source": PEER, "lines": 9} in
          [{name: each[name] for name in ("rule", "fate", "source", "lines")} for each in found["sources"]],
          f"stats by source: {found['sources']}")
    check(PEER in must("stats", "--once", "--sources", "run/sources"), "stats by source, in words")


def after_an_apply(peer):
    """It reads the record anew, and the group that the policy names now; where none is, it ends."""
    put_in_force()
    following = Following("--format", "json", "--each")
    put_in_force(log=LOG.replace(f"to = {GROUP}", "to = 8"), rules=RULES.replace('id = "own"', 'id = "mine"'))
    time.sleep(2.5)
    peer.ask("datagrams", OTHER, HERE, 2000, 1)
    events = following.events()
    check([each for each in events if each["rule"] == "server.inbound.mine" and each.get("line")], f"after an apply: {events}")
    following = Following("--format", "json")
    put_in_force(log='to = "kernel"')
    err = following.process.communicate(timeout=20)[1]
    check(following.process.returncode == 1 and "kernel" in err, f"the group is gone: {following.process.returncode} {err}")


def in_the_journal(peer):
    """A socket in place of the journal's."""
    if os.path.ismount("/run") or run("mount", "-t", "tmpfs", "none", "/run", check=False).returncode != 0:
        return
    os.makedirs("/run/systemd/journal")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
        journal.bind("/run/systemd/journal/socket")
        journal.settimeout(5)
        following = Following("--format", "journal")
        peer.ask("datagrams", OTHER, HERE, 2000, 1)
        fields = dict(line.split("=", 1) for line in journal.recv(65536).decode().splitlines())
        following.end()
    check(fields["ROLEWALL_RULE"] == "server.inbound.own" and fields["ROLEWALL_FROM"] == OTHER
          and fields["ROLEWALL_LINE"] == f"server.toml:{line_of('own')}" and fields["SYSLOG_IDENTIFIER"] == "rolewall"
          and "server.inbound.own" in fields["MESSAGE"], f"the journal's fields: {fields}")


def main():
    peer = join()
    write_site(site=SITE)
    not_a_group()
    words_of_each(peer)
    the_advice_is_right(peer)
    folded(peer)
    suggested(peer)
    held_back_by_limits(peer)
    held_back_while_it_follows(peer)
    translated_by_another(peer)
    counted_by_source(peer)
    in_the_journal(peer)
    after_an_apply(peer)
    finish(peer)


main()
