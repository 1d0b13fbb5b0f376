# What packets in words say beyond addresses and ports (dscp=, df=, frag=, time=) is what a rule of the
# kernel's sees in a packet of that kind: the same rule decides.
. "$(dirname "$0")/prelude.sh"
command -v nft >/dev/null || { echo "skipped: no nft"; exit 77; }
in_namespaces "$@"
ip link set lo up
timeout 100 python3 "$ROLEWALL_SOURCE/tests/support/live_words.py" || exit $?
