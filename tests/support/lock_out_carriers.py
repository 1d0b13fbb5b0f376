"""Further rows of lock_outs.py: sessions that something else carries than packets to sshd: a relay, a
container, mosh."""

import os
import sys
import time

from live_guard import RULES, SITE, Client, run
from lock_outs import (CLIENT_4, CLIENT_6, OWN_4, OWN_6, LeftOut, Trial, batch, flush_connections, network_of,
                       setting, start_program)

ANY = "any"


def inbound(name, service, origin="office"):
    return f'[[inbound]]\nid = "{name}"\nservice = "{service}"\nfrom = "{origin}"\n'


def outbound(name, service, to):
    return f'[[outbound]]\nid = "{name}"\nservice = "{service}"\nto = "{to}"\n'


def early(**keys):
    return '[[inbound]]\nid = "gone"\naction = "drop"\nearly = true\n' + "".join(
        f"{key} = {value}\n" for key, value in keys.items())


# -- a relay to sshd: one process for all, as sslh and haproxy are --

RELAY = r"""
import socket, sys, threading
open("/proc/self/comm", "w").write(sys.argv[1])
at, port, to, to_port, said = sys.argv[2], int(sys.argv[3]), sys.argv[4], int(sys.argv[5]), sys.argv[6]
server = socket.create_server((at, port), family=socket.AF_INET6, dualstack_ipv6=True) \
    if at == "::" else socket.create_server((at, port))
print("ready", flush=True)
def copy(a, b):
    try:
        while data := a.recv(4096):
            b.sendall(data)
    except OSError:
        pass
    for each in (a, b):
        try:
            each.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
held = []
while True:
    client, _ = server.accept()
    beyond = socket.create_connection((to, to_port))
    held += [client, beyond]
    here, there = beyond.getsockname()[:2], beyond.getpeername()[:2]
    if said != "-":
        open(said, "w").write(f"{here[0]} {here[1]} {there[0]} {there[1]}")
    for a, b in ((client, beyond), (beyond, client)):
        threading.Thread(target=copy, args=(a, b), daemon=True).start()
"""


def relay(at, port, to, to_port=22, name="sslh", said=None):
    return lambda stage: start_program(stage, None, RELAY, name, at, str(port), to, str(to_port),
                               said or os.path.abspath("relayed"))


def as_relayed(stage):
    """SSH_CONNECTION as sshd says it: of the latest connection while the session was opened."""
    if getattr(stage, "relayed_for", None) is not stage.client.latest:
        before = getattr(stage, "relayed", "")
        for _ in range(100):
            time.sleep(0.05)
            if os.path.exists("relayed"):
                with open("relayed", encoding="utf-8") as file:
                    stage.relayed = file.read()
                if stage.relayed.count(" ") == 3 and stage.relayed != before:
                    break
        stage.relayed_for = stage.client.latest
    return stage.relayed


def relays():
    kind = "a relay to sshd"
    web = RULES + inbound("web", "https")
    here = {"before": web, "come": (CLIENT_4, OWN_4, 443), "claims": as_relayed}
    to_loopback = {**here, "set_up": (relay("::", 443, "127.0.0.1"),)}
    yield Trial(kind, "its port has no rule", RULES, says="sslh, which relays", **to_loopback)
    yield Trial(kind, "its port is for others", RULES + inbound("web", "https", "elsewhere"),
                **to_loopback)
    yield Trial(kind, "its port is dropped early", web + early(service='"https"'), later=(),
                **to_loopback)
    yield Trial(kind, "no SSH_CONNECTION", RULES, **{**to_loopback, "claims": None})
    yield Trial(kind, "rollback to no rule", RULES, verb=("rollback",), **to_loopback)
    yield Trial(kind, "IPv6", RULES, **{**to_loopback, "come": (CLIENT_6, OWN_6, 443)})
    yield Trial(kind, "to another address of the host", RULES, **{
        **here, "set_up": (relay("::", 443, "10.0.2.10"),),
        "site": SITE.replace('"link-local"]', '"link-local", "10.0.2.10"]')})
    yield Trial(kind, "two in a row", RULES, **{
        **here, "set_up": (relay("127.0.0.1", 8022, "127.0.0.1"),
                           relay("::", 443, "127.0.0.1", 8022, "haproxy", "-"))})
    far = RULES + inbound("web", "https", ANY)
    yield Trial(kind, "a ban of who comes by it", verb=("ban", "192.0.2.9"), later=(), **{
        **to_loopback, "before": far, "come": ("192.0.2.9", OWN_4, 443)})


# -- a container through which the session comes --

DOCKER = """
table ip nat {
  chain PREROUTING {
    type nat hook prerouting priority -100;
    iifname != "docker0" PROTOCOL dport PORT dnat to 172.17.0.2:PORT
  }
}
"""


def container(stage):
    """As Docker makes them: 172.17.0.2 behind the bridge docker0."""
    inner = Client()
    stage.container = inner
    batch(None, ["link add docker0 type bridge", "address add 172.17.0.1/16 dev docker0",
                 "link set docker0 up",
                 f"link add veth7 type veth peer name eth0 netns {inner.pid}",
                 "link set veth7 master docker0", "link set veth7 up"])
    batch(inner.pid, ["link set lo up", "address add 172.17.0.2/16 dev eth0", "link set eth0 up",
                      "route add default via 172.17.0.1"])
    setting(None, "net.ipv4.ip_forward", "1")


def relay_within(stage):
    container(stage)
    start_program(stage, stage.container.pid, RELAY, "sslh", "0.0.0.0", "443", "172.17.0.1", "22",
          os.path.abspath("relayed"))


def bridged_relay(stage):
    """A virtual machine beside the host on a bridge, to which eth0 belongs: what comes to it passes the
    forward chain."""
    from lock_out_ways import onto_a_bridge
    if not os.path.exists("/proc/sys/net/bridge/bridge-nf-call-iptables"):
        raise LeftOut("no br_netfilter")
    onto_a_bridge(stage)
    setting(None, "net.bridge.bridge-nf-call-iptables", "1")
    inner = Client()
    stage.guest = inner
    batch(None, [f"link add veth7 type veth peer name eth0 netns {inner.pid}",
                 "link set veth7 master br0", "link set veth7 up"])
    batch(inner.pid, ["link set lo up", "address add 203.0.113.77/24 dev eth0", "link set eth0 up",
                      "route add default via 203.0.113.1"])
    start_program(stage, inner.pid, RELAY, "sslh", "0.0.0.0", "443", OWN_4, "22",
                  os.path.abspath("relayed"))


def vpn_within(stage):
    """A tunnel's end is in the container, which routes between it and the host."""
    from lock_out_tunnels import TUN
    container(stage)
    inner = stage.container.pid
    setting(inner, "net.ipv4.ip_forward", "1")
    setting(inner, "net.ipv6.conf.all.disable_ipv6", "1")  # it would speak first
    start_program(stage, inner, TUN, "172.17.0.2", "203.0.113.1", "bound")
    start_program(stage, stage.client.pid, TUN, "203.0.113.1", "203.0.113.10", "connected")
    batch(inner, ["address add 10.8.0.1/24 dev tun0", "link set tun0 up"])
    batch(stage.client.pid, ["address add 10.8.0.7/24 dev tun0", "link set tun0 up",
                             "route add 172.17.0.1/32 via 10.8.0.1"])
    batch(None, ["route add 10.8.0.0/24 via 172.17.0.2"])


def published(protocol, port):
    return lambda stage: stage.nft(DOCKER.replace("PROTOCOL", protocol).replace("PORT", str(port)))


def forward(service, origin="any"):
    """To whom the client writes, which address translation changes."""
    return f'[[forward]]\nid = "c-{len(service)}"\nservice = "{service}"\nfrom = "{origin}"\n'


def containers():
    kind = "through a container"
    site = SITE.replace('"link-local"]', '"link-local", "172.17.0.2", "10.8.0.0/24"]')
    back = '[[forward]]\nid = "back"\nfrom = "172.17.0.2"\nto = "any"\n'
    by_relay = {"site": site, "set_up": (relay_within,), "then": (published("tcp", 443),),
                "come": (CLIENT_4, OWN_4, 443), "claims": as_relayed,
                "before": RULES + back + forward("https")}
    yield Trial(kind, "a relay, nothing is forwarded to it", RULES + back + forward("http"),
                says="a container or a virtual machine by docker0", **by_relay)
    yield Trial(kind, "a relay, for others alone", RULES + back + forward("https", "elsewhere"),
                **by_relay)
    yield Trial(kind, "a relay, rollback to that", RULES + back + forward("http"),
                verb=("rollback",), **by_relay)
    at_bridge = SITE.replace('"link-local"]', '"link-local", "203.0.113.77"]').replace(
        'device = "eth0"', 'device = "br0"')
    by_bridge = {"site": at_bridge, "set_up": (bridged_relay,), "claims": as_relayed,
                 "come": (CLIENT_4, "203.0.113.77", 443), "before": RULES + forward("https")}
    yield Trial(kind, "a bridged relay, nothing is forwarded to it", RULES + forward("http"),
                says="203.0.113.77, forwarded", **by_bridge)
    yield Trial(kind, "a bridged relay, no rule forwards", RULES, **by_bridge)
    by_vpn = {"site": site, "set_up": (vpn_within,), "then": (published("udp", 1194), flush_connections),
              "come": ("10.8.0.7", "172.17.0.1", 22), "undo": 6,
              "before": RULES + back + forward("udp/1194")}
    yield Trial(kind, "a VPN, its port is not forwarded", RULES + forward("http"), **by_vpn)
    yield Trial(kind, "a VPN, for others alone", RULES + forward("udp/1194", "elsewhere"), **by_vpn)


# -- a shell that sshd does not serve --

MOSH = r"""
import socket
open("/proc/self/comm", "w").write("mosh-server")
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("0.0.0.0", 60001))
print("ready", flush=True)
while True:
    data, who = server.recvfrom(64)
    server.sendto(data, who)
"""
MOSH_CLIENT = r"""
import socket, sys, time
client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
client.bind((sys.argv[1], 50001))
client.settimeout(0.2)
end = time.monotonic() + float(sys.argv[3])
while time.monotonic() < end:
    try:
        client.sendto(b"?", (sys.argv[2], 60001))
        if client.recv(8) == b"?":
            sys.exit(0)
    except OSError:
        pass
sys.exit(1)
"""


def mosh(stage):
    start_program(stage, None, MOSH)


def by_mosh(stage, seconds):
    with network_of(stage.client.pid):
        return run(sys.executable, "-Sc", MOSH_CLIENT, CLIENT_4, OWN_4, str(seconds),
                   check=False).returncode == 0


def speak_mosh(stage):
    by_mosh(stage, 1)


def shells():
    kind = "mosh"
    over = f"{CLIENT_4} 50022 {OWN_4} 22"
    both = RULES + inbound("mosh", "udp/60001")
    here = {"before": both, "set_up": (mosh,), "then": (speak_mosh,), "lives": by_mosh,
            "claims": over}
    yield Trial(kind, "its port has no rule", RULES, says="mosh-server, which serves this shell",
                **here)
    yield Trial(kind, "its port is for others", RULES + inbound("mosh", "udp/60001", "elsewhere"),
                **here)
    yield Trial(kind, "an early drop", both + early(service='"udp"'), **{**here, "later": ()})


def trials():
    for some in [relays, containers, shells]:
        yield from some()
