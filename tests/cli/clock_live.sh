# `time=` of rules that read the clock: 300 questions, each asked of the live kernel too, with its windows moved.
. "$(dirname "$0")/prelude.sh"
command -v nft >/dev/null || { echo "skipped: no nft"; exit 77; }
in_namespaces "$@"
ip link set lo up
two_devices
ip address add 10.9.0.1/24 dev eth0
export ROLEWALL_STATE="$scratch/state"
timeout 100 python3 "$ROLEWALL_SOURCE/tests/support/live_clock.py" "$ROLEWALL_PROGRAM" "$scratch" || exit $?

# A capture's packets have their times.
ip link set eth0 address 02:00:00:00:00:01
TZ=UTC nft -f - <<'NFT'
flush ruleset
table ip t {
  chain i { type filter hook input priority 0; policy drop; meta time >= "2023-11-14 22:13:21" accept; }
}
NFT
rolewall dump -o clock.json
PYTHONPATH="$ROLEWALL_SOURCE/tests/cli" python3 - <<'PYTHON'
from packets import tcp, write
write("two.pcap", [tcp("10.9.0.7", 40000 + n, "10.9.0.1", 22, 2, 100, 0) for n in range(2)])
PYTHON
rolewall eval --ruleset clock.json --pcap two.pcap --in eth0 --all
expect_status 0
expect_out "10.9.0.7:40000 > 10.9.0.1:22 flags=syn in=eth0 length=40: drop"
expect_out "10.9.0.7:40001 > 10.9.0.1:22 flags=syn in=eth0 length=40: accept"
