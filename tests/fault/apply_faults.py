#!/usr/bin/env python3
"""Every system call of an apply of a change of many rules fails, then kills the process, in turn.

After each the kernel must hold exactly the old or the new ruleset, the state directory must be
readable, and the next apply must succeed. By strace's injection, in namespaces of our own.

usage: apply_faults.py ROLEWALL RULES_DIR [--all | --points N] [--rules N]
"""
import argparse
import collections
import os
import re
import shutil
import subprocess
import sys
import tempfile

SKIPPED = 77
# What each call may fail with; of the others, EPERM.
ERRORS = {
    "EINTR": {"read", "write", "pread64", "pwrite64", "openat", "poll", "flock", "recvmsg",
              "recvfrom", "sendto", "sendmsg", "close", "wait4"},
    "ENOBUFS": {"sendto", "sendmsg", "recvmsg", "recvfrom"},
    "ENOMEM": {"mmap", "brk", "mremap", "openat", "socket", "sendto", "sendmsg", "clone", "pipe2"},
    "ENOSPC": {"write", "openat", "mkdir", "symlink", "rename", "fsync", "fdatasync", "ftruncate",
               "close", "pwrite64"},
}
# Calls that cannot be asked to fail, or that end the process anyway.
LEFT_OUT = {"execve", "exit_group", "exit", "rt_sigreturn", "arch_prctl", "set_tid_address"}

# An apply looks for sshd in /proc. In one of our own it meets no other programs' processes, whose number would be that
# of most calls; where the machine does not allow that, it meets them.
NAMESPACES = (["-rnpf", "--mount-proc"], ["-rn"])


def site(folder, source, rules):
    os.makedirs(folder)
    with open(f"{folder}/site.toml", "w", encoding="utf-8") as file:
        file.write(
            '[site]\nname = "s"\n[networks]\nold = "192.0.2.0/25"\nnew = "192.0.2.128/25"\n'
            '[hosts.srv]\nrole = "server"\naddresses = ["10.0.2.10"]\n')
    with open(f"{folder}/server.toml", "w", encoding="utf-8") as file:
        file.write('role = "server"\n')
        for rule in range(rules):
            file.write(f'[[inbound]]\nid = "r{rule}"\nservice = "tcp/{2000 + rule}"\n'
                       f'from = "{source}"\n')


class Bench:
    def __init__(self, program, rules, folder, count):
        self.program = program
        self.folder = folder
        self.state = f"{folder}/state"
        self.environment = dict(os.environ, ROLEWALL_RULES_DIR=rules)
        self.environment.pop("SSH_CONNECTION", None)
        site(f"{folder}/old", "old", count)
        site(f"{folder}/new", "new", count)
        self.rulesets = {}

    def apply(self, which, *before):
        return subprocess.run(
            [*before, self.program, "apply", f"{self.folder}/{which}", "--host", "srv",
             "--state-dir", self.state, "--force"],
            env=self.environment, capture_output=True, text=True, timeout=120, check=False)

    def must_apply(self, which, after):
        done = self.apply(which)
        if done.returncode != 0:
            raise SystemExit(f"FAILED: {after}: the next apply: status {done.returncode}\n"
                             f"{done.stdout}{done.stderr}")

    @staticmethod
    def live():
        return subprocess.run(["nft", "-s", "list", "ruleset"], capture_output=True, text=True,
                              check=True).stdout

    def calls(self):
        """Every call of an apply from old to new, as (name, its how manieth of that name)."""
        log = f"{self.folder}/log"
        done = self.apply("new", "strace", "-o", log, "--")
        if done.returncode != 0:
            raise SystemExit(f"strace: {done.stderr}")
        counts = collections.Counter()
        found = []
        with open(log, encoding="utf-8", errors="replace") as file:
            for line in file:
                call = re.match(r"([a-z0-9_]+)\(", line)
                if call and call[1] not in LEFT_OUT:
                    counts[call[1]] += 1
                    found.append((call[1], counts[call[1]]))
        return found

    def check(self, point):
        live = self.live()
        if live not in self.rulesets.values():
            raise SystemExit(f"FAILED: {point}: the kernel holds neither the old nor the new ruleset")
        status = subprocess.run([self.program, "status", "--state-dir", self.state],
                                capture_output=True, text=True, timeout=120, check=False)
        if status.returncode not in (0, 1):
            raise SystemExit(f"FAILED: {point}: status: {status.stderr}")
        return "new" if live == self.rulesets["new"] else "old"


def points_of(calls, kill):
    for name, nth in calls:
        if kill:
            yield f"{name}:signal=KILL:when={nth}"
            continue
        errors = [error for error, names in ERRORS.items() if name in names] or ["EPERM"]
        for error in errors:
            yield f"{name}:error={error}:when={nth}"


def run(arguments):
    folder = tempfile.mkdtemp(prefix="rolewall-fault-")
    try:
        bench = Bench(arguments.program, arguments.rules_dir, folder, arguments.rules)
        for which in ("new", "old"):
            bench.must_apply(which, "the beginning")
            bench.rulesets[which] = bench.live()
        if bench.rulesets["new"] == bench.rulesets["old"]:
            raise SystemExit("FAILED: nothing changes")
        calls = bench.calls()
        for kill in (False, True):
            points = list(points_of(calls, kill))
            step = 1 if arguments.all else max(1, len(points) // arguments.points)
            outcome = collections.Counter()
            for point in points[::step]:
                bench.must_apply("old", "before " + point)
                bench.apply("new", "strace", "-o", "/dev/null", "-e",
                            "trace=" + point.partition(":")[0], "-e", "inject=" + point, "--")
                outcome[bench.check(point)] += 1
                bench.must_apply("new", point)
                if bench.live() != bench.rulesets["new"]:
                    raise SystemExit(f"FAILED: {point}: the next apply is not in force")
            if not outcome["old"]:
                raise SystemExit("FAILED: no point has kept the new ruleset out: is nothing injected?")
            print(f"{'killed' if kill else 'failing'}: {sum(outcome.values())} points of "
                  f"{len(points)} tried; the kernel held the old ruleset {outcome['old']} times, "
                  f"the new one {outcome['new']} times, and nothing else", flush=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("rules_dir")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--points", type=int, default=60, help="of each kind, evenly spaced")
    parser.add_argument("--rules", type=int, default=1000, help="that the change is of; --all: 1000")
    arguments = parser.parse_args()
    arguments.all = arguments.all or os.environ.get("ROLEWALL_LONG_TESTS") == "1"
    if arguments.all:
        arguments.rules = 1000
    for tool in ("strace", "nft", "unshare"):
        if shutil.which(tool) is None:
            print(f"skipped: no {tool}")
            return SKIPPED
    if os.environ.get("ROLEWALL_INSIDE") != "1":
        namespaces = next((options for options in NAMESPACES if subprocess.run(
            ["unshare", *options, "true"], stderr=subprocess.DEVNULL, check=False).returncode == 0), None)
        if namespaces is None:
            print("skipped: no user and network namespaces here")
            return SKIPPED
        os.environ["ROLEWALL_INSIDE"] = "1"
        os.execvp("unshare", ["unshare", *namespaces, sys.executable, *sys.argv])
    run(arguments)
    return 0


sys.exit(main())
