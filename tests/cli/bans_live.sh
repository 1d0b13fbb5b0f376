# What a ban does to packets: real sessions to, from and through this host are ended from both
# sides, others go on, and IPv6 outlives a ban of its router.
. "$(dirname "$0")/prelude.sh"
command -v nft >/dev/null || { echo "skipped: no nft"; exit 77; }
in_namespaces "$@"
ip link set lo up
export ROLEWALL_STATE="$scratch/state"
timeout 100 python3 "$ROLEWALL_SOURCE/tests/support/live_bans.py" || exit $?
