#!/usr/bin/env python3
"""The steps of packaging/ci, run as GitHub, GitLab and pre-commit would run them, in a repository with two commits.

`gh`, `apt-get`, `curl` and `sudo` are stand-ins that write down what they are asked. Usage: ci.py PROGRAM SOURCE
"""
import os
import pathlib
import re
import shutil
import stat
import subprocess
import sys
import tempfile

try:
    import yaml
except ImportError:
    print("python3-yaml is not installed")
    sys.exit(77)

PROGRAM, SOURCE = sys.argv[1], pathlib.Path(sys.argv[2])
CI = SOURCE / "packaging/ci"


def holds(what: str, condition: bool, detail: object = "") -> None:
    if not condition:
        sys.exit(f"not so: {what}\n{detail}")


def git(folder: pathlib.Path, *words: str) -> str:
    who = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main", "-c", "safe.directory=*"]
    return subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def script(path: pathlib.Path, text: str) -> None:
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


class Machine:
    def __init__(self, folder: pathlib.Path):
        self.folder, self.bin, self.asked = folder, folder / "bin", folder / "asked"
        self.bin.mkdir()
        has_diff = subprocess.run([PROGRAM, "diff", "--help"], capture_output=True, check=False).returncode == 0
        stand_in = "" if has_diff else 'if [ "$1" = diff ]; then echo "newly accepted: something"; exit 1; fi\n'
        script(self.bin / "rolewall", f'{stand_in}exec "{PROGRAM}" "$@"\n')
        for name in ("apt-get", "curl", "sudo"):
            script(self.bin / name, f'echo "{name} $*" >>"{self.asked}"\n')
        self.forge = folder / "forge"  # what `gh` answers: a comment's number, or "refused"
        script(self.bin / "gh", f'echo "gh $*" >>"{self.asked}"\nanswer=$(cat "{self.forge}")\n[ "$answer" != refused ] || exit 1\n'
               'case "$*" in *--paginate*) echo "$answer" ;; esac\n')
        self.forge.write_text("")

    def words(self) -> str:
        text = self.asked.read_text() if self.asked.exists() else ""
        self.asked.unlink(missing_ok=True)
        return text

    def run(self, command: str, folder: pathlib.Path, env: dict[str, str]) -> tuple[int, str]:
        whole = {"PATH": f"{self.bin}:{os.environ['PATH']}", "HOME": str(self.folder), "ROLEWALL_RULES_DIR": str(SOURCE / "rules"),
                 "GITHUB_ACTION_PATH": str(CI)} | env
        done = subprocess.run(["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", command], cwd=folder, env=whole,
                              capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr


def step(action: dict, name: str, values: dict[str, str]) -> tuple[str, dict[str, str]]:
    """A step's command and environment, its expressions filled in."""
    found = next(each for each in action["runs"]["steps"] if each["name"] == name)

    def filled(text: str) -> str:
        return re.sub(r"\$\{\{ (\S+) \}\}", lambda match: values[match[1]], text)

    return filled(found["run"]), {key: filled(text) for key, text in found["env"].items()}


def wrong_base(checkout: pathlib.Path) -> str:
    """A commit whose policies have an error; the checkout stays as it is."""
    head = git(checkout, "rev-parse", "HEAD")
    (checkout / "policies/web.toml").write_text('role = "web"\nwrong = 1\n')
    git(checkout, "commit", "-q", "-a", "-m", "wrong")
    wrong = git(checkout, "rev-parse", "HEAD")
    git(checkout, "push", "-q", "origin", f"HEAD:refs/heads/wrong-{checkout.name}")
    git(checkout, "reset", "-q", "--hard", head)
    return wrong


def github(machine: Machine, checkout: pathlib.Path, base: str) -> None:
    action = yaml.safe_load((CI / "action.yml").read_text())
    values = {f"inputs.{name}": str(entry["default"]) for name, entry in action["inputs"].items()}
    values |= {"inputs.package": "rolewall.deb", "inputs.token": "t", "github.event.pull_request.base.sha": base,
               "github.event.pull_request.number": "7"}
    summary = machine.folder / "summary"
    workflow = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(summary), "GITHUB_REPOSITORY": "a/b"}

    command, env = step(action, "Install rolewall", values)
    status, out = machine.run(command, checkout, env | workflow)
    holds("the package is installed", status == 0 and "install -y -qq ./rolewall.deb" in machine.words(), out)

    command, env = step(action, "Check the policies", values)
    status, out = machine.run(command, checkout, env | workflow)
    holds("a weak point is a warning", status == 0 and out.startswith("::warning file=policies/lb.toml,line="), out)
    holds("the summary has it", "plain-from-internet" in summary.read_text())
    holds("so has the SARIF", '"plain-from-internet"' in (checkout / "rolewall.sarif").read_text())
    status, out = machine.run(command, checkout, env | workflow | {"ROLEWALL_STRICT": "true"})
    holds("strict: it fails", status == 1, out)

    command, env = step(action, "What the change opens and closes", values)
    for answer, what in (("", "--method POST repos/a/b/issues/7/comments"), ("41", "--method PATCH repos/a/b/issues/comments/41")):
        machine.forge.write_text(answer)
        status, out = machine.run(command, checkout, env | workflow)
        asked = machine.words()
        holds(f"a comment: {what}", status == 0 and what in asked, out + asked)
    body = (checkout / "rolewall.diff.md").read_text()
    holds("its text is found again", body.startswith("<!-- rolewall diff -->"))
    machine.forge.write_text("refused")
    summary.write_text("")
    status, out = machine.run(command, checkout, env | workflow)
    holds("a token that may only read: the summary", status == 0 and summary.read_text() == body, out)
    holds("no worktree is left", git(checkout, "worktree", "list").count("\n") == 0)

    command, env = step(action, "Write the report", values)
    page = checkout / "rolewall.report.html"
    status, out = machine.run(command, checkout, env | workflow)
    holds("the page is there", status == 0 and "<!DOCTYPE html>" in page.read_text(), out)
    holds("with what differs from the base", "newly accepted" in page.read_text())
    holds("and without this run's folders", not re.search(r"/tmp\.\w+/base", page.read_text()))
    status, out = machine.run(command, checkout, env | workflow | {"ROLEWALL_BASE": ""})
    holds("without a base, too", status == 0 and page.exists(), out)

    broken = {"github.event.pull_request.base.sha": wrong_base(checkout)}
    command, env = step(action, "What the change opens and closes", values | broken)
    status, out = machine.run(command, checkout, env | workflow)
    body = (checkout / "rolewall.diff.md").read_text()
    holds("a base with errors is no failure", status == 0 and "The base's policies have errors" in body, out)
    holds("its errors are told", "unknown-key" in body and "/base/" not in body, body)
    command, env = step(action, "Write the report", values | broken)
    status, out = machine.run(command, checkout, env | workflow)
    holds("the page is written without it", status == 0 and page.exists() and "compares nothing" in out, out)
    right = (checkout / "policies/web.toml").read_text()
    (checkout / "policies/web.toml").write_text("wrong = 1\n")
    status, out = machine.run(command, checkout, env | workflow)
    holds("of wrong policies there is none, and no failure", status == 0 and not page.exists(), out)
    (checkout / "policies/web.toml").write_text(right)
    holds("no worktree is left", git(checkout, "worktree", "list").count("\n") == 0)
    kept = next(each for each in action["runs"]["steps"] if each["name"] == "Keep the report")
    holds("it is kept", kept["with"]["path"] == page.name and page.name in kept["if"])
    text = (CI / "action.yml").read_text()
    holds("never pull_request_target", "pull_request_target" not in text)
    upload = next(each for each in action["runs"]["steps"] if each["name"] == "Upload the findings")
    holds("a fork uploads nothing", "head.repo.full_name == github.repository" in upload["if"])


def gitlab(machine: Machine, checkout: pathlib.Path, base: str) -> None:
    template = yaml.safe_load((CI / "gitlab.yml").read_text())
    env = {key: str(value) for key, value in template["variables"].items()}
    env |= {"ROLEWALL_PACKAGE": "https://example.org/rolewall.deb", "CI_MERGE_REQUEST_DIFF_BASE_SHA": base}
    job = template["rolewall"]
    status, out = machine.run("\n".join(job["before_script"]), checkout, env)
    holds("the package is installed", status == 0 and "apt-get install -y -qq ./rolewall.deb" in machine.words(), out)
    for strict, wanted in (("false", 0), ("true", 1)):
        status, out = machine.run("\n".join(job["script"]), checkout, env | {"ROLEWALL_STRICT": strict})
        holds(f"the job's status with strict {strict}", status == wanted, out)
        holds("the diff is there", (checkout / "rolewall.diff.md").stat().st_size > 0, out)
        page = checkout / "rolewall.report.html"
        holds("the page is there", "newly accepted" in page.read_text() and page.name in job["artifacts"]["paths"], out)
        page.unlink()
        # What a runner does before its next job in the same folder.
        git(checkout, "clean", "-ffdxq", "-e", "rolewall.*", "-e", "policies")
    for report in job["artifacts"]["reports"].values():
        holds(f"{report} is written", (checkout / report).exists())
    wrong = {"CI_MERGE_REQUEST_DIFF_BASE_SHA": wrong_base(checkout)}
    (checkout / "rolewall.diff.md").unlink()
    status, out = machine.run("\n".join(job["script"]), checkout, env | wrong)
    body = (checkout / "rolewall.diff.md").read_text()
    holds("a base with errors is no failure", status == 0 and body.startswith("Nothing is compared"), out)
    holds("the page is written without it", page.exists(), out)


def pre_commit(machine: Machine, checkout: pathlib.Path) -> None:
    hook = yaml.safe_load((SOURCE / ".pre-commit-hooks.yaml").read_text())[0]
    entry = SOURCE / hook["entry"]
    for file in ("policies/web.toml", "policies/rolewall.lock", "policies/lists/abusers.txt"):
        holds(f"{file} is asked about", re.search(hook["files"], file) is not None)
    status, out = machine.run(f"'{entry}' policies/web.toml policies/lists/abusers.txt README.txt", checkout, {})
    holds("one check of the site", status == 0 and out.count("policies: ok") == 1, out)
    (checkout / "policies/web.toml").write_text('role = "web"\nwrong = 1\n')
    status, out = machine.run(f"'{entry}' policies/web.toml", checkout, {})
    holds("a wrong policy is not committed", status == 1 and "[unknown-key]" in out, out)


def main() -> int:
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        origin = folder / "origin"
        shutil.copytree(SOURCE / "policies", origin / "policies")
        git(origin, "init", "-q")
        git(origin, "add", ".")
        git(origin, "commit", "-q", "-m", "base")
        base = git(origin, "rev-parse", "HEAD")
        lb = origin / "policies/lb.toml"
        lb.write_text(re.sub(r"^redirect-only.*\n", "", lb.read_text(), flags=re.M)
                      + '\n[[inbound]]\nid = "more"\nservice = "http3"\n')
        text = lb.read_text().replace('  "http3 internet > self",\n', "")
        lb.write_text(text)
        git(origin, "commit", "-q", "-a", "-m", "change")
        git(origin, "config", "uploadpack.allowAnySHA1InWant", "true")
        machine = Machine(folder)
        for run in (github, gitlab):
            checkout = folder / run.__name__
            git(folder, "clone", "-q", "--depth=1", f"file://{origin}", str(checkout))  # as CI does: the last commit alone
            if os.getuid() == 0:  # in a job's container it is another user's
                subprocess.run(["chown", "-R", "12345:12345", str(checkout)], check=True)
            run(machine, checkout, base)
        pre_commit(machine, checkout)
    print("the steps of GitHub, GitLab and pre-commit do what they should")
    return 0


if __name__ == "__main__":
    sys.exit(main())
