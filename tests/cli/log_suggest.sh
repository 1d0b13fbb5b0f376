# The example's web-01 in audit mode, with every rule taken out but the baseline's: what `log --suggest` prints after its
# services were used admits them, in force, and nothing that nobody asked for; what it says that each rule opens is what
# `diff` finds between the site without them and with them, and nothing else.
. "$(dirname "$0")/prelude.sh"
command -v nft >/dev/null || { echo "skipped: no nft"; exit 77; }
in_namespaces "$@"
ip link set lo up
example_site site
export ROLEWALL_STATE="$scratch/state"
timeout 200 python3 "$ROLEWALL_SOURCE/tests/support/live_suggestions.py" || exit $?
