# Real packets, traced: in policy lines, through other programs' tables, with what is translated, and what the
# stack discards; the dry run says the same of each. Nothing is left behind, however the trace ends.
. "$(dirname "$0")/prelude.sh"
command -v nft >/dev/null || { echo "skipped: no nft"; exit 77; }
in_namespaces "$@"
ip link set lo up
export ROLEWALL_STATE="$scratch/state"
timeout 200 python3 "$ROLEWALL_SOURCE/tests/support/live_trace.py" || exit $?
