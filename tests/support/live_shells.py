"""Scenes for tests/cli/shells_live.sh: a shell on a terminal that sshd knows nothing of. An agent serves it
over a connection which it has dialled, as those of clouds and bastions do; or it is in a window of a desktop
that somebody sees by VNC, straight or through a program that relays to the X server's Unix socket."""

import subprocess
import sys

from live_guard import PROGRAM, RULES, STATE, Scene, joined_client, run
from lock_out_carriers import inbound, outbound
from lock_outs import network_of
from scene import check, finish

HUB, PORT = "203.0.113.1", 8443
SERVER = r"""
import socket, sys
server = socket.create_server((sys.argv[1], int(sys.argv[2])))
print("ready", flush=True)
held = []
while True:
    held.append(server.accept()[0])
"""
# Runs a command on a terminal of its own, answers yes, and tells what came of it: in the agent's
# place, or below it, on the terminal that it serves.
AGENT = r"""
import os, pty, select, socket, sys, time
place, hub, port, *command = sys.argv[1:]
open("/proc/self/comm", "w").write("agentd")
dial = lambda: socket.create_connection((hub, int(port)), 2)
held = dial() if place == "agent" else None
if place == "browser":
    with socket.create_server(("127.0.0.1", 7681)) as server:
        held = server.accept()[0]
child, terminal = pty.fork()
if child == 0:
    if place == "below":
        held = dial()
        status = os.spawnvp(os.P_WAIT, command[0], command)
        os._exit(status)
    os.execvp(command[0], command)
said = b""
end = time.monotonic() + 60
while time.monotonic() < end:
    if terminal in select.select([terminal], [], [], 1)[0]:
        try:
            data = os.read(terminal, 4096)
        except OSError:
            break
        said += data
        if b"[y/N]" in data:
            os.write(terminal, b"y\n")
status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
try:
    dial()
except OSError:
    print("it cannot dial again")
print(said.decode(errors="replace"), flush=True)
sys.exit(status)
"""
# An X server, so far as its sockets tell: of a viewer's, which comes to its port or to a relay's.
DESKTOP = r"""
import os, socket, sys
way, address, port = sys.argv[1:]
name = lambda text: open("/proc/self/comm", "w").write(text)
relayed = socket.socket(socket.AF_UNIX)
relayed.bind("\0/run/rolewall-test-vnc")
relayed.listen()
if way == "relayed" and os.fork() == 0:
    name("websockify")
    relayed.close()
    server = socket.create_server((address, int(port)))
    print("ready", flush=True)
    viewer = server.accept()[0]
    to = socket.socket(socket.AF_UNIX)
    to.connect("\0/run/rolewall-test-vnc")
    viewer.recv(1)
    sys.exit(0)
name("Xvnc")
display = socket.socket(socket.AF_UNIX)
display.bind("\0/tmp/.X11-unix/X97")
display.listen()
if way == "relayed":
    held = [relayed.accept()[0]]
elif way == "straight":
    server = socket.create_server((address, int(port)))
    print("ready", flush=True)
    held = [server.accept()[0]]
else:
    held = []
window = socket.socket(socket.AF_UNIX)  # somebody else's
window.connect("\0/tmp/.X11-unix/X97")
held.append(display.accept()[0])
print("shown", flush=True)
while True:
    held.append(display.accept()[0])
"""
# A terminal's window, and in it the command.
WINDOW = r"""
import socket, sys
shown = socket.socket(socket.AF_UNIX)
shown.connect("\0/tmp/.X11-unix/X97")
exec(sys.argv.pop(1))
"""
# A web server before a terminal in a browser; or ("own") a browser of this host's.
WEB = r"""
import socket, sys, time
way, address, port = sys.argv[1:]
open("/proc/self/comm", "w").write("nginx")
if way == "relayed":
    server = socket.create_server((address, int(port)))
    print("ready", flush=True)
    held = server.accept()[0]
while True:
    try:
        to = socket.create_connection(("127.0.0.1", 7681))
        break
    except OSError:
        time.sleep(0.05)
time.sleep(150)
"""
OFFICE = "198.51.100.7"
DESK = "203.0.113.10", "5901"
PAGE = "203.0.113.10", "443"
PAGED = inbound("page", "tcp/443", "management")
VIEWED = inbound("desktop", "tcp/5901", "management")
DIALS = outbound("agent", f"tcp/{PORT}", HUB)


# Without the window's terminal for its own, and with nothing of it.
BELOW_SETSID = ["setsid", "-w"]
DETACHED = ["sh", "-c", 'setsid -w "$@" </dev/null >said 2>&1; status=$?; cat said; exit $status', "sh"]


def apply(place, below=()):
    program = [WINDOW, AGENT] if place == "window" else [AGENT]
    return run("env", "-u", "SSH_CONNECTION", "-u", "DISPLAY", sys.executable, "-c", *program, place, HUB,
               str(PORT), *below, PROGRAM, "apply", "site", "--host", "srv", "--state-dir", STATE,
               check=False)


def expect(what, scene, before, rules, place, status, *texts, comes=None, below=()):
    """`comes`: what the client does first, once nothing is in its way."""
    scene.begin(before)
    scene.write_site(rules)
    if comes:
        comes()
    done = apply(place, below)
    check(done.returncode == status, f"{what}: exit status {done.returncode}\n{done.stdout}{done.stderr}")
    for text in texts:
        check(text in done.stdout, f"{what}: nothing is said of {text}\n{done.stdout}")
    return done


class Desktop:
    """Seen by a viewer of the client's, or ("own") by who sits there."""

    def __init__(self, client, way):
        self.client, self.way, self.server = client, way, None

    def begin(self):
        self.end()
        self.server = subprocess.Popen([sys.executable, "-c", DESKTOP, self.way, *DESK],
                                       stdout=subprocess.PIPE, text=True)
        if self.way != "own":
            self.server.stdout.readline()
            answer = self.client.ask("open", OFFICE, *DESK)
            if not answer.startswith("port"):
                sys.exit(f"{self.way}: the viewer does not come in: {answer}")
        self.server.stdout.readline()

    def end(self):
        if self.server:
            self.server.kill()
            self.server.wait()


def see_desktops(scene, client):
    """From a shell in a window: who sees the desktop keeps it; of the machine's own nothing is asked."""
    for way in ["straight", "relayed"]:
        desktop = Desktop(client, way)
        expect(f"a desktop, {way}", scene, None, RULES, "window", 1,
               "Xvnc, the desktop that shows this terminal", "tcp/5901", comes=desktop.begin)
        expect(f"a desktop, {way}, admitted", scene, None, RULES + VIEWED, "window", 0, "rolewall confirm",
               comes=desktop.begin)
        run(PROGRAM, "confirm", "--state-dir", STATE)
        desktop.end()
    for what, below in [("below setsid", BELOW_SETSID), ("detached", DETACHED)]:
        desktop = Desktop(client, "straight")
        expect(f"a desktop, {what}", scene, None, RULES, "window", 1, "Xvnc, the desktop that", "tcp/5901",
               comes=desktop.begin, below=below)
        desktop.end()
    # In a tmux that is attached to from such a window: its server has nothing of the desktop's.
    desktop = Desktop(client, "straight")
    expect("a shell that may be shown there", scene, None, RULES, "nobody", 1,
           "Xvnc, the desktop that may show this terminal", comes=desktop.begin)
    desktop.end()
    desktop = Desktop(client, "own")
    done = expect("a desktop of its own", scene, None, RULES, "window", 0, comes=desktop.begin)
    check("rolewall confirm" not in done.stdout, f"a desktop of its own: a rollback is armed\n{done.stdout}")
    desktop.end()


def see_browsers(scene, client):
    """What serves the terminal has a peer at the loopback: what comes to that is asked about."""
    for what, way, rules, status, *texts in [
            ("relayed", "relayed", RULES, 1, "agentd, which serves this shell", "tcp/443"),
            ("relayed and admitted", "relayed", RULES + PAGED, 0, "rolewall confirm"),
            ("not seen", "own", RULES, 0, "cannot be seen from here", "rolewall confirm")]:
        servers = []

        def comes(way=way, servers=servers):
            servers.append(subprocess.Popen([sys.executable, "-c", WEB, way, *PAGE],
                                            stdout=subprocess.PIPE, text=True))
            if way == "own":
                return
            servers[0].stdout.readline()
            answer = client.ask("open", OFFICE, *PAGE)
            if not answer.startswith("port"):
                sys.exit(f"{way}: nobody comes in: {answer}")

        expect(f"a terminal in a browser, {what}", scene, None, rules, "browser", status, *texts, comes=comes)
        if status == 0:
            run(PROGRAM, "confirm", "--state-dir", STATE)
        for server in servers:
            server.kill()
            server.wait()


def main():
    client = joined_client(["eth0"])
    run("ip", "address", "add", "203.0.113.10/24", "dev", "eth0")
    client.must("ip", "address", "add", f"{HUB}/24", "dev", "eth0")
    client.must("ip", "address", "add", f"{OFFICE}/32", "dev", "lo")
    run("ip", "route", "add", "198.51.100.0/24", "via", HUB)
    with network_of(client.pid):
        server = subprocess.Popen([sys.executable, "-c", SERVER, HUB, str(PORT)],
                                  stdout=subprocess.PIPE, text=True)
    server.stdout.readline()
    scene = Scene(client)
    for before, what in [(None, "a first apply"), (RULES + DIALS, "its rule goes")]:
        done = expect(what, scene, before, RULES, "agent", 1, "agentd, which serves this shell",
                      "[[outbound]] rule")
        check("cannot dial" not in done.stdout, f"{what}: refused, and it cannot dial again")
    # At the machine itself, and of a program that was started there, nothing is asked.
    for place in ["nobody", "below"]:
        done = expect(place, scene, None, RULES, place, 0)
        check("rolewall confirm" not in done.stdout, f"{place}: a rollback is armed\n{done.stdout}")
    done = expect("it may dial", scene, None, RULES + DIALS, "agent", 0, "rolewall confirm")
    check("cannot dial" not in done.stdout, "it may dial, and cannot")
    run(PROGRAM, "confirm", "--state-dir", STATE)
    server.kill()
    server.wait()
    see_browsers(scene, client)
    see_desktops(scene, client)
    finish(client)


main()
