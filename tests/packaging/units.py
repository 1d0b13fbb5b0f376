#!/usr/bin/env python3
"""The systemd units: systemd-analyze finds nothing wrong in them, and each command does its work with what its unit allows.

A unit's ExecStart runs as root in namespaces of its own, with the unit's capabilities alone, and strace writes down its system
calls: each is one that SystemCallFilter lets through, each socket of a family that RestrictAddressFamilies names, and nothing
is written but where the unit may (ProtectSystem=strict). Skipped where there is no systemd-analyze; the commands are left out,
and that is said, where strace, setpriv, nft, root or namespaces are not there.

    units.py PROGRAM SOURCE UNITS...
"""
import contextlib
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time

PROGRAM, SOURCE = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve()
UNITS = [pathlib.Path(each).resolve() for each in sys.argv[3:]]
SKIPPED = 77
NAME_SERVER = "127.0.0.1"
SITE = """
[site]
name = "s"
management = "office"
[defaults]
log = { to = 5 }
[networks]
office = ["198.51.100.0/24"]
intake = { names = ["intake.example"] }
[hosts.srv]
role = "web"
addresses = ["192.0.2.1"]
"""
ROLE = 'role = "web"\nuse = ["baseline"]\n[[inbound]]\nid = "in"\nservice = "https"\nfrom = "intake"\n'
SENDS_DENIED = """
import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
while True:
    try:
        s.sendto(b"?", ("192.0.2.9", 9))
    except OSError:
        pass
    time.sleep(0.1)
"""
PEER = "peer"
CONNECTS = """
import socket, sys, time
s = socket.create_connection(("192.0.2.1", 443), source_address=(sys.argv[1], 0))
time.sleep(60)
"""
WRITES = re.compile(r"^(open|openat|openat2|mkdir|mkdirat|rename|renameat|renameat2|unlink|unlinkat|symlink|symlinkat|link|linkat|"
                    r"creat|truncate|mknod|mknodat|chmod|fchmodat|chown|lchown|fchownat|utimensat)\(")

wrong: list[str] = []


def complain(what: str) -> None:
    wrong.append(what)


def run(*words: object, **options) -> subprocess.CompletedProcess:
    return subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False, **options)


def settings(unit: pathlib.Path) -> dict[str, list[str]]:
    """By key, its values in order."""
    found: dict[str, list[str]] = {}
    for line in unit.read_text().splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(key, []).append(value)
    return found


# --- what systemd says -----------------------------------------------------------------------------------------------

def verify(unit: pathlib.Path, folder: pathlib.Path) -> None:
    """Under its own name, with a program that is there."""
    copy = folder / unit.name
    copy.write_text(re.sub(r"(?m)^ExecStart=\S+", f"ExecStart={PROGRAM}", unit.read_text()))
    done = run("systemd-analyze", "verify", "--man=no", copy)
    if done.returncode != 0 or done.stderr or done.stdout:
        complain(f"{unit.name}: systemd-analyze verify: {done.returncode} {done.stdout}{done.stderr}")
    for page in re.findall(r"man:([a-z-]+)\(8\)", unit.read_text()):
        if not (SOURCE / f"packaging/man/{page}.mdoc").exists():
            complain(f"{unit.name}: there is no man page {page}")


def calls_of(name: str) -> set[str]:
    """What a set of systemd's, or a call's name, stands for."""
    if not name.startswith("@"):
        return {name}
    calls: set[str] = set()
    for line in run("systemd-analyze", "syscall-filter", name).stdout.splitlines()[1:]:
        word = line.strip()
        if word and not word.startswith("#"):
            calls |= calls_of(word)
    return calls


def allowed_calls(unit: dict[str, list[str]]) -> set[str]:
    allowed: set[str] = set()
    for line in unit["SystemCallFilter"]:
        named = set().union(*(calls_of(word) for word in line.removeprefix("~").split()))
        allowed = allowed - named if line.startswith("~") else allowed | named
    return allowed | {"execve", "exit_group", "rt_sigreturn", "restart_syscall"}


# --- what the commands do --------------------------------------------------------------------------------------------

def writable(unit: dict[str, list[str]]) -> list[str]:
    folders = [f"/var/lib/{name}" for name in unit.get("StateDirectory", [])]
    folders += [f"/run/{name}" for name in unit.get("RuntimeDirectory", [])]
    folders += unit.get("ReadWritePaths", [])
    return folders + ["/tmp", "/var/tmp", "/dev/", "/proc/self/", "/run/systemd/journal"]


def judge_trace(name: str, unit: dict[str, list[str]], text: str) -> None:
    allowed, families = allowed_calls(unit), set(unit["RestrictAddressFamilies"][0].split())
    may_write = writable(unit)
    for line in text.splitlines():
        call = re.sub(r"^\d+ +", "", line)
        found = re.match(r"(\w+)\(", call)
        if not found:
            continue
        if found[1] not in allowed:
            complain(f"{name}: {found[1]} is not let through: {call[:150]}")
        if found[1] in ("socket", "socketpair"):
            family = re.match(r"\w+\((\w+)", call)[1]
            if family not in families:
                complain(f"{name}: a socket of {family}: {call[:150]}")
        is_write = WRITES.match(call) and (not call.startswith("open") or re.search(r"O_(WRONLY|RDWR|CREAT)", call))
        path = re.search(r'"(/[^"]*)"', call)
        if is_write and path and not any(path[1].startswith(folder) for folder in may_write):
            complain(f"{name}: writes elsewhere: {call[:150]}")
        if "PROT_EXEC" in call and "PROT_WRITE" in call:
            complain(f"{name}: MemoryDenyWriteExecute: {call[:150]}")
        if path and path[1].startswith(("/home", "/root")) and "ENOENT" not in call:
            complain(f"{name}: ProtectHome: {call[:150]}")


def play(unit_file: pathlib.Path, folder: pathlib.Path, *more: str, seconds: float | None = None) -> subprocess.CompletedProcess:
    """ExecStart and `more`, traced, with the unit's capabilities; ended by SIGTERM after `seconds`, where it goes on."""
    unit = settings(unit_file)
    words = unit["ExecStart"][-1].split()
    kept = ",".join("+" + word.lower().removeprefix("cap_") for word in unit["CapabilityBoundingSet"][0].split())
    trace = folder / "trace"
    command = ["strace", "-f", "-qq", "-s", "300", "-o", trace, "setpriv", "--no-new-privs", "--inh-caps=-all",
               f"--bounding-set=-all,{kept}", PROGRAM, *words[1:], *more]
    if seconds is not None:
        command = ["timeout", "--preserve-status", str(seconds), *command]
    done = run(*command, env={"PATH": "/usr/sbin:/usr/bin", "ROLEWALL_RULES_DIR": str(SOURCE / "rules"), "JOURNAL_STREAM": ""})
    # What setpriv does before is systemd's to do.
    text = trace.read_text(errors="replace")
    started = text.rfind(f'execve("{PROGRAM}"')
    judge_trace(unit_file.name, unit, text[started:])
    return done


def must(*words: object) -> str:
    done = run(*words, env=os.environ | {"ROLEWALL_RULES_DIR": str(SOURCE / "rules")})
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, words))}: {done.stdout}{done.stderr}")
    return done.stdout


def holds(name: str, what: str, condition: bool, done: subprocess.CompletedProcess) -> None:
    if not condition:
        complain(f"{name}: {what}: {done.returncode} {done.stdout}{done.stderr}")


def play_log(unit: pathlib.Path, folder: pathlib.Path) -> None:
    """What this host sends against its policy is logged to the group; the journal is a socket of ours."""
    os.makedirs("/run/systemd/journal")
    journal = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    journal.bind("/run/systemd/journal/socket")
    journal.settimeout(1)
    sends = subprocess.Popen([sys.executable, "-c", SENDS_DENIED])
    try:
        done = play(unit, folder, seconds=2)
    finally:
        sends.kill()
        sends.wait()
    holds("log", "it ends when it is told to", done.returncode in (0, 143), done)
    counts = pathlib.Path("/run/rolewall/sources")
    holds("log", "who was logged how often is kept", counts.exists() and "192.0.2.1" in counts.read_text(), done)
    try:
        entry = journal.recv(65536).decode(errors="replace")
    except TimeoutError:
        entry = ""
    holds("log", f"the journal has it: {entry}", "(default)" in entry and "192.0.2.9" in entry, done)


@contextlib.contextmanager
def open_from(client: str):
    """A connection from an address beyond eth0, where `peer` is in a namespace of its own, to port 443 here."""
    server = socket.create_server(("192.0.2.1", 443))
    server.settimeout(5)
    with subprocess.Popen(["nsenter", f"--net=/run/netns/{PEER}", sys.executable, "-c", CONNECTS, client]) as other:
        try:
            yield server.accept()[0]
        finally:
            other.kill()


def is_reset(connection: socket.socket) -> bool:
    connection.settimeout(2)
    try:
        return connection.recv(1) == b""
    except TimeoutError:
        return False
    except OSError:
        return True


def play_all(units: dict[str, pathlib.Path], folder: pathlib.Path) -> None:
    """REQUIRES: namespaces of our own for mounts and network."""
    for place in ("/var/lib", "/run"):
        must("mount", "-t", "tmpfs", "tmpfs", place)
    for place in ("/var/lib/rolewall", "/run/rolewall", "/var/lib/prometheus/node-exporter"):
        os.makedirs(place, mode=0o700)
    for words in (f"netns add {PEER}", "link set lo up", f"link add eth0 type veth peer name eth0 netns {PEER}",
                  "link set eth0 up", "address add 192.0.2.1/24 dev eth0", "route add 198.18.0.0/24 dev eth0",
                  f"-n {PEER} link set eth0 up", f"-n {PEER} address add 192.0.2.9/24 dev eth0",
                  f"-n {PEER} address add 198.18.0.8/32 dev eth0"):
        must("ip", *words.split())
    resolver, zone = folder / "resolv.conf", folder / "zone"
    resolver.write_text(f"nameserver {NAME_SERVER}\noptions timeout:1 attempts:1\n")
    zone.write_text("intake.example 198.18.0.7\n")
    must("mount", "--bind", resolver, "/etc/resolv.conf")
    site = folder / "site"
    site.mkdir()
    (site / "site.toml").write_text(SITE)
    (site / "web.toml").write_text(ROLE)
    with subprocess.Popen([sys.executable, SOURCE / "tests/support/dns_server.py", zone], stdout=subprocess.PIPE, text=True) as server:
        try:
            server.stdout.readline()
            must(PROGRAM, "lock", site)
            must(PROGRAM, "apply", site, "--host", "srv", "--force")
            zone.write_text("intake.example 198.18.0.8\n")
            done = play(units["rolewall-refresh.service"], folder)
            holds("refresh", "other addresses", done.returncode == 0 and "198.18.0.8" in done.stdout, done)
            # As the drop-in of rolewall-refresh(8) has it: what came from the address that left is ended.
            with open_from("198.18.0.8") as ours:
                zone.write_text("intake.example 198.18.0.9\n")
                done = play(units["rolewall-refresh.service"], folder, "--cut")
                holds("refresh --cut", "what is open is ended", done.returncode == 0 and "cut: 1 open connection " in done.stdout
                      and is_reset(ours), done)
        finally:
            server.kill()
    done = play(units["rolewall-stats.service"], folder)
    written = pathlib.Path("/var/lib/prometheus/node-exporter/rolewall.prom")
    holds("stats", "metrics", done.returncode == 0 and written.exists() and "rolewall_" in written.read_text(), done)
    play_log(units["rolewall-log.service"], folder)
    must("nft", "delete", "table", "inet", "rolewall")
    done = play(units["rolewall.service"], folder)
    holds("boot", "the table is there", done.returncode == 0 and "198.18.0.9" in must("nft", "list", "table", "inet", "rolewall"), done)


def why_not_played() -> str:
    for tool in ("strace", "setpriv", "nft", "ip", "unshare"):
        if shutil.which(tool) is None:
            return f"no {tool}"
    if os.geteuid() != 0 or run("unshare", "-nm", "true").returncode != 0:
        return "not this machine's root"
    return ""


def main() -> int:
    if shutil.which("systemd-analyze") is None:
        print("skipped: no systemd-analyze")
        return SKIPPED
    inside = os.environ.get("ROLEWALL_UNITS_INSIDE")
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        services = {unit.name: unit for unit in UNITS if unit.suffix == ".service"}
        if inside:
            begin = time.monotonic()
            play_all(services, folder)
            print(f"{len(services)} units' commands played in {time.monotonic() - begin:.1f} s")
        else:
            for unit in UNITS:
                verify(unit, folder)
            why = why_not_played()
            if why:
                print(f"the units' commands are not played: {why}")
            else:
                done = run("unshare", "-nm", sys.executable, *sys.argv, env=os.environ | {"ROLEWALL_UNITS_INSIDE": "1"})
                print(done.stdout + done.stderr, end="")
                if done.returncode != 0:
                    return done.returncode
    for each in wrong:
        print(f"FAILED: {each}")
    if not inside:
        print(f"{len(UNITS)} units, {len(wrong)} things wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
