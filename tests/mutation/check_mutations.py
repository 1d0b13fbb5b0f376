#!/usr/bin/env python3
"""Whether the tests would notice: nine wrong changes to the evaluator, one at a time, each of which
the default run of ruleset_judge (random rulesets on the live kernel) must catch.

usage: tests/mutation/check_mutations.py [--keep FOLDER]

Works on a copy of the tracked files in a folder of its own (`--keep`: this one, which stays). Exits
with 1 where a wrong evaluator passes, or where the right one does not.
"""

import argparse
import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]

# What is wrong, the file, what stands there, what is to stand there instead. The text must be there
# once: where the evaluator changes, so does this list.
MUTATIONS = [
    ("a comparison flipped at its boundary", "src/eval/interpreter.cc",
     "      return order <= 0;", "      return order < 0;"),
    ("a later fragment taken for a first one", "src/eval/interpreter_load.cc",
     "      if (!dissection.has_protocol || dissection.fragment_offset != 0) return Next::Break;\n"
     "      start += dissection.transport;",
     "      if (!dissection.has_protocol) return Next::Break;\n"
     "      start += dissection.transport;"),
    ("a failed load read as zero", "src/eval/interpreter_load.cc",
     "  if (!readable(bytes, start, load.length)) return Next::Break;",
     "  if (!readable(bytes, start, load.length)) {\n"
     "    store(load.destination, std::vector<std::uint8_t>(load.length));\n"
     "    return Next::Expression;\n"
     "  }"),
    ("accept ending the hook", "src/eval/evaluator.cc",
     "        goes_on = run_chain(stage, frame, options, result);",
     "        goes_on = run_chain(stage, frame, options, result) &&\n"
     "                  result.decision.rule == Decision::kPolicy;"),
    ("a limit off by one", "src/eval/state.cc",
     "  if (tokens.least >= cost) return true;\n  if (tokens.most < cost) return false;",
     "  if (tokens.least > cost) return true;\n  if (tokens.most <= cost) return false;"),
    ("jump treated as goto", "src/eval/interpreter.cc",
     "        stack[depth++] = {chain, rule + 1};\n", ""),
    ("host for network byte order", "src/eval/interpreter.cc",
     "    std::reverse_copy(source + i * step, source + i * step + op.size, unit.begin());",
     "    std::copy(source + i * step, source + i * step + op.size, unit.begin());"),
    ("a unit swapped where the length holds none", "src/eval/interpreter.cc",
     "  for (std::size_t i = 0; i < op.length / op.size; ++i) {",
     "  for (std::size_t i = 0; i < 1; ++i) {"),
    ("a write on the way out that is routed again", "src/eval/evaluator.cc",
     "  return base && base->type == ruleset::ChainType::Route && route_key(frame) != before;",
     "  return base && route_key(frame) != before;"),
]

TARGET = "tests/kernel/ruleset_judge"
RUN = ["--rulesets", "130", "--packets", "400", "--seed", "1", "--stop-after", "1"]


def copy_tree(to):
    files = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True)
    for name in files.stdout.decode().split("\0"):
        if not name or not (ROOT / name).is_file():
            continue
        target = to / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, target)


def build(folder):
    done = subprocess.run(["ninja", "-C", "build", TARGET], cwd=folder, capture_output=True,
                          text=True)
    if done.returncode != 0:
        sys.exit(done.stdout[-3000:])


def judge(folder):
    return subprocess.run([folder / "build" / TARGET, *RUN], cwd=folder, capture_output=True,
                          text=True)


def check(folder):
    copy_tree(folder)
    if not (folder / "build").exists():
        subprocess.run(["meson", "setup", "build"], cwd=folder, check=True, capture_output=True)
    build(folder)
    right = judge(folder)
    if right.returncode == 77:
        print(right.stdout.strip())
        return 77
    if right.returncode != 0:
        print("the evaluator as it is does not pass:\n" + right.stdout[-3000:])
        return 1
    missed = 0
    for what, name, old, new in MUTATIONS:
        path = folder / name
        source = path.read_text()
        if source.count(old) != 1:
            sys.exit(f"{name}: the text of `{what}` is there {source.count(old)} times")
        path.write_text(source.replace(old, new))
        build(folder)
        caught = judge(folder)
        path.write_text(source)
        shown = [line for line in caught.stdout.splitlines() if "DISAGREEMENT" in line]
        if caught.returncode == 1 and shown:
            print(f"caught: {what}: {shown[0]}", flush=True)
        else:
            missed += 1
            print(f"MISSED: {what}", flush=True)
    print(f"{len(MUTATIONS) - missed} of {len(MUTATIONS)} wrong evaluators caught")
    return 1 if missed else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--keep", type=pathlib.Path)
    arguments = parser.parse_args()
    if arguments.keep:
        arguments.keep.mkdir(parents=True, exist_ok=True)
        return check(arguments.keep.resolve())
    with tempfile.TemporaryDirectory() as folder:
        return check(pathlib.Path(folder))


if __name__ == "__main__":
    sys.exit(main())
