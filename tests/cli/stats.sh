# What `stats` shows is what came: new connections, drops by each kind of decider at its policy line,
# bytes; for Prometheus, too, where no counter ever goes back; and drawn in place on a terminal.
. "$(dirname "$0")/prelude.sh"
command -v nft >/dev/null || { echo "skipped: no nft"; exit 77; }
in_namespaces "$@"
ip link set lo up
export ROLEWALL_STATE="$scratch/state"
timeout 200 python3 "$ROLEWALL_SOURCE/tests/support/live_stats.py" || exit $?
