# Each file of the state directory as it should not be, and each verb: none hangs, nothing is lost, and
# the file is named.
. "$(dirname "$0")/prelude.sh"
command -v nft >/dev/null || { echo "skipped: no nft"; exit 77; }
in_network_of_root "$@"
ip link set lo up
chmod 755 "$scratch" "$scratch/work"
export ROLEWALL_STATE="$PWD/state"
timeout 1500 python3 "$ROLEWALL_SOURCE/tests/support/odd_files.py" || exit $?
