"""Rows of lock_outs.py about devices, bridges, routes and addresses by which a session comes."""

import os

from live_guard import ND, RULES, SITE, SSH, run
from lock_outs import CLIENT_4, CLIENT_6, OWN_4, OWN_6, LeftOut, Trial, batch, setting
from lock_out_beside import BESIDE
from lock_out_words import ELSEWHERE, V6, dropped, office


def by_eth1(stage):
    """What the client sends comes by eth1; the answers go out by eth0."""
    batch(stage.client.pid, ["route add 203.0.113.10/32 via 10.0.2.10 src 198.51.100.7",
                             "-6 route add 2001:db8:1::10/128 via 2001:db8:2::10"])
    for each in ["all", "eth0", "eth1"]:
        setting(stage.client.pid, f"net.ipv4.conf.{each}.rp_filter", "0")


def asks_for_the_route_back(value):
    def step(_stage):
        for each in ["all", "eth0", "eth1"]:
            setting(None, f"net.ipv4.conf.{each}.rp_filter", value)
    return step


def policy_routing(stage):
    """What eth1's address sends goes back by eth1, though the main table says eth0."""
    batch(None, ["rule add from 10.0.2.10 lookup 100", "route add default via 10.0.2.1 table 100"])
    batch(None, ["-6 rule add from 2001:db8:2::10 lookup 100",
                 "-6 route add default via 2001:db8:2::1 table 100"])
    batch(stage.client.pid, ["route add 198.51.100.0/24 dev lo"])


def marked_routing(stage):
    batch(None, ["rule add fwmark 9 lookup 100", "route add default via 10.0.2.1 table 100",
                 "-6 rule add fwmark 9 lookup 100",
                 "-6 route add default via 2001:db8:2::1 table 100"])


def several_next_hops(stage):
    batch(None, ["route del default", "-6 route del default",
                 "route add default nexthop via 203.0.113.1 nexthop via 203.0.113.2",
                 "-6 route add default nexthop via 2001:db8:1::1 nexthop via fe80::2 dev eth0"])


def onto_a_bridge(stage):
    batch(None, ["address flush dev eth0", "-6 address flush dev eth0",
                 "link add br0 type bridge", "link set br0 up", "link set eth0 master br0",
                 "address add 203.0.113.10/24 dev br0",
                 "-6 address add 2001:db8:1::10/64 dev br0 nodad",
                 "-6 address add fe80::a/64 dev br0 nodad",
                 "route replace default via 203.0.113.1",
                 "-6 route replace default via 2001:db8:1::1"])


def renamed(stage):
    batch(None, ["link set eth0 down", "link set eth0 name lan0", "link set lan0 up",
                 "route replace default via 203.0.113.1",
                 "-6 address replace 2001:db8:1::10/64 dev lan0 nodad",
                 "-6 route replace default via 2001:db8:1::1"])


def private_address(stage):
    batch(None, ["-6 address add 2001:db8:1::5eed/64 dev eth0 nodad"])


def service_address(stage):
    batch(None, ["address add 203.0.113.99/32 dev lo"])
    batch(stage.client.pid, ["route add 203.0.113.99/32 via 203.0.113.10 src 198.51.100.7"])


def veth_in_a_bridge(stage):
    """The host's address is on a veth, of which the other end and eth0 are the ports of a bridge; what
    that passes on is shown to the forward chain."""
    if not os.path.exists("/proc/sys/net/bridge/bridge-nf-call-iptables"):
        raise LeftOut("no br_netfilter")
    batch(None, ["address flush dev eth0", "-6 address flush dev eth0",
                 "link add own0 type veth peer name own1", "link add br0 type bridge",
                 "link set br0 up", "link set own0 up", "link set own1 up",
                 "link set eth0 master br0", "link set own1 master br0",
                 "address add 203.0.113.10/24 dev own0",
                 "route replace default via 203.0.113.1"])
    setting(None, "net.bridge.bridge-nf-call-iptables", "1")


def through_a_bridge():
    kind = "its own veth in its own bridge"
    four = SITE.replace(', "2001:db8:1::10"]', "]").replace(', "2001:db8:0ff1::/64", "link-local"', "")
    passed_on = '[[forward]]\nid = "f"\nservice = "ssh"\nfrom = "management"\nto = "203.0.113.10"\n'
    here = {"site": four.replace('device = "eth0"', 'device = "own0"'),
            "set_up": (veth_in_a_bridge,), "before": RULES + passed_on,
            "says": "through the bridge br0"}
    yield Trial(kind, "something else is forwarded", RULES + passed_on.replace('"ssh"', '"http"'),
                **here)
    yield Trial(kind, "forwarded for others", RULES + passed_on.replace('"management"', '"elsewhere"'),
                **here)
    yield Trial(kind, "forwarded for others, rollback", RULES + passed_on.replace(
        '"management"', '"elsewhere"'), verb=("rollback",), **here)


def devices():
    kind = "several devices"
    four = {"come": (CLIENT_4, OWN_4, 22), "set_up": (by_eth1,)}
    public, private = SSH + 'in = "public"\n', SSH + 'in = "private"\n'
    yield Trial(kind, "arrives by eth1, ssh by eth0 alone", ND + public, says="by eth1", **four)
    yield Trial(kind, "arrives by eth1, loose rp_filter", ND + public,
                set_up=(by_eth1, asks_for_the_route_back("2")))
    yield Trial(kind, "IPv6 arrives by eth1, ssh by eth0 alone", ND + public, come=V6,
                set_up=(by_eth1,))
    yield Trial(kind, "arrives by eth1, early drop there", RULES + dropped(
        early="true", service='"ssh"', **{"in": '"private"'}), later=(), **four)
    yield Trial(kind, "ssh by the other device alone", ND + private)
    yield Trial(kind, "to eth1's address", ND + public, come=("10.0.2.1", "10.0.2.10", 22),
                site=office("10.0.2.0/24"))
    yield Trial(kind, "policy routing, strict rp_filter", ND + public,
                come=("192.0.2.9", "10.0.2.10", 22), site=office("192.0.2.0/24"),
                set_up=(policy_routing, asks_for_the_route_back("1")))
    yield Trial(kind, "marked routing", ND + private, set_up=(marked_routing,),
                then=(BESIDE["a marking table's"],))
    yield Trial(kind, "several next hops", ND + private, set_up=(several_next_hops,))
    bridged = SITE.replace('device = "eth0"', 'device = "br0"')
    yield Trial(kind, "a bridge, its port is named", (RULES + 'in = "public"\n', SITE),
                site=bridged, set_up=(onto_a_bridge,))
    yield Trial(kind, "a bridge, IPv6, its port is named",
                (ND.replace("[[outbound]]", 'in = "public"\n[[outbound]]') + SSH, SITE),
                site=bridged, come=V6, set_up=(onto_a_bridge,),
                later=(lambda _: run("ip", "-6", "neigh", "flush", "dev", "br0", check=False),))
    new_name = SITE.replace('device = "eth0"', 'device = "lan0"')
    yield Trial(kind, "renamed, its old name is named", (RULES + 'in = "public"\n', SITE),
                site=new_name, set_up=(renamed,))
    kind = "an address of its own"
    yield Trial(kind, "a privacy address", RULES + 'to = ["203.0.113.10", "2001:db8:1::10"]\n',
                come=(CLIENT_6, "2001:db8:1::5eed", 22), set_up=(private_address,))
    yield Trial(kind, "a service address", RULES + 'to = ["203.0.113.10", "2001:db8:1::10"]\n',
                come=(CLIENT_4, "203.0.113.99", 22), set_up=(service_address,))
    yield Trial(kind, "sshd at one address alone", ELSEWHERE, listens=OWN_4, site=office(
        "198.51.100.0/24"), harmless=RULES + 'to = "203.0.113.10"\n')
    yield Trial(kind, "an early drop of what is sent to it", RULES + dropped(
        early="true", service='"ssh"', to='"203.0.113.99"'), later=(),
                come=(CLIENT_4, "203.0.113.99", 22), set_up=(service_address,))
    kind = "ssh on another port"
    at = RULES.replace('service = "ssh"', 'service = "tcp/2222"')
    there = {"before": at, "come": (CLIENT_4, OWN_4, 2222), "served": 2222}
    yield Trial(kind, "port 22 alone", RULES, **there)
    yield Trial(kind, "for others", at.replace('"management"', '"elsewhere"'), **there)
    yield Trial(kind, "an early drop", at + dropped(early="true", service='"tcp/2000-3000"'),
                later=(), **there)
    yield Trial(kind, "IPv6, port 22 alone", RULES, before=at, come=(CLIENT_6, OWN_6, 2222),
                served=2222)


def trials():
    for some in [devices, through_a_bridge]:
        yield from some()
