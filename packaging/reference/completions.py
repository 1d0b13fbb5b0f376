"""Completions for bash, zsh and fish."""
from command_line import CommandLine, Option, Verb

# The names of the hosts, from the policies that the command line names or that rolewall finds.
HOSTS = r"""sed -n 's/^\[hosts\."\{0,1\}\([^]."]*\).*/\1/p'"""


def pattern(verb: Verb, option: Option) -> str:
    return "|".join(f"{verb.name}:{name}" for name in option.names)


def bash_value(option: Option) -> str:
    if option.words:
        return f'COMPREPLY=($(compgen -W "{" ".join(option.words)}" -- "$word"))'
    return {
        "DIR": 'compopt -o filenames; COMPREPLY=($(compgen -d -- "$word"))',
        "FILE": 'compopt -o filenames; COMPREPLY=($(compgen -f -- "$word"))',
        "HOST": 'COMPREPLY=($(compgen -W "$(_rolewall_hosts "${COMP_WORDS[@]}")" -- "$word"))',
    }.get(option.type, ":")


def bash(line: CommandLine) -> str:
    values: dict[str, list[str]] = {}
    options, arguments = [], []
    for verb in line.verbs():
        names = [name for option in verb.options for name in option.names]
        options.append(f'    {verb.name}) options="{" ".join(names)}" ;;')
        for option in verb.options:
            if option.type:
                values.setdefault(bash_value(option), []).append(pattern(verb, option))
        for argument in verb.arguments:
            if bash_value(argument) != ":":
                arguments.append(f"    {verb.name}) {bash_value(argument)} ;;")
    verbs = " ".join(verb.name for verb in line.verbs())
    top = " ".join(name for option in line.options for name in option.names)
    cases = "\n".join(f"    {'|'.join(patterns)})\n      {reply}\n      return ;;"
                      for reply, patterns in values.items())
    newline = "\n"
    return f"""# bash completion for rolewall(8)

# The hosts that the policies name.
_rolewall_hosts() {{
  local directory
  for directory in "$@" . policies /etc/rolewall; do
    [[ -f $directory/site.toml ]] || continue
    {HOSTS} "$directory/site.toml"
    return
  done
}}

_rolewall() {{
  local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}} verb=${{COMP_WORDS[1]}} options=
  COMPREPLY=()
  if [[ $COMP_CWORD -eq 1 ]]; then
    COMPREPLY=($(compgen -W "{verbs} {top}" -- "$word"))
    return
  fi
  # `--format=json`: bash makes three words of it.
  if [[ $word == = ]]; then
    word=
  elif [[ $before == = ]]; then
    before=${{COMP_WORDS[COMP_CWORD-2]}}
  fi
  case $verb:$before in
{cases}
  esac
  case $verb in
{newline.join(options)}
  esac
  if [[ $word == -* ]]; then
    COMPREPLY=($(compgen -W "$options" -- "$word"))
    return
  fi
  case $verb in
{newline.join(arguments)}
  esac
}} && complete -F _rolewall rolewall
"""


def zsh_text(text: str) -> str:
    for mark in "\\[]:":
        text = text.replace(mark, "\\" + mark)
    return text.replace("'", "'\\''")


def zsh_value(option: Option) -> str:
    if option.words:
        return f"({' '.join(option.words)})"
    return {"DIR": "_files -/", "FILE": "_files", "HOST": "_rolewall_hosts"}.get(option.type, " ")


def zsh(line: CommandLine) -> str:
    verbs = "\n".join(f"    '{verb.name}:{zsh_text(verb.summary)}'" for verb in line.verbs())
    cases = []
    for verb in line.verbs():
        specs = []
        for option in verb.options:
            taken = f":{option.type}:{zsh_value(option)}" if option.type else ""
            excluded = " ".join(option.names + [name for name in option.excludes if name[0] == "-"])
            for name in option.names:
                specs.append(f"'({excluded}){name}[{zsh_text(option.text)}]{taken}'")
        for number, argument in enumerate(verb.arguments, 1):
            place = "*" if argument.many else str(number)
            specs.append(f"'{place}:{zsh_text(argument.type)}:{zsh_value(argument)}'")
        joined = " \\\n          ".join(specs)
        cases.append(f"      {verb.name})\n        _arguments -s \\\n          {joined} ;;")
    newline = "\n"
    top = " ".join(f"'(- *){name}[{zsh_text(option.text)}]'" for option in line.options for name in option.names)
    return f"""#compdef rolewall
# zsh completion for rolewall(8)

# The hosts that the policies name.
_rolewall_hosts() {{
  local directory
  local -a hosts
  for directory in $words . policies /etc/rolewall; do
    [[ -f $directory/site.toml ]] || continue
    hosts=(${{(f)"$({HOSTS} $directory/site.toml)"}})
    compadd -a hosts
    return
  done
}}

_rolewall() {{
  local curcontext="$curcontext" state
  local -a verbs
  verbs=(
{verbs}
  )
  _arguments -C {top} '1: :->verb' '*:: :->rest'
  case $state in
    verb) _describe verb verbs ;;
    rest)
      case $words[1] in
{newline.join(cases)}
      esac ;;
  esac
}}

_rolewall "$@"
"""


def fish_text(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "\\'")


def fish_option(when: str, option: Option) -> str:
    line = f"complete -c rolewall {when}"
    for name in option.names:
        line += f" -l {name[2:]}" if name.startswith("--") else f" -s {name[1:]}"
    if option.words:
        line += f" -x -a '{' '.join(option.words)}'"
    elif option.type == "DIR":
        line += " -x -a '(__fish_complete_directories)'"
    elif option.type == "FILE":
        line += " -r -F"
    elif option.type == "HOST":
        line += " -x -a '(__rolewall_hosts)'"
    elif option.type:
        line += " -x"
    return f"{line} -d '{fish_text(option.text)}'"


def fish(line: CommandLine) -> str:
    lines = [
        "# fish completion for rolewall(8)", "", "# The hosts that the policies name.",
        "function __rolewall_hosts", "    for directory in (commandline -opc) . policies /etc/rolewall",
        "        test -f $directory/site.toml; or continue", f"        {HOSTS} $directory/site.toml",
        "        return", "    end", "end", "", "complete -c rolewall -f"
    ]
    lines += [fish_option("-n __fish_use_subcommand", option) for option in line.options]
    for verb in line.verbs():
        lines.append(f"complete -c rolewall -n __fish_use_subcommand -a {verb.name} -d '{fish_text(verb.summary)}'")
    for verb in line.verbs():
        when = f"-n '__fish_seen_subcommand_from {verb.name}'"
        lines += [fish_option(when, option) for option in verb.options]
        if any(argument.type == "DIR" for argument in verb.arguments):
            lines.append(f"complete -c rolewall {when} -a '(__fish_complete_directories)'")
    return "\n".join(lines) + "\n"


def scripts(line: CommandLine) -> dict[str, str]:
    return {"rolewall": bash(line), "_rolewall": zsh(line), "rolewall.fish": fish(line)}
