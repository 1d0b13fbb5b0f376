"""For tests/cli/odd_files.sh: each file of the state directory is in turn a FIFO, a directory, a device,
a link that leads nowhere, another user's, without any right, empty, cut short, or very long, and each verb
meets it. None hangs; the table in force and its bans stay; and who goes by the file names it.

Each file of each kind meets one verb, and `status`; every verb with ROLEWALL_LONG_TESTS, or those with a
word of the command line in "VERB FILE KIND".
"""

import os
import shutil
import stat
import subprocess
import sys

PROGRAM = os.environ["ROLEWALL_PROGRAM"]
STATE = os.environ["ROLEWALL_STATE"]
LONG = bool(os.environ.get("ROLEWALL_LONG_TESTS"))
BANNED = "192.0.2.66"

SITE = """
[site]
name = "s"
management = ["office"]
[defaults]
inbound = "drop"
outbound = "reject"
forward = "drop"
[networks]
office = ["198.51.100.0/24"]
[interfaces.public]
device = "lo"
[hosts.srv]
role = "server"
addresses = ["203.0.113.10"]
interfaces = ["public"]
"""
RULES = 'role = "server"\nuse = ["baseline"]\n'
ONE_MORE = '[[inbound]]\nid = "p{0}"\nservice = "tcp/{0}"\nfrom = "office"\n'

POLICY = ["-p", os.path.abspath("site"), "--host", "srv"]
# What it is called, its words, and whether the table is to be there afterwards.
VERBS = {
    "status": (["status"], True),
    "history": (["history"], True),
    "plan": (["plan", *POLICY], True),
    "bans": (["bans"], True),
    "apply": (["apply", *POLICY], True),
    "apply --confirm": (["apply", *POLICY, "--confirm", "1h"], True),
    "confirm": (["confirm"], True),
    "rollback": (["rollback"], True),
    "disable": (["disable"], False),
    "boot": (["boot", *POLICY], True),
    "ban": (["ban", "192.0.2.77", "--for", "1h"], True),
    "unban": (["unban", BANNED], True),
    "allow": (["allow", "tcp/8080", "from", "192.0.2.88", "--for", "1h"], True),
    "unallow": (["unallow", "tcp/8080", "from", "192.0.2.99"], True),
}
RECORD = {"format", "current", "boot", "generations"}
GENERATION = {"generations/2/seal", "generations/2/snapshot.json", "generations/2/applied.json"}
# What goes by which file, and so has to name it. Of `lock` and its like: who changes something.
GO_BY = {
    "status": RECORD | GENERATION | {"history.log", "pending.json", "bans.log"},
    "history": {"history.log", "pending.json"},
    "bans": {"bans.log"},
    "apply": {"lock", "format", "history.log", "pending.json"} | GENERATION,
    "apply --confirm": {"lock", "format"} | GENERATION,
    "confirm": {"lock", "format", "pending.json"},
    "rollback": {"lock", "format", "history.log"},
    "disable": {"lock", "format"},
    "boot": RECORD | GENERATION | {"lock", "pending.json", "bans.log"},
    "ban": {"format", "bans.log", "bans.lock"},
    "unban": {"format", "bans.log", "bans.lock"},
    "allow": {"format", "bans.log", "bans.lock"},
    "unallow": {"format"},
    "plan": set(),
}
FILES = sorted(RECORD | GENERATION | {
    "history.log", "pending.json", "kernel.json", "bans.log", "lock", "turn", "bans.lock"})
# A lock says nothing, whatever it holds.
LOCKS = {"lock", "turn", "bans.lock"}
LINKS = {"current", "boot"}


def make(kind, path):
    """False where the file cannot be so."""
    is_folder = os.path.isdir(path) and not os.path.islink(path)
    is_plain = os.path.isfile(path) and not os.path.islink(path)
    if kind in ("fifo", "directory", "device", "dangling link"):
        if is_folder:
            if kind == "directory":
                return False
            shutil.rmtree(path)
        else:
            os.remove(path)
    if kind == "fifo":
        os.mkfifo(path, 0o600)
    elif kind == "directory":
        os.mkdir(path, 0o700)
    elif kind == "device":
        os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(1, 3))
    elif kind == "dangling link":
        os.symlink("/nowhere/at/all", path)
    elif kind == "another user's":
        os.chown(path, 4321, 4321, follow_symlinks=False)
    elif kind == "no right":
        if not (is_plain or is_folder):
            return False
        os.chmod(path, 0)
    elif not is_plain:
        return False
    elif kind == "empty":
        os.truncate(path, 0)
    elif kind == "cut short":
        os.truncate(path, os.path.getsize(path) // 2)
    elif kind == "very long":
        os.truncate(path, 1 << 33)
    return True


KINDS = ["fifo", "directory", "device", "dangling link", "another user's", "no right", "empty",
         "cut short", "very long"]
# To root nothing is without rights; an empty log is a log, and one that is not there yet.
SAYS_NOTHING = {"no right"}


def must_name(verb, file, kind):
    if kind in SAYS_NOTHING or file not in GO_BY[verb]:
        return False
    if kind in ("empty", "cut short", "very long") and file in LOCKS:
        return False
    if kind in ("empty", "cut short") and file == "bans.log":
        return kind == "cut short" and verb == "boot"
    if kind == "cut short" and file == "format":
        return False  # of its two bytes the number is left
    if kind == "empty" and file == "format":
        return verb in ("status", "apply", "apply --confirm")  # the links say whose directory it is
    if kind in ("empty", "cut short") and file == "history.log":
        return verb == "status"
    return True


def rolewall(*words):
    """The exit status and all that it says; None where it hangs."""
    try:
        done = subprocess.run([PROGRAM, *words, "--state-dir", STATE], capture_output=True, text=True,
                              timeout=60, stdin=subprocess.DEVNULL, check=False)
    except subprocess.TimeoutExpired:
        return None, ""
    return done.returncode, done.stdout + done.stderr


def must(*words):
    status, said = rolewall(*words)
    if status != 0:
        sys.exit(f"the scene does not begin: {words}: exit status {status}\n{said}")


def nft(*words, given=None):
    return subprocess.run(["nft", *words], capture_output=True, text=True, input=given, check=True).stdout


def begin():
    os.makedirs("site")
    with open("site/site.toml", "w", encoding="utf-8") as file:
        file.write(SITE)
    rules = RULES
    for port in (8001, 8002):
        with open("site/server.toml", "w", encoding="utf-8") as file:
            file.write(rules)
        must("apply", *POLICY)
        rules += ONE_MORE.format(port)
    with open("site/server.toml", "w", encoding="utf-8") as file:
        file.write(rules)
    must("ban", BANNED, "--for", "2h")
    shutil.copytree(STATE, "kept", symlinks=True)
    ruleset = nft("list", "ruleset")
    # And once more with one that waits, of which nobody thinks any more.
    must("apply", *POLICY, "--confirm", "1h")
    shutil.copytree(STATE, "waiting", symlinks=True)
    waiting = nft("list", "ruleset")
    must("rollback")
    return {"kept": ruleset, "waiting": waiting}


def play(verb, file, kind, rulesets):
    """What is wrong; "" for nothing; None where there is no such case."""
    base = "waiting" if file == "pending.json" else "kept"
    shutil.rmtree(STATE)
    shutil.copytree(base, STATE, symlinks=True)
    path = os.path.join(STATE, file)
    if not os.path.lexists(path):
        with open(path, "w", encoding="utf-8"):
            pass
    if not make(kind, path):
        return None
    nft("-f", "-", given="flush ruleset\n" + ("" if verb == "boot" else rulesets[base]))
    words, stays = VERBS[verb]
    status, said = rolewall(*words)
    if status is None:
        return "it hangs"
    if not 0 <= status <= 3:
        return f"exit status {status}\n{said}"
    table = nft("list", "ruleset")
    if stays and "table inet rolewall" not in table:
        return f"the table is gone\n{said}"
    is_emptied = verb == "boot" and (file, kind) == ("bans.log", "empty")
    may_be_lost = verb in ("unban", "disable") or is_emptied or (verb == "boot" and "bans.log" in said)
    if BANNED not in table and not may_be_lost:
        return f"the ban is gone\n{said}"
    if must_name(verb, file, kind) and os.path.basename(file) not in said:
        return f"exit status {status}, and it does not name the file\n{said}"
    return ""


def main():
    rulesets = begin()
    failures = []
    count = 0
    turn = 0
    for file in FILES:
        for kind in KINDS:
            turn += 1
            for number, verb in enumerate(VERBS):
                name = f"{verb} {file} {kind}"
                if sys.argv[1:] and not all(word in name for word in sys.argv[1:]):
                    continue
                if not sys.argv[1:] and not LONG and number != turn % len(VERBS):
                    continue
                wrong = play(verb, file, kind, rulesets)
                count += wrong is not None
                if wrong:
                    failures.append(f"FAILED: {verb}: {file}, {kind}: {wrong}")
    for each in failures:
        print(each)
    print(f"{count} cases, {len(failures)} failed")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
