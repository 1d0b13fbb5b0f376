"""rolewall-policy(5), the policy language, from docs/policy-language.md: one text for both readers."""
import re

from man_pages import head

FIRST = "## A role in one screen"  # before it stands what a page's own contents are for


def inline(text: str) -> str:
    """`code` in bold, *emphasis* and links as their words."""
    text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", text).replace("\\|", "|").replace("\\", "\\e")
    parts = re.split(r"`([^`]*)`", text)
    parts[1::2] = ["\\fB" + part.replace("-", "\\-") + "\\fR" for part in parts[1::2]]
    line = "".join(parts)
    return "\\&" + line if line[:1] in (".", "'") else line


def sentences(text: str) -> list[str]:
    """mandoc asks for a new line behind each."""
    text = re.sub(r"\*\*([^*]*)\*\*", r"\1", text)
    return [inline(part) for part in re.split(r"(?<=[\w)`\"][.!?]) (?=[A-Z`\"\[])", text)]


def literal(line: str) -> str:
    line = line.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("`", "\\(ga")
    return "\\&" + line if line.startswith(".") else line


def cells(row: str) -> list[str]:
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", row.strip().strip("|"))]


def table(rows: list[str]) -> list[str]:
    """An entry a row; the columns behind the second say which they are."""
    names = cells(rows[0])
    lines = [".Bl -tag -width Ds"]
    for row in rows[2:]:
        first, *rest = cells(row)
        lines.append(".It " + (inline(first) or "\\&"))
        for name, cell in zip(names[1:], rest):
            if cell:
                labelled = f"{name[0].upper() + name[1:]}: {cell}" if name and len(names) > 2 else cell
                lines += [*sentences(labelled), ".br"]
        if lines[-1] == ".br":
            lines.pop()
    return lines + [".El"]


def list_of(lines: list[str]) -> list[str]:
    items: list[str] = []
    for line in lines:
        if line.startswith("* "):
            items.append(line[2:])
        else:
            items[-1] += " " + line.strip()
    return [".Bl -bullet", *(part for item in items for part in [".It", *sentences(item)]), ".El"]


def block(lines: list[str]) -> list[str]:
    """What stands between two empty lines; code is several such blocks."""
    if lines[0].startswith("|"):
        return table(lines)
    if lines[0].startswith("* "):
        return list_of(lines)
    if match := re.match(r"(#+) (.*)", lines[0]):
        mark = ".Sh" if len(match[1]) == 2 else ".Ss"
        title = re.sub(r"[`*]", "", match[2])
        if title == "Errors":
            title = "Errors and warnings"  # mandoc has ERRORS for system calls
        return [f"{mark} {title.upper() if mark == '.Sh' else title}"]
    return [".Pp", *sentences(" ".join(line.strip() for line in lines))]


def blocks(text: str) -> list[list[str]]:
    found: list[list[str]] = []
    for part in re.split(r"\n\s*\n", text.strip("\n")):
        lines = part.split("\n")
        is_code = all(line.startswith("    ") for line in lines)
        if is_code and found and found[-1][0].startswith("    "):
            found[-1] += ["", *lines]
        else:
            found.append(lines)
    return found


def body(text: str) -> list[str]:
    lines: list[str] = []
    for each in blocks(text):
        if each[0].startswith("    "):
            code = [line[4:] for line in each]
            lines += [".Bd -literal -offset indent", *map(literal, code), ".Ed"]
        else:
            lines += block(each)
    # A heading begins a paragraph of its own.
    return [line for at, line in enumerate(lines)
            if not (line == ".Pp" and lines[at - 1].startswith((".Sh", ".Ss")))]


def page(markdown: str, version: str) -> str:
    top, _, rest = markdown.partition(FIRST)
    intro = top.split("\n\n")[1]
    lines = head("rolewall-policy", "rolewall-policy", "the policy language of rolewall", version, section=5)
    lines = lines[:-1]  # there is no synopsis
    lines += [".Sh DESCRIPTION", *sentences(" ".join(intro.split())), *body(FIRST + rest),
              ".Sh SEE ALSO", ".Xr rolewall 8 ,", ".Xr rolewall-check 8 ,", ".Xr rolewall-eval 8"]
    return "\n".join(lines) + "\n"
