"""Further rows of lock_outs.py: addresses and routes that others keep (VRRP, OSPF, BGP), tunnels that
are not the session's own device, and routers that are not the next one."""

import os
import time

from live_guard import RULES, SITE, run
from lock_outs import (CLIENT_4, CLIENT_6, OWN_4, OWN_6, Trial, batch, network_of, setting,
                       start_program)
from lock_out_carriers import early, inbound, outbound


# -- what others keep: an address that two share, a route that this host tells --

# Each tells the other whether it hears him, as hellos and BFD do; the router takes the way to an address
# away where he is not told that he is heard.
SPEAKER = r"""
import ipaddress, socket, struct, subprocess, sys, time
role, protocol, port, to, own, address = sys.argv[1:]
protocol, port, to = int(protocol), int(port), ipaddress.ip_address(to)
family, level = (socket.AF_INET6, socket.IPPROTO_IPV6) if to.version == 6 else (socket.AF_INET, socket.IPPROTO_IP)
device = socket.if_nametoindex("eth0")
def new():
    made = socket.socket(family, socket.SOCK_DGRAM if port else socket.SOCK_RAW, 0 if port else protocol)
    if port:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return made
hearer = new()
if port:
    hearer.bind(("", port))
teller = hearer
if not to.is_multicast:  # BFD draws the port that it speaks from
    teller = new()
    teller.bind((own, 0))
elif to.version == 6:
    hearer.setsockopt(level, socket.IPV6_JOIN_GROUP, to.packed + struct.pack("I", device))
    hearer.setsockopt(level, socket.IPV6_MULTICAST_IF, device)
    hearer.setsockopt(level, socket.IPV6_MULTICAST_HOPS, 255)
    hearer.setsockopt(level, socket.IPV6_MULTICAST_LOOP, 0)
else:
    here = struct.pack("4s4sI", b"\0" * 4, socket.inet_aton(own), device)
    hearer.setsockopt(level, socket.IP_ADD_MEMBERSHIP, to.packed + here[4:])
    hearer.setsockopt(level, socket.IP_MULTICAST_IF, here)
    hearer.setsockopt(level, socket.IP_MULTICAST_TTL, 255)
    hearer.setsockopt(level, socket.IP_MULTICAST_LOOP, 0)
hearer.settimeout(0.2)
there = (str(to), port, 0, device) if to.version == 6 and to.is_multicast else (str(to), port)
print("ready", flush=True)
heard = both = None  # the router keeps the way until it has been told once: its neighbour begins later
was_reached = True
while True:
    now = time.monotonic()
    try:
        teller.sendto(b"hears" if heard is not None and now - heard < 1 else b"alone", there)
    except OSError:
        pass
    try:
        while time.monotonic() < now + 0.2:
            said = hearer.recv(64)
            heard = time.monotonic()
            both = heard if said.endswith(b"hears") else both
    except OSError:
        pass
    is_reached = both is None or time.monotonic() - both < 1
    if role == "router" and is_reached != was_reached:
        was_reached = is_reached
        six = ["-6"] if ":" in address else []
        subprocess.run(["ip", *six, "rule", "del" if is_reached else "add", "to", address, "priority",
                        "1", "blackhole"])
"""
BGP = r"""
import socket, subprocess, sys, time
if sys.argv[1] == "speaker":
    print("ready", flush=True)
    while True:
        try:
            with socket.create_connection(("203.0.113.1", 179), 0.5) as peer:
                while True:
                    peer.sendall(b"k")
                    peer.settimeout(0.5)
                    if not peer.recv(1):
                        break
                    time.sleep(0.2)
        except OSError:
            time.sleep(0.2)
server = socket.create_server(("203.0.113.1", 179))
server.settimeout(1)
print("ready", flush=True)
address = sys.argv[2]
was_reached = True
def reached(is_it):
    global was_reached
    if is_it != was_reached:
        was_reached = is_it
        subprocess.run(["ip", "rule", "del" if is_it else "add", "to", address, "priority", "1",
                        "blackhole"])
while True:
    try:
        peer, _ = server.accept()
        peer.settimeout(1)
        reached(True)
        while data := peer.recv(8):
            peer.sendall(data)
        peer.close()
    except OSError:
        reached(False)
"""
SERVICE_ADDRESS, SERVICE_ADDRESS_6 = "10.99.0.99", "2001:db8:99::99"
ROUTER_4, ROUTER_6 = "203.0.113.1", "2001:db8:1::1"


def spoken(protocol, port, to, address):
    """With the router, or to a group."""
    own, its = (OWN_6, ROUTER_6) if ":" in to else (OWN_4, ROUTER_4)

    def step(stage):
        start_program(stage, stage.client.pid, SPEAKER, "router", str(protocol), str(port),
                      own if to == its else to, its, address)
        start_program(stage, None, SPEAKER, "host", str(protocol), str(port), to, own, address)
    return step


def bgp_to(address):
    def step(stage):
        start_program(stage, stage.client.pid, BGP, "router", address)
        start_program(stage, None, BGP, "speaker")
        time.sleep(0.5)
    return step


def service_address(stage):
    batch(None, [f"address add {SERVICE_ADDRESS}/32 dev lo",
                 f"address add {SERVICE_ADDRESS_6}/128 dev lo"])
    batch(stage.client.pid, [f"route add {SERVICE_ADDRESS}/32 via {OWN_4} src {CLIENT_4}",
                             f"route add {SERVICE_ADDRESS_6}/128 via {OWN_6} src {CLIENT_6}"])


def neighbour_is_heard(_stage):
    """By connection tracking, which is all that tells of BFD's neighbours: on a busy machine he is late."""
    end = time.monotonic() + 5
    while time.monotonic() < end:
        try:
            with open("/proc/net/nf_conntrack", encoding="ascii") as tracked:
                first = [line.split("src=")[1] for line in tracked if "src=" in line]
            if sum("dport=3784" in each for each in first) > 1:  # this host's own, and his
                return
        except OSError:
            pass
        time.sleep(0.2)


def others_notice(_stage):
    time.sleep(2)


# Protocol of IP, or port of UDP; to whom; the address that hangs on it.
PROTOCOLS = [
    ("VRRP", 112, 0, "224.0.0.18", OWN_4), ("VRRP, IPv6", 112, 0, "ff02::12", OWN_6),
    ("OSPF", 89, 0, "224.0.0.5", SERVICE_ADDRESS), ("OSPFv3", 89, 0, "ff02::5", SERVICE_ADDRESS_6),
    ("EIGRP", 88, 0, "224.0.0.10", SERVICE_ADDRESS), ("RIP", 0, 520, "224.0.0.9", SERVICE_ADDRESS),
    ("RIPng", 0, 521, "ff02::9", SERVICE_ADDRESS_6), ("Babel", 0, 6696, "ff02::1:6", SERVICE_ADDRESS_6),
    ("BFD", 0, 3784, ROUTER_4, SERVICE_ADDRESS), ("BFD, IPv6", 0, 3784, ROUTER_6, SERVICE_ADDRESS_6),
]


def kept_by_others():
    kind = "VRRP and routing protocols"
    later = ("flush_connections", others_notice)
    for name, number, port, to, address in PROTOCOLS:
        service = f"udp/{port}" if port else f"protocol/{number}"
        said = outbound("tell", service, to)
        heard = inbound("hear", service, to if to in (ROUTER_4, ROUTER_6) else
                        "link-local" if ":" in to else "203.0.113.0/24")
        here = {"before": RULES + said + heard, "set_up": (service_address, spoken(number, port, to, address)),
                "come": (CLIENT_6 if ":" in to else CLIENT_4, address, 22), "later": later, "undo": 8}
        if port == 3784:
            here["then"] = (neighbour_is_heard,)
        about = name.split(",")[0].removesuffix("v3")
        yield Trial(kind, f"{name}, no rule", RULES, says=f"{about} ", **here)
        yield Trial(kind, f"{name}, nothing is told", RULES + heard, says=f"{about} ", **here)
        yield Trial(kind, f"{name}, nothing is heard", RULES + said, says=f"{about} ", **here)
    there = outbound("bgp", "tcp/179", ROUTER_4)
    here = {"before": RULES + there, "come": (CLIENT_4, SERVICE_ADDRESS, 22), "later": later,
            "undo": 8, "set_up": (service_address, bgp_to(SERVICE_ADDRESS))}
    yield Trial(kind, "BGP, no rule", RULES, says="BGP with 203.0.113.1", **here)
    yield Trial(kind, "BGP, to another router", RULES + outbound("bgp", "tcp/179", "203.0.113.2"),
                **here)
    with_bfd = RULES + there + outbound("bfd", "udp/3784", ROUTER_4) + inbound("bfd-in", "udp/3784", ROUTER_4)
    yield Trial(kind, "BFD, a first apply without a rule", RULES + there, **{
        **here, "before": None, "says": "BFD with 203.0.113.1", "harmless": with_bfd,
        "set_up": (*here["set_up"], spoken(0, 3784, ROUTER_4, SERVICE_ADDRESS))})


# -- a tunnel that is not the session's own device --

def bridged(stage):
    """vxlan is a port of a bridge, and the host's address is on a veth whose end is another."""
    from lock_out_tunnels import vxlan_link
    for each in ["iptables", "ip6tables"]:  # else what is bridged passes the forward chain, too
        if os.path.exists(f"/proc/sys/net/bridge/bridge-nf-call-{each}"):
            setting(None, f"net.bridge.bridge-nf-call-{each}", "0")
    vxlan_link(stage, OWN_4, "203.0.113.2")
    batch(None, ["link add br9 type bridge", "link set br9 up", "link set t0 master br9",
                 "link set t0 up", "link add in9 type veth peer name out9",
                 "link set out9 master br9", "link set out9 up", "link set in9 up",
                 "address add 10.8.0.1/24 dev in9", "-6 address add 2001:db8:8::1/64 dev in9 nodad"])
    batch(stage.client.pid, ["address add 10.8.0.7/24 dev t0",
                             "-6 address add 2001:db8:8::7/64 dev t0 nodad", "link set t0 up"])


def to_a_group(stage):
    for pid, here in [(None, OWN_4), (stage.client.pid, "203.0.113.2")]:
        batch(pid, [f"link add t0 type vxlan id 7 local {here} group 239.1.1.1 dstport 4789 "
                    "dev eth0"])
    from lock_out_tunnels import addresses
    addresses(stage, "t0")


def host_asks_again(_stage):
    run("ip", "neigh", "flush", "dev", "t0", check=False)


def client_asks_again(stage):
    with network_of(stage.client.pid):
        run("ip", "neigh", "flush", "dev", "t0", check=False)


def below():
    from lock_out_tunnels import IN_TUNNEL_4, IN_TUNNEL_6, TUNNEL_SITE, carry
    kind = "tunnels"
    both = RULES + carry("udp/4789", "203.0.113.2")
    here = {"site": TUNNEL_SITE, "set_up": (bridged,), "before": both}
    yield Trial(kind, "vxlan below a bridge and a veth, no rule", RULES, come=IN_TUNNEL_4, **here)
    yield Trial(kind, "vxlan below a bridge and a veth, IPv6 within", RULES, come=IN_TUNNEL_6,
                **here)
    yield Trial(kind, "vxlan below a bridge and a veth, a ban of its other end",
                verb=("ban", "203.0.113.2"), come=IN_TUNNEL_4, later=(), **here)
    grouped = both + outbound("group", "udp/4789", "239.1.1.1")
    here = {"site": TUNNEL_SITE, "set_up": (to_a_group,), "before": grouped, "come": IN_TUNNEL_4}
    yield Trial(kind, "vxlan to a group, no rule", RULES, **here)
    yield Trial(kind, "vxlan to a group, none is sent to it", both, later=(host_asks_again,), **here)
    yield Trial(kind, "vxlan to a group, none is taken by it", grouped.replace(
        'from = "203.0.113.2"\n', 'from = "203.0.113.2"\nto = "203.0.113.10"\n'),
                later=(client_asks_again,), **here)


# -- an error of a router that is not the next one --

def farther():
    from lock_out_tunnels import FAR, beyond_a_small_link, much, path_is_forgotten
    kind = "a smaller link on the way"

    def far_small_link(stage):
        """The router that says so is not the next one: the next one passes it on."""
        beyond_a_small_link(stage)
        batch(stage.client_of_router.pid, ["address add 192.0.2.99/32 dev far0",
                                           "route replace 203.0.113.0/24 dev eth0 src 192.0.2.99"])
    yield Trial(kind, "all but the next router are dropped early", RULES + early(
        service='"icmp"', **{"from": '["!203.0.113.1"]'}), come=(FAR, OWN_4, 22),
              set_up=(far_small_link,), site=SITE.replace('"198.51.100.0/24"', '"192.0.2.0/24"'),
              later=(path_is_forgotten,), lives=much, undo=5)


def trials():
    for some in [kept_by_others, below, farther]:
        yield from some()
