# ebtables-nft and arptables-nft beside: what a bridge's tables say no packet of IP is run through, so
# that an answer by the bridge hangs on them, by name; ARP's decide nothing. Status, plan and dump run.
. "$(dirname "$0")/prelude.sh"
for program in ebtables-nft arptables-nft nft; do
  command -v $program >/dev/null || { echo "skipped: no $program"; exit 77; }
done
in_namespaces "$@"
ip link set lo up
ip link add br0 type bridge 2>/dev/null || { echo "skipped: the kernel has no bridge"; exit 77; }
two_devices
ip link set eth0 master br0
ip link set br0 up
ip address add 10.9.0.1/24 dev br0
ip address add 10.8.0.1/24 dev eth1
mkdir site
cat >site/site.toml <<'T'
[site]
name = "s"
management = "office"
[defaults]
inbound = "drop"
outbound = "accept"
[networks]
office = "10.8.0.0/28"
[interfaces.inside]
device = "br0"
[interfaces.public]
device = "eth1"
[hosts.srv]
role = "server"
addresses = ["10.9.0.1", "10.8.0.1"]
interfaces = ["inside", "public"]
T
cat >site/server.toml <<'T'
role = "server"
use = ["baseline"]
[[inbound]]
id = "ssh"
service = "ssh"
from = "any"
T
state="$scratch/state"
rolewall apply site --host srv --state-dir "$state"
expect_status 0
ask() { rolewall eval --live --state-dir "$state" "$@" --format json; }

# What accepts, counts and logs does nothing.
ebtables-nft -A INPUT -p IPv4 --ip-protocol udp --ip-destination-port 53 -j ACCEPT || { echo "skipped: the kernel has no tables of bridges"; exit 77; }
ebtables-nft -A FORWARD --pkttype-type broadcast --log
arptables-nft -A INPUT -s 10.9.0.66 -j DROP
arptables-nft -A OUTPUT -j CLASSIFY --set-class 1:1
ask 'tcp 10.9.0.2 > 10.9.0.1:22 in=br0'
expect_json 'd["verdict"] == "accept"'
# What drops, marks, answers for another or writes an address may.
for rule in '-A INPUT -p IPv4 --ip-protocol tcp --ip-destination-port 22 -j DROP' \
  '-A INPUT --limit 5/s -j DROP' '-A INPUT -p IPv4 --among-src 02:00:00:00:00:01=10.9.0.9 -j DROP' \
  '-A INPUT -s 02:00:00:00:00:05 -j mark --mark-set 5' '-t nat -A PREROUTING -j redirect' \
  '-t nat -A PREROUTING -p ARP -j arpreply --arpreply-mac 02:00:00:00:00:05' \
  '-t nat -A PREROUTING -j dnat --to-destination 02:00:00:00:00:05'; do
  # shellcheck disable=SC2086 # words
  ebtables-nft $rule 2>>refused || continue
  ask 'tcp 10.9.0.2 > 10.9.0.1:22 in=br0'
  expect_json 'd["verdict"] == "conditional"'
  expect_json '"table bridge " in d["hops"][-1]["alternatives"][1]["when"]'
  ask 'tcp 10.8.0.2 > 10.8.0.1:22 in=eth1'
  expect_json 'd["verdict"] == "accept"'
  rolewall status --state-dir "$state" --format json
  expect_status 0
  expect_json 'd["drift"] == []'
  rolewall dump -o dump.json
  expect_status 0
  rolewall eval --ruleset dump.json 'tcp 10.9.0.2 > 10.9.0.1:22 in=br0' --format json
  expect_json 'd["verdict"] == "conditional"'
  # Management comes by another device.
  rolewall plan site --host srv --state-dir "$state" --format json
  expect_json 'd.get("lost", []) == []'
  ebtables-nft ${rule%%-A*} -F
done
arptables-nft -P INPUT DROP
ask 'tcp 10.9.0.2 > 10.9.0.1:22 in=br0'
expect_json 'd["verdict"] == "accept"'

# Where management comes by the bridge, the guard tells of its tables, and refuses no change of ours.
sed -i 's|^office = .*|office = "10.9.0.0/28"|' site/site.toml
ebtables-nft -A INPUT -p IPv4 --ip-protocol tcp --ip-destination-port 22 -j DROP
rolewall plan site --host srv --state-dir "$state" --format json
expect_json 'd.get("lost", []) == []'
expect_json '"bridge filter" in str(d.get("notes", []))'
echo "$checks checks; refused: $(wc -l <refused) lines"
