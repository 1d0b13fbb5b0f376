"""The rows of lock_outs.py: each is one way to be shut out. Here are those by rules, by sessions that
are not whose they seem, and by the verbs; the others stand in modules of their kind."""

import socket

import live_guard
import lock_out_beside
import lock_out_carriers
import lock_out_hidden
import lock_out_keepers
import lock_out_links
import lock_out_names
import lock_out_tunnels
import lock_out_ways
from live_guard import ND, RULES, SITE, SSH, run
from lock_out_links import DHCP_SERVER
from lock_outs import CLIENT_4, CLIENT_6, OWN_4, LeftOut, Trial, at_the_client, start_program
from lock_out_beside import BESIDE, FORWARDS, REDIRECT, SOURCE_CHANGED
from lock_out_words import (ELSEWHERE, HALF, LINK_LOCAL, NEIGHBOURS, V6, dropped, named, office,
                            rule)


# -- a resolver --

def asks_its_resolver(_stage, seconds):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(seconds)
        try:
            client.sendto(b"name?", ("203.0.113.2", 53))
            return client.recv(64) == b"ack"
        except OSError:
            return False


def resolver(stage):
    at_the_client(DHCP_SERVER, "4", "53", "203.0.113.2")(stage)
    with open("resolv.conf", "w", encoding="utf-8") as file:
        file.write("nameserver 203.0.113.2\n")
    if run("mount", "--bind", "resolv.conf", "/etc/resolv.conf", check=False).returncode != 0:
        raise LeftOut("no resolv.conf of its own")


def rules():
    kind = "no rule admits it"
    for name, change in [
            ("ssh for others", ELSEWHERE), ("ssh for half of them", HALF),
            ("ssh is not enabled", RULES + "enabled = false\n"),
            ("ssh has expired", RULES + "expires = 2020-01-01\n"),
            ("ssh on another host", (RULES + 'on = ["two"]\n', SITE + """
[hosts.two]
role = "server"
addresses = ["203.0.113.20"]
""")),
            ("ssh to another address", RULES + 'to = "10.0.2.10"\n'),
            ("another port", RULES.replace('service = "ssh"', 'service = "tcp/2222"')),
            ("no rule at all", ND)]:
        yield Trial(kind, name, change)
    yield Trial(kind, "IPv6, ssh for IPv4 alone",
                ND + SSH.replace('"management"', '"198.51.100.0/24"'), come=V6)
    yield Trial(kind, "IPv6, ssh for others", ELSEWHERE, come=V6)
    kind = "a rule drops it"
    for name, keys in [("the client", {"from": '"198.51.100.7"'}),
                       ("his network", {"from": '"198.51.100.0/28"'}),
                       ("all but himself in it", {"from": '["198.51.100.0/28", "!198.51.100.3"]'}),
                       ("the port", {"service": '"tcp/20-30"'}),
                       ("the device", {"in": '"public"', "service": '"tcp"'}),
                       ("by a reset", {"from": '"198.51.100.7"', "action": '"reject"'})]:
        text = rule("gone", **{"action": '"drop"', **keys})
        yield Trial(kind, name, ND + text + SSH)
    yield Trial(kind, "IPv6, the client", ND + dropped(**{"from": f'"{CLIENT_6}"'}) + SSH, come=V6)
    kind = "an early rule drops it"
    for name, keys in [("the client", {"from": '"198.51.100.7"'}), ("the port", {"service": '"ssh"'}),
                       ("a list", {"from": '["192.0.2.66", "198.51.100.4/30"]'}),
                       ("the device", {"in": '"public"', "service": '"tcp"'})]:
        yield Trial(kind, name, RULES + dropped(early="true", **keys), later=())
    yield Trial(kind, "IPv6, the client", RULES + dropped(early="true", **{"from": f'"{CLIENT_6}"'}),
                come=V6, later=())
    yield Trial(kind, "IPv6, the network", RULES + dropped(early="true", **{
        "from": '"2001:db8:ff1::/48"'}), come=V6, later=())


def management():
    kind = "management is another"
    moved = office("192.0.2.0/24", "link-local")
    yield Trial(kind, "moved", (RULES, moved))
    yield Trial(kind, "IPv6 moved", (RULES, office("198.51.100.0/24", "link-local")), come=V6)
    yield Trial(kind, "narrowed", (RULES, office("198.51.100.8/29", "2001:db8:ff1::/64")))
    yield Trial(kind, "behind another device",
                (RULES, SITE.replace('device = "eth1"', 'device = "eth1"\nbehind = "office"')))
    yield Trial(kind, "IPv6, behind another device",
                (RULES, SITE.replace('device = "eth1"', 'device = "eth1"\nbehind = "office"')),
                come=V6)
    yield Trial(kind, "a name that means another address",
                (RULES, named("198.51.100.9", "2001:db8:ff1::7")),
                site=named("198.51.100.7", "2001:db8:ff1::7"))
    yield Trial(kind, "a name that means no IPv6 address any more",
                (RULES, named("198.51.100.7")), come=V6,
                site=named("198.51.100.7", "2001:db8:ff1::7"))
    kind = "the defaults are others"
    accept = SITE.replace('inbound = "drop"', 'inbound = "accept"')
    yield Trial(kind, "from accept to drop", (ND, SITE), before=ND, site=accept)
    audit = SITE.replace("[defaults]", '[defaults]\nmode = "audit"')
    yield Trial(kind, "from audit mode to enforce", (ND, SITE), before=ND, site=audit)
    yield Trial(kind, "IPv6, from audit mode to enforce", (SSH, SITE), before=SSH, site=audit,
                come=V6, later=NEIGHBOURS)
    yield Trial(kind, "a first apply", ND, before=None, harmless=RULES)
    yield Trial(kind, "a first apply, IPv6", SSH, before=None, harmless=RULES, come=V6,
                later=NEIGHBOURS)


# Another process than that which this command runs below.
SSHD = """
import socket, threading
with open("/proc/self/comm", "w") as comm:
    comm.write("sshd")
server = socket.create_server(("::", 22), family=socket.AF_INET6, dualstack_ipv6=True)
def answer(connection):
    try:
        while data := connection.recv(64):
            connection.sendall(data)
    except OSError:
        pass
    connection.close()
print("ready", flush=True)
while True:
    threading.Thread(target=answer, args=[server.accept()[0]], daemon=True).start()
"""


def served_by_another(stage):
    with open("/proc/self/comm", "w", encoding="utf-8") as comm:
        comm.write("tmux: server")
    stage.server_port = 22
    start_program(stage, None, SSHD)


def open_own(stage):
    stage.own_session = stage.open(CLIENT_4, OWN_4, 22)


def sessions():
    kind = "another session"
    two = ND + SSH.replace('"management"', '["management", "elsewhere"]')
    far = ("192.0.2.9", OWN_4, 22)
    over = "198.51.100.9 50022 203.0.113.10 22"
    yield Trial(kind, "SSH_CONNECTION names one that is over", RULES, before=two, come=far,
                claims=over, says="192.0.2.9")
    yield Trial(kind, "over, an early drop", two + dropped(early="true", **{"from": '"elsewhere"'}),
                before=two, come=far, claims=over, later=())
    yield Trial(kind, "over, a ban", verb=("ban", "192.0.2.9"), before=two, come=far, claims=over,
                later=())
    yield Trial(kind, "from elsewhere than management", RULES, before=two, come=far)
    yield Trial(kind, "no SSH_CONNECTION", RULES, before=two, come=far, claims=None)
    attached = {"served": 2200, "set_up": (served_by_another,), "then": (open_own,), "come": far,
                "claims": lambda stage: stage.own_session, "before": two}
    yield Trial(kind, "tmux, who is attached came by another", RULES, says="all 2 ssh sessions",
                **attached)
    yield Trial(kind, "tmux, attached, an early drop", two + dropped(
        early="true", **{"from": '"elsewhere"'}), later=(), **attached)
    yield Trial(kind, "a ban of another administrator", verb=("ban", "192.0.2.9"), before=two,
                come=far, then=(open_own,), claims=lambda stage: stage.own_session, later=())


DNS = RULES + '[[outbound]]\nid = "dns"\nservice = "dns"\n'


def by_hand():
    for verb in [("rollback",), ("rollback", "--to", "1")]:
        kind = "rollback"
        name = " ".join(verb)
        yield Trial(kind, f"{name}, ssh for others", ELSEWHERE, verb=verb)
        yield Trial(kind, f"{name}, IPv6, no neighbour discovery", SSH, verb=verb, come=V6,
                    later=NEIGHBOURS)
        yield Trial(kind, f"{name}, an early drop", RULES + dropped(
            early="true", **{"from": '"198.51.100.0/24"'}), verb=verb, later=())
    yield Trial("rollback", "redirected, and a [[forward]]", RULES + FORWARDS, verb=("rollback",),
                come=(CLIENT_4, OWN_4, 2022), then=(REDIRECT,))
    kind = "boot by hand"
    yield Trial(kind, "ssh for others", ELSEWHERE, verb=("boot",))
    yield Trial(kind, "IPv6, no neighbour discovery", SSH, verb=("boot",), come=V6,
                later=NEIGHBOURS)
    yield Trial(kind, "beside ufw's, ssh for others", ELSEWHERE, verb=("boot",),
                then=(BESIDE["ufw's"],))
    yield Trial(kind, "an early drop", RULES + dropped(early="true", service='"ssh"'),
                verb=("boot",), later=())
    kind = "ban"
    for name, address, come in [("the client", "198.51.100.7", (CLIENT_4, OWN_4, 22)),
                                ("his network", "198.51.100.0/26", (CLIENT_4, OWN_4, 22)),
                                ("IPv6, the client", CLIENT_6, V6),
                                ("a neighbour with a session", "fe80::2", LINK_LOCAL),
                                ("mapped", "::ffff:198.51.100.7", (CLIENT_4, OWN_4, 22))]:
        yield Trial(kind, name, verb=("ban", address), come=come, later=())
    yield Trial(kind, "the address that a router's clients share", verb=("ban", "203.0.113.2"),
                come=("203.0.113.2", OWN_4, 22), later=(),
                before=ND + SSH.replace('"management"', '["management", "203.0.113.2"]'))
    yield Trial(kind, "before its source is changed", verb=("ban", "198.51.100.7"), later=(),
                then=(SOURCE_CHANGED,), site=office("203.0.113.250"),
                before=ND + SSH.replace('"management"', '["management", "198.51.100.0/24"]'))
    yield Trial(kind, "a resolver", verb=("ban", "203.0.113.2"), set_up=(resolver,), later=(),
                before=DNS, lives=asks_its_resolver)
    kind = "unallow"
    for name, come, address in [("IPv4", (CLIENT_4, OWN_4, 22), CLIENT_4), ("IPv6", V6, CLIENT_6)]:
        yield Trial(kind, name, verb=("unallow", "-p", "site", "ssh", "from", address),
                    site=office("192.0.2.0/24"), come=come, then=(opened(address),))
    kind = "disable"
    own = '[[nat]]\nid = "door"\nservice = "tcp/2022"\n' \
          'new-destination = "203.0.113.10:22"\n'
    yield Trial(kind, "our own redirect", verb=("disable",), before=RULES + own,
                come=(CLIENT_4, OWN_4, 2022))


def opened(address):
    def step(stage):
        done = stage.rolewall("allow", "-p", "site", "ssh", "from", address, "--for", "1h",
                              "--state-dir", live_guard.STATE)
        if done.returncode != 0:
            raise LeftOut(done.stderr)
    return step


TRIALS = [trial for some in [rules, management, lock_out_links.trials, lock_out_ways.trials, sessions,
                             by_hand, lock_out_tunnels.trials, lock_out_beside.trials,
                             lock_out_carriers.trials, lock_out_keepers.trials,
                             lock_out_hidden.trials, lock_out_names.trials]
          for trial in some()]
