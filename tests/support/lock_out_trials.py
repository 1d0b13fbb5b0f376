"""The rows of lock_outs.py: each is one way to be shut out."""

import socket
import subprocess
import sys
import time

import live_guard
import lock_out_carriers
import lock_out_keepers
from live_guard import Client, ND, RULES, SITE, SSH, run
from lock_outs import (CLIENT_4, CLIENT_6, LOCK, OWN_4, OWN_6, LeftOut, Trial, batch,
                       neighbours_expire, setting, start_program)

ELSEWHERE = ND + SSH.replace('"management"', '"elsewhere"')
HALF = ND + SSH.replace('"management"', '"198.51.100.128/25"')
V6 = (CLIENT_6, OWN_6, 22)
LINK_LOCAL = ("-", "fe80::a%eth0", 22)
NEIGHBOURS = ("neighbours_expire",)


def rule(name, **keys):
    return f'[[inbound]]\nid = "{name}"\n' + "".join(
        f"{key} = {value}\n" for key, value in keys.items())


def dropped(**keys):
    return rule("gone", action='"drop"', **keys)


def nft(text):
    return lambda stage: stage.nft(text)


def chain(table, hook, *rules):
    family, name = table.split()
    lines = "\n".join(rules)
    return nft(f"table {family} {name} {{\n  chain c {{\n    type {hook}; policy accept;\n{lines}\n"
               "  }\n}\n")


# -- how the session comes --

BESIDE = {
    "Docker's": nft("""
table ip nat {
  chain DOCKER {
    iifname "docker0" return
    iifname != "docker0" tcp dport 8080 dnat to 172.17.0.2:80
  }
  chain PREROUTING { type nat hook prerouting priority -100; fib daddr type local jump DOCKER; }
  chain OUTPUT {
    type nat hook output priority -100;
    ip daddr != 127.0.0.0/8 fib daddr type local jump DOCKER
  }
  chain POSTROUTING {
    type nat hook postrouting priority 100;
    ip saddr 172.17.0.0/16 oifname != "docker0" masquerade
  }
}
table ip filter {
  chain DOCKER-USER { return; }
  chain FORWARD {
    type filter hook forward priority 0; policy drop;
    jump DOCKER-USER
    oifname "docker0" ct state established,related accept
  }
}
"""),
    "ufw's": nft("""
table ip filter {
  chain ufw-log { log prefix "[UFW BLOCK] "; }
  chain ufw-not-local {
    fib daddr type local return
    fib daddr type multicast return
    fib daddr type broadcast return
    limit rate 3/minute burst 10 packets jump ufw-log
    drop
  }
  chain ufw-user-input {
    tcp dport 22 ct state new limit rate over 6000/minute burst 600 packets reject
    tcp dport { 22, 2022, 2222, 8000 } accept
  }
  chain ufw-before-input {
    iifname "lo" accept
    ct state established,related accept
    ct state invalid drop
    icmp type echo-request accept
    udp sport 67 udp dport 68 accept
    jump ufw-not-local
    jump ufw-user-input
  }
  chain INPUT { type filter hook input priority 0; policy drop; jump ufw-before-input; }
  chain OUTPUT { type filter hook output priority 0; policy accept; }
}
table ip6 filter {
  chain INPUT {
    type filter hook input priority 0; policy drop;
    iifname "lo" accept
    rt type 0 drop
    ct state established,related accept
    meta l4proto ipv6-icmp accept
    tcp dport { 22, 2022, 2222, 8000 } accept
  }
}
"""),
    "fail2ban's": nft("""
table inet f2b-table {
  set addr-set-sshd { type ipv4_addr; elements = { 192.0.2.66, 192.0.2.67 }; }
  set addr6-set-sshd { type ipv6_addr; elements = { 2001:db8:bad::1 }; }
  chain f2b-chain {
    type filter hook input priority -1;
    tcp dport 22 ip saddr @addr-set-sshd reject
    tcp dport 22 ip6 saddr @addr6-set-sshd reject
  }
}
"""),
    "firewalld's": nft("""
table inet firewalld {
  chain raw {
    type filter hook prerouting priority -290;
    icmpv6 type { nd-router-advert, nd-neighbor-solicit } accept
    meta nfproto ipv6 fib saddr . mark . iif oif missing drop
  }
  chain zone {
    tcp dport { 22, 2022, 2222, 8000 } accept
    meta l4proto { icmp, ipv6-icmp } accept
  }
  chain input {
    type filter hook input priority 10;
    ct state { established, related } accept
    ct status dnat accept
    iifname "lo" accept
    ct state invalid drop
    jump zone
    reject
  }
}
"""),
    "a scrubbing table's": chain("inet scrub", "filter hook prerouting priority -300",
                                 "tcp flags & (fin | syn) == (fin | syn) drop",
                                 "numgen random mod 100000 99999 drop"),
    "a later table's": chain("inet later", "filter hook input priority 100", "tcp dport 23 drop",
                             'meta hour "03:00"-"03:01" drop'),
    "an ingress chain's": nft("""
table netdev at-the-door {
  chain c {
    type filter hook ingress device "eth0" priority -500;
    ether type arp accept
    ip saddr 192.0.2.66 drop
    ip6 saddr 2001:db8:bad::/48 drop
  }
}
"""),
    "a bridge's": nft("""
table bridge between {
  chain c {
    type filter hook input priority 0;
    ether type arp accept
  }
}
"""),
    "a zone's": nft("""
table inet zones {
  chain in { type filter hook prerouting priority raw; iifname "eth0" ct zone set 7; }
  chain out { type filter hook output priority raw; oifname "eth0" ct zone set 7; }
}
"""),
    "a marking table's": nft("""
table inet marks {
  chain in {
    type filter hook prerouting priority mangle;
    ct state new ct mark set 9
    meta mark set ct mark
  }
  chain out { type route hook output priority mangle; meta mark set ct mark; }
}
"""),
    "a synproxy's": nft("""
table inet shield {
  chain c {
    type filter hook input priority -5;
    tcp dport 8022 ct state invalid,untracked synproxy mss 1460 wscale 7 timestamp sack-perm
  }
}
"""),
}

REDIRECT = nft("""
table inet door {
  chain c { type nat hook prerouting priority dstnat; tcp dport 2022 redirect to :22; }
}
""")
TO_OTHER_ADDRESS = nft("""
table ip door {
  chain c {
    type nat hook prerouting priority dstnat;
    ip daddr 203.0.113.10 tcp dport 2022 dnat to 10.0.2.10:22
  }
}
""")
UNTRACKED = nft("""
table inet untracked {
  chain in { type filter hook prerouting priority raw; tcp dport 22 notrack; }
  chain out { type filter hook output priority raw; tcp sport 22 notrack; }
}
""")
SOURCE_CHANGED = nft("""
table ip hidden {
  chain c {
    type nat hook input priority 100;
    ip saddr 198.51.100.7 tcp dport 22 snat to 203.0.113.250
  }
}
""")


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


# -- tunnels --

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
    return stage.client.ask("much", str(seconds + 1)) == "yes"


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
                               text=True)
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


# -- leases and routes that end --

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


def at_the_client(program, *words):
    return lambda stage: start_program(stage, stage.client.pid, program, *words)


def leased(address, default):
    dad = "nodad" if ":" in address else ""

    def step(_stage):
        batch(None, [f"address replace {address} dev eth0 {dad} valid_lft 60 preferred_lft 60",
                     default])
    return step


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


# -- the rows --

def office(*networks):
    listed = ", ".join(f'"{each}"' for each in networks)
    return SITE.replace('office = ["198.51.100.0/24", "2001:db8:0ff1::/64", "link-local"]',
                        f"office = [{listed}]")


def named(*addresses):
    """Management is a name, and rolewall.lock says what it means."""
    listed = ", ".join(f'"{each}"' for each in addresses)
    site = SITE.replace('office = ["198.51.100.0/24", "2001:db8:0ff1::/64", "link-local"]',
                        'office = { names = ["bastion.example"] }')
    return f'{site}{LOCK}[names]\n"bastion.example" = [{listed}]\n'


def others():
    """Each of the well-known neighbours: what takes the session away beside it, what does not."""
    for name, table in BESIDE.items():
        yield Trial("beside other programs' tables", f"{name}, ssh for others", ELSEWHERE,
                    then=(table,))
        yield Trial("beside other programs' tables", f"{name}, IPv6, ssh for IPv4 alone",
                    ND + SSH.replace('"management"', '"198.51.100.0/24"'), then=(table,), come=V6)
    for name in ["Docker's", "ufw's", "fail2ban's"]:
        yield Trial("beside other programs' tables", f"{name}, no neighbour discovery", SSH,
                    then=(BESIDE[name],), come=V6, later=NEIGHBOURS)
        yield Trial("beside other programs' tables", f"{name}, an early drop",
                    RULES + dropped(early="true", **{"from": '"198.51.100.0/28"'}),
                    then=(BESIDE[name],), later=())


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


DNS = RULES + '[[outbound]]\nid = "dns"\nservice = "dns"\n'
FORWARDS = '[[forward]]\nid = "f"\nservice = "http"\nfrom = "office"\nto = "elsewhere"\n'


def translations():
    kind = "translated"
    red = {"come": (CLIENT_4, OWN_4, 2022), "then": (REDIRECT,)}
    yield Trial(kind, "redirected, ssh for others", ELSEWHERE, **red)
    yield Trial(kind, "redirected, the port is dropped early", RULES + dropped(
        early="true", service='"tcp/2022"'), later=(), **red)
    yield Trial(kind, "redirected, and a [[forward]]", RULES + FORWARDS, **red)
    yield Trial(kind, "redirected, IPv6, the port is dropped early", RULES + dropped(
        early="true", service='"tcp/2022"'), later=(), come=(CLIENT_6, OWN_6, 2022),
                then=(REDIRECT,))
    yield Trial(kind, "to another address, ssh for others", ELSEWHERE,
                come=(CLIENT_4, OWN_4, 2022), then=(TO_OTHER_ADDRESS,))
    yield Trial(kind, "to another address, dropped early", RULES + dropped(
        early="true", service='"tcp"', to='"203.0.113.10"'), later=(),
                come=(CLIENT_4, OWN_4, 2022), then=(TO_OTHER_ADDRESS,))
    own = '[[nat]]\nid = "door"\nservice = "tcp/2022"\n' \
          'new-destination = "203.0.113.10:22"\n'
    yield Trial(kind, "our own redirect goes", RULES, before=RULES + own,
                come=(CLIENT_4, OWN_4, 2022))
    yield Trial(kind, "our own redirect takes port 22", RULES +
                own.replace("tcp/2022", "tcp/22").replace(":22", ":8022"), later=(), ends="new")
    yield Trial(kind, "our own redirect takes it elsewhere", RULES +
                own.replace("tcp/2022", "tcp/22").replace("203.0.113.10:22", "10.0.2.77:22"))
    hidden = {"then": (SOURCE_CHANGED,), "site": office("198.51.100.0/24", "203.0.113.250")}
    yield Trial(kind, "its source is changed, ssh for that alone",
                ND + SSH.replace('"management"', '"203.0.113.250"'), **hidden)
    yield Trial(kind, "its source is changed, dropped early", RULES + dropped(
        early="true", **{"from": '"198.51.100.7"'}), later=(), **hidden)
    hidden = {"then": (SOURCE_CHANGED,), "site": office("203.0.113.250"),
              "before": ND + SSH.replace('"management"', '["management", "198.51.100.0/24"]')}
    yield Trial(kind, "its source is changed, management is what it comes to", RULES, **hidden)
    yield Trial(kind, "its source is changed, dropped in front", ND + dropped(
        **{"from": '"198.51.100.7"'}) + SSH.replace('"management"',
                                                    '["management", "198.51.100.0/24"]'), **hidden)
    kind = "without tracking"
    both = ND + SSH + '[[outbound]]\nid = "answers"\nservice = "tcp from 22"\nto = "office"\n'
    yield Trial(kind, "answers have no rule", RULES, before=both, then=(UNTRACKED,), later=())
    yield Trial(kind, "ssh for others", both.replace('from = "management"', 'from = "elsewhere"'),
                before=both, then=(UNTRACKED,), later=())
    yield Trial(kind, "IPv6, answers have no rule", RULES, before=both, then=(UNTRACKED,), later=(),
                come=V6)
    yield Trial(kind, "answers to others alone", both.replace('to = "office"', 'to = "elsewhere"'),
                before=both, then=(UNTRACKED,), later=())


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
    yield Trial(kind, "a ban of another administrator", verb=("ban", "192.0.2.9"), before=two,
                come=far, then=(open_own,), claims=lambda stage: stage.own_session, later=())


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
             "later": (path_is_forgotten,), "lives": much}
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


def opened(address):
    def step(stage):
        done = stage.rolewall("allow", "-p", "site", "ssh", "from", address, "--for", "1h",
                              "--state-dir", live_guard.STATE)
        if done.returncode != 0:
            raise LeftOut(done.stderr)
    return step


TRIALS = [trial for some in [rules, management, links, devices, translations, sessions, by_hand,
                             carriers, tunnels, others, lock_out_carriers.trials,
                             lock_out_keepers.trials]
          for trial in some()]
