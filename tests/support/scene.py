"""What the scenes beside it share: this network namespace is the host `srv` of a site in ./site, other
hosts are beyond its devices, and what must hold is checked and counted."""

import os
import subprocess
import sys

from live_guard import PROGRAM, STATE, run

NEIGHBOURS = """
[[inbound]]
id = "nd"
service = "ndp"
[[outbound]]
id = "nd-out"
service = "ndp"
"""

failures = []
checks = 0


def check(holds, what):
    global checks
    checks += 1
    if not holds:
        failures.append(what)


def finish(*hosts):
    """Ends the hosts, and this program with what the checks come to."""
    for host in hosts:
        os.kill(host.pid, 9)
    for failure in failures:
        print("FAILED:", failure)
    print(f"{checks} checks, {len(failures)} failures")
    sys.exit(1 if failures else 0)


def rolewall(*words):
    return subprocess.run([PROGRAM, *words, "--state-dir", STATE], capture_output=True, text=True)


def must(*words):
    done = rolewall(*words)
    if done.returncode != 0:
        sys.exit(f"rolewall {' '.join(words)}: {done.stdout}{done.stderr}")
    return done.stdout


def write_site(**files):
    """Each a file's text, by its name without `.toml`."""
    os.makedirs("site", exist_ok=True)
    for name, text in files.items():
        with open(f"site/{name}.toml", "w", encoding="utf-8") as file:
            file.write(text)


def apply():
    must("apply", "site", "--host", "srv", "--force")


def same_by_nft():
    """What is in force is what `nft -f` makes of the compiled text; and an apply then has nothing to do."""
    def listed():
        return sorted(run("nft", "-s", "list", "table", "inet", "rolewall").stdout.splitlines())

    by_netlink = listed()
    text = run(PROGRAM, "compile", "site", "--host", "srv").stdout
    done = subprocess.run(["nft", "-f", "-"], input=text, capture_output=True, text=True)
    check(done.returncode == 0, f"nft -f: {done.stderr}")
    check(listed() == by_netlink, "nft makes another ruleset of the text")
    check('"kernel":[]' in must("plan", "site", "--host", "srv", "--format", "json"), "an apply has something to do")


def put_beyond(device, host):
    """Returns the host, whose device of the same name is the other end of ours."""
    run("ip", "link", "add", device, "type", "veth", "peer", "name", device, "netns", str(host.pid))
    run("ip", "link", "set", device, "up")
    host.must("ip", "link", "set", device, "up")
    host.must("ip", "link", "set", "lo", "up")
    return host
