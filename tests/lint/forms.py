#!/usr/bin/env python3
"""The forms that CI systems read: SARIF, JUnit XML, GitHub's annotations and summary, GitLab's code quality.

Each is read back and compared with `--format json` of the same site: a right one, one with weak points and failing tests,
one with hundreds of findings and hostile names, one that is no TOML. SARIF and JUnit are also held against their schemas,
where these are named by ROLEWALL_SARIF_SCHEMA (npm's @microsoft/jest-sarif has it: lib/schemas) and ROLEWALL_JUNIT_XSD
(junit-10.xsd of Jenkins' xunit plugin, MIT: github.com/jenkinsci/xunit-plugin, below src/main/resources). Usage: forms.py
PROGRAM SOURCE
"""
import collections
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as xml

HOSTILE = '<script>alert(1)</script> | [x](http://e) @you `a` %0A::error::x'
SARIF_SCHEMA = os.environ.get("ROLEWALL_SARIF_SCHEMA")
JUNIT_XSD = os.environ.get("ROLEWALL_JUNIT_XSD")


class Site:
    def __init__(self, program: str, source: pathlib.Path, path: pathlib.Path):
        self.program, self.source, self.path = program, source, path

    def run(self, *options: str) -> tuple[int, str]:
        done = subprocess.run([self.program, "check", str(self.path), *options], capture_output=True, text=True,
                              env={"ROLEWALL_RULES_DIR": str(self.source / "rules")}, check=False)
        return done.returncode, done.stdout


def holds(what: str, condition: bool) -> None:
    if not condition:
        sys.exit(f"not so: {what}")


def check_sarif(text: str, plain: dict, status: int) -> None:
    log = json.loads(text)
    if SARIF_SCHEMA:
        import jsonschema
        jsonschema.validate(log, json.loads(pathlib.Path(SARIF_SCHEMA).read_text()))
    run = log["runs"][0]
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    holds("each rule is declared once", len(rules) == len(set(rules)))
    holds("columnKind", run["columnKind"] == "unicodeCodePoints")
    holds("exitCode", run["invocations"][0]["exitCode"] == status)
    holds("every finding is a result", len(run["results"]) >= len(plain["findings"]))
    prints = [result["partialFingerprints"]["rolewall/v1"] for result in run["results"]]
    holds("fingerprints tell results apart", len(prints) == len(set(prints)))
    for result in run["results"]:
        holds("a result's rule", rules[result["ruleIndex"]] == result["ruleId"])
        for location in result.get("locations", []):
            place = location["physicalLocation"]
            uri = place["artifactLocation"]["uri"]
            holds(f"a path below the repository's root, as a URI: {uri}",
                  place["artifactLocation"].get("uriBaseId") == "%SRCROOT%" and not uri.startswith(("/", ".."))
                  and re.fullmatch(r"[A-Za-z0-9._~/%!$&'()*+,;=:@-]+", uri) is not None)
            if "region" in place:
                holds("lines and columns begin at 1", min(place["region"].values()) >= 1)


def check_junit(text: str, plain: dict, status: int, folder: pathlib.Path) -> None:
    root = xml.fromstring(text)
    if JUNIT_XSD:
        file = folder / "junit.xml"
        file.write_text(text)
        subprocess.run(["xmllint", "--noout", "--schema", JUNIT_XSD, str(file)], check=True, capture_output=True)
    failures = root.findall(".//failure")
    holds("failures are counted", int(root.get("failures")) == len(failures))
    holds("cases are counted", int(root.get("tests")) == len(root.findall(".//testcase")))
    holds("it fails where the status does", bool(failures) == (status != 0))
    suites = {suite.get("name"): suite for suite in root}
    if plain["findings"]:
        holds("a case for each finding", len(suites["rolewall findings"]) == len(plain["findings"]))
    tests = plain["tests"]["passed"] + plain["tests"]["failed"]
    if tests:
        failed = suites["rolewall tests"].findall(".//failure")
        holds("a failure for each test that fails", len(failed) == plain["tests"]["failed"])


def check_github(text: str, plain: dict, wrong_packets: int) -> None:
    lines = text.splitlines()
    holds("every line is a command", all(re.match(r"::(error|warning|notice) [^:]*::", line) for line in lines))
    count = collections.Counter(line[2:].split(" ")[0] for line in lines)
    severity = collections.Counter(finding["severity"] for finding in plain["findings"])
    severity["error"] += wrong_packets
    holds(f"ten of each at most: {count}", max(count.values(), default=0) <= 10)
    order = [line[2] for line in lines]  # e, w, n
    holds("the worst first", order == sorted(order, key="ewn".index))
    for word in ("error", "warning"):
        holds(f"{word}s", count[word] == min(10, severity[word]))
        more = severity[word] - count[word]
        if more:
            holds(f"the other {word}s are counted", re.search(rf"not annotated:.*\b{more} {word}s?\b", lines[-1]) is not None)


def check_markdown(text: str, plain: dict) -> None:
    holds("under 1 MiB", len(text.encode()) < 1 << 20)
    holds("no markup of the policy's", "<script" not in text and "[x](" not in text and "@you" not in text)
    rows = [line for line in text.splitlines() if re.match(r"\| (error|warning|note) \|", line)]
    holds("a row for each finding", len(rows) >= min(len(plain["findings"]), 100))
    holds("rows have four cells", all(len(re.split(r"(?<!\\)\|", row)) == 6 for row in rows))


def check_gitlab(text: str, plain: dict) -> None:
    issues = json.loads(text)
    holds("every finding is an issue", len(issues) >= len(plain["findings"]))
    holds("fingerprints are unique", len({issue["fingerprint"] for issue in issues}) == len(issues))
    for issue in issues:
        holds("its keys", set(issue) == {"description", "check_name", "fingerprint", "severity", "location"})
        holds("its severity", issue["severity"] in {"info", "minor", "major", "critical", "blocker"})
        holds("its line", issue["location"]["lines"]["begin"] >= 1)
        holds("its path", not issue["location"]["path"].startswith(("/", "./")))


def check(site: Site, strict: bool, folder: pathlib.Path) -> None:
    options = ["--strict"] if strict else []
    status, text = site.run(*options, "--format", "json")
    plain = json.loads(text)
    holds("`ok` is the exit status", plain["ok"] == (status == 0))
    forms = {}
    for form in ("text", "sarif", "junit", "github", "markdown", "gitlab"):
        other, forms[form] = site.run(*options, "--format", form)
        holds(f"the same status as {form}: {status}, {other}", other == status)
    wrong = {json.dumps([r["test"], r.get("file"), r.get("line"), r.get("column")])
             for r in plain["tests"]["results"] if not r["passed"]}
    check_sarif(forms["sarif"], plain, status)
    check_junit(forms["junit"], plain, status, folder)
    laws = [law for law in plain["laws"].get("results", []) if law["outcome"] != "proven"]
    check_github(forms["github"], plain, len(wrong) + len(laws))
    check_markdown(forms["markdown"], plain)
    check_gitlab(forms["gitlab"], plain)


def sites(folder: pathlib.Path, source: pathlib.Path) -> list[pathlib.Path]:
    made = []

    def copy(name: str) -> pathlib.Path:
        shutil.copytree(source / "policies", folder / name)
        made.append(folder / name)
        return made[-1]

    copy("right")
    weak = copy("weak points")  # a path with a space
    lb = weak / "lb.toml"
    lb.write_text(lb.read_text().replace("redirect-only", "comment")
                  + '\n[[test]]\nname = "wrong <&>"\ndeny = "https internet > self"\n')
    many = copy("many")
    (many / "web.toml").write_text((many / "web.toml").read_text() + "".join(
        f'\n[[inbound]]\nid = "r{i}"\nservice = "tcp/{3000 + i}"\nfrom = "192.0.2.{i % 200}"\n' for i in range(400)))
    (many / "site.toml").write_text((many / "site.toml").read_text() + "".join(
        f'\n[interfaces.i{i}]\ndevice = "x{i}"\n' for i in range(60)))
    hostile = copy("hostile")
    (hostile / "web.toml").write_text((hostile / "web.toml").read_text()
                                      + f"\n[[inbound]]\nid = 'x'\nservice = '{HOSTILE}'\nfrom = '{HOSTILE}'\n\"{HOSTILE}\" = 1\n"
                                      .replace("alert(1)", "alert\u202e"))
    broken = copy("broken")
    (broken / "site.toml").write_text("[site\n")
    return made


def main() -> int:
    program, source = sys.argv[1], pathlib.Path(sys.argv[2])
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "repository/.git").mkdir(parents=True)
        for path in sites(folder / "repository", source):
            for strict in (False, True):
                check(Site(program, source, path), strict, folder)
                print(f"{path.name}{' --strict' if strict else ''}: every form agrees")
    print("schemas:", SARIF_SCHEMA or "none for SARIF", "and", JUNIT_XSD or "none for JUnit")
    return 0


if __name__ == "__main__":
    sys.exit(main())
