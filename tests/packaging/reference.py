#!/usr/bin/env python3
"""usage: reference.py PROGRAM DIRECTORY

The man pages and completions in DIRECTORY know every verb and option of PROGRAM's help, and no
others. They are asked by those who read them: mandoc, bash, fish, zsh."""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

problems: list[str] = []


def run(*words: str, stdin: str = "") -> str:
    done = subprocess.run(words, input=stdin, capture_output=True, text=True, check=False)
    if done.returncode != 0 or done.stderr:
        problems.append(f"{' '.join(words)[:80]}: exit {done.returncode}: {done.stderr or done.stdout}")
    return done.stdout


def compare(what: str, wanted: set[str], found: set[str]) -> None:
    problems.extend(f"{what} lacks {word}" for word in sorted(wanted - found))
    problems.extend(f"{what} has {word}, which the program has not" for word in sorted(found - wanted))


def verbs_of(program: str) -> set[str]:
    groups = re.findall(r"^(?:policy|ask|server|emergency|tools):\n((?:  .*\n)+)", run(program, "--help"), re.M)
    return set(re.findall(r"^  (\w+)", "".join(groups), re.M))


def options_of(help_text: str) -> set[str]:
    names = re.findall(r"^  (-\S+)", help_text, re.M)
    return {name for group in names for name in group.split(",")}


def plain(page: pathlib.Path) -> str:
    """As a reader sees it, without overstrikes."""
    return re.sub(".\b", "", run("mandoc", "-T", "ascii", "-O", "width=200", str(page)))


def check_pages(pages: pathlib.Path, verbs: set[str], options: dict[str, set[str]]) -> None:
    if not shutil.which("mandoc"):
        sys.exit(77)
    found = sorted(pages.glob("*.8"))
    compare("man8", {"rolewall"} | {f"rolewall-{verb}" for verb in verbs}, {page.stem for page in found})
    language = pages / "rolewall-policy.5"
    lint = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", *map(str, found), str(language)],
                          capture_output=True, text=True, check=False)
    problems.extend((lint.stdout + lint.stderr).splitlines())
    check_language(plain(language))
    compare("rolewall.8", verbs, set(re.findall(r"^ +rolewall-(\w+)\(8\)$", plain(pages / "rolewall.8"), re.M)))
    for verb in verbs:
        text = plain(pages / f"rolewall-{verb}.8")
        problems.extend(f"rolewall-{verb}.8: {word} is a placeholder and no default"
                        for word in re.findall(r"Default: ([A-Z]+)\.", text))
        listed = text.partition("The options:")[2].partition("\nEXIT STATUS")[0]
        lines = re.findall(r"^ {5}(-.*)$", listed, re.M)
        names = {name for line in lines for name in re.findall(r"(?:^|, )(--?[a-z][\w-]*)", line.split("  ")[0])}
        compare(f"rolewall-{verb}.8", options[verb], names)


def check_language(page: str) -> None:
    """rolewall-policy(5) has every heading and every key of the language's reference."""
    source = (pathlib.Path(__file__).resolve().parents[2] / "docs/policy-language.md").read_text()
    _, _, body = source.partition("\n## ")
    headings = {re.sub(r"[`*]", "", title) for title in re.findall(r"^#{2,3} (.*)$", "## " + body, re.M)}
    lines = [line.strip().lower() for line in page.splitlines()]
    found = {title for title in headings if any(line.startswith(title.lower()) for line in lines)}
    compare("rolewall-policy.5", headings, found)
    keys = set(re.findall(r"^\| `([a-z-]+)` \|", body, re.M))
    compare("rolewall-policy.5", keys, {key for key in keys if re.search(rf"^ +{key}\b", page, re.M)})


def bash_words(script: pathlib.Path, words: list[str]) -> set[str]:
    """What bash offers for the last of the words."""
    quoted = " ".join(f"'{word}'" for word in words)
    return set(run("bash", "-c", f"compopt() {{ :; }}; . '{script}' && COMP_WORDS=({quoted}) "
                   f"COMP_CWORD={len(words) - 1} && _rolewall && printf '%s\\n' \"${{COMPREPLY[@]}}\"").split())


def check_bash(script: pathlib.Path, site: pathlib.Path, verbs: set[str], options: dict[str, set[str]]) -> None:
    compare("bash", verbs | {"--version", "-h", "--help"}, bash_words(script, ["rolewall", ""]))
    for verb in verbs:
        compare(f"bash: {verb}", options[verb], bash_words(script, ["rolewall", verb, "-"]))
    compare("bash: formats", {"nft", "json", "bytecode"}, bash_words(script, ["rolewall", "compile", "--format", ""]))
    compare("bash: formats by =", {"json"}, bash_words(script, ["rolewall", "check", "--format", "=", "js"]))
    hosts = set(re.findall(r"^\[hosts\.([\w-]+)\]", (site / "site.toml").read_text(), re.M))
    compare("bash: hosts", hosts, bash_words(script, ["rolewall", "eval", "-p", str(site), "--host", ""]))
    compare("bash: a host", {"db-01"}, bash_words(script, ["rolewall", "apply", str(site), "--host", "db-01"]))


def check_fish(script: pathlib.Path, verbs: set[str], options: dict[str, set[str]]) -> bool:
    if not shutil.which("fish"):
        return False
    with tempfile.TemporaryDirectory() as home:
        def ask(words: str) -> set[str]:
            answer = run("env", f"HOME={home}", "fish", "--no-config", "-c", f"source '{script}'; complete -C '{words}'")
            return {line.split("\t")[0] for line in answer.splitlines()}

        compare("fish", verbs, ask("rolewall "))
        for verb in verbs:
            short = {name for name in options[verb] if not name.startswith("--")}
            compare(f"fish: {verb}", options[verb] - short, ask(f"rolewall {verb} --"))
            compare(f"fish: {verb}", options[verb], ask(f"rolewall {verb} -"))
    return True


def check_zsh(script: pathlib.Path, verbs: set[str], options: dict[str, set[str]]) -> bool:
    text = script.read_text()
    compare("zsh", verbs, set(re.findall(r"^    '(\w+):", text, re.M)))
    for verb, rest in re.findall(r"^      (\w+)\)\n((?: {8,}.*\n)+)", text, re.M):
        compare(f"zsh: {verb}", options[verb], set(re.findall(r"'\([^)]*\)(--?[\w-]+)\[", rest)))
    if not shutil.which("zsh"):
        return False
    run("zsh", "-n", str(script))
    return True


def main() -> int:
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    program, pages = sys.argv[1], pathlib.Path(sys.argv[2]).resolve()
    site = pathlib.Path(__file__).resolve().parents[2] / "policies"
    verbs = verbs_of(program)
    options = {verb: options_of(run(program, verb, "--help")) for verb in verbs}
    check_pages(pages, verbs, options)
    check_bash(pages / "rolewall", site, verbs, options)
    asked = ["bash"] + [name for name, done in (("fish", check_fish(pages / "rolewall.fish", verbs, options)),
                                                ("zsh", check_zsh(pages / "_rolewall", verbs, options))) if done]
    if len(verbs) < 10 or sum(map(len, options.values())) < 50:
        problems.append(f"the help was not read: {len(verbs)} verbs")
    for problem in problems:
        print(problem)
    print(f"{len(verbs)} verbs, {sum(map(len, options.values()))} options; asked: {', '.join(asked)}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
