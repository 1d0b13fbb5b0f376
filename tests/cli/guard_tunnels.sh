# Sessions that go through a tunnel: what carries it is asked about, and cut by nothing that the
# guard lets pass. By a program with a tun device, and by the kernel's own tunnels, as far as this
# kernel has them.
. "$(dirname "$0")/prelude.sh"
command -v nft >/dev/null || { echo "skipped: no nft"; exit 77; }
in_namespaces "$@"
ip link set lo up
export ROLEWALL_STATE="$scratch/state"
timeout 580 python3 "$ROLEWALL_SOURCE/tests/support/live_tunnels.py" || exit $?
