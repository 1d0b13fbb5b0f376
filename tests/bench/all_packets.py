#!/usr/bin/env python3
"""What questions about all packets cost, in one run: each figure beside what it should reach.

    all_packets.py BUILD RULES [--classbench DIR] [--rules N] [--pairs N]

Rulesets to diagrams and one rule less of them (analyse_rules, beside BuDDy where libbdd-dev is
there); `diff` as a command, of one host with 10,000 rules and of a site of 1,000 hosts; the classes
that a reader sees of 1,000 pairs with one edit; one question on the example site. Processor time,
medians of five. DIR (or ROLEWALL_CLASSBENCH): a checkout or a git directory of
github.com/tanakalab/ClassBench, whose db_generator is built in a scratch folder; its kinds are
skipped with a word where it is not there. By hand: a figure is for a quiet machine, and missing one
is no failure.
"""
import argparse
import json
import os
import pathlib
import re
import resource
import shutil
import subprocess
import sys
import tempfile

CLASSBENCH = ["acl1", "acl3", "ipc1", "fw1", "fw2"]


class Report:
    def __init__(self) -> None:
        self.met = self.missed = self.skipped = 0

    def row(self, what: str, seen: float, reach: float, unit: str, note: str = "") -> None:
        good = seen <= reach
        self.met += good
        self.missed += not good
        print(f"{'met   ' if good else 'MISSED'}  {what:44} {seen:9.2f} of {reach:g} {unit}{note}", flush=True)

    def skip(self, what: str, why: str) -> None:
        self.skipped += 1
        print(f"skipped {what}: {why}", flush=True)


def processor_seconds(command: list[str], environment: dict[str, str], runs: int = 5) -> float:
    times = []
    for _ in range(runs):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        if done.returncode > 1:
            sys.exit(f"{' '.join(command)}: {done.stderr}")
        times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return sorted(times)[len(times) // 2]


def build_classbench(source: pathlib.Path, scratch: pathlib.Path) -> pathlib.Path:
    to = scratch / "classbench"
    if (source / "db_generator").is_dir():
        shutil.copytree(source, to)
    else:
        to.mkdir()
        archive = subprocess.run(["git", "-C", source, "archive", "HEAD"], capture_output=True, check=True)
        subprocess.run(["tar", "-x", "-C", to], input=archive.stdout, check=True)
    main = to / "db_generator/db_generator.cc"
    # The clock is its seed: the same rules each time.
    main.write_text(main.read_text().replace("seed = tp.tv_usec;", "seed = 1;"))
    subprocess.run(["make", "-C", to / "db_generator", "db_generator"], capture_output=True, check=True)
    return to


def classbench_rules(built: pathlib.Path, kind: str, count: int) -> pathlib.Path:
    rules = built / f"{kind}.rules"
    subprocess.run([built / "db_generator/db_generator", "-bc", built / f"parameter_files/{kind}_seed",
                    str(count), "2", "0.5", "-0.1", rules], capture_output=True, check=True)
    return rules


def measure_rules(report: Report, program: pathlib.Path, kind: str, count: int,
                  rules: pathlib.Path | None = None) -> None:
    command = ["timeout", "300", program, kind, str(count)] + ([rules] if rules else [])
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        report.skip(f"{kind}, {count} rules", f"not done in five minutes {done.stderr}")
        return
    told = json.loads(done.stdout)
    large = count > 10_000
    reach = 5 if large else 4 if kind == "wild" else 0.6
    name = f"{kind}, {told['rules']} rules"
    ended = f"; not done in {told['ended']}" if told["ended"] else ""
    buddy = ""
    if "buddy_seconds" in told:
        buddy = f"; BuDDy {told['buddy_seconds']:.2f} s"
    elif "buddy_not_within" in told:
        buddy = f"; BuDDy not within {told['buddy_not_within']} s"
    report.row(f"{name}: to a diagram", told["seconds"], reach, "s", buddy + ended)
    if kind != "wild" and not large:
        report.row(f"{name}: memory", told["megabytes"], 200, "MB")
    if not large:
        ended = f"; not done in {told['one_less_ended']}" if told["one_less_ended"] else ""
        report.row(f"{name}: one rule less", told["one_less_ms"], 20, "ms", ended)


def edited_site(scratch: pathlib.Path, name: str, hosts: int, rules: int, roles: int) -> list[pathlib.Path]:
    """A site, and the same without one rule."""
    before, after = scratch / name, scratch / f"{name}-after"
    maker = pathlib.Path(__file__).with_name("large_site.py")
    subprocess.run([sys.executable, maker, before, str(hosts), str(rules), str(roles)], capture_output=True, check=True)
    shutil.copytree(before, after)
    role = after / "r0.toml"
    tables = role.read_text().split("\n[[")
    del tables[len(tables) // 2]
    role.write_text("\n[[".join(tables))
    return [before, after]


def measure_commands(report: Report, rolewall: pathlib.Path, rules: pathlib.Path, scratch: pathlib.Path) -> None:
    environment = os.environ | {"ROLEWALL_RULES_DIR": str(rules)}

    def diff(name: str, reach: float, hosts: int, count: int, roles: int) -> None:
        sides = edited_site(scratch, name.replace(" ", "-").replace(",", ""), hosts, count, roles)
        seconds = processor_seconds([str(rolewall), "diff", *map(str, sides)], environment)
        report.row(f"diff: {name}", seconds, reach, "s")

    diff("one host, 10,000 rules", 0.1, 1, 10_000, 1)
    diff("1,000 hosts, 10 roles of 10 rules", 0.5, 1_000, 100, 10)
    diff("1,000 hosts, 10 roles of 100 rules", 0.5, 1_000, 1_000, 10)
    question = [str(rolewall), "prove", "-p", str(rules.parent / "policies"), "never mysql internet > db"]
    report.row("one question on the example site", processor_seconds(question, environment) * 1000, 50, "ms")


def measure_classes(report: Report, judge: pathlib.Path, pairs: int) -> None:
    done = subprocess.run([judge, "--pairs", str(pairs), "--packets", "0"], capture_output=True, text=True, check=False)
    told = re.search(r"(\d+) classes of (\d+) pairs; of (\d+) pairs at most three", done.stdout)
    if done.returncode != 0 or not told:
        sys.exit(f"{judge}: {done.stdout}{done.stderr}")
    classes, of, few = map(int, told.groups())
    report.row(f"classes: pairs of {of} with more than three", 100 * (of - few) / of, 5, "%", f"; {classes} classes")


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("rules_directory", type=pathlib.Path, metavar="RULES")
    parser.add_argument("--classbench", type=pathlib.Path, default=os.environ.get("ROLEWALL_CLASSBENCH"))
    parser.add_argument("--rules", type=int, default=10_000)
    parser.add_argument("--large", type=int, default=100_000)
    parser.add_argument("--pairs", type=int, default=1_000)
    options = parser.parse_args()
    build, rules = options.build.resolve(), options.rules_directory.resolve()
    analyse = build / "tests/bench/analyse_rules"
    report = Report()
    with tempfile.TemporaryDirectory() as folder:
        scratch = pathlib.Path(folder)
        measure_commands(report, build / "rolewall", rules, scratch)
        measure_classes(report, build / "tests/symbolic/difference_judge", options.pairs)
        for kind in ["site", "hosts"]:
            measure_rules(report, analyse, kind, options.rules)
        if options.classbench is None:
            for kind in CLASSBENCH:
                report.skip(kind, "ClassBench is not there: --classbench DIR, or ROLEWALL_CLASSBENCH")
        else:
            built = build_classbench(pathlib.Path(options.classbench).resolve(), scratch)
            for kind in CLASSBENCH:
                measure_rules(report, analyse, kind, options.rules, classbench_rules(built, kind, options.rules))
        measure_rules(report, analyse, "site", options.large)
        measure_rules(report, analyse, "wild", options.rules)
    print(f"{report.met} figures met, {report.missed} missed, {report.skipped} skipped")
    return 0


if __name__ == "__main__":
    sys.exit(main())
