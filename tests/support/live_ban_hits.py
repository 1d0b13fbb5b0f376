"""Scenes for tests/cli/ban_hits.sh: what a session lives on beside its own connection, and whether a ban of it
is refused: who speaks UDP to a relay, who lends the address, who shares it, who tells routes, whom the own
resolver asks, who comes to a VPN's relay, and who serves the shell by UDP or behind a Unix socket."""

import subprocess
import sys
import time

from live_guard import PROGRAM, RULES, STATE, Scene, joined_client, run, serve_echo
from lock_outs import flush_connections, start_program
from scene import check, finish

OWN, OTHER, STRANGER, UNANSWERED = "203.0.113.10", "203.0.113.3", "203.0.113.77", "203.0.113.78"

# Sends to a port from one, some times, and waits for each answer.
SPEAKS = r"""
import socket, sys
own, port, to, its = sys.argv[1:]
speaker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
speaker.bind((own, int(port)))
speaker.connect((to, int(its)))
speaker.settimeout(0.5)
for _ in range(3):
    try:
        speaker.send(b"?")
        speaker.recv(9)
    except OSError:
        pass
print("ready", flush=True)
speaker.settimeout(None)
while True:
    try:
        speaker.recv(9)
    except OSError:
        pass
"""
# Answers each; of one address nothing. With a port to relay to, by TCP.
ANSWERS = r"""
import socket, sys
name, address, port, *relays = sys.argv[1:]
open("/proc/self/comm", "w").write(name)
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind((address, int(port)))
to = socket.create_connection(("127.0.0.1", int(relays[0]))) if relays else None
print("ready", flush=True)
print(to.getsockname()[1] if to else 0, flush=True)
while True:
    data, who = server.recvfrom(99)
    if not who[0].endswith(".78"):
        server.sendto(data, who)
"""
# Of a protocol of IP, to its group.
TELLS = r"""
import socket, sys, time
own, group, number = sys.argv[1:]
own, there = socket.inet_aton(own), socket.inet_aton(group)
speaker = socket.socket(socket.AF_INET, socket.SOCK_RAW, int(number))
speaker.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, there + own)
speaker.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, own)
speaker.sendto(b"hello", (group, 0))
print("ready", flush=True)
while True:
    time.sleep(1)
    speaker.sendto(b"hello", (group, 0))
"""
# A resolver of this host's, which asks another.
FORWARDS = r"""
import socket, sys
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", 53))
asks = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
asks.sendto(b"?", (sys.argv[1], 53))
asks.recv(9)
print("ready", flush=True)
server.recv(9)
"""
# The end of a VPN by TCP, of which the packets go nowhere.
VPN = r"""
import fcntl, os, socket, struct
tun = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(tun, 0x400454ca, struct.pack("16sH22x", b"tun0", 0x1001))
server = socket.create_server(("127.0.0.1", 1194))
print("ready", flush=True)
held = server.accept()[0]
server.accept()
"""
RELAY = r"""
import socket, sys
open("/proc/self/comm", "w").write("sslh")
server = socket.create_server((sys.argv[1], 443))
print("ready", flush=True)
held = server.accept()[0]
to = socket.create_connection(("127.0.0.1", 1194))
server.accept()
"""
# Runs a command on a terminal, for who has spoken to it.
SHELL = r"""
import os, pty, socket, sys
way, *command = sys.argv[1:]
open("/proc/self/comm", "w").write(way)
if way == "ssh3":
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("203.0.113.10", 40443))
    print("ready", flush=True)
    data, who = server.recvfrom(9)
    server.sendto(data, who)
    server.recvfrom(9)
else:
    behind = socket.socket(socket.AF_UNIX)
    behind.bind("\0/run/rolewall-test-et")
    behind.listen()
    server = socket.create_server(("203.0.113.10", 2022))
    print("ready", flush=True)
    who = server.accept()[0]
    if os.fork() == 0:
        open("/proc/self/comm", "w").write("etserver")
        held = behind.accept()[0]
        held.recv(1)
        os._exit(0)
    who.close()
    server.close()
    behind.close()
    to = socket.socket(socket.AF_UNIX)
    to.connect("\0/run/rolewall-test-et")
child, terminal = pty.fork()
if child == 0:
    os.execvp(command[0], command)
said = b""
try:
    while data := os.read(terminal, 4096):
        said += data
except OSError:
    pass
status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
print(status, said.decode(errors="replace").replace("\r\n", " "), flush=True)
"""


def ban(address, session=None, scene=None):
    return scene.rolewall("ban", address, "--for", "1m", "--state-dir", STATE, session=session)


def refused(what, done, *texts):
    check(done.returncode == 1, f"{what}: exit status {done.returncode}\n{done.stdout}{done.stderr}")
    for text in texts:
        check(text in done.stderr, f"{what}: nothing is said of {text}\n{done.stderr}")


def end(scene):
    for process in scene.processes:
        process.kill()
        process.wait()
    scene.processes.clear()
    flush_connections(scene)


def relay_by_udp(scene, at_client):
    """Its port is one that the kernel draws, and the other end's is the same."""
    relay = start_program(scene, None, ANSWERS, "tailscaled", "0.0.0.0", "41641", "22")
    session = f"127.0.0.1 {relay.stdout.readline().strip()} 127.0.0.1 22"
    at_client(SPEAKS, OTHER, "41641", OWN, "41641")
    refused("a relay by UDP", ban(OTHER, session, scene), "tailscaled, which relays the session from 127.0.0.1")
    at_client(SPEAKS, UNANSWERED, "999", OWN, "41641")
    refused("beside who is not answered", ban(OTHER, session, scene), "what carries the session")
    done = ban(UNANSWERED, session, scene)
    check(done.returncode == 0, f"who is not answered: {done.stderr}")
    at_client(SPEAKS, STRANGER, "41641", OWN, "41641")
    for other in [OTHER, STRANGER]:
        refused(f"one of two, {other}", ban(other, session, scene), "tailscaled, which relays the session")


def lease(scene, at_client):
    at_client(ANSWERS, "dhcpd", "203.0.113.2", "67")
    run("ip", "address", "change", f"{OWN}/24", "dev", "eth0", "valid_lft", "3000", "preferred_lft", "3000")
    start_program(scene, None, SPEAKS, OWN, "68", "203.0.113.2", "67")
    refused("who has lent the address", ban("203.0.113.2", None, scene), "this host's address is lent by (DHCP)")
    run("ip", "address", "change", f"{OWN}/24", "dev", "eth0", "valid_lft", "forever", "preferred_lft", "forever")


def neighbours(scene, at_client):
    for name, group, number in [("VRRP", "224.0.0.18", "112"), ("OSPF", "224.0.0.5", "89")]:
        start_program(scene, None, TELLS, OWN, group, number)
        at_client(TELLS, OTHER, group, number)
        time.sleep(0.1)
        refused(name, ban(OTHER, None, scene), f"a neighbour that this host speaks {name} with")
        end(scene)


def resolver(scene, at_client):
    with open("resolv.conf", "w", encoding="ascii") as file:
        file.write("nameserver 127.0.0.1\n")
    run("mount", "--bind", "resolv.conf", "/etc/resolv.conf")
    at_client(ANSWERS, "named", "203.0.113.53", "53")
    start_program(scene, None, FORWARDS, "203.0.113.53")
    refused("whom the resolver asks", ban("203.0.113.53", None, scene), "this host's own resolver asks")
    run("umount", "/etc/resolv.conf")


def vpn(scene, _at_client):
    start_program(scene, None, VPN)
    run("ip", "address", "add", "10.88.0.1/24", "dev", "tun0")
    run("ip", "link", "set", "tun0", "up")
    start_program(scene, None, RELAY, OWN)
    answer = scene.client.ask("open", OTHER, OWN, "443")
    check(answer.startswith("port"), f"the VPN is not reached: {answer}")
    time.sleep(0.2)
    session = "10.88.0.2 4444 10.88.0.1 22"
    refused("a VPN behind a relay", ban(OTHER, session, scene), "what relays the tunnel tun0")
    scene.client.ask("close")


def shells(scene, at_client):
    environment = ["env", "-u", "SSH_CONNECTION", "-u", "DISPLAY"]
    verbs = {"ban": [PROGRAM, "ban", OTHER, "--state-dir", STATE],
             "apply": [PROGRAM, "apply", "narrow", "--host", "srv", "--no-confirm", "--state-dir", STATE]}
    for way, what in [("ssh3", "ssh3, which serves this shell"),
                      ("etterminal", "etserver, to which etterminal, which serves this shell, is connected")]:
        for verb, command in verbs.items():
            shell = start_program(scene, None, SHELL, way, *environment, *command)
            if way == "ssh3":
                at_client(SPEAKS, OTHER, "50001", OWN, "40443")
            else:
                scene.client.ask("open", OTHER, OWN, "2022")
            said = shell.stdout.read()
            check(said.startswith("1 ") and what in said, f"{verb} in a shell of {way}: {said}")
            scene.client.ask("close")
            end(scene)


def main():
    client = joined_client(["eth0"])
    run("ip", "address", "add", f"{OWN}/24", "dev", "eth0")
    for each in ["203.0.113.1", "203.0.113.2", OTHER, "203.0.113.53", STRANGER, UNANSWERED]:
        client.must("ip", "address", "add", f"{each}/24", "dev", "eth0")
    run("ip", "route", "add", "default", "via", "203.0.113.1")
    with open("/proc/self/comm", "w", encoding="ascii") as comm:
        comm.write("sshd")
    serve_echo(22)
    scene = Scene(client)
    scene.processes = []
    open_all = RULES + "".join(
        f'[[{chain}]]\nid = "{chain}"\nservice = ["tcp", "udp", "protocol/112", "protocol/89"]\n{end} = "any"\n'
        for chain, end in [("inbound", "from"), ("outbound", "to")])
    scene.begin(RULES)
    subprocess.run(["mv", "site", "narrow"], check=True)
    scene.begin(open_all)
    for each in [relay_by_udp, lease, neighbours, resolver, vpn, shells]:
        each(scene, lambda program, *words: start_program(scene, client.pid, program, *words))
        end(scene)
    # Of all that nothing is left.
    for address in [OTHER, STRANGER]:
        done = ban(address, None, scene)
        check(done.returncode == 0, f"nothing hangs on {address} any more: {done.stderr}")
    finish(client)


main()
