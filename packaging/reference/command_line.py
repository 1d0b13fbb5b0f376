"""rolewall's command line, read from its own help: the one source of the man pages and completions.

Every line of the help is understood or refused, so that nothing of it is missing there.
"""
import dataclasses
import re
import subprocess

COLUMN = 26  # where CLI11's explanations begin


@dataclasses.dataclass
class Option:
    names: list[str]  # ["-p", "--policies"]; a positional argument's one name
    type: str  # "DIR", "" for a flag
    words: list[str]  # the only words that it takes, where there are such
    default: str
    required: bool
    many: bool
    excludes: list[str]
    needs: list[str]
    text: str


@dataclasses.dataclass
class Verb:
    name: str
    summary: str
    arguments: list[Option]
    options: list[Option]
    examples: list[str]


@dataclasses.dataclass
class CommandLine:
    version: str
    summary: str
    groups: dict[str, list[Verb]]
    options: list[Option]
    examples: list[str]

    def verbs(self) -> list[Verb]:
        return [verb for verbs in self.groups.values() for verb in verbs]


def read_names(line: str, text: str, positional: bool) -> Option:
    """`-p,--policies DIR=x Excludes: --live`, as CLI11 writes it."""
    word = r"[^\s:={}]+"
    # A default is no placeholder: of `--also FORM=FILE` both words are the type.
    form = re.fullmatch(
        rf"(?P<names>{word})(?: (?P<type>[A-Z]+=[A-Z]+|{word}?)(?::\{{(?P<words>[^}}]*)\}})?(?:=(?P<default>\S+))?"
        r"(?P<many> \.\.\.)?(?P<required> REQUIRED)?)?"
        r"(?: Needs: (?P<needs>[^:]*?))?(?: Excludes: (?P<excludes>[^:]*))?", line)
    if not form or not text:
        raise SystemExit(f"the help has a line that is not understood: {line!r} {text!r}")
    part = {key: value or "" for key, value in form.groupdict().items()}
    kind = part["type"]
    if positional and kind == "TEXT":
        kind = part["names"]
    return Option(part["names"].split(","), kind.upper(), part["words"].split(",") if part["words"] else [],
                  part["default"], bool(part["required"]), bool(part["many"]),
                  part["excludes"].split(), part["needs"].split(), text)


def entries(lines: list[str]) -> list[tuple[str, str]]:
    """A heading's lines as (name, explanation); a long name has its explanation on the next line."""
    found: list[tuple[str, str]] = []
    for line in lines:
        if line.startswith(" " * COLUMN):
            name, text = found[-1]
            found[-1] = (name, f"{text} {line.strip()}".strip())
        elif re.match(r"  \S", line):
            name, _, text = line[2:].partition("  ")
            found.append((name, text.strip()))
        else:
            raise SystemExit(f"the help has a line that is not understood: {line!r}")
    return found


def blocks(text: str) -> dict[str, list[str]]:
    """The help by its headings; what stands before the first is under ""."""
    found: dict[str, list[str]] = {"": []}
    heading = ""
    for line in text.splitlines():
        if re.fullmatch(r"\w+:", line):
            heading = line[:-1]
            found[heading] = []
        elif line or heading == "Examples":
            found[heading].append(line)
    return found


def ask(program: str, *words: str) -> str:
    return subprocess.run([program, *words, "--help"], check=True, capture_output=True, text=True).stdout


def read_verb(program: str, name: str, summary: str) -> Verb:
    help_text = blocks(ask(program, name))
    if help_text[""][0] != summary or len(help_text[""]) != 2:
        raise SystemExit(f"the help of {name} begins otherwise than expected: {help_text['']}")
    examples = "\n".join(help_text["Examples"]).partition("\n\n")[0]  # then what the man page says at length
    return Verb(name, summary,
                [read_names(*entry, True) for entry in entries(help_text.get("Positionals", []))],
                [read_names(*entry, False) for entry in entries(help_text["Options"])],
                [line.removeprefix("  ") for line in examples.splitlines()])


def read(program: str) -> CommandLine:
    help_text = blocks(ask(program))
    version = subprocess.run([program, "--version"], check=True, capture_output=True, text=True).stdout
    groups = {
        heading: [read_verb(program, name, text) for name, text in entries(lines)]
        for heading, lines in help_text.items() if heading not in ("", "Options", "Examples")
    }
    examples = "\n".join(help_text["Examples"]).partition("\n\n")[0]
    return CommandLine(version.split()[1], " ".join(help_text[""][:-1]), groups,
                       [read_names(*entry, False) for entry in entries(help_text["Options"])],
                       [line.removeprefix("  ") for line in examples.splitlines()])
