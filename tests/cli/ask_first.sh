# On a terminal the guard answers before anybody is asked: nobody says yes to what is refused then.
. "$(dirname "$0")/prelude.sh"
web_01 "$@"
two_devices
ip address add 10.0.2.11/24 dev eth0
ip route add default via 10.0.2.1 dev eth0
export SSH_CONNECTION="198.51.100.7 50022 10.0.2.11 22"

# answers WORD ARGS...: apply on a pseudo-terminal, with this word at its question.
answers() {
  word=$1
  shift
  ran="rolewall apply on a terminal, answered $word"
  status=0
  python3 - "$word" "$ROLEWALL_PROGRAM" apply site --host web-01 --state-dir "$state" --no-confirm "$@" \
    <<'PYTHON' >"$scratch/out" 2>"$scratch/err" || status=$?
import os, pty, sys
os.environ["NO_COLOR"] = "1"
asked = b""
def read(fd):
    global asked
    data = os.read(fd, 4096)
    asked += data
    if asked.endswith(b"[y/N] "):
        os.write(fd, sys.argv[1].encode() + b"\n")
    return data
status = pty.spawn(sys.argv[2:], read)
sys.exit(os.waitstatus_to_exitcode(status))
PYTHON
}

answers n
expect_status 1
expect_out "Apply? [y/N]"
expect_out "nothing was changed"
[ -z "$(table)" ] || complain "it was applied"
answers y
expect_status 0
expect_out "generation 1 is in force"
applied=$(table)

# What would shut out is refused without a question; forced, it stands above it.
sed -i '1i skip = ["baseline.inbound.ssh"]' site/web.toml
sed -i '/\[\[test\]\]/,$d' site/*.toml
answers y
expect_status 1
expect_out "lost: ssh from"
expect_out "refused, nothing was changed"
refuse_out "Apply? [y/N]"
[ "$(table)" = "$applied" ] || complain "it was applied"
answers n --force
expect_status 1
[ "$(grep -n 'overridden: ssh' "$scratch/out" | head -n 1 | cut -d: -f1)" -lt \
  "$(grep -n 'Apply?' "$scratch/out" | cut -d: -f1)" ] || complain "asked before it was said"
[ "$(table)" = "$applied" ] || complain "it was applied"
answers y --force
expect_status 0
[ "$(grep -c 'overridden: ssh from' "$scratch/out")" = 1 ] || [ "$(table)" != "$applied" ] || complain "not applied"
