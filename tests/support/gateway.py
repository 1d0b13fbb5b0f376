"""What scenes have in common in which this network namespace is a gateway between a peer, beyond eth0,
and a host inside, beyond eth1."""

from live_guard import run
from scene import put_beyond

PEER, GATEWAY, INSIDE = "203.0.113.1", "203.0.113.10", "10.0.9.2"
PEER6, GATEWAY6, INSIDE6 = "2001:db8:1::1", "2001:db8:1::10", "fd00:9::2"
SITE = f"""
[site]
name = "s"
management = "198.51.100.99"
[networks]
inside = ["10.0.9.0/24", "fd00:9::/64"]
[interfaces.public]
device = "eth0"
[interfaces.private]
device = "eth1"
[hosts.srv]
role = "server"
addresses = ["{GATEWAY}", "10.0.9.1", "{GATEWAY6}", "fd00:9::1"]
interfaces = ["public", "private"]
"""


def add(host, *networks):
    """Addresses: each network is a device and what it is given."""
    do = run if host is None else host.must
    for device, *addresses in networks:
        for address in addresses:
            words = ["ip", "address", "add", address, "dev", device]
            do(*words, *(["nodad"] if ":" in address else []))


def join(peer, inside):
    put_beyond("eth0", peer)
    put_beyond("eth1", inside)
    add(None, ("eth0", f"{GATEWAY}/24", f"{GATEWAY6}/64"), ("eth1", "10.0.9.1/24", "fd00:9::1/64"))
    add(peer, ("eth0", f"{PEER}/24", f"{PEER6}/64"))
    add(inside, ("eth1", f"{INSIDE}/24", f"{INSIDE6}/64"))
    for key in ("net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"):
        run("sysctl", "-qw", f"{key}=1")
    peer.must("ip", "route", "add", "10.0.9.0/24", "via", GATEWAY)
    peer.must("ip", "-6", "route", "add", "fd00:9::/64", "via", GATEWAY6)
    inside.must("ip", "route", "add", "default", "via", "10.0.9.1")
    inside.must("ip", "-6", "route", "add", "default", "via", "fd00:9::1")
