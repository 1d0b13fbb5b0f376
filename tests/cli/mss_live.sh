# `mss`: over a path that carries less than its ends know of, and tells nobody, connections through
# the gateway go on, in both directions and families; the segment size is lowered and never raised.
. "$(dirname "$0")/prelude.sh"
command -v nft >/dev/null || { echo "skipped: no nft"; exit 77; }
in_namespaces "$@"
ip link set lo up
export ROLEWALL_STATE="$scratch/state"
timeout 200 python3 "$ROLEWALL_SOURCE/tests/support/live_mss.py" || exit $?
