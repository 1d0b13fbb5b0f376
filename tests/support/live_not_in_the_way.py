"""Scenes for tests/cli/guard_not_in_the_way.sh: devices, forwarding and tunnels that no session goes
through. Each is there when a harmless apply is made, which must pass with the session alive."""

import subprocess
import sys

from live_guard import ND, OTHER, RULES, SITE, SSH, V4, Scene, joined_client, run, serve_echo, \
    set_rp_filter
from live_tunnels import TUN_SOURCE

PUBLIC = 'in = "public"\n'
ND_PUBLIC = ND.replace("[[outbound]]", PUBLIC + "[[outbound]]") + 'out = "public"\n'


def ip(*words):
    return run("ip", *words)


class Guests:
    """What Docker, libvirt and flannel bring."""

    def tap(self):
        if run("ip", "tuntap", "add", "vnet0", "mode", "tap", check=False).returncode != 0:
            print("left out: no tap here")
            return
        ip("link", "set", "vnet0", "up")
        ip("-6", "address", "add", "fe80::77/64", "dev", "vnet0", "nodad")

    def flannel(self):
        ip("link", "add", "flannel.1", "type", "vxlan", "id", "1", "local", "203.0.113.10", "dev",
           "eth0", "dstport", "8472", "nolearning")
        ip("address", "add", "10.244.0.0/32", "dev", "flannel.1")
        ip("link", "set", "flannel.1", "up")
        ip("-6", "address", "add", "fe80::78/64", "dev", "flannel.1", "nodad")
        run("bridge", "fdb", "append", "02:00:00:00:00:78", "dev", "flannel.1", "dst",
            "203.0.113.77", check=False)

    def docker(self):
        ip("link", "add", "docker0", "type", "bridge")
        ip("address", "add", "172.17.0.1/16", "dev", "docker0")
        ip("-6", "address", "add", "fd00:17::1/64", "dev", "docker0", "nodad")
        ip("link", "set", "docker0", "up")
        run("sysctl", "-qw", "net.ipv4.conf.docker0.rp_filter=2")
        self.veth()
        ip("link", "set", "veth9", "master", "docker0")

    def veth(self):
        ip("link", "add", "veth9", "type", "veth", "peer", "name", "ceth9")
        ip("link", "set", "veth9", "up")
        ip("link", "set", "ceth9", "up")
        ip("-6", "address", "add", "fe80::79/64", "dev", "veth9", "nodad")

    def routed_veth(self):
        """As systemd-nspawn and LXD make them: the host has an address there."""
        self.veth()
        ip("address", "add", "192.168.77.1/28", "dev", "veth9")
        ip("-6", "address", "add", "fd00:77::1/64", "dev", "veth9", "nodad")

    def end(self):
        for device in ["vnet0", "flannel.1", "docker0", "veth9"]:
            run("ip", "link", "del", device, check=False)


def beside_guests(scene):
    guests = Guests()
    narrow = ND_PUBLIC + SSH + PUBLIC
    set_rp_filter("2")
    for name in ["tap", "flannel", "docker", "veth", "routed_veth"]:
        for first in [False, True]:
            if first and name == "routed_veth":
                continue  # who never applied anything may be at its other end
            # Where only one device is meant, the other must not be a way in: it is none by now.
            ip("link", "set", "eth1", "down")
            scene.begin(None if first else narrow)
            getattr(guests, name)()
            session = scene.open()
            scene.write_site(narrow + OTHER)
            how = "a first apply" if first else "since the last apply"
            scene.expect(f"{name}, {how}", scene.apply(session=session), 0, new=V4)
            guests.end()
            ip("link", "set", "eth1", "up")
    set_rp_filter("0")


def still_refused(scene):
    """A session that does come by such a device is what it hangs on."""
    guests = Guests()
    scene.begin(RULES)
    guests.docker()
    session = scene.open()
    scene.write_site(ND_PUBLIC + SSH.replace('"management"', '"elsewhere"'))
    scene.expect("docker0, and ssh for others", scene.apply(session=session), 1)
    guests.end()
    # What passes today by another device is not to end.
    scene.begin(RULES)
    guests.routed_veth()
    session = scene.open()
    scene.write_site(RULES + PUBLIC)
    scene.expect("a new veth, by which ssh passes today", scene.apply(session=session), 1,
                 ["by veth9"])
    guests.end()


def forwarding_since(scene):
    scene.begin(RULES)
    session = scene.open()
    run("sysctl", "-qw", "net.ipv4.ip_forward=1")
    scene.write_site(RULES + OTHER)
    scene.expect("forwarding switched on since", scene.apply(session=session), 0,
                 ["note: packets that this host forwards", "today as well"], new=V4)
    scene.begin(None)
    session = scene.open()
    scene.write_site(RULES)
    scene.expect("forwarding, a first apply", scene.apply(session=session), 1, ["[[forward]]"])
    accepted = SITE.replace('forward = "drop"', 'forward = "accept"')
    scene.write_site(RULES, accepted)
    scene.expect("forwarding, which the default accepts", scene.apply(session=session), 0, new=V4)
    scene.write_site(RULES)
    scene.expect("forwarding, no longer accepted", scene.apply(session=session), 1, ["[[forward]]"])
    run("sysctl", "-qw", "net.ipv4.ip_forward=0")


def tun_bound(scene):
    """Of a client's tunnel with a port of its own an outbound rule will do."""
    site = SITE.replace('office = ["198.51.100.0/24"', 'office = ["198.51.100.0/24", "10.8.0.0/24"')
    out = '[[outbound]]\nid = "carry"\nservice = "udp/1194"\nto = "203.0.113.1"\n'
    processes = []
    scene.begin(RULES + out, site)
    for where, words in [(["nsenter", "-t", str(scene.client.pid), "-n"],
                          ["203.0.113.1", "203.0.113.10"]),
                         ([], ["203.0.113.10", "203.0.113.1"])]:  # which speaks first
        process = subprocess.Popen([*where, sys.executable, "-c", TUN_SOURCE, *words, "bound"],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        processes.append(process)
        if process.stdout.readline().strip() != "ready":
            print("left out: no tun here")
            return
    ip("address", "add", "10.8.0.1/24", "dev", "tun0")
    ip("link", "set", "tun0", "up")
    scene.client.must("ip", "address", "add", "10.8.0.7/24", "dev", "tun0")
    scene.client.must("ip", "link", "set", "tun0", "up")
    session = scene.open("10.8.0.7", "10.8.0.1")
    scene.write_site(RULES + out + OTHER, site)
    new = ("10.8.0.7", "10.8.0.1", 22)
    scene.expect("a tun's port, outbound alone", scene.apply(session=session), 0, new=new)
    scene.write_site(RULES + OTHER, site)
    scene.expect("a tun's port, no rule any more", scene.apply(session=session), 1,
                 ["the tunnel tun0"])
    scene.client.ask("close")
    for process in processes:
        process.kill()
        process.wait()


LISTENER = r"""
import socket, sys, time
open("/proc/self/comm", "w").write(sys.argv[1])
server = socket.create_server(("0.0.0.0", int(sys.argv[2])))
session = socket.create_connection(("203.0.113.10", 22)) if sys.argv[3:] else None
print("ready", flush=True)
time.sleep(600)
"""


def called_sshd(scene):
    """What listens for a session (`ssh -R`) is no way in to all of management."""
    for name, words in [("a session's listener", ["sshd", "9000", "with a session"]),
                        ("sshd-session's listener", ["sshd-session", "9000"])]:
        scene.begin(RULES)
        process = subprocess.Popen([sys.executable, "-c", LISTENER, *words],
                                   stdout=subprocess.PIPE, text=True)
        process.stdout.readline()
        session = scene.open()
        scene.write_site(RULES + OTHER)
        scene.expect(name, scene.apply(session=session), 0, new=V4)
        process.kill()
        process.wait()
    scene.begin(RULES)
    process = subprocess.Popen([sys.executable, "-c", LISTENER, "sshd", "9000"],
                               stdout=subprocess.PIPE, text=True)
    process.stdout.readline()
    session = scene.open()
    scene.write_site(RULES + OTHER)
    scene.expect("sshd's own listener", scene.apply(session=session), 1, ["to 203.0.113.10 port 9000"])
    process.kill()
    process.wait()


RELAY_FOR_ONE = r"""
import socket, threading
server = socket.create_server(("", 5000))
print("ready", flush=True)
client, _ = server.accept()
server.close()
beyond = socket.create_connection(("127.0.0.1", 22))
print(*beyond.getsockname(), *beyond.getpeername(), flush=True)
def copy(a, b):
    while data := a.recv(4096):
        b.sendall(data)
threading.Thread(target=copy, args=(beyond, client), daemon=True).start()
copy(client, beyond)
"""


def relay_for_one(scene):
    """Nobody listens any more where the session has come in (socat without fork, inetd's)."""
    relayed = '[[inbound]]\nid = "relay"\nservice = "tcp/5000"\nfrom = "office"\n'
    for name, before in [("a relay that listens no more", RULES + relayed),
                         ("the same, a first apply", None)]:
        scene.begin(before)
        process = subprocess.Popen([sys.executable, "-c", RELAY_FOR_ONE], stdout=subprocess.PIPE,
                                   text=True)
        process.stdout.readline()
        scene.open(port=5000)
        session = process.stdout.readline().strip()
        scene.write_site(RULES + relayed + OTHER)
        scene.expect(name, scene.apply(session=session), 0)
        scene.write_site(RULES)
        scene.expect(f"{name}, its port has no rule", scene.apply(session=session), 1,
                     ["which relays the session"])
        process.kill()
        process.wait()


def leased_since(scene):
    """A device that came since has its address by DHCP, or its route by an advertisement."""
    nd = ND.replace('"ndp"', '["icmpv6/135", "icmpv6/136"]')
    for name, rules, words in [
            ("a lease", RULES, ["address", "add", "10.77.0.5/24", "dev", "eth2", "valid_lft", "3600",
                                "preferred_lft", "3600"]),
            ("an advertised route", nd + SSH, ["-6", "route", "add", "2001:db8:78::/64", "via",
                                               "fe80::9", "dev", "eth2", "proto", "ra"])]:
        scene.begin(rules)
        ip("link", "add", "eth2", "type", "veth", "peer", "name", "beyond2")
        ip("link", "set", "eth2", "up")
        ip("link", "set", "beyond2", "up")
        ip(*words)
        session = scene.open()
        scene.write_site(rules + OTHER)
        scene.expect(f"{name} on a device that came since", scene.apply(session=session), 0, new=V4)
        scene.begin('use = ["dhcp-client", "baseline"]\n' + SSH)
        session = scene.open()
        scene.write_site(rules)
        scene.expect(f"{name} that is renewed today", scene.apply(session=session), 1)
        ip("link", "del", "eth2")


def ipv6_that_nobody_uses(scene):
    """Each link has an address of its own; who has no other needs no neighbour discovery."""
    site = SITE.replace(', "2001:db8:0ff1::/64", "link-local"', "").replace(
        ', "2001:db8:1::10"]', "]")
    ip("-6", "route", "flush", "default")
    ip("-6", "address", "flush", "dev", "eth0", "scope", "global")
    for before in [None, SSH]:
        scene.begin(before, site)
        session = scene.open()
        scene.write_site(SSH + OTHER, site)
        scene.expect("IPv4 alone" if before else "IPv4 alone, a first apply",
                     scene.apply(session=session), 0, new=V4)
    scene.begin(RULES, site)
    session = scene.open()
    scene.write_site(SSH, site)
    scene.expect("IPv4 alone, neighbour discovery goes", scene.apply(session=session), 1)
    ip("-6", "address", "add", "2001:db8:1::10/64", "dev", "eth0", "nodad")
    ip("-6", "route", "replace", "default", "via", "2001:db8:1::1")
    scene.begin(None)
    session = scene.open()
    scene.write_site(SSH, site)
    scene.expect("IPv4 alone, but the host has IPv6", scene.apply(session=session), 1,
                 ["neighbour"])
    # IPv4 by a router that has an IPv6 address alone.
    ip("-6", "route", "flush", "default")
    ip("-6", "address", "flush", "dev", "eth0", "scope", "global")
    ip("route", "replace", "default", "via", "inet6", "fe80::2", "dev", "eth0")
    scene.begin(None)
    session = scene.open()
    scene.write_site(SSH, site)
    scene.expect("IPv4 by a router of IPv6", scene.apply(session=session), 1, ["neighbour"])
    ip("route", "replace", "default", "via", "203.0.113.1")
    ip("-6", "address", "add", "2001:db8:1::10/64", "dev", "eth0", "nodad")
    ip("-6", "route", "replace", "default", "via", "2001:db8:1::1")


def main():
    client = joined_client(["eth0", "eth1"])
    for words in [["address", "add", "203.0.113.10/24", "dev", "eth0"],
                  ["-6", "address", "add", "2001:db8:1::10/64", "dev", "eth0", "nodad"],
                  ["route", "add", "default", "via", "203.0.113.1"],
                  ["-6", "route", "add", "default", "via", "2001:db8:1::1"]]:
        ip(*words)
    for words in [["address", "add", "203.0.113.1/24", "dev", "eth0"],
                  ["address", "add", "198.51.100.7/32", "dev", "lo"],
                  ["-6", "address", "add", "2001:db8:1::1/64", "dev", "eth0", "nodad"],
                  ["-6", "address", "add", "fe80::2/64", "dev", "eth0", "nodad"]]:
        client.must("ip", *words)
    scene = Scene(client)
    serve_echo(22)
    for each in [beside_guests, still_refused, forwarding_since, tun_bound, called_sshd, relay_for_one,
                 leased_since, ipv6_that_nobody_uses]:
        if not sys.argv[1:] or each.__name__ in sys.argv[1:]:
            each(scene)
    scene.end()


if __name__ == "__main__":
    main()
