#!/usr/bin/env python3
"""Whether the tests would notice: wrong changes to the evaluator (mutations.py), each of which the
default run of one of the kernel's judges must catch. All are compiled into one program, which makes
one of them at a time (ROLEWALL_MUTANT).

usage: tests/mutation/check_mutations.py [--keep FOLDER] [--only WORD ...] [--list]

Works on a copy of the tracked files in a folder of its own (`--keep`: this one, which stays). Exits
with 1 where more than two wrong evaluators pass, or where the right one does not.
"""

import argparse
import concurrent.futures
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

from mutations import (CONVERSATION, DEVICE, EXPRESSIONS, IPTABLES, MUTATIONS, RULESET,
                       TALK_IPTABLES, TRAPS)

ROOT = pathlib.Path(__file__).resolve().parents[2]
MOST_MISSED = 2

# A judge's default run, in its parts (tests/kernel/meson.build), or some of them: the next is run where one finds nothing.
RULESETS = ["--rulesets", "142", "--packets", "416", "--stop-after", "1", "--seed"]
IPTABLES_RULESETS = ["--rulesets", "185", "--packets", "112", "--stop-after", "1", "--seed"]
TALKS = ["conversation_judge", "--rulesets", "74", "--conversations", "20", "--seed"]
JUDGES = {
    RULESET: [["ruleset_judge", *RULESETS, "1"], ["ruleset_judge", *RULESETS, "1001"],
              ["ruleset_judge", "--forwards", *RULESETS, "2001"], ["ruleset_judge", "--forwards", *RULESETS, "3001"]],
    EXPRESSIONS: [["ruleset_judge", "--from", "expressions", "--rulesets", "120", "--packets", "102", "--seed", "1",
                   "--stop-after", "1"]],
    IPTABLES: [["ruleset_judge", "--from", "iptables", *IPTABLES_RULESETS, "1"],
               ["ruleset_judge", "--from", "iptables", *IPTABLES_RULESETS, "1001"],
               ["ruleset_judge", "--from", "iptables", "--forwards", *IPTABLES_RULESETS, "2001"]],
    CONVERSATION: [[*TALKS, seed] for seed in ("1", "81", "1001", "1081")],
    TALK_IPTABLES: [["conversation_judge", "--from", "iptables", "--rulesets", "30", "--conversations", "10", "--seed", "1"]],
    DEVICE: [["device_judge", "--rulesets", "156", "--packets", "150"]],
    TRAPS: [["trap_judge"]],
}

# Everywhere included, by src/base/std.h.
SWITCH = """
namespace rolewall {
inline int mutant() {
  static const char* text = std::getenv("ROLEWALL_MUTANT");
  static const int number = text == nullptr ? 0 : std::atoi(text);
  return number;
}
}  // namespace rolewall
"""


def with_all_in():
    """The tracked files as they are to be compiled: all of them, each behind its number."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True)
    names = [name for name in listed.stdout.decode().split("\0") if name and (ROOT / name).is_file()]
    files = {name: (ROOT / name).read_bytes() for name in names}
    for number, (what, name, old, new, _) in enumerate(MUTATIONS, 1):
        source = files[name].decode()
        if source.count(old) != 1:
            sys.exit(f"{name}: the text of `{what}` is there {source.count(old)} times")
        files[name] = source.replace(
            old, new.replace("MUTANT", f"(::rolewall::mutant() == {number})")).encode()
    files["src/base/std.h"] += SWITCH.encode()
    return files


def write_tree(to):
    """A file that is there already as it is to be stays, so that it is not compiled again."""
    for name, contents in with_all_in().items():
        target = to / name
        if target.is_file() and target.read_bytes() == contents:
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(contents)
        shutil.copymode(ROOT / name, target)


def build(folder):
    if not (folder / "build").exists():
        subprocess.run(["meson", "setup", "build"], cwd=folder, check=True, capture_output=True)
    targets = {f"tests/kernel/{part[0]}" for parts in JUDGES.values() for part in parts}
    done = subprocess.run(["ninja", "-C", "build", *sorted(targets)], cwd=folder, capture_output=True,
                          text=True)
    if done.returncode != 0:
        sys.exit(done.stdout[-3000:])


def run_part(folder, part, number):
    """A judge's exit status and what it printed: up to its first disagreement, which is enough."""
    # Line by line, so that it need not go on to the end of its pipe's block.
    command = ["stdbuf", "-oL", folder / "build/tests/kernel" / part[0], *part[1:]]
    environment = os.environ | {"ROLEWALL_MUTANT": str(number)}
    printed = []
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          env=environment) as running:
        for line in running.stdout:
            printed.append(line.rstrip())
            if "DISAGREEMENT" in line:
                running.terminate()
                break
    return running.returncode, printed


def judge(folder, which, number):
    """The same of its parts, up to the first that does not end well."""
    for part in JUDGES[which]:
        status, printed = run_part(folder, part, number)
        if status != 0:
            break
    return status, printed


def check(folder, only):
    write_tree(folder)
    build(folder)
    numbered = [each for each in enumerate(MUTATIONS, 1) if any(word in each[1][0] for word in only)]
    for which in sorted({each[4] for _, each in numbered}):
        status, printed = judge(folder, which, 0)
        if status == 77:
            print(printed[0])
            return 77
        if status != 0:
            print("\n".join([f"the evaluator as it is does not pass {which}:", *printed[-40:]]))
            return 1
    # The judges wait for the kernel more than they compute.
    with concurrent.futures.ThreadPoolExecutor(2 * os.cpu_count()) as pool:
        trials = [pool.submit(judge, folder, mutation[4], number) for number, mutation in numbered]
        missed = 0
        for (_, (what, *_)), trial in zip(numbered, trials):
            shown = [line for line in trial.result()[1] if "DISAGREEMENT" in line]
            missed += not shown
            print(f"caught: {what}: {shown[0]}" if shown else f"MISSED: {what}", flush=True)
    print(f"{len(numbered) - missed} of {len(numbered)} wrong evaluators caught")
    return 1 if missed > MOST_MISSED else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--keep", type=pathlib.Path)
    parser.add_argument("--only", nargs="+", default=[""], help="those with a word in what is wrong")
    parser.add_argument("--list", action="store_true", help="look for each one's text, which must be there once, and build nothing")
    arguments = parser.parse_args()
    if arguments.list:
        places = [(ROOT / name).read_text().count(old) for _, name, old, _, _ in MUTATIONS]
        for count, (what, _, _, _, which) in zip(places, MUTATIONS):
            print(f"{count}  {which}: {what}")
        return 0 if set(places) == {1} else 1
    if arguments.keep:
        arguments.keep.mkdir(parents=True, exist_ok=True)
        return check(arguments.keep.resolve(), arguments.only)
    with tempfile.TemporaryDirectory() as folder:
        return check(pathlib.Path(folder), arguments.only)


if __name__ == "__main__":
    sys.exit(main())
