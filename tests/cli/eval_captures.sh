# Captures where a user takes them: on a gateway that translates, a router with one device, the
# loopback. What is said of a packet for certain is what the live kernel did with it.
. "$(dirname "$0")/prelude.sh"
command -v nft >/dev/null || { echo "skipped: no nft"; exit 77; }
in_namespaces "$@"
ip link set lo up
export ROLEWALL_STATE="$scratch/state"
timeout 200 python3 "$ROLEWALL_SOURCE/tests/support/live_captures.py" || exit $?
