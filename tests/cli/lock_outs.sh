# Some 260 ways to shut an administrator out, each with a real session: refused, and forced it ends,
# and comes back with the timer; a change that takes nothing away is made in the same scene. One of
# each kind in each family is tried, of each verb, and beside each other program; all with
# ROLEWALL_LONG_TESTS; `sh lock_outs.sh WORD...` tries those whose names have one of the words.
. "$(dirname "$0")/prelude.sh"
command -v nft >/dev/null || { echo "skipped: no nft"; exit 77; }
if [ "${1:-}" != inside ]; then
  need_namespaces
  unshare -rnm sh "$script" inside "$@"
  exit $?
fi
shift
export ROLEWALL_STATE="$scratch/state"
timeout 580 python3 "$ROLEWALL_SOURCE/tests/support/lock_outs.py" "$@" || exit $?
