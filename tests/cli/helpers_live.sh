# `helper`: FTP, active and passive, and TFTP, through a gateway that translates and one that does
# not, to it and from it, in both families; without a helper, and by another program's, nothing.
. "$(dirname "$0")/prelude.sh"
command -v nft >/dev/null || { echo "skipped: no nft"; exit 77; }
in_namespaces "$@"
ip link set lo up
nft 'add table inet t { ct helper h { type "ftp" protocol tcp; }; }' 2>/dev/null ||
  { echo "skipped: the kernel has no helper ftp"; exit 77; }
nft delete table inet t
export ROLEWALL_STATE="$scratch/state"
timeout 200 python3 "$ROLEWALL_SOURCE/tests/support/live_helpers.py" || exit $?
