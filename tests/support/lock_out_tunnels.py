"""Rows of lock_outs.py about tunnels that carry a session, a smaller link on its way, and a tunnel that
an agent of the server's has dialled."""

import subprocess
import sys
import time

from live_guard import Client, ND, RULES, SITE, SSH, run
from lock_outs import (OWN_4, OWN_6, Trial, at_the_client, batch, neighbours_expire, setting,
                       start_program)
from lock_out_words import dropped, office


TUN = r"""
import fcntl, os, select, socket, struct, sys
own, other, kind = sys.argv[1:4]
family = socket.AF_INET6 if ":" in own else socket.AF_INET
tun = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(tun, 0x400454ca, struct.pack("16sH22x", b"tun0", 0x1001))
carrier = socket.socket(family, socket.SOCK_DGRAM)
carrier.bind((own, 1194))
if kind == "connected":
    carrier.connect((other, 1194))
open("/proc/self/comm", "w").write("tunneld")
print("ready", flush=True)
while True:
    for ready in select.select([tun, carrier], [], [])[0]:
        try:
            if ready == tun:
                carrier.sendto(os.read(tun, 4096), (other, 1194)) if kind == "bound" else \
                    carrier.send(os.read(tun, 4096))
            else:
                os.write(tun, carrier.recv(4096))
        except OSError:
            pass
"""


def tun(own, other, kind):
    def step(stage):
        for pid, words in [(None, [own, other]), (stage.client.pid, [other, own])]:
            start_program(stage, pid, TUN, *words, kind)
        addresses(stage, "tun0")
    return step


def vxlan_link(stage, own, other):
    for pid, here, there in [(None, own, other), (stage.client.pid, other, own)]:
        batch(pid, [f"link add t0 type vxlan id 7 local {here} remote {there} dstport 4789 "
                    "dev eth0"])


def vxlan(own, other):
    def step(stage):
        vxlan_link(stage, own, other)
        addresses(stage, "t0")
    return step


def addresses(stage, device):
    batch(None, [f"address add 10.8.0.1/24 dev {device}",
                 f"-6 address add 2001:db8:8::1/64 dev {device} nodad", f"link set {device} up"])
    batch(stage.client.pid, [f"address add 10.8.0.7/24 dev {device}",
                             f"-6 address add 2001:db8:8::7/64 dev {device} nodad",
                             f"link set {device} up"])


TUNNEL_SITE = SITE.replace('office = ["198.51.100.0/24", "2001:db8:0ff1::/64", "link-local"]',
                           'office = ["10.8.0.0/24", "2001:db8:8::/64"]')


def neighbours_within_expire(stage):
    neighbours_expire(stage, "t0")


IN_TUNNEL_4, IN_TUNNEL_6 = ("10.8.0.7", "10.8.0.1", 22), ("2001:db8:8::7", "2001:db8:8::1", 22)


def carry(service, peer, inbound=True, outbound=True):
    text = ""
    if inbound:
        text += f'[[inbound]]\nid = "carry"\nservice = "{service}"\nfrom = "{peer}"\n'
    if outbound:
        text += f'[[outbound]]\nid = "carry"\nservice = "{service}"\nto = "{peer}"\n'
    return text


# -- a smaller link on the way --

FAR = "192.0.2.77"


def beyond_a_small_link(stage):
    """The client's network is a router's; who comes is beyond it, and a link of 1,200 bytes."""
    far = Client()
    batch(stage.client.pid, [f"link add far0 mtu 1200 type veth peer name far0 mtu 1200 netns "
                             f"{far.pid}",
                             "address add 10.9.9.1/24 dev far0", "link set far0 up",
                             f"route add {FAR}/32 via 10.9.9.7"])
    batch(far.pid, ["link set lo up", "address add 10.9.9.7/24 dev far0",
                    f"address add {FAR}/32 dev lo", "link set far0 up",
                    f"route add default via 10.9.9.1 src {FAR} advmss 1460"])
    setting(stage.client.pid, "net.ipv4.ip_forward", "1")
    stage.client_of_router, stage.client = stage.client, far


def path_is_forgotten(_stage):
    run("ip", "route", "flush", "cache")


def much(stage, seconds):
    """What was lost is sent again after twice the last wait: as long as was waited before, and longer."""
    return stage.client.ask("much", str(2 * seconds + 1)) == "yes"


# -- a reverse tunnel: an agent of the server's has dialled out --

AGENT = r"""
import select, socket, sys
def pipe(a, b):
    while True:
        for ready in select.select([a, b], [], [])[0]:
            try:
                data = ready.recv(4096)
                if not data:
                    return
                (b if ready is a else a).sendall(data)
            except OSError:
                pass
if sys.argv[1] == "agent":
    out = socket.create_connection(("203.0.113.2", 7000), 1)
    inward = socket.create_connection(("127.0.0.1", 22))
    open("/proc/self/comm", "w").write("agentd")
    print(inward.getsockname()[1], flush=True)
    pipe(out, inward)
else:
    agents = socket.create_server(("203.0.113.2", 7000))
    users = socket.create_server(("198.51.100.7", 2200))
    print("ready", flush=True)
    agent, _ = agents.accept()
    while True:
        user, _ = users.accept()
        pipe(user, agent)
"""


def reverse_tunnel(stage):
    at_the_client(AGENT, "bastion")(stage)


def dial_out(stage):
    for process in stage.processes:
        process.kill()
        process.wait()
    stage.processes.clear()
    time.sleep(0.1)
    reverse_tunnel(stage)
    process = subprocess.Popen([sys.executable, "-Sc", AGENT, "agent"], stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL, text=True)  # that it may not is tried, too
    stage.processes.append(process)
    stage.agent_port = process.stdout.readline().strip()


def dials_again(stage, seconds):
    """The agent's connection ends, as connections do, and it comes back."""
    stage.client.ask("close")
    dial_out(stage)
    return bool(stage.agent_port) and \
        stage.client.ask("open", "198.51.100.7", "198.51.100.7", "2200").startswith("port") and \
        stage.client.ask("alive", str(seconds)) == "yes"


def by_the_agent(stage):
    return f"127.0.0.1 {stage.agent_port} 127.0.0.1 22"


def tunnels():
    kind = "tunnels"
    for name, make, service, peer in [
            ("tun", tun(OWN_4, "203.0.113.2", "connected"), "udp/1194", "203.0.113.2"),
            ("tun, bound", tun(OWN_4, "203.0.113.2", "bound"), "udp/1194", "203.0.113.2"),
            ("tun over IPv6", tun(OWN_6, "2001:db8:1::1", "connected"), "udp/1194",
             "2001:db8:1::1"),
            ("vxlan", vxlan(OWN_4, "203.0.113.2"), "udp/4789", "203.0.113.2"),
            ("vxlan over IPv6", vxlan(OWN_6, "2001:db8:1::1"), "udp/4789", "2001:db8:1::1")]:
        both = RULES + carry(service, peer)
        base = {"site": TUNNEL_SITE, "set_up": (make,), "before": both}
        yield Trial(kind, f"{name}, no rule", RULES, come=IN_TUNNEL_4, **base)
        yield Trial(kind, f"{name}, IPv6 within, no rule", RULES, come=IN_TUNNEL_6, **base)
        yield Trial(kind, f"{name}, an early drop of its other end", both + dropped(
            early="true", service='"udp"', **{"from": f'"{peer}"'}), come=IN_TUNNEL_4, later=(),
                    **base)
        yield Trial(kind, f"{name}, a ban of its other end", verb=("ban", peer), come=IN_TUNNEL_4,
                    later=(), **base)
    both = carry("udp/4789", "203.0.113.2")
    yield Trial(kind, "vxlan, IPv6 within, no neighbour discovery there",
                ND.replace("[[outbound]]", 'in = "public"\n[[outbound]]') + SSH + both,
                come=IN_TUNNEL_6, site=TUNNEL_SITE, set_up=(vxlan(OWN_4, "203.0.113.2"),),
                before=RULES + both, later=(neighbours_within_expire,))
    yield Trial(kind, "tun, rollback to no rule", RULES, verb=("rollback",), come=IN_TUNNEL_4,
                site=TUNNEL_SITE, set_up=(tun(OWN_4, "203.0.113.2", "connected"),),
                before=RULES + carry("udp/1194", "203.0.113.2"))


def carriers():
    kind = "a smaller link on the way"
    small = {"come": (FAR, OWN_4, 22), "set_up": (beyond_a_small_link,), "site": office("192.0.2.0/24"),
             "later": (path_is_forgotten,), "lives": much, "undo": 5}
    yield Trial(kind, "ICMP is dropped early", RULES + dropped(early="true", service='"icmp"'),
                **small)
    yield Trial(kind, "the router is dropped early", RULES + dropped(
        early="true", **{"from": '"203.0.113.1"'}), **small)
    kind = "a reverse tunnel"
    dials = '[[outbound]]\nid = "agent"\nservice = "tcp/7000"\nto = "203.0.113.2"\n'
    reverse = {"before": RULES + dials, "then": (dial_out,), "claims": by_the_agent,
               "come": ("198.51.100.7", "198.51.100.7", 2200), "later": ()}
    yield Trial(kind, "its agent may not dial out", RULES, lives=dials_again, undo=4, **reverse)
    yield Trial(kind, "its other end is dropped early", RULES + dials + dropped(
        early="true", **{"from": '"203.0.113.2"'}), **reverse)


def trials():
    for some in [carriers, tunnels]:
        yield from some()
