"""Scenes for tests/cli/guard_tunnels.sh: an administrator who comes in through a tunnel."""

import subprocess
import sys

from live_guard import RULES, Scene, joined_client, run, serve_echo

SERVER, CLIENT = "192.0.2.10", "192.0.2.7"

SITE = """
[site]
name = "s"
management = "tunnel"
[defaults]
inbound = "drop"
outbound = "reject"
[networks]
tunnel = ["10.8.0.0/24"]
[hosts.srv]
role = "server"
addresses = ["192.0.2.10", "10.8.0.1"]
"""


def rule(direction, service, peer="192.0.2.7"):
    word = "from" if direction == "inbound" else "to"
    return f'[[{direction}]]\nid = "carry"\nservice = "{service}"\n{word} = "{peer}"\n'


TUN_SOURCE = r"""
import fcntl, os, select, socket, struct, sys
own, other, connected = sys.argv[1], sys.argv[2], sys.argv[3] == "connected"
tun = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(tun, 0x400454ca, struct.pack("16sH22x", b"tun0", 0x1001))
carrier = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
carrier.bind((own, 1194))
if connected:
    carrier.connect((other, 1194))
open("/proc/self/comm", "w").write("tunneld")
carrier.sendto(b"hello", (other, 1194)) if not connected else carrier.send(b"hello")
print("ready", flush=True)
while True:
    for ready in select.select([tun, carrier], [], [])[0]:
        try:
            if ready == tun:
                packet = os.read(tun, 4096)
                carrier.send(packet) if connected else carrier.sendto(packet, (other, 1194))
            else:
                os.write(tun, carrier.recv(4096))
        except OSError:
            pass
"""


class Tun:
    """A program of one's own that holds a tun device and a UDP socket, on either side."""

    kind = "tun"
    service = "udp/1194"

    def __init__(self, scene, connected):
        self.processes = []
        words = ["connected" if connected else "bound"]
        ours = [sys.executable, "-c", TUN_SOURCE, SERVER, CLIENT, *words]
        theirs = ["nsenter", "-t", str(scene.client.pid), "-n", sys.executable, "-c", TUN_SOURCE,
                  CLIENT, SERVER, *words]
        for command in [ours, theirs]:
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                       text=True)
            self.processes.append(process)
            if process.stdout.readline().strip() != "ready":
                raise OSError(process.stderr.read())
        self.device = "tun0"

    def end(self):
        for process in self.processes:
            process.kill()
            process.wait()


class Kernels:
    """A tunnel of the kernel's."""

    def __init__(self, scene, kind, service, words):
        self.scene = scene
        self.kind = kind
        self.service = service
        self.device = "t0"
        from_here, from_there = [["local", own] if kind != "geneve" else []
                                 for own in (SERVER, CLIENT)]
        made = run("ip", "link", "add", "t0", "type", kind, *from_here, "remote", CLIENT, *words,
                   check=False)
        if made.returncode != 0:
            raise OSError(made.stderr)
        scene.client.must("ip", "link", "add", "t0", "type", kind, *from_there, "remote", SERVER,
                          *words)

    def end(self):
        run("ip", "link", "del", "t0", check=False)
        self.scene.client.ask("run", "ip", "link", "del", "t0")


def through(scene, tunnel):
    for words in [["ip", "address", "add", "10.8.0.1/24", "dev", tunnel.device],
                  ["ip", "link", "set", tunnel.device, "up"]]:
        run(*words)
    for words in [["ip", "address", "add", "10.8.0.7/24", "dev", tunnel.device],
                  ["ip", "link", "set", tunnel.device, "up"]]:
        scene.client.must(*words)
    inbound, outbound = rule("inbound", tunnel.service), rule("outbound", tunnel.service)
    new = ("10.8.0.7", "10.8.0.1", 22)
    for name, rules, status, texts in [
            ("no rule", RULES, 1, [f"the tunnel {tunnel.device} ({tunnel.kind})", tunnel.service]),
            ("inbound alone", RULES + inbound, 1, ["[[outbound]] rule with service"]),
            ("outbound alone", RULES + outbound, 1, ["[[inbound]] rule with service"]),
            ("for another peer", RULES + rule("inbound", tunnel.service, "192.0.2.99") + outbound,
             1, []),
            ("both directions", RULES + inbound + outbound, 0, [])]:
        scene.begin(None)
        session = scene.open(source="10.8.0.7", to="10.8.0.1")
        scene.write_site(rules, SITE)
        done = scene.apply(session=session)
        scene.expect(f"{tunnel.kind}, a first apply, {name}", done, status, texts,
                     new=new if status == 0 else None)
    scene.write_site(RULES + inbound, SITE)
    scene.expect(f"{tunnel.kind}, later, a rule less", scene.apply(session=session), 1)


def main():
    client = joined_client(["eth0"])
    run("ip", "address", "add", f"{SERVER}/24", "dev", "eth0")
    client.must("ip", "address", "add", f"{CLIENT}/24", "dev", "eth0")
    scene = Scene(client)
    serve_echo(22)
    run("sh", "-c", "sleep 1")
    for name, make in [
            ("tun, connected", lambda: Tun(scene, True)),
            ("tun, bound", lambda: Tun(scene, False)),
            ("vxlan", lambda: Kernels(scene, "vxlan", "udp/4789",
                                      ["id", "7", "dstport", "4789", "dev", "eth0"])),
            ("geneve", lambda: Kernels(scene, "geneve", "udp/6081", ["id", "7"])),
            ("gre", lambda: Kernels(scene, "gre", "protocol/47", [])),
            ("ipip", lambda: Kernels(scene, "ipip", "protocol/4", []))]:
        try:
            tunnel = make()
        except OSError as error:
            print(f"left out: no {name} here: {str(error).strip()}")
            continue
        through(scene, tunnel)
        scene.client.ask("close")
        tunnel.end()
    scene.end()


if __name__ == "__main__":
    main()
