"""Every block of commands in README.md, docs/ and the man pages (their own text, and the examples that
they take from the help) is run as it stands, each on a machine of its own: a network and mounts apart
from this machine's, in which /etc/rolewall is the example site and the host is web-01. What a block
shows behind a command is what the command must print.

usage: command_blocks.py FOLDER [WORD]      the blocks with WORD in their name"""

import os
import pathlib
import re
import shlex
import subprocess
import sys
import textwrap

PROGRAM = os.environ["ROLEWALL_PROGRAM"]
SOURCE = pathlib.Path(os.environ["ROLEWALL_SOURCE"])

# What differs from run to run, and what a page has in its place. Nothing else may differ.
VARIES = [
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "<moment>"),
    (r"\b\d\d:\d\d:\d\d\b", "<time>"),
    (r"\(in [0-9dhms ]+\)", "(in <time>)"),
    (r"\bby [a-z_][a-z0-9_-]*\b", "by <user>"),
]

# Blocks that are no commands for this machine, and what runs them.
ELSEWHERE = {
    "packaging/quickstart": "it installs packages and builds; its tour of the example site is README's blocks",
    "tests/run": "it is what runs this",
    "sudo rolewall stats --watch": "it has no end; cli/stats.sh presses q",
    "sudo rolewall log": "it has no end; cli/log_words.sh ends it",
    "sudo rolewall log --explain": "the same",
    "sudo rolewall log --suggest --for 1h": "the same",
    "sudo rolewall log --format json | jq .rule": "the same",
    "sudo rolewall trace 'tcp 10.0.1.10 > self:443'": "it waits for packets; cli/trace_live.sh has some",
    "sudo rolewall trace 'tcp any > self:22 flags=syn in=eth0' --for 5m --count 100": "the same",
    "sudo rolewall trace 'icmp self > any' --format json": "the same",
    "sudo rolewall trace -p policies 'mysql self > db-primary'": "the same",
}

# What must have been done before a block, by its name, or by that and how its first command begins:
# commands, one a line.
APPLIED = "rolewall apply policies --host web-01"
BASE = "git -c user.name=a -c user.email=a@b.example commit -qm a\ngit update-ref refs/remotes/origin/main HEAD"
BEFORE = {
    "rolewall.8": "rm -r /etc/rolewall\nmkdir /etc/rolewall\nhostname www",
    "rolewall-unban": f"{APPLIED}\nrolewall ban 192.0.2.7",
    "rolewall-unallow": f"{APPLIED}\nrolewall allow ssh from 192.0.2.7 --for 1h",
    "rolewall-ban": APPLIED, "rolewall-bans": APPLIED, "rolewall-allow": APPLIED, "rolewall-boot": APPLIED,
    "rolewall-status": APPLIED, "rolewall-stats": APPLIED, "rolewall-history": APPLIED,
    "rolewall-confirm": f"{APPLIED} --confirm 5m",
    "rolewall-refresh": APPLIED,
    "rolewall-disable": APPLIED,
    "rolewall-rollback": "\n".join(f"open {port}\n{APPLIED}" for port in range(8001, 8006)) +
                         f"\nopen 8006\n{APPLIED} --confirm 5m",
    "README.md: sudo cp": "rm -r /etc/rolewall\nmkdir /etc/rolewall\nhostname www",
    "README.md: sudo rolewall plan": APPLIED + "\nmetrics_for_office\nopen 8001",
    "README.md: sudo rolewall dump": APPLIED,
    "rolewall-plan": APPLIED + "\nopen 8001",
    "rolewall-report": BASE, "docs/report.md": BASE, "docs/ci.md: rolewall report": BASE,
    "rolewall-diff": BASE + "\n"
                     "cp -r policies old-policies\ncp web-01.json before.json\n" +
                     "\n".join(f"open {port}\n{APPLIED}" for port in range(8001, 8004)),
}

# The exit status of a command, where it is not 0; by the beginning of the command.
STATUS = {
    "sudo rolewall plan --exit-code": 1,
    "rolewall diff origin/main": 1, "rolewall diff old-policies": 1, "rolewall diff before.json": 1,
}


def text_of(page):
    return (SOURCE / page).read_text(encoding="utf-8")


def markdown_blocks(page):
    """Those that are indented and have a command; with `$ ` before each, what follows is its output."""
    found = []
    for block in re.findall(r"(?:^    .*\n(?:\n(?=    ))*)+", text_of(page), re.M):
        lines = textwrap.dedent(block).rstrip("\n").split("\n")
        if any(line.startswith("$ ") for line in lines):
            parts = re.split(r"^\$ ", "\n".join(lines), flags=re.M)[1:]
            found.append([part.rstrip("\n").partition("\n")[::2] for part in parts])
        elif re.match(r"(sudo )?(rolewall |packaging/|tests/)", lines[0]):
            found.append([(line, None) for line in lines if not line.startswith(" ")])
    return found


def mdoc_blocks(page):
    blocks = re.findall(r"^\.Bd -literal[^\n]*\n(.*?)^\.Ed$", text_of(page), re.M | re.S)
    lines = [block.replace("\\-", "-").replace("\\e", "\\").splitlines() for block in blocks]
    return [[(line, None) for line in block] for block in lines if "rolewall" in block[-1]]


def help_examples(verb):
    """The commands in the help of a verb, or of none; behind two spaces stands what one is for."""
    page = subprocess.run([PROGRAM, *verb, "--help"], capture_output=True, text=True, check=True).stdout
    block = re.search(r"^examples:\n((?:  .*\n|\n)+)", page, re.M | re.I)
    lines = [line[2:] for line in block[1].splitlines() if re.match(r"  \S", line)] if block else []
    lines = [re.sub(r"(?<=[\w'/.]) {2,}\S.*", "", line) for line in lines]
    return [[(line, None) for line in lines if re.match(r"(sudo |ssh \S+ sudo )?rolewall ", line)]]


def all_blocks():
    pages = ["README.md", *sorted(str(each.relative_to(SOURCE)) for each in SOURCE.glob("docs/*.md"))]
    for page in pages:
        for block in markdown_blocks(page):
            yield page, block
    for page in sorted(SOURCE.glob("packaging/man/*.mdoc")):
        for block in mdoc_blocks(str(page.relative_to(SOURCE))):
            yield f"{page.stem}.8", block
        for block in help_examples(page.stem.split("-")[1:]):
            yield page.stem, block


def without_comment(command):
    """Up to a `#` outside of quotes."""
    lexer = shlex.shlex(command, posix=False, punctuation_chars=True)
    lexer.commenters = ""
    quoted = False
    for at, char in enumerate(command):
        if char in "'\"":
            quoted = not quoted
        if char == "#" and not quoted and command[at - 1] == " ":
            return command[:at].rstrip()
    return command


def plain(text):
    for pattern, mark in VARIES:
        text = re.sub(pattern, mark, text)
    return [line.rstrip() for line in text.strip("\n").split("\n")]


def machine(folder, commands):
    """The commands, each in the machine's shell; their exit statuses and what they print."""
    folder.mkdir()
    script = folder / "script"
    mark = "=== end of"
    lines = ['. "$ROLEWALL_SOURCE/tests/support/command_machine.sh"']
    for number, command in enumerate(commands):
        lines += [f"{{ {command}\n}} </dev/null 2>&1", f'echo "{mark} {number} $?"']
    script.write_text("\n".join(lines) + "\n")
    done = subprocess.run(["unshare", "-rnmu", "sh", str(script)], cwd=folder, capture_output=True,
                          text=True, timeout=600, check=False)
    parts = re.split(rf"^{mark} (\d+) (\d+)\n", done.stdout, flags=re.M)
    answers = list(zip(map(int, parts[2::3]), parts[0::3]))
    if len(answers) != len(commands):
        sys.exit(f"{folder.name}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return answers


def main():
    folder = pathlib.Path(sys.argv[1]).resolve()
    word = sys.argv[2] if len(sys.argv) > 2 else ""
    ran, failures = 0, []
    blocks = [(name, block) for name, block in all_blocks() if word in name]
    for number, (name, block) in enumerate(blocks):
        block = [(without_comment(command), shown) for command, shown in block]
        block = [(command, shown) for command, shown in block if command not in ELSEWHERE]
        if not block:
            continue
        first = f"{name}: {block[0][0]}"
        done = next((each for begin, each in BEFORE.items() if begin == name or first.startswith(begin + " ")), "")
        before = [line for line in done.split("\n") if line]
        answers = machine(folder / f"{number}", before + [command for command, _ in block])
        for command, (status, printed) in zip(before, answers):
            if status != 0:
                failures.append(f"{name}: before its block: {command}: exit {status}\n{printed}")
        for (command, shown), (status, printed) in zip(block, answers[len(before):]):
            ran += 1
            wanted = next((each for begin, each in STATUS.items() if command.startswith(begin)), 0)
            if not shown and status != wanted:
                failures.append(f"{name}: {command}: exit {status}, not {wanted}\n{printed}")
            elif shown and plain(shown) != plain(printed):
                failures.append(f"{name}: $ {command}\n--- the page has:\n{shown}\n--- it prints:\n{printed}")
    for failure in failures:
        print(failure)
    print(f"{ran} commands, {len(failures)} failures")
    if ran < 60 and not word:
        sys.exit(f"only {ran} commands were found")
    sys.exit(1 if failures else 0)


main()
