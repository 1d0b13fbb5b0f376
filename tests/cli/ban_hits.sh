# A ban of what a session lives on is refused: who speaks UDP to its relay, who lends the address or
# shares it, who tells the routes, whom the host's own resolver asks, who comes to a VPN's relay, who
# has a shell that no sshd serves.
. "$(dirname "$0")/prelude.sh"
command -v nft >/dev/null || { echo "skipped: no nft"; exit 77; }
test -c /dev/net/tun || { echo "skipped: no tun"; exit 77; }
in_namespaces "$@"
ip link set lo up
export ROLEWALL_STATE="$scratch/state"
timeout 100 python3 "$ROLEWALL_SOURCE/tests/support/live_ban_hits.py" || exit $?
