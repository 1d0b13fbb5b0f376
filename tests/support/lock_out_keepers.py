"""Further rows of lock_outs.py: addresses and routes that others keep (VRRP, OSPF, BGP), tunnels that
are not the session's own device, and routers that are not the next one."""

import os
import time

from live_guard import RULES, SITE, run
from lock_outs import CLIENT_4, OWN_4, Trial, batch, network_of, setting, start_program
from lock_out_carriers import early, inbound, outbound


# -- what others keep: an address that two share, a route that this host tells --

SPEAKER = r"""
import socket, struct, sys, time
protocol, group = int(sys.argv[1]), sys.argv[2]
speaker = socket.socket(socket.AF_INET, socket.SOCK_RAW, protocol)
speaker.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP,
                   struct.pack("4s4sI", socket.inet_aton(group), b"\0" * 4,
                               socket.if_nametoindex("eth0")))
speaker.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, struct.pack(
    "4s4sI", b"\0" * 4, socket.inet_aton("203.0.113.10"), socket.if_nametoindex("eth0")))
speaker.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 255)
print("ready", flush=True)
while True:
    try:
        speaker.sendto(b"here", (group, 0))
    except OSError:
        pass
    time.sleep(0.2)
"""
LISTENER = r"""
import socket, struct, subprocess, sys
protocol, group, address = int(sys.argv[1]), sys.argv[2], sys.argv[3]
listener = socket.socket(socket.AF_INET, socket.SOCK_RAW, protocol)
listener.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP,
                    struct.pack("4s4sI", socket.inet_aton(group), b"\0" * 4,
                                socket.if_nametoindex("eth0")))
listener.settimeout(1)
print("ready", flush=True)
was_here = True
while True:
    try:
        listener.recv(64)
        here = True
    except OSError:
        here = False
    if here != was_here:
        was_here = here
        subprocess.run(["ip", "rule", "del" if here else "add", "to", address, "priority", "1",
                        "blackhole"])
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
SERVICE_ADDRESS = "10.99.0.99"


def spoken(protocol, group, address):
    def step(stage):
        start_program(stage, stage.client.pid, LISTENER, str(protocol), group, address)
        start_program(stage, None, SPEAKER, str(protocol), group)
    return step


def bgp_to(address):
    def step(stage):
        start_program(stage, stage.client.pid, BGP, "router", address)
        start_program(stage, None, BGP, "speaker")
        time.sleep(0.5)
    return step


def service_address(stage):
    batch(None, [f"address add {SERVICE_ADDRESS}/32 dev lo"])
    batch(stage.client.pid, [f"route add {SERVICE_ADDRESS}/32 via 203.0.113.10 src {CLIENT_4}"])


def others_notice(_stage):
    time.sleep(2)


def kept_by_others():
    kind = "VRRP and routing protocols"
    later = ("flush_connections", others_notice)
    for name, number, group, address, set_up in [
            ("VRRP", 112, "224.0.0.18", OWN_4, ()),
            ("OSPF", 89, "224.0.0.5", SERVICE_ADDRESS, (service_address,))]:
        service = f"protocol/{number}"
        said = outbound("tell", service, group)
        both = RULES + said + inbound("hear", service, "203.0.113.0/24")
        here = {"before": both, "set_up": (*set_up, spoken(number, group, address)),
                "come": (CLIENT_4, address, 22), "later": later, "undo": 8}
        yield Trial(kind, f"{name}, no rule", RULES, says=f"{name} on eth0", **here)
        yield Trial(kind, f"{name}, nothing is told", both.replace(said, ""), **here)
    there = outbound("bgp", "tcp/179", "203.0.113.1")
    here = {"before": RULES + there, "come": (CLIENT_4, SERVICE_ADDRESS, 22), "later": later,
            "undo": 8, "set_up": (service_address, bgp_to(SERVICE_ADDRESS))}
    yield Trial(kind, "BGP, no rule", RULES, says="BGP with 203.0.113.1", **here)
    yield Trial(kind, "BGP, to another router", RULES + outbound("bgp", "tcp/179", "203.0.113.2"),
                **here)


# -- a tunnel that is not the session's own device --

def bridged(stage):
    """vxlan is a port of a bridge, and the host's address is on a veth whose end is another."""
    from lock_out_trials import vxlan_link
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
    from lock_out_trials import addresses
    addresses(stage, "t0")


def host_asks_again(_stage):
    run("ip", "neigh", "flush", "dev", "t0", check=False)


def client_asks_again(stage):
    with network_of(stage.client.pid):
        run("ip", "neigh", "flush", "dev", "t0", check=False)


def below():
    from lock_out_trials import IN_TUNNEL_4, IN_TUNNEL_6, TUNNEL_SITE, carry
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
    from lock_out_trials import FAR, beyond_a_small_link, much, path_is_forgotten
    kind = "a smaller link on the way"

    def far_small_link(stage):
        """The router that says so is not the next one: the next one passes it on."""
        beyond_a_small_link(stage)
        batch(stage.client_of_router.pid, ["address add 192.0.2.99/32 dev far0",
                                           "route replace 203.0.113.0/24 dev eth0 src 192.0.2.99"])
    yield Trial(kind, "all but the next router are dropped early", RULES + early(
        service='"icmp"', **{"from": '["!203.0.113.1"]'}), come=(FAR, OWN_4, 22),
              set_up=(far_small_link,), site=SITE.replace('"198.51.100.0/24"', '"192.0.2.0/24"'),
              later=(path_is_forgotten,), lives=much)


def trials():
    for some in [kept_by_others, below, farther]:
        yield from some()
