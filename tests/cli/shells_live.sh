# A shell that sshd does not serve, on a terminal: what carries it is asked about, also where the program
# that serves it has dialled the connection; a rollback is armed by default, as over ssh.
. "$(dirname "$0")/prelude.sh"
command -v nft >/dev/null || { echo "skipped: no nft"; exit 77; }
in_namespaces "$@"
ip link set lo up
export ROLEWALL_STATE="$scratch/state"
timeout 200 python3 "$ROLEWALL_SOURCE/tests/support/live_shells.py" || exit $?
