"""One policy of N rules, as rolewall's, as nft text by hand, as firewalld's and as ufw's; each put in force by its own tool
on the host that this runs on (live_frames.py).

Each rule admits a port from a network or from a machine; ssh is for management, and what no rule admits is dropped.
The probes are UDP packets that five of the rules admit, spread evenly over the policy.
"""
import contextlib
import ipaddress
import os
import pathlib
import subprocess
import time
from collections.abc import Callable
from typing import NamedTuple

from live_frames import ADDRESS, Flow, run

PROBES = 5
MANAGEMENT = "10.0.0.0/24"
DENIED = Flow("10.1.0.7", 9)  # from the first rule's network, to a port that no rule names
LONGEST_START = 600


class Rule(NamedTuple):
    protocol: str
    port: int
    source: str


class Task(NamedTuple):
    """Where to put the policy's files, and which program compiles ours."""

    rules: list[Rule]
    directory: pathlib.Path
    rolewall: str


def policy(count: int) -> list[Rule]:
    """Each port over UDP and TCP, from a network and from a machine."""
    rules = []
    for i in range(count):
        network = f"10.{1 + i % 200}.{i // 200}"
        source = f"{network}.0/24" if i % 4 < 2 else f"{network}.7"
        rules.append(Rule("tcp" if i % 2 else "udp", 2000 + i // 4, source))
    return rules


def probes(rules: list[Rule]) -> list[Flow]:
    """What the middle rule of each fifth of the policy admits."""
    asked = [rule for rule in rules if rule.protocol == "udp"]
    chosen = [asked[len(asked) * (2 * i + 1) // (2 * PROBES)] for i in range(PROBES)]
    return [Flow(rule.source.replace(".0/24", ".7"), rule.port) for rule in chosen]


def load_nft(text: str) -> None:
    run("nft", "-f", "-", input=text)


def apply_baseline(_task: Task) -> None:
    """One rule that asks conntrack, which costs the same below every firewall."""
    load_nft("table inet baseline { chain input { type filter hook input priority 0; ct state established accept; }; }")


def apply_by_hand(task: Task) -> None:
    """What somebody who knows nft well writes, with a counter for each rule as ours has."""
    services: dict[str, dict[int, list[str]]] = {"tcp": {22: [MANAGEMENT]}, "udp": {}}
    for rule in task.rules:
        services[rule.protocol].setdefault(rule.port, []).append(rule.source)
    chains, maps = [], []
    for protocol, ports in services.items():
        for port, sources in ports.items():
            admit = "".join(f"ip saddr {source} counter accept\n" for source in sources)
            chains.append(f"chain {protocol}-{port} {{\n{admit}}}\n")
        elements = ", ".join(f"{port} : jump {protocol}-{port}" for port in ports)
        maps.append(f"map {protocol}-services {{ type inet_service : verdict; elements = {{ {elements} }}; }}\n")
    load_nft(f"""table inet filter {{
{"".join(chains)}{"".join(maps)}
chain input {{
  type filter hook input priority filter; policy drop;
  ct state established counter accept
  ct state related counter accept
  ct state invalid counter drop
  iif lo counter accept
  udp dport vmap @udp-services
  tcp dport vmap @tcp-services
  meta l4proto {{ icmp, icmpv6, igmp }} counter accept
  counter
  limit rate 10/second burst 10 packets log prefix "denied: "
}}
chain forward {{ type filter hook forward priority filter; policy drop; }}
}}
""")


def apply_rolewall(task: Task) -> None:
    (task.directory / "site.toml").write_text(f"""[site]
management = "{MANAGEMENT}"

[hosts.server]
role = "bench"
addresses = ["{ADDRESS}"]
""")
    (task.directory / "bench.toml").write_text('role = "bench"\nuse = ["baseline"]\n' + "".join(
        f'\n[[inbound]]\nid = "rule-{i}"\nservice = "{rule.protocol}/{rule.port}"\nfrom = "{rule.source}"\n'
        for i, rule in enumerate(task.rules)))
    run(task.rolewall, "apply", str(task.directory), "--host", "server", "--yes", "--no-confirm", "--state-dir",
        str(task.directory / "state"))


def apply_firewalld(task: Task) -> None:
    """The daemon on a message bus of its own; what it has loaded stays when it is killed."""
    zone = [f'  <rule family="ipv4"><source address="{MANAGEMENT}"/><service name="ssh"/><accept/></rule>\n']
    zone += [f'  <rule family="ipv4"><source address="{rule.source}"/>'
             f'<port protocol="{rule.protocol}" port="{rule.port}"/><accept/></rule>\n' for rule in task.rules]
    (task.directory / "zones").mkdir()
    (task.directory / "zones/public.xml").write_text(
        '<?xml version="1.0" encoding="utf-8"?>\n<zone target="DROP">\n' + "".join(zone) + "</zone>\n")
    (task.directory / "firewalld.conf").write_text(pathlib.Path("/etc/firewalld/firewalld.conf").read_text())
    bus = f"unix:path={task.directory}/bus"
    (task.directory / "bus.conf").write_text(f"""<busconfig>
<type>system</type><listen>{bus}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow own="*"/><allow send_destination="*"/><allow receive_sender="*"/></policy>
</busconfig>
""")
    environment = os.environ | {"DBUS_SYSTEM_BUS_ADDRESS": bus}
    with contextlib.ExitStack() as stack, open(task.directory / "log", "w", encoding="utf-8") as log:
        def start(*command: str) -> subprocess.Popen:
            process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
            stack.callback(process.wait)
            stack.callback(process.kill)
            return process

        start("dbus-daemon", f"--config-file={task.directory}/bus.conf", "--nofork", "--nopidfile")
        while not (task.directory / "bus").exists():
            time.sleep(0.01)
        daemon = start("firewalld", "--nofork", "--nopid", "--system-config", str(task.directory), "--log-file",
                       str(task.directory / "firewalld.log"))
        deadline = time.monotonic() + LONGEST_START
        while subprocess.run(["firewall-cmd", "--state"], env=environment, capture_output=True,
                             check=False).returncode != 0:
            if daemon.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"firewalld is not running after {LONGEST_START} s at most: "
                                   + (task.directory / "log").read_text())
            time.sleep(0.5)


def apply_ufw(task: Task) -> None:
    """`ufw enable` in a mount namespace with an /etc/ufw of its own, which has the rules as `ufw allow` writes them."""
    rules = [Rule("tcp", 22, MANAGEMENT), *task.rules]
    text = pathlib.Path("/usr/share/ufw/user.rules").read_text()
    ours = "".join(f"\n### tuple ### allow {rule.protocol} {rule.port} 0.0.0.0/0 any {rule.source} in\n"
                   f"-A ufw-user-input -p {rule.protocol} --dport {rule.port} -s {rule.source} -j ACCEPT\n"
                   for rule in rules)
    run("cp", "-a", "/etc/ufw", str(task.directory / "ufw"))
    (task.directory / "ufw/user.rules").write_text(text.replace("### RULES ###\n", f"### RULES ###\n{ours}"))
    run("unshare", "--mount", "sh", "-ec", """
mount --bind "$1/ufw" /etc/ufw
mount -t tmpfs none /run
ufw --force enable
""", "sh", str(task.directory))


FIREWALLS: dict[str, Callable[[Task], None]] = {
    "baseline": apply_baseline,
    "rolewall": apply_rolewall,
    "by hand": apply_by_hand,
    "ufw": apply_ufw,
    "firewalld": apply_firewalld,
}
