# A rejected connection fails at once, in both families, from outside, through this host and from
# it; an open session that meets a reject rule goes on.
. "$(dirname "$0")/prelude.sh"
command -v nft >/dev/null || { echo "skipped: no nft"; exit 77; }
in_namespaces "$@"
ip link set lo up
export ROLEWALL_STATE="$scratch/state"
timeout 100 python3 "$ROLEWALL_SOURCE/tests/support/live_reject.py" || exit $?
