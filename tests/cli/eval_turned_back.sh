# What output's rules turn to the host itself leaves by the loopback and comes in again: prerouting, without translation, and
# input. Random rules (support/turned_back.py); the live kernel is the oracle.
. "$(dirname "$0")/prelude.sh"
command -v nft >/dev/null || { echo "skipped: no nft"; exit 77; }
in_namespaces "$@"
ip link set lo up
two_devices
ip address add 192.0.2.10/24 dev eth0
ip address add 192.0.2.11/24 dev eth0
ip -6 address add 2001:db8::10/64 dev eth0 nodad
ip neigh add 192.0.2.1 lladdr 02:00:00:00:00:07 dev eth0
ip -6 neigh add 2001:db8::1 lladdr 02:00:00:00:00:07 dev eth0
ip route add default via 192.0.2.1
ip -6 route add default via 2001:db8::1
rulesets=4
[ -n "${ROLEWALL_LONG_TESTS:-}" ] && rulesets=200
python3 "$ROLEWALL_SOURCE/tests/support/turned_back.py" "$ROLEWALL_PROGRAM" 1 $rulesets >judged.txt || {
  cat judged.txt
  echo "FAILED: eval or prove is not the kernel"
  exit 1
}
tail -n 1 judged.txt
