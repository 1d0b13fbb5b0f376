"""Further rows of lock_outs.py: carriers of which not all can be seen (a VPN of two processes, a vxlan
that routes tell where to send, a peer that nothing tracks), and what our own source NAT carries."""

import os
import sys
import time

from live_guard import RULES, SITE, run
from lock_outs import CLIENT_4, OWN_4, Trial, batch, network_of, start_program
from lock_out_carriers import as_relayed, container, inbound, outbound

PEER = "192.0.2.9"  # one that stands for nobody else


# -- a VPN whose program that holds the tun device has no socket, as with separated privileges --

SPLIT = r"""
import ctypes, fcntl, os, select, signal, socket, struct, sys
own, other = sys.argv[1:3]
inner, outer = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
def pipe(here, there, take, give):
    while True:
        for ready in select.select([here, there], [], [])[0]:
            try:
                give(there.recv(4096)) if ready is there else there.send(take())
            except OSError:
                pass
if os.fork() == 0:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: it ends with the other
    inner.close()
    carrier = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    carrier.bind((own, 1194))
    print("ready", flush=True)
    pipe(carrier, outer, lambda: carrier.recv(4096), lambda data: carrier.sendto(data, (other, 1194)))
outer.close()
tun = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(tun, 0x400454ca, struct.pack("16sH22x", b"tun0", 0x1001))
pipe(tun, inner, lambda: os.read(tun, 4096), lambda data: os.write(tun, data))
"""


def split(stage):
    from lock_out_tunnels import addresses
    start_program(stage, None, SPLIT, OWN_4, CLIENT_4)
    start_program(stage, stage.client.pid, SPLIT, CLIENT_4, OWN_4)
    for _ in range(50):
        if run("ip", "link", "show", "tun0", check=False).returncode == 0:
            break
        time.sleep(0.1)
    addresses(stage, "tun0")


def told_by_routes(stage):
    """A vxlan that takes its other end from the route of each packet."""
    for pid, own, other, inner, beyond, mac in [
            (None, OWN_4, CLIENT_4, "10.8.0.1", "10.8.0.7", "02:00:00:00:00:01"),
            (stage.client.pid, CLIENT_4, OWN_4, "10.8.0.7", "10.8.0.1", "02:00:00:00:00:02")]:
        other_mac = mac[:-1] + ("2" if mac.endswith("1") else "1")
        batch(pid, ["link add t0 type vxlan dstport 4789 external", f"link set t0 address {mac}",
                    "link set t0 up", f"address add {inner}/32 dev t0",
                    f"route add {beyond}/32 encap ip id 7 src {own} dst {other} dev t0",
                    f"neigh add {beyond} lladdr {other_mac} dev t0"])


def early_drop(peer):
    return f'[[inbound]]\nid = "gone"\naction = "drop"\nearly = true\nservice = "udp"\nfrom = "{peer}"\n'


def both_ways(service, peer="any"):
    return inbound("carry", service, peer) + outbound("carry", service, peer)


def unseen():
    from lock_out_tunnels import IN_TUNNEL_4, TUNNEL_SITE
    from lock_out_ways import marked_routing, several_next_hops
    kind = "carriers that cannot be found"
    here = {"site": TUNNEL_SITE, "come": IN_TUNNEL_4, "waits": True, "says": "--confirm TIME"}
    vpn = {**here, "before": RULES + both_ways("udp/1194")}
    yield Trial(kind, "a VPN of two processes", RULES, set_up=(split,), **vpn)
    yield Trial(kind, "a VPN of two processes, beside ip rules", RULES,
                set_up=(split, marked_routing), **vpn)
    yield Trial(kind, "a VPN of two processes, beside several next hops", RULES,
                set_up=(split, several_next_hops), **vpn)
    yield Trial(kind, "a VPN of two processes, rollback", RULES, verb=("rollback",),
                set_up=(split, marked_routing), **vpn)
    yield Trial(kind, "a VPN of two processes, a ban of its other end", verb=("ban", CLIENT_4),
                set_up=(split,), later=(), **{**vpn, "says": "cannot be found"})
    kind = "a vxlan told by routes"
    told = {**here, "before": RULES + both_ways("udp/4789"), "set_up": (told_by_routes,),
            "waits": False, "says": f"carried by udp/4789 from {CLIENT_4}"}
    yield Trial(kind, "vxlan by routes, no rule", RULES, **told)
    yield Trial(kind, "vxlan by routes, rollback", RULES, verb=("rollback",), **told)
    yield Trial(kind, "vxlan by routes, an early drop", RULES + both_ways("udp/4789") + early_drop(
        CLIENT_4), later=(), **told)
    yield Trial(kind, "vxlan by routes, a ban of its other end", verb=("ban", CLIENT_4), later=(),
                **{**told, "says": "the other end of the tunnel t0"})


# -- a peer that nothing tracks --

def untracked(stage):
    stage.nft("""
table inet untracked {
  chain in { type filter hook prerouting priority raw; udp dport 1194 notrack; }
  chain out { type filter hook output priority raw; udp dport 1194 notrack; }
}
""")


def strangers():
    from lock_out_tunnels import IN_TUNNEL_4, TUNNEL_SITE, tun
    kind = "a peer that nothing tracks"
    everybody = RULES + both_ways("udp/1194")
    office = RULES + both_ways("udp/1194", "198.51.100.0/24")
    here = {"site": TUNNEL_SITE, "come": IN_TUNNEL_4, "set_up": (tun(OWN_4, PEER, "bound"),),
            "says": "--confirm TIME"}
    yield Trial(kind, "a first apply, for others", office, before=None, harmless=everybody, **here)
    yield Trial(kind, "a first apply, no rule", RULES, before=None, harmless=everybody, **here)
    yield Trial(kind, "a first apply, for him alone where he was somebody else", RULES + both_ways(
        "udp/1194", "192.0.2.10"), before=None, harmless=everybody, **here)
    yield Trial(kind, "later, for others", office, before=everybody, then=(untracked,), **here)
    yield Trial(kind, "later, rollback to others", office, verb=("rollback",), before=everybody,
                then=(untracked,), **here)


# -- a container that dials out, and is masqueraded by us --

HUB, DIALLED = "203.0.113.1", 9999
AGENT_WITHIN = r"""
import socket, sys, threading, time
print("ready", flush=True)
def copy(a, b):
    try:
        while data := a.recv(4096):
            b.sendall(data)
    except OSError:
        pass
while True:
    try:
        out = socket.create_connection((sys.argv[1], int(sys.argv[2])), 1)
        out.settimeout(None)
        inward = socket.create_connection(("172.17.0.1", 22))
    except OSError:
        time.sleep(0.3)
        continue
    with open(sys.argv[3], "w") as said:
        said.write("{} {} 172.17.0.1 22".format(*inward.getsockname()))
    for pair in ((out, inward), (inward, out)):
        threading.Thread(target=copy, args=pair, daemon=True).start()
    time.sleep(600)
"""
HUB_SOURCE = r"""
import socket, sys, threading
agents = socket.create_server((sys.argv[1], int(sys.argv[2])))
users = socket.create_server(("127.0.0.1", 2222))
print("ready", flush=True)
def copy(a, b):
    try:
        while data := a.recv(4096):
            b.sendall(data)
    except OSError:
        pass
agent, _ = agents.accept()
while True:
    user, _ = users.accept()
    for pair in ((agent, user), (user, agent)):
        threading.Thread(target=copy, args=pair, daemon=True).start()
"""
DIAL = r"""
import socket, sys
socket.create_connection((sys.argv[1], int(sys.argv[2])), float(sys.argv[3]))
"""


def hub(stage):
    container(stage)
    start_program(stage, stage.client.pid, HUB_SOURCE, HUB, str(DIALLED))


def agent_within(stage):
    """Once: its connection goes on beside each ruleset."""
    if hasattr(stage, "agent_within"):
        return
    stage.agent_within = start_program(stage, stage.container.pid, AGENT_WITHIN, HUB, str(DIALLED),
                                       os.path.abspath("relayed"))
    time.sleep(1.5)


def dials_from_within(stage, seconds):
    with network_of(stage.container.pid):
        return run(sys.executable, "-Sc", DIAL, HUB, str(DIALLED), str(min(seconds, 2)),
                   check=False).returncode == 0


def masqueraded():
    kind = "our own source NAT"
    masquerade = '[[nat]]\nid = "out"\nfrom = "172.17.0.0/16"\nout = "public"\n' \
                 'new-source = "masquerade"\n'
    back = RULES + '[[forward]]\nid = "back"\nfrom = "172.17.0.2"\nto = "any"\n'
    here = {"site": SITE.replace('"link-local"]', '"link-local", "172.17.0.2"]'),
            "before": back + masquerade, "set_up": (hub,), "then": (agent_within,),
            "come": ("127.0.0.1", "127.0.0.1", 2222), "claims": as_relayed, "later": (),
            "lives": dials_from_within, "says": "source address 172.17.0.2"}
    yield Trial(kind, "masquerade goes", back, **here)
    yield Trial(kind, "masquerade goes, rollback", back, verb=("rollback",), **here)
    yield Trial(kind, "masquerade goes, disable", verb=("disable",), **here)
    yield Trial(kind, "another source that is nobody's", back + masquerade.replace(
        '"masquerade"', '"192.0.2.200"'), **{**here, "says": "source address 192.0.2.200"})
    yield Trial(kind, "masquerade for others alone", back + masquerade.replace(
        "172.17.0.0/16", "172.17.9.0/24"), harmless=back + masquerade.replace(
            '"masquerade"', f'"{OWN_4}"'), **here)


def trials():
    for some in [unseen, strangers, masqueraded]:
        yield from some()
