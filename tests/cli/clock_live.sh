# `time=` of rules that read the clock: 300 questions, each asked of the live kernel too, with its windows moved.
. "$(dirname "$0")/prelude.sh"
command -v nft >/dev/null || { echo "skipped: no nft"; exit 77; }
in_namespaces "$@"
ip link set lo up
two_devices
ip address add 10.9.0.1/24 dev eth0
export ROLEWALL_STATE="$scratch/state"
timeout 100 python3 "$ROLEWALL_SOURCE/tests/support/live_clock.py" "$ROLEWALL_PROGRAM" "$scratch" || exit $?
