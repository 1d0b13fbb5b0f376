"""Rows of lock_outs.py about what a link lives on: neighbours, groups, leases and routes that end."""

import socket
import time

from live_guard import ND, RULES, SSH, run
from lock_outs import (CLIENT_6, OWN_6, Trial, at_the_client, batch, neighbours_expire, network_of,
                       setting)
from lock_out_beside import BESIDE
from lock_out_ways import marked_routing, policy_routing, several_next_hops
from lock_out_words import LINK_LOCAL, NEIGHBOURS, V6, dropped, office


DHCP_SERVER = r"""
import socket, struct, sys
six = sys.argv[1] == "6"
server = socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_DGRAM)
server.bind((sys.argv[3] if len(sys.argv) > 3 else "", int(sys.argv[2])))
if six:
    server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP,
                      socket.inet_pton(socket.AF_INET6, "ff02::1:2") +
                      struct.pack("I", socket.if_nametoindex("eth0")))
print("ready", flush=True)
while True:
    _, who = server.recvfrom(512)
    server.sendto(b"ack", who)
"""

ROUTER = r"""
import socket, struct, time
router = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
router.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
router.bind(("fe80::2", 0, 0, socket.if_nametoindex("eth0")))
print("ready", flush=True)
while True:
    lifetime = 2
    router.sendto(struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, lifetime, 0, 0),
                  ("ff02::1", 0, 0, socket.if_nametoindex("eth0")))
    time.sleep(0.5)
"""


def leased(address, default):
    dad = "nodad" if ":" in address else ""

    def step(_stage):
        batch(None, [f"address replace {address} dev eth0 {dad} valid_lft 60 preferred_lft 60",
                     default])
    return step


def behind_a_snooping_switch(stage):
    """The router's own: it asks each second who listens to which group, and passes solicitations on to
    who has answered."""
    batch(stage.client.pid, [
        "address flush dev eth0",
        "link add br0 type bridge mcast_snooping 1 mcast_querier 1 mcast_mld_version 2 "
        "mcast_query_interval 100 mcast_query_response_interval 20 mcast_startup_query_interval 20 "
        "mcast_membership_interval 250",
        "link set eth0 master br0", "link set br0 up", "address add 203.0.113.1/24 dev br0"])
    batch(stage.client.pid, [
        "-6 address flush dev eth0", "-6 address add 2001:db8:1::1/64 dev br0 nodad",
        "-6 address add fe80::2/64 dev br0 nodad"])
    time.sleep(1.5)


def memberships_end(stage):
    """Where nobody renews them; the bridge of a busy machine is late."""
    time.sleep(3.5)
    end = time.monotonic() + 5
    with network_of(stage.client.pid):
        while time.monotonic() < end and "ff02::1:ff" in run("bridge", "mdb", "show").stdout:
            time.sleep(0.2)
    neighbours_expire(stage)
    neighbours_expire(stage, "br0")


MLD_IN = '[[inbound]]\nid = "mld"\nservice = "mld"\n'
MLD_OUT = '[[outbound]]\nid = "mld-out"\nservice = "mld"\n'

NEAR_6 = "2001:db8:1::42"


def near_client(stage):
    batch(stage.client.pid, [f"-6 address add {NEAR_6}/64 dev eth0 nodad"])


LEASE_4 = leased("203.0.113.10/24", "route replace default via 203.0.113.1")
LEASE_6 = leased("2001:db8:1::77/128", "-6 route replace default via 2001:db8:1::1")


def renewal(lease, bound, to, ports):
    """As a client renews: asked from its address, which ends where no answer comes. (The first
    address it gets past every rule, by a packet socket.)"""
    six = ":" in to

    def step(stage):
        lease(stage)
        with socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            client.settimeout(1)
            scope = (0, socket.if_nametoindex("eth0")) if six else ()
            try:
                client.bind((bound, ports[0], *scope))
                client.sendto(b"request", (to, ports[1], *scope))
                if client.recv(64) == b"ack":
                    return
            except OSError:
                pass
        address = "-6 address del 2001:db8:1::77/128" if six else "address del 203.0.113.10/24"
        batch(None, [f"{address} dev eth0"])
    return step


RENEWAL_4 = renewal(LEASE_4, "203.0.113.10", "203.0.113.1", (68, 67))
REBINDING_4 = renewal(LEASE_4, "203.0.113.10", "255.255.255.255", (68, 67))
RENEWAL_6 = renewal(LEASE_6, "fe80::a", "ff02::1:2", (546, 547))
DHCP = 'use = ["dhcp-client"]\n' + RULES


def advertised(stage):
    setting(None, "net.ipv6.conf.eth0.accept_ra", "1")
    batch(None, ["-6 route del default"])
    at_the_client(ROUTER)(stage)
    time.sleep(1)


def time_passes(_stage):
    time.sleep(2.7)


NO_ADVERTISEMENTS = RULES.replace(
    'id = "nd"\nservice = "ndp"',
    'id = "nd"\nservice = ["icmpv6/neighbour-solicitation", "icmpv6/neighbour-advertisement"]')


def links():
    kind = "neighbour discovery"
    no_groups = ND.replace('[[outbound]]', 'to = "2001:db8:1::10"\n[[outbound]]')
    for name, change in [("none", SSH), ("from link-local alone", ND.replace(
            '[[outbound]]', 'from = "link-local"\n[[outbound]]') + SSH),
                         ("not to groups", no_groups + SSH),
                         ("none is sent", ND[:ND.index("[[outbound]]")] + SSH)]:
        yield Trial(kind, name, change, come=V6, later=NEIGHBOURS)
    yield Trial(kind, "link-local, none", SSH, come=LINK_LOCAL, later=NEIGHBOURS)
    yield Trial(kind, "several next hops, none", SSH, come=V6, later=NEIGHBOURS,
                set_up=(several_next_hops,))
    yield Trial(kind, "with policy routing, none", SSH, come=V6, later=NEIGHBOURS,
                set_up=(policy_routing,))
    yield Trial(kind, "with marked routing, none", SSH, come=V6, later=NEIGHBOURS,
                set_up=(marked_routing,), then=(BESIDE["a marking table's"],))
    near = {"site": office("198.51.100.0/24", "2001:db8:1::/64"), "come": (NEAR_6, OWN_6, 22),
            "set_up": (near_client,), "later": NEIGHBOURS}
    of_it = dropped(service='"ndp"', **{"from": f'"{NEAR_6}"'})
    yield Trial(kind, "a client on the link is dropped", of_it + RULES, **near)
    yield Trial(kind, "rollback to that", of_it + RULES, verb=("rollback",), **near)
    yield Trial(kind, "a prefix of it is dropped", dropped(
        service='"ndp"', **{"from": '"2001:db8:1::40/124"'}) + RULES, **near)
    yield Trial(kind, "from all but a client on the link", ND.replace(
        "[[outbound]]", f'from = "!{NEAR_6}"\n[[outbound]]') + SSH, **near)
    yield Trial(kind, "none is sent to a client on the link",
                f'[[outbound]]\nid = "no"\naction = "drop"\nservice = "ndp"\nto = "{NEAR_6}"\n'
                + RULES, **near)
    switched = {"before": RULES + MLD_IN + MLD_OUT, "come": V6, "undo": 12,
                "set_up": (behind_a_snooping_switch,), "later": (memberships_end,)}
    yield Trial(kind, "behind a snooping switch, no reports", RULES + MLD_IN, says="(MLD), reports",
                **switched)
    yield Trial(kind, "behind a snooping switch, no queries", RULES + MLD_OUT, says="(MLD), queries",
                **switched)
    kind = "a link's own addresses"
    yield Trial(kind, "ssh for networks alone",
                (RULES, office("198.51.100.0/24", "2001:db8:ff1::/64")), come=LINK_LOCAL)
    yield Trial(kind, "the neighbour is dropped", ND + dropped(**{"from": '"fe80::2"'}) + SSH,
                come=LINK_LOCAL)
    yield Trial(kind, "an early drop", RULES + dropped(early="true", **{"from": '"fe80::/64"',
                                                                       "service": '"tcp"'}),
                come=LINK_LOCAL, later=())
    kind = "routes and addresses end"
    yield Trial(kind, "router advertisements", NO_ADVERTISEMENTS, come=V6, set_up=(advertised,),
                later=(time_passes,), undo=6)
    lease = {"before": DHCP, "set_up": (at_the_client(DHCP_SERVER, "4", "67"),), "then": (LEASE_4,),
             "undo": 6}
    yield Trial(kind, "a DHCP lease, outbound", RULES, later=("flush_connections", RENEWAL_4), **lease)
    yield Trial(kind, "a DHCP lease, broadcasts", RULES + '[[outbound]]\nid = "d"\n'
                'service = "dhcp-server"\nto = "203.0.113.1"\n', later=(REBINDING_4,), **lease)
    lease = {"before": DHCP, "set_up": (at_the_client(DHCP_SERVER, "6", "547"),), "then": (LEASE_6,),
             "undo": 6}
    here = (CLIENT_6, "2001:db8:1::77", 22)
    yield Trial(kind, "a DHCPv6 lease", RULES, come=here, later=(RENEWAL_6,), **lease)
    yield Trial(kind, "a DHCPv6 lease, no answers", RULES + '[[outbound]]\nid = "d"\n'
                'service = "dhcpv6-server"\n', come=here, later=(RENEWAL_6,), **lease)


def trials():
    yield from links()
