# What `log` says of each kind of denial: the rule and its line, names, what would admit it, rules to choose from; and
# what stands in its way where it cannot read.
. "$(dirname "$0")/prelude.sh"
command -v nft >/dev/null || { echo "skipped: no nft"; exit 77; }
in_namespaces "$@"
ip link set lo up
export ROLEWALL_STATE="$scratch/state"
timeout 200 python3 "$ROLEWALL_SOURCE/tests/support/live_log_words.py" || exit $?
