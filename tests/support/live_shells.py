"""Scenes for tests/cli/shells_live.sh: a shell on a terminal that an agent serves over a connection which
it has dialled, as those of clouds and bastions do; sshd knows nothing of it."""

import subprocess
import sys

from live_guard import PROGRAM, RULES, STATE, Scene, joined_client, run
from lock_out_carriers import outbound
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
DIALS = outbound("agent", f"tcp/{PORT}", HUB)


def apply(place):
    return run("env", "-u", "SSH_CONNECTION", sys.executable, "-c", AGENT, place, HUB, str(PORT),
               PROGRAM, "apply", "site", "--host", "srv", "--state-dir", STATE, check=False)


def expect(what, scene, before, rules, place, status, *texts):
    scene.begin(before)
    scene.write_site(rules)
    done = apply(place)
    check(done.returncode == status, f"{what}: exit status {done.returncode}\n{done.stdout}{done.stderr}")
    for text in texts:
        check(text in done.stdout, f"{what}: nothing is said of {text}\n{done.stdout}")
    return done


def main():
    client = joined_client(["eth0"])
    run("ip", "address", "add", "203.0.113.10/24", "dev", "eth0")
    client.must("ip", "address", "add", f"{HUB}/24", "dev", "eth0")
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
    finish(client)


main()
