# Three hosts with real HAProxy, nginx and MariaDB: the rates that `stats` shows are the clients', and each kind of denial is
# found by `stats`, `log` and `trace` at its policy line. The db-primary tag is swapped under load, and no row is written to the
# old primary after the apply's end.
. "$(dirname "$0")/prelude.sh"
for program in nft haproxy nginx mariadbd mariadb; do
  command -v $program >/dev/null || { echo "skipped: no $program (packaging/install-deps --servers)"; exit 77; }
done
in_namespaces "$@"
ip link set lo up
export ROLEWALL_STATE="$scratch/state"
timeout 280 python3 "$ROLEWALL_SOURCE/tests/support/live_site.py" || exit $?
