# What is logged, how often, and where: read from an NFLOG group while a peer is denied.
. "$(dirname "$0")/prelude.sh"
command -v nft >/dev/null || { echo "skipped: no nft"; exit 77; }
in_namespaces "$@"
ip link set lo up
export ROLEWALL_STATE="$scratch/state"
timeout 100 python3 "$ROLEWALL_SOURCE/tests/support/live_log.py" || exit $?
