"""rolewall(8) and a page for each verb, in mdoc: options and examples from the help, the rest from
packaging/man/*.mdoc."""
import datetime
import os
import pathlib
import re
import textwrap
import time

from command_line import CommandLine, Option, Verb

SEE_ALSO = {
    "check": ["lint", "test"], "lint": ["check"], "test": ["check", "eval"], "compile": ["plan", "eval"],
    "lock": ["check", "refresh"], "refresh": ["lock", "apply", "history", "status"], "eval": ["dump", "explain", "prove"], "prove": ["eval", "test"], "explain": ["eval"], "plan": ["apply", "diff"],
    "diff": ["eval", "plan", "prove"],
    "apply": ["plan", "confirm", "rollback", "status"], "confirm": ["apply", "rollback"],
    "rollback": ["confirm", "history"], "history": ["rollback"], "boot": ["apply", "status"],
    "status": ["plan", "history", "stats"], "stats": ["status", "log"], "log": ["stats", "trace", "eval"],
    "trace": ["eval", "log", "dump"], "disable": ["apply", "boot"], "dump": ["eval"],
    "ban": ["unban", "bans"], "unban": ["ban", "bans"], "bans": ["ban", "allow"],
    "report": ["check", "diff", "reach", "stats"], "schema": ["check"], "reach": ["eval", "check"], "allow": ["unallow", "bans"], "unallow": ["allow", "bans"],
}


def literal(text: str) -> str:
    """A line that the formatter must leave as it is."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("`", "\\(ga")
    return "\\&" + text if text.startswith(".") else text


def prose(text: str) -> str:
    """Plain sentences: each on its line, `code` in bold."""
    text = text.replace("\\", "\\e")
    text = re.sub(r"(?<![\w-])(--?)(?=[a-z])", lambda dashes: "\\-" * len(dashes[1]), text)
    text = re.sub(r"`([^`]*)`", r"\\fB\1\\fR", " ".join(text.split()))
    lines = re.split(r"(?<=[a-z0-9)][.!?]) (?=[A-Z`\\(])", text)
    lines = [part for line in lines for part in textwrap.wrap(line, 79, break_long_words=False, break_on_hyphens=False)]
    return "\n".join("\\&" + line if line[0] in ".'" else line for line in lines)


def flags(option: Option) -> str:
    return " , ".join("Fl " + name[1:].replace("-", "\\-") for name in option.names)


def value(option: Option) -> str:
    return f" Ar {option.type}" if option.type else ""


def sentence(text: str) -> str:
    return prose(text[0].upper() + text[1:] + ".")


def option_item(option: Option) -> list[str]:
    lines = [f".It {flags(option)}{value(option)}", sentence(option.text)]
    if option.words:
        lines.append("One of " + ", ".join(f"\\fB{word}\\fR" for word in option.words) + ".")
    if option.default:
        lines.append(f"Default: {literal(option.default)}.")
    for said, names in (("Not together with", option.excludes), ("Only with", option.needs)):
        if names:
            lines.append(f"{said} " + ", ".join(literal(name) for name in names) + ".")
    return lines


def synopsis(verb: Verb) -> list[str]:
    lines = [f".Nm rolewall {verb.name}"]
    for option in verb.options:
        if "--help" not in option.names:
            lines.append(f".Op Fl {option.names[-1][1:].replace('-', chr(92) + '-')}{value(option)}")
    for argument in verb.arguments:
        dots = " ..." if argument.many else ""
        lines.append(f".Ar {argument.type}{dots}" if argument.required else f".Op Ar {argument.type}{dots}")
    return lines


def items(entries: list[list[str]]) -> list[str]:
    return [".Bl -tag -width Ds", *(line for entry in entries for line in entry), ".El"]


def examples(lines: list[str]) -> list[str]:
    return [".Sh EXAMPLES", ".Bd -literal", *map(literal, lines), ".Ed"]


def head(title: str, name: str, summary: str, version: str, section: int = 8) -> list[str]:
    day = datetime.datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH", time.time())), datetime.UTC)
    return [f".Dd {day:%B} {day.day}, {day.year}", f".Dt {title.upper()} {section}", f".Os rolewall {version}",
            ".Sh NAME", f".Nm {name}", f".Nd {prose(summary)}", ".Sh SYNOPSIS"]


EXIT_STATUS = [
    ".Sh EXIT STATUS", ".Bl -tag -width Ds", ".It 0", "Success, or the answer is yes.", ".It 1",
    "The answer is no, or a request was refused; nothing was changed.", ".It 2", "A wrong command line, or unreadable files.",
    ".It 3", "The system or the kernel refused.", ".El"
]


def verb_page(verb: Verb, version: str, source: pathlib.Path) -> str:
    lines = head(f"rolewall-{verb.name}", f"rolewall-{verb.name}", verb.summary, version)
    lines += [*synopsis(verb), ".Sh DESCRIPTION",
              (source / f"rolewall-{verb.name}.mdoc").read_text().rstrip()]
    if verb.arguments:
        lines += [".Pp", "The arguments:"] + items(
            [[f".It Ar {argument.type}", sentence(argument.text)] for argument in verb.arguments])
    lines += [".Pp", "The options:"] + items([option_item(option) for option in verb.options])
    lines += EXIT_STATUS + examples(verb.examples) + [".Sh SEE ALSO", ".Xr rolewall 8"]
    for other in sorted(SEE_ALSO[verb.name]):
        lines[-1] += " ,"
        lines.append(f".Xr rolewall-{other} 8")
    return "\n".join(lines) + "\n"


def main_page(line: CommandLine, source: pathlib.Path) -> str:
    verbs: list[str] = []
    for group, members in line.groups.items():
        verbs += [f".Ss {group.capitalize()}"] + items(
            [[f".It Xr rolewall-{verb.name} 8", sentence(verb.summary)] for verb in members])
    lines = head("rolewall", "rolewall", "host firewall with one policy for each role of server", line.version)
    lines += [".Nm", ".Ar VERB", ".Op Ar options", ".Nm", ".Fl \\-version", ".Nm", ".Fl h , \\-help"]
    text = (source / "rolewall.mdoc").read_text()
    for mark, content in (("VERBS", verbs), ("OPTIONS", items([option_item(o) for o in line.options])),
                          ("EXIT_STATUS", EXIT_STATUS), ("EXAMPLES", examples(line.examples))):
        text = text.replace(f"@{mark}@", "\n".join(content))
    return "\n".join(lines) + "\n" + text


def pages(line: CommandLine, source: pathlib.Path) -> dict[str, str]:
    return {"rolewall.8": main_page(line, source)} | {
        f"rolewall-{verb.name}.8": verb_page(verb, line.version, source) for verb in line.verbs()
    }
