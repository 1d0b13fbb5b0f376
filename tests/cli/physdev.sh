# iptables' physdev, and translation, with a real bridge that asks iptables: what a port has to do with it no question says, so that the
# answer hangs on it by name, and what a real connection meets is one of the two. Of another device it is exact.
. "$(dirname "$0")/prelude.sh"
real_connections="$ROLEWALL_SOURCE/tests/support/real_connections.py"
for program in nft iptables-nft-restore nsenter; do
  command -v $program >/dev/null || { echo "skipped: no $program"; exit 77; }
done
in_namespaces "$@"
ip link set lo up
ip link add br0 type bridge 2>/dev/null || { echo "skipped: the kernel has no bridge"; exit 77; }
sysctl -qw net.bridge.bridge-nf-call-iptables=1 2>/dev/null || { echo "skipped: the kernel has no br_netfilter"; exit 77; }
sysctl -qw net.ipv4.ip_forward=1
ip address add 10.9.0.1/24 dev br0
ip link set br0 up
unshare -n sleep 300 & one=$!
unshare -n sleep 300 & two=$!
unshare -n sleep 300 & beside=$!
sleep 0.3
# away NAME PROCESS ADDRESS MASTER: the other end of the device NAME
away() {
  ip link add "$1" type veth peer name within netns "$2"
  [ "$4" = - ] || ip link set "$1" master "$4"
  ip link set "$1" up
  nsenter -t "$2" -n sh -ec "ip link set lo up; ip a a $3 dev within; ip link set within up"
}
away port1 $one 10.9.0.2/24 br0
away port2 $two 10.9.0.3/24 br0
away eth1 $beside 10.8.0.2/24 -
ip address add 10.8.0.1/24 dev eth1
iptables-nft-restore <<'RULES' || { echo "skipped: this kernel does not take them"; exit 77; }
*filter
-A INPUT -p tcp -m physdev --physdev-in port1 -j DROP
-A FORWARD -p tcp --dport 22 -m physdev --physdev-is-bridged -j DROP
-A FORWARD -p tcp --dport 80 -m physdev ! --physdev-is-bridged -j DROP
COMMIT
RULES
python3 "$real_connections" listen host 22 & listener=$!
nsenter -t $two -n python3 "$real_connections" listen two 22 80 & inner=$!
end() {
  kill $one $two $beside $listener $inner 2>/dev/null
  end_waiting
  rm -rf "$scratch"
}
trap end EXIT
for _ in $(seq 50); do
  [ -e listens.host.22 ] && [ -e listens.two.80 ] && break
  sleep 0.1
done

# meets PROCESS FROM TO PORT VERDICT
meets() {
  met=$(nsenter -t "$1" -n python3 "$real_connections" connect "$2" "$3" "$4")
  checks=$((checks + 1))
  [ "${met%% *}" = "$5" ] || complain "the connection $2 > $3:$4 meets $met"
}
ask() { rolewall eval --live --state-dir "$scratch/state" "$1" --format json; }
hangs_on() {
  expect_json 'd["verdict"] == "conditional"'
  expect_json "{a['verdict'] for a in d['hops'][-1]['alternatives']} == {'accept', 'drop'}"
  expect_json "any('$1' in str(a['when']) for a in d['hops'][-1]['alternatives'])"
}
meets $one 10.9.0.2 10.9.0.1 22 drop
meets $two 10.9.0.3 10.9.0.1 22 accept
ask 'tcp 10.9.0.2 > 10.9.0.1:22 in=br0'
hangs_on 'bridge'
meets $one 10.9.0.2 10.9.0.3 22 drop
meets $one 10.9.0.2 10.9.0.3 80 accept
for port in 22 80; do
  ask "tcp 10.9.0.2 > 10.9.0.3:$port in=br0 at=self"
  hangs_on 'bridge'
done
# Translated to another port, the bridge sends it on as a frame: by forward, with its hops as they were.
printf '*nat\n-A PREROUTING -d 10.9.0.1 -p tcp --dport 8080 -j DNAT --to-destination 10.9.0.3:80\nCOMMIT\n' | iptables-nft-restore
meets $one 10.9.0.2 10.9.0.1 8080 accept
ask 'tcp 10.9.0.2 > 10.9.0.1:8080 in=br0 ttl=1'
expect_json 'd["verdict"] == "conditional"'
expect_json '{"accept", "stack"} <= {a["verdict"] for a in d["hops"][-1]["alternatives"]}'
expect_json '"whether 10.9.0.3 is behind another port of br0" in str(d["hops"][-1]["alternatives"])'
expect_json '"forward" in [h["hook"] for h in d["hops"]] and "input" not in [h["hook"] for h in d["hops"]]'
sysctl -qw net.bridge.bridge-nf-call-iptables=0
ask 'tcp 10.9.0.2 > 10.9.0.1:8080 in=br0 ttl=1'
expect_json 'd["verdict"] == "stack"'
expect_json '"hop limit" in str(d["hops"][-1])'
# Not shown to iptables: the bridge passes it on all the same.
nft 'add table ip x; add chain ip x f { type filter hook forward priority 5; policy drop; }'
meets $one 10.9.0.2 10.9.0.3 22 accept
ask 'tcp 10.9.0.2 > 10.9.0.3:22 in=br0 at=self'
hangs_on 'Ethernet address it is sent to on br0'
# No bridge: as the kernel, whatever is asked of ports.
meets $beside 10.8.0.2 10.8.0.1 22 accept
ask 'tcp 10.8.0.2 > 10.8.0.1:22 in=eth1'
expect_json 'd["verdict"] == "accept" and not d.get("conditions")'
echo "$checks checks"
