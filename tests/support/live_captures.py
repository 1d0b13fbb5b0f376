"""Scenes for tests/cli/eval_captures.sh: captures where a user takes them (as tcpdump does, by packet
sockets), on a gateway that translates, on a router with one device, on the loopback. What rolewall
says of a packet for certain must be what the live kernel did with it."""

import json
import os
import select
import socket
import struct
import subprocess
import sys
import threading
import time

from live_guard import PROGRAM, STATE, Client, run
from scene import check, finish, put_beyond

OUTSIDE, GATEWAY, GATEWAY_INSIDE, INSIDE = "203.0.113.1", "203.0.113.10", "10.0.9.1", "10.0.9.2"
OPEN, SHUT, REDIRECTED, PUBLISHED = 2200, 2300, 2400, 2500
TOLD = 2600  # admitted as OPEN is, and nobody listens
# This host joins the first of each family on its devices, and one on the loopback; the kernel joins all
# hosts' by itself. Reports of members go to the last, which nobody joins.
ON_DEVICES, ON_LOOPBACK, ALL_HOSTS = ("239.1.1.1", "ff15::1"), "239.1.1.3", ("224.0.0.1", "ff02::1")
NOT_JOINED, REPORTS = ("239.1.1.2", "ff15::2"), ("224.0.0.22", "ff02::16")
GROUPS = ON_DEVICES + ALL_HOSTS + NOT_JOINED
PACKET_OUTGOING = 4
ICMPV6 = 58
COOKED = 113  # LINKTYPE_LINUX_SLL
ETHERNET = 1

FILTER = f"""
table inet filter {{
  chain input {{
    type filter hook input priority 0; policy drop;
    ct state established,related accept
    tcp dport {OPEN} accept
    udp dport {{ {OPEN}, {TOLD} }} accept
    icmp type echo-request accept
  }}
  chain forward {{
    type filter hook forward priority 0; policy drop;
    ct state established,related accept
    tcp dport {OPEN} ct state new accept
    udp dport {{ {OPEN}, {TOLD} }} accept
    icmp type echo-request accept
  }}
  chain output {{
    type filter hook output priority 0; policy drop;
    ct state established,related accept
    tcp dport {OPEN} accept
    udp dport {{ {OPEN}, {TOLD} }} accept
    icmp type echo-request accept
  }}
}}
"""
# The same, and whoever asks for SHUT is told.
TELLS = f"tcp dport {SHUT} reject with tcp reset\n    udp dport {SHUT} reject\n"
REJECTING = FILTER.replace("    icmp type echo-request accept\n", f"    icmp type echo-request accept\n    {TELLS}")
# Before all else, on one device: the answer passes no chain of the host's.
REJECTING_EARLY = f"""
table netdev early {{
  chain outside {{
    type filter hook ingress device eth0 priority 0;
    {TELLS}
  }}
}}
"""
TRANSLATE = f"""
table ip nat {{
  chain before {{
    type nat hook prerouting priority -100;
    tcp dport {REDIRECTED} redirect to :{OPEN}
    udp dport {REDIRECTED} redirect to :{OPEN}
    ip daddr {GATEWAY} tcp dport {PUBLISHED} dnat to {INSIDE}:{OPEN}
  }}
  chain own {{
    type nat hook output priority -100;
    ip daddr 127.0.0.1 tcp dport {REDIRECTED} redirect to :{OPEN}
  }}
  chain behind {{
    type nat hook postrouting priority 100;
    ip saddr 10.0.9.0/24 oifname "eth0" masquerade
  }}
}}
"""
SEEN = "table inet seen {\n" + "".join(
    f"  counter {name} {{}}\n" for name in ("member", "stranger")) + f"""
  chain input {{
    type filter hook input priority -10;
    ip daddr {{ {ON_DEVICES[0]}, {ON_LOOPBACK}, {ALL_HOSTS[0]} }} udp dport {TOLD} counter name member
    ip6 daddr {{ {ON_DEVICES[1]}, {ALL_HOSTS[1]} }} udp dport {TOLD} counter name member
    ip daddr {{ {NOT_JOINED[0]}, {REPORTS[0]} }} counter name stranger
    ip6 daddr {{ {NOT_JOINED[1]}, {REPORTS[1]} }} counter name stranger
  }}
}}
"""
REDIRECT = f"""
table ip nat {{
  chain before {{
    type nat hook prerouting priority -100;
    tcp dport {REDIRECTED} redirect to :{OPEN}
    udp dport {REDIRECTED} redirect to :{OPEN}
  }}
}}
"""


class Tap:
    """What tcpdump writes of one device: of the loopback, as libpcap does, each packet once."""

    def __init__(self, device):
        self.device = device
        self.frames = []
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self.socket.bind((device, 0))
        self.going = True
        self.thread = threading.Thread(target=self.listen, daemon=True)
        self.thread.start()

    def listen(self):
        while self.going:
            if not select.select([self.socket], [], [], 0.05)[0]:
                continue
            frame, (_, _, kind, _, _) = self.socket.recvfrom(70000)
            if self.device == "lo" and kind == PACKET_OUTGOING:
                continue
            # IPv6's discovery of neighbours comes when it likes.
            if frame[12:14] == b"\x08\x00" or (frame[12:14] == b"\x86\xdd" and frame[20] != ICMPV6):
                self.frames.append((time.time_ns(), kind, frame))

    def close(self):
        time.sleep(0.2)
        self.going = False
        self.thread.join()
        self.socket.close()

    def write(self, path, link):
        with open(path, "wb") as file:
            file.write(struct.pack("<IHHIIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, link))
            for at, kind, frame in self.frames:
                if link == COOKED:
                    frame = struct.pack("!HHH8s", kind, 1, 6, frame[6:12]) + frame[12:]
                file.write(struct.pack("<IIII", at // 10**9, at % 10**9 // 1000, len(frame), len(frame)) + frame)


def serve(port):
    """Each connection's bytes come back, and each datagram."""
    server = socket.create_server(("", port))
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagrams.bind(("", port))

    def each(connection):
        while said := connection.recv(4096):
            connection.sendall(said)
        connection.close()

    def accept():
        while True:
            threading.Thread(target=each, args=(server.accept()[0],), daemon=True).start()

    def answer():
        while True:
            data, peer = datagrams.recvfrom(4096)
            datagrams.sendto(data, peer)

    for body in (accept, answer):
        threading.Thread(target=body, daemon=True).start()


def talk(address, port, kind):
    """Whether it is answered, in a connection of its own that is closed in the end."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM) as own:
        own.settimeout(0.4)
        try:
            own.connect((address, port))
            for _ in range(2):
                own.send(b"hello")
                if own.recv(64) != b"hello":
                    return "other"
        except OSError:
            return "nothing"
    return "yes"


def join(device, groups):
    """For as long as what it returns is kept."""
    index = socket.if_nametoindex(device)
    members = []
    for group in groups:
        ipv6 = ":" in group
        family, level = (socket.AF_INET6, socket.IPPROTO_IPV6) if ipv6 else (socket.AF_INET, socket.IPPROTO_IP)
        members.append(socket.socket(family, socket.SOCK_DGRAM))
        how = (socket.inet_pton(family, group) + struct.pack("=I", index) if ipv6
               else socket.inet_aton(group) + struct.pack("=4xI", index))
        option = socket.IPV6_JOIN_GROUP if ipv6 else socket.IP_ADD_MEMBERSHIP
        members[-1].setsockopt(level, option, how)
    return members


def tell_groups(device, groups):
    """A datagram to each port of each group, by that device; to those of reports a member's report."""
    index = socket.if_nametoindex(device)
    for group in groups:
        ipv6 = ":" in group
        family = socket.AF_INET6 if ipv6 else socket.AF_INET
        to = (lambda port: (group, port, 0, index)) if ipv6 else (lambda port: (group, port))
        kind, protocol = (socket.SOCK_DGRAM, 0)
        if group in REPORTS:
            kind, protocol = socket.SOCK_RAW, ICMPV6 if ipv6 else socket.IPPROTO_IGMP
        with socket.socket(family, kind, protocol) as own:
            if ipv6:
                own.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
            else:
                own.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, struct.pack("=8xI", index))
            if group not in REPORTS:
                for port in (TOLD, SHUT):
                    try:
                        own.sendto(b"hello", to(port))
                    except PermissionError:
                        pass  # an output chain's drop
            elif ipv6:  # with a router alert, and the kernel's checksum
                own.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_HOPOPTS, bytes([ICMPV6, 0, 5, 2, 0, 0, 1, 0]))
                own.sendto(bytes([143, 0, 0, 0, 0, 0, 0, 0]), to(0))
            else:
                own.sendto(bytes([0x22, 0, 0xDD, 0xFF, 0, 0, 0, 0]), to(0))
    return "done"


class Host(Client):
    def do(self, what, words, held):
        if what == "tell_groups":
            return tell_groups(words[0], words[1:])
        if what == "serve":
            serve(OPEN)
            return "done"
        if what == "talk":
            return talk(words[0], int(words[1]), words[2])
        return super().do(what, words, held)


def load(*texts):
    run("nft", "flush", "ruleset")
    for text in (SEEN, *texts):
        done = subprocess.run(["nft", "-f", "-"], input=text, text=True, capture_output=True)
        if done.returncode != 0:
            sys.exit(done.stderr)


def forget_connections():
    """Every entry of this network namespace (IPCTNL_MSG_CT_DELETE without a tuple)."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12) as kernel:
        kernel.send(struct.pack("=IHHII4x", 20, 1 << 8 | 2, 1 | 4, 1, 0))
        kernel.recv(4096)


def became(packet, device, denied, early):
    """What the kernel did with it: SHUT alone is admitted nowhere, and nobody answers from there; what goes to
    a group that the device has not joined never comes to input, but to a chain of the device's."""
    to = packet.split("> ")[1].split()[0]
    group = to[1:to.index("]")] if "]" in to else to.rsplit(":", 1)[0] if to.count(":") == 1 else to
    stays_out = NOT_JOINED + REPORTS + (ON_DEVICES if device == "lo" else ())
    if group in stays_out and " out=" not in packet and not (early and to.endswith(f":{SHUT}")):
        return "stack"
    return denied if to.endswith(f":{SHUT}") else "accept"


def check_members(scene):
    """What the kernel's input hook has seen of groups."""
    counters = json.loads(run("nft", "-j", "list", "counters", "table", "inet", "seen").stdout)["nftables"]
    seen = {entry["counter"]["name"]: entry["counter"]["packets"] for entry in counters if "counter" in entry}
    check(seen["member"] > 0 and seen["stranger"] == 0, f"{scene}: input has seen of groups {seen}")


def judge(scene, tap, certain, denied="drop", early=False):
    """Each of the capture's packets, in both kinds of file, and in such as were begun later;
    `certain`: so many answers at least, of the whole one."""
    run(PROGRAM, "dump", "-o", "live.json", "--state-dir", STATE)
    frames = tap.frames
    for begin in (1, 2, 5, len(frames) // 2):
        tap.frames = frames[begin:]
        judge_file(f"{scene}, from packet {begin + 1} on", tap, ETHERNET, 0, denied, early)
    tap.frames = frames
    for link in (ETHERNET, COOKED):
        judge_file(scene, tap, link, certain, denied, early)


def judge_file(scene, tap, link, certain, denied, early):
    tap.write("taken.pcap", link)
    done = subprocess.run(
        [PROGRAM, "eval", "--ruleset", "live.json", "--pcap", "taken.pcap", "--in", tap.device,
         "--format", "json"], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{scene}: {done.stderr}")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    told = {"certain": 0, "conditional": 0, "passed over": 0}
    for line in lines[:-1]:
        where = f"{scene}, {tap.device}, link {link}: {line.get('packet', line)}"
        if "passed_over" in line:
            told["passed over"] += 1
        elif line["verdict"] in ("conditional", "undecided"):
            told["conditional"] += 1
        else:
            told["certain"] += 1
            check(line["verdict"] == became(line["packet"], tap.device, denied, early),
                  f"{where}: {line['verdict']} ({line.get('reason', line.get('decided_by'))})")
    print(f"{scene}, {tap.device}, link {link}: {len(tap.frames)} packets, {told}")
    check(told["certain"] >= certain, f"{scene}, {tap.device}: only {told} of {len(tap.frames)}")


def everybody_talks(outside, inside, to_inside, devices=("eth0", "eth1")):
    answers = []
    for kind in ("tcp", "udp"):
        for port in (OPEN, SHUT):
            answers.append(outside.ask("talk", GATEWAY, port, kind))
            answers.append(inside.ask("talk", OUTSIDE, port, kind))
            answers.append(talk(OUTSIDE, port, kind))
            answers.append(talk(INSIDE, port, kind))
            answers.append(outside.ask("talk", to_inside, port, kind))
    check(answers.count("yes") >= 8, f"hardly anybody is answered: {answers}")
    outside.ask("tell_groups", "eth0", *GROUPS, *REPORTS)
    inside.ask("tell_groups", "eth1", *GROUPS, *REPORTS)
    for device in devices:
        tell_groups(device, GROUPS)


def gateway(outside, inside):
    for texts, scene in (((FILTER,), "a router"), ((FILTER, TRANSLATE), "a gateway that translates"),
                         ((FILTER, REDIRECT), "a host that redirects"),
                         ((REJECTING,), "a router that rejects"),
                         ((FILTER, REJECTING_EARLY), "a router with a netdev chain that rejects")):
        load(*texts)
        for device in ("eth0", "eth1"):
            forget_connections()
            tap = Tap(device)
            everybody_talks(outside, inside, INSIDE)
            if TRANSLATE in texts or REDIRECT in texts:
                for kind in ("tcp", "udp"):
                    answer = outside.ask("talk", GATEWAY, REDIRECTED, kind)
                    check(answer == "yes", f"{scene}: redirected {kind}: {answer}")
            if TRANSLATE in texts:
                answer = outside.ask("talk", GATEWAY, PUBLISHED, "tcp")
                check(answer == "yes", f"{scene}: published: {answer}")
            tap.close()
            check_members(scene)
            # What leaves there may have been another's, or for another.
            tells = REJECTING in texts or (REJECTING_EARLY in texts and device == "eth0")
            judge(scene, tap, certain={1: len(tap.frames), 2: 3}[len(texts)],
                  denied="reject" if tells else "drop", early=tells and REJECTING_EARLY in texts)


def loopback():
    serve(OPEN)
    for texts, scene in (((FILTER,), "the loopback"), ((FILTER, TRANSLATE), "the loopback, redirected")):
        load(*texts)
        forget_connections()
        tap = Tap("lo")
        for address in ("127.0.0.1", GATEWAY):
            for kind in ("tcp", "udp"):
                check(talk(address, OPEN, kind) == "yes", f"{scene}: {address} {kind}")
        if len(texts) > 1:
            check(talk("127.0.0.1", REDIRECTED, "tcp") == "yes", f"{scene}: not redirected")
        tell_groups("lo", [group for group in (*GROUPS, ON_LOOPBACK) if ":" not in group])
        tap.close()
        check_members(scene)
        judge(scene, tap, certain=0 if len(texts) > 1 else len(tap.frames))


def one_device(outside, inside):
    """The same two hosts, and this one, on one wire: it forwards by the device that it came by."""
    load(FILTER)
    forget_connections()
    tap = Tap("eth0")
    everybody_talks(outside, inside, INSIDE, ["eth0"])
    tap.close()
    check_members("a router with one device")
    judge("a router with one device", tap, certain=len(tap.frames) // 2)
    load(FILTER, TRANSLATE)
    forget_connections()
    tap = Tap("eth0")
    everybody_talks(outside, inside, INSIDE, ["eth0"])
    outside.ask("talk", GATEWAY, PUBLISHED, "tcp")
    tap.close()
    judge("a gateway with one device", tap, certain=3)


def settings():
    run("sysctl", "-qw", "net.ipv4.ip_forward=1")
    for where in ("all", "default", "eth0", "eth1"):
        for key in ("rp_filter", "send_redirects", "accept_redirects"):
            run("sysctl", "-qw", f"net.ipv4.conf.{where}.{key}=0", check=False)


def main():
    outside, inside = put_beyond("eth0", Host()), put_beyond("eth1", Host())
    run("ip", "address", "add", f"{GATEWAY}/24", "dev", "eth0")
    run("ip", "address", "add", f"{GATEWAY_INSIDE}/24", "dev", "eth1")
    outside.must("ip", "address", "add", f"{OUTSIDE}/24", "dev", "eth0")
    inside.must("ip", "address", "add", f"{INSIDE}/24", "dev", "eth1")
    outside.must("ip", "route", "add", "10.0.9.0/24", "via", GATEWAY)
    inside.must("ip", "route", "add", "default", "via", GATEWAY_INSIDE)
    settings()
    outside.ask("serve")
    inside.ask("serve")
    members = [join("eth0", ON_DEVICES), join("eth1", ON_DEVICES), join("lo", [ON_LOOPBACK])]
    loopback()
    gateway(outside, inside)
    finish_with = [outside, inside]

    # A switch: the inner host's cable and the outer's are one with eth0's.
    run("ip", "link", "delete", "eth0")
    run("ip", "link", "delete", "eth1")
    switch = Host()
    finish_with.append(switch)
    switch.must("ip", "link", "add", "name", "wire", "type", "bridge")
    switch.must("ip", "link", "set", "wire", "up")
    for name, host in (("own", None), ("out", outside), ("in", inside)):
        to = str(os.getpid() if host is None else host.pid)
        device = "eth1" if name == "in" else "eth0"
        run("ip", "link", "add", device, "netns", to, "type", "veth", "peer", "name", name, "netns",
            str(switch.pid))
        switch.must("ip", "link", "set", name, "master", "wire")
        switch.must("ip", "link", "set", name, "up")
        (run if host is None else host.must)("ip", "link", "set", device, "up")
    for address in (f"{GATEWAY}/24", f"{GATEWAY_INSIDE}/24"):
        run("ip", "address", "add", address, "dev", "eth0")
    outside.must("ip", "address", "add", f"{OUTSIDE}/24", "dev", "eth0")
    outside.must("ip", "route", "add", "10.0.9.0/24", "via", GATEWAY)
    inside.must("ip", "address", "add", f"{INSIDE}/24", "dev", "eth1")
    inside.must("ip", "route", "add", "default", "via", GATEWAY_INSIDE)
    settings()
    members.append(join("eth0", ON_DEVICES))
    one_device(outside, inside)
    finish(*finish_with)


main()
