# The guard's word beside the kernel's: real sessions from networks of their own, over rulesets that
# other programs have made, translated, from a link's own address, by several devices. What it
# refuses leaves the session alive and the table as it was; what it lets pass leaves the session
# alive, and a new one comes in.
. "$(dirname "$0")/prelude.sh"
command -v nft >/dev/null || { echo "skipped: no nft"; exit 77; }
in_namespaces "$@"
ip link set lo up
export ROLEWALL_STATE="$scratch/state"
timeout 580 python3 "$ROLEWALL_SOURCE/tests/support/live_guard.py" || exit $?
