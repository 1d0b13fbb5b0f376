# Colour is for terminals alone, and not where NO_COLOR is set.
. "$(dirname "$0")/prelude.sh"
site="$ROLEWALL_SOURCE/policies"
escape=$(printf '\033')

rolewall eval -p "$site" 'https internet > lb-01'
refuse_out "$escape"
# On a terminal: a pseudo-terminal of Python's.
on_terminal() {
  python3 - "$ROLEWALL_PROGRAM" eval -p "$site" 'https internet > lb-01' <<'PYTHON' >"$scratch/out"
import os, pty, sys
os.environ.setdefault("TERM", "xterm")
os.environ["TERM"] = "xterm"
pty.spawn(sys.argv[1:])
PYTHON
}
ran="rolewall eval on a terminal"
on_terminal
expect_out "$escape"
NO_COLOR=1
export NO_COLOR
on_terminal
refuse_out "$escape"
unset NO_COLOR

# A policy cannot write to the reader's terminal.
example_site hostile
printf '\n# \033[2J\n[[inbound]]\nservice = "\\u001b[31m"\n' >>hostile/web.toml
rolewall check hostile
expect_status 1
refuse_out "$escape"
