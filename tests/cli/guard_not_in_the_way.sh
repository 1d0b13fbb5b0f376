# What came to the machine since the last apply, or is beside it from the start, and carries nobody: an
# apply that takes nothing away is not refused for it. Where a thing shuts out all the same, it is.
. "$(dirname "$0")/prelude.sh"
command -v nft >/dev/null || { echo "skipped: no nft"; exit 77; }
in_namespaces "$@"
ip link set lo up
export ROLEWALL_STATE="$scratch/state"
timeout 280 python3 "$ROLEWALL_SOURCE/tests/support/live_not_in_the_way.py" || exit $?
