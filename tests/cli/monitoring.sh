# What packaging/monitoring has: the alert rules by promtool, the dashboard's queries on a Prometheus that has scraped
# what `stats` writes, the other collectors' configuration by its keys.
. "$(dirname "$0")/prelude.sh"
command -v nft >/dev/null || { echo "skipped: no nft"; exit 77; }
for program in promtool prometheus; do
  command -v $program >/dev/null || { echo "skipped: no $program (Debian's package prometheus)"; exit 77; }
done
python3 -c 'import yaml' 2>/dev/null || { echo "skipped: no python3-yaml"; exit 77; }
in_namespaces "$@"
ip link set lo up
export ROLEWALL_STATE="$scratch/state"
timeout 150 python3 "$ROLEWALL_SOURCE/tests/support/monitoring.py" || exit $?
