# Shipped blocks against real sockets: DHCPv6 answers from a global address reach the client.
. "$(dirname "$0")/prelude.sh"
command -v nft >/dev/null || { echo "skipped: no nft"; exit 77; }
in_namespaces "$@"
ip link set lo up
export ROLEWALL_STATE="$scratch/state"
timeout 60 python3 "$ROLEWALL_SOURCE/tests/support/live_blocks.py" || exit $?
