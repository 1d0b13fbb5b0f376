"""Lock-outs for tests/cli/lock_outs.sh: each row of TRIALS is a change that would shut an
administrator out, tried with a session of TCP in networks of its own.

Of each row: the change is refused, and the session lives on; forced, the session really ends, or a
new one cannot come in (else the row shows nothing); where the verb has a timer, what was there comes
back by itself, and the session with it; and in the same scene a change that takes nothing away is
made, with the session alive and a new one coming in. `later` is what happens in the world afterwards,
on which the session hangs: conntrack entries are flushed, neighbour entries expire, a lease or an
advertised route ends.
"""

import collections
import contextlib
import dataclasses
import os
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import traceback

import live_guard
from live_guard import CLONE_NEWNET, ND, OTHER, RULES, SITE, SSH, Scene, libc, run

CLONE_NEWNS, CLONE_NEWPID = 0x20000, 0x20000000
MS_NOSUID_NODEV_NOEXEC = 2 | 4 | 8
PR_SET_PDEATHSIG = 1
TIMED = ("apply", "refresh")
SLOW = "FAILED: this machine is too slow"
LOCK = "# -- rolewall.lock --\n"  # in a site's text: the rest is that file's
OWN_4, OWN_6 = "203.0.113.10", "2001:db8:1::10"
CLIENT_4, CLIENT_6 = "198.51.100.7", "2001:db8:ff1::7"


@dataclasses.dataclass
class Trial:
    kind: str
    name: str
    change: object = None      # rules, or (rules, site), that are applied
    before: str = RULES        # rules in force when it begins; None: nothing ever was
    site: str = SITE
    set_up: tuple = ()         # steps on the stage, before anything is in force
    then: tuple = ()           # others' tables and the like: before each session is opened
    come: tuple = (CLIENT_4, OWN_4, 22)
    later: tuple = ("flush_connections",)
    verb: tuple = ("apply",)
    ends: str = "session"      # or "new": what ends if it is forced
    lives: object = None       # of what is asked if it lives, where that is not the session
    says: str = ""             # of the guard's refusal
    undo: int = 2              # seconds until the timer's rollback: more than `later` takes
    served: int = 22           # the port of sshd's socket
    listens: str = "::"
    claims: object = ""        # SSH_CONNECTION, or what says it, if not the session's own
    harmless: str = None       # rules that take nothing away; by default those before, and one more
    mended: tuple = ()         # steps before what takes nothing away, once it has come back
    waits: bool = False        # of what carries it nothing can be found: that asks for a timer, too


# Addresses that are in use at once: the stage's own policy knows of no others.
AT_SERVER = ["link set lo up",
             *[f"link set {each} up" for each in ["eth0", "eth1"]],
             "address add 203.0.113.10/24 dev eth0",
             "address add 10.0.2.10/24 dev eth1",
             "address add 2001:db8:1::10/64 dev eth0 nodad",
             "address add 2001:db8:2::10/64 dev eth1 nodad",
             "address add fe80::a/64 dev eth0 nodad",
             "route add default via 203.0.113.1",
             "route add ::/0 via 2001:db8:1::1"]
AT_CLIENT = ["link set lo up",
             *[f"link set {each} up" for each in ["eth0", "eth1"]],
             "address add 203.0.113.1/24 dev eth0",
             "address add 203.0.113.2/24 dev eth0",
             "address add 10.0.2.1/24 dev eth1",
             "address add 198.51.100.7/32 dev lo",
             "address add 198.51.100.200/32 dev lo",
             "address add 192.0.2.9/32 dev lo",
             "address add 2001:db8:1::1/64 dev eth0 nodad",
             "address add 2001:db8:2::1/64 dev eth1 nodad",
             "address add fe80::2/64 dev eth0 nodad",
             "address add 2001:db8:ff1::7/128 dev lo nodad"]


class Stage(Scene):
    """A Scene with the steps that rows name."""

    def __init__(self, trial):
        self.processes = []
        with open("/proc/self/comm", "w", encoding="utf-8") as comm:
            comm.write("sshd")
        super().__init__(live_guard.Client())
        self.trial = trial
        self.server_port = trial.served
        joined = [f"link add {each} type veth peer name {each} netns {self.client.pid}"
                  for each in ["eth0", "eth1"]]
        batch(None, joined + AT_SERVER)
        batch(self.client.pid, AT_CLIENT)
        for where in [None, self.client.pid]:
            for each in ["all", "eth0", "eth1"]:
                setting(where, f"net.ipv4.conf.{each}.rp_filter", "0")

    def write_site(self, rules, site=SITE):
        site, _, lock = site.partition(LOCK)
        super().write_site(rules, site)
        if lock:
            with open("site/rolewall.lock", "w", encoding="utf-8") as file:
                file.write(lock)

    def nft(self, text):
        done = subprocess.run(["nft", "-f", "-"], input=text, capture_output=True, text=True)
        if done.returncode != 0:
            raise LeftOut(f"nft has no such rule: {done.stderr.strip()}")


class LeftOut(Exception):
    """This machine cannot play it."""


class Wrong(Exception):
    pass


class TooSlow(Exception):
    """The timer's rollback came before it was looked."""


@contextlib.contextmanager
def network_of(pid):
    """What is begun there is in the network of that process; None: in our own."""
    if pid is None:
        yield
        return
    with open("/proc/thread-self/ns/net", "rb") as own, open(f"/proc/{pid}/ns/net", "rb") as theirs:
        enter(theirs)
        try:
            yield
        finally:
            enter(own)


def enter(namespace):
    if libc.setns(namespace.fileno(), CLONE_NEWNET) != 0:
        raise Wrong("a network cannot be entered")


def batch(pid, lines):
    """Commands of ip; those that begin with -6 after the others."""
    for family in ["-4", "-6"]:
        some = [line.removeprefix("-6 ") for line in lines
                if line.startswith("-6 ") == (family == "-6")]
        words = ["ip", "-6", "-batch", "-"] if family == "-6" else ["ip", "-batch", "-"]
        if not some:
            continue
        with network_of(pid):
            done = subprocess.run(words, input="\n".join(some) + "\n", capture_output=True, text=True)
        if done.returncode != 0:
            raise LeftOut(f"ip: {done.stderr.strip()}")


def start_program(stage, where, program, *words):
    """A program of Python's, in that network, once it says that it is ready."""
    with network_of(where):
        process = subprocess.Popen([sys.executable, "-Sc", program, *words], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True)
    stage.processes.append(process)
    if process.stdout.readline().strip() != "ready":
        raise LeftOut("it does not begin: " + process.stderr.read().strip().split("\n")[-1])
    return process


def at_the_client(program, *words):
    return lambda stage: start_program(stage, stage.client.pid, program, *words)


def setting(pid, name, value):
    with network_of(pid), open("/proc/sys/" + name.replace(".", "/"), "w", encoding="utf-8") as file:
        file.write(value)


# -- what happens later --


def flush_connections(_stage):
    """IPCTNL_MSG_CT_DELETE without a tuple: every entry."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12) as netlink:
        body = struct.pack("BBH", 0, 0, 0)
        netlink.sendto(struct.pack("IHHII", 16 + len(body), 1 << 8 | 2, 5, 1, 0) + body, (0, 0))
        answer = netlink.recv(4096)
        error = struct.unpack_from("i", answer, 16)[0]
        if error != 0:
            raise Wrong(f"conntrack entries are not flushed: {error}")


def neighbours_expire(stage, device="eth0"):
    for pid in [None, stage.client.pid]:
        with network_of(pid):
            run("ip", "-6", "neigh", "flush", "dev", device, check=False)


def refresh(stage):
    need(stage.rolewall("refresh", "--state-dir", live_guard.STATE), 0, "not refreshed")


LATER = {"flush_connections": flush_connections, "neighbours_expire": neighbours_expire,
         "refresh": refresh}


# -- one row --


def site_of(trial, change):
    return change if isinstance(change, tuple) else (change, trial.site)


def act(stage, trial, session, forced):
    words = list(trial.verb)
    if callable(trial.claims):
        session = trial.claims(stage)
    if forced:
        words.append("--force")
    if forced and words[0] in TIMED:
        words += ["--confirm", f"{trial.undo}s"]
    if words[0] == "apply":
        stage.write_site(*site_of(trial, trial.change))
        return stage.apply(*words[1:], session=session)
    return stage.rolewall(*words, "--state-dir", live_guard.STATE, session=session)


def begin(stage, trial):
    """In force is what was before; with `rollback` and `boot` the change is what is gone back to."""
    verb = trial.verb[0]
    if verb == "rollback":
        stage.begin(*site_of(trial, trial.change))
        stage.write_site(*site_of(trial, trial.before))
        need(stage.apply("--force"), 0, "the scene does not begin")
    elif verb == "boot":
        stage.begin(*site_of(trial, trial.change))
        run("nft", "flush", "ruleset")
    elif trial.before is None:
        stage.begin(None)
    else:
        stage.begin(*site_of(trial, trial.before))
    for step in trial.then:
        step(stage)
    session = stage.open(*trial.come)
    if callable(trial.claims):
        return trial.claims(stage)
    return session if trial.claims == "" else trial.claims


def need(done, status, what):
    if done.returncode != status:
        raise Wrong(f"{what}: exit status {done.returncode}, not {status}\n"
                    f"{done.stdout}{done.stderr}")


def happens(stage, trial):
    for each in trial.later:
        (LATER[each] if isinstance(each, str) else each)(stage)


def lives(stage, seconds):
    if stage.trial.lives:
        return stage.trial.lives(stage, seconds)
    return stage.client.ask("alive", str(seconds)) == "yes"


def comes_in(stage, trial):
    return stage.client.ask("new", *[str(each) for each in trial.come]) == "yes"


def judge(stage, trial):
    """How it was saved: "refused", and "undone" where a timer did."""
    found = ["refused"]
    session = begin(stage, trial)
    if not lives(stage, 2):
        raise Wrong("the session is dead before anything is done")
    done = act(stage, trial, session, False)
    need(done, 1, "not refused")
    if trial.says not in done.stdout + done.stderr:
        raise Wrong(f"nothing is said of `{trial.says}`\n{done.stdout}{done.stderr}")
    happens(stage, trial)
    if not lives(stage, 3):
        raise Wrong("refused, and the session is dead")
    begun = time.monotonic()  # the timer runs from some moment behind this one
    done = act(stage, trial, session, True)
    need(done, 0, "forced, and not done")
    armed = time.monotonic()
    happens(stage, trial)
    ended = not (lives(stage, 1) if trial.ends == "session" else comes_in(stage, trial))
    if not ended and trial.verb[0] in TIMED and time.monotonic() > begun + trial.undo - 0.2:
        raise TooSlow
    if not ended:
        raise Wrong(f"forced, and the {trial.ends} goes on: nothing is shown\n{done.stdout}{done.stderr}")
    if trial.verb[0] in TIMED:
        time.sleep(max(0.0, armed + trial.undo + 0.5 - time.monotonic()))
        happens(stage, trial)
        if not (lives(stage, 6) if trial.ends == "session" else comes_in(stage, trial)):
            raise Wrong("the timer did not bring it back")
        found.append("undone")
    else:
        session = begin(stage, dataclasses.replace(trial, verb=("apply",)))
    for step in trial.mended:
        (LATER[step] if isinstance(step, str) else step)(stage)
    harmless(stage, trial, session)
    return found + ["harmless"]


def harmless(stage, trial, session):
    rules, site = site_of(trial, trial.before or "")
    stage.write_site(trial.harmless or rules + OTHER, site)
    if trial.waits:
        need(stage.apply(session=session), 1, "not refused without a timer")
    done = stage.apply(*(["--confirm", "60s"] if trial.waits else []), session=session)
    need(done, 0, "what takes nothing away was refused")
    happens(stage, trial)
    if not lives(stage, 3):
        raise Wrong(f"what takes nothing away ended the session\n{done.stdout}{done.stderr}")
    if not comes_in(stage, trial):
        raise Wrong(f"no new session comes in\n{done.stdout}{done.stderr}")


def play(trial):
    """How it went."""
    try:
        stage = Stage(trial)
        live_guard.serve_echo(trial.served, trial.listens)
        for step in trial.set_up:
            step(stage)
        return " ".join(judge(stage, trial))
    except TooSlow:
        return SLOW
    except LeftOut as why:
        return f"left out: {why}"
    except Wrong as why:
        return f"FAILED: {why}"
    except SystemExit as why:
        return f"FAILED: {why}"
    except Exception:
        return f"FAILED: {traceback.format_exc()}"


def start(trial, directory):
    """In networks of its own, and with processes: its end is the end of all that it started."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid != 0:
        os.close(writing)
        return pid, reading
    os.close(reading)
    os.chdir(directory)
    live_guard.STATE = os.path.join(directory, "state")
    answer = "left out: no namespaces"
    if libc.unshare(CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWPID) == 0:
        first = os.fork()
        if first != 0:
            os.waitpid(first, 0)
            os._exit(0)
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if libc.mount(b"proc", b"/proc", b"proc", MS_NOSUID_NODEV_NOEXEC, None) == 0:
            answer = play(trial)
    os.write(writing, answer.encode())
    os._exit(0)


def run_all(trials, at_once):
    scratch = tempfile.mkdtemp()
    waiting = collections.deque(enumerate(trials))
    running, results = {}, {}
    while waiting or running:
        while waiting and len(running) < at_once:
            number, trial = waiting.popleft()
            pid, reading = start(trial, tempfile.mkdtemp(dir=scratch))
            running[reading] = (pid, number, time.monotonic())
        for reading in select.select(list(running), [], [], 1)[0]:
            pid, number, _ = running.pop(reading)
            with os.fdopen(reading) as answer:
                results[number] = answer.read() or "FAILED: it ended without a word"
            if results[number] == SLOW:
                trials[number] = dataclasses.replace(trials[number], undo=3 * trials[number].undo)
                waiting.append((number, trials[number]))
            os.waitpid(pid, 0)
        for reading, (pid, number, since) in list(running.items()):
            if time.monotonic() - since > 150:
                os.kill(pid, signal.SIGKILL)
    shutil.rmtree(scratch, ignore_errors=True)
    return [results[number] for number in range(len(trials))]


def some(trials):
    """The first of each kind in each family, of each verb, and beside each other program."""
    shown, kept = set(), []
    for trial in trials:
        family = 6 if ":" in trial.come[1] else 4
        shows = {("kind", trial.kind, family), ("verb", trial.verb[0]), ("beside", *trial.then)}
        if not shows <= shown:
            kept.append(trial)
        shown |= shows
    return kept


def main():
    from lock_out_trials import TRIALS
    wanted = sys.argv[1:]
    trials = [trial for trial in TRIALS
              if not wanted or any(word in f"{trial.kind}: {trial.name}" for word in wanted)]
    if not wanted and "ROLEWALL_LONG_TESTS" not in os.environ:
        # A share of them for a program that is slow, as with sanitizers.
        trials = some(trials)[::int(os.environ.get("ROLEWALL_SHARE", "1"))]
    # Most of the time they wait for a timer.
    results = run_all(trials, int(os.environ.get("ROLEWALL_AT_ONCE", "12")))
    counts = collections.defaultdict(collections.Counter)
    failed = []
    for trial, result in zip(trials, results):
        name = f"{trial.kind}: {trial.name}"
        if result.startswith("FAILED"):
            failed.append(f"{name}: {result}")
        elif result.startswith("left out"):
            print(f"{name}: {result}")
            counts[trial.kind]["left out"] += 1
        else:
            counts[trial.kind].update(result.split())
    total = collections.Counter()
    for kind, count in counts.items():
        total.update(count)
        print(f"{kind:32} {count['refused']:3} refused {count['undone']:3} undone by the timer "
              f"{count['harmless']:3} harmless applied")
    print(f"{len(counts)} kinds, {total['refused']} refused, {total['undone']} undone by the timer, "
          f"{total['harmless']} harmless applied, {total['left out']} left out, {len(failed)} failed")
    print("\n".join(failed), end="\n" if failed else "")  # last, where a log that is cut still has them
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
