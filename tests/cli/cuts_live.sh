# What a change cuts: plan and apply name the open connections that the new policy no longer admits, and
# `apply --cut` ends them on both sides. With real writers: the db-primary tag is swapped, and not one write
# reaches the old primary after the apply's end. An administrator's session is spared.
. "$(dirname "$0")/prelude.sh"
command -v nft >/dev/null || { echo "skipped: no nft"; exit 77; }
in_namespaces "$@"
ip link set lo up
export ROLEWALL_STATE="$scratch/state"
timeout 100 python3 "$ROLEWALL_SOURCE/tests/support/live_cuts.py" || exit $?
