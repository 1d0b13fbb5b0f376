# What lies below the device that a packet comes by, a bridge's own tables and chains on its ports, is
# not run: the answer hangs on it, by name. What does nothing there, or is elsewhere, changes nothing.
. "$(dirname "$0")/prelude.sh"
command -v nft >/dev/null || { echo "skipped: no nft"; exit 77; }
in_namespaces "$@"
ip link set lo up
ip link add br0 type bridge 2>/dev/null || { echo "skipped: the kernel has no bridge"; exit 77; }
two_devices
ip link set eth0 master br0
ip link set br0 up
ip address add 10.9.0.1/24 dev br0
ip address add 10.8.0.1/24 dev eth1
nft -f - <<'NFT' 2>/dev/null || { echo "skipped: the kernel has no tables of bridges"; exit 77; }
table inet t {
  chain i { type filter hook input priority 0; policy accept; udp dport 9 drop; }
}
table bridge idle {
  chain i { type filter hook input priority 0; policy accept; counter; }
}
NFT
ask() { rolewall eval --live --state-dir "$scratch/state" "$@"; }

ask 'udp 10.9.0.2 > 10.9.0.1:53 in=br0' --expect accept
expect_status 0
nft 'add table bridge b; add chain bridge b p { type filter hook prerouting priority 0; }; add rule bridge b p udp dport 53 drop; add chain bridge b o { type filter hook output priority 0; }'
ask 'udp 10.9.0.2 > 10.9.0.1:53 in=br0' --format json
expect_status 0
expect_json 'd["verdict"] == "conditional"'
expect_json '[a["verdict"] for a in d["hops"][-1]["alternatives"]] == ["accept", "drop"]'
expect_json '"table bridge b, chain p" in d["hops"][-1]["alternatives"][1]["when"]'
ask 'udp 10.9.0.2 > 10.9.0.1:53 in=br0'
expect_out "table bridge b, chain p, which is not run: denies it"
ask 'udp 10.9.0.1 > 10.9.0.2:53'
expect_out "table bridge b, chain o, which is not run: denies it"
# It comes nowhere, whatever the bridge does; and by another device nothing is asked.
ask 'udp 10.9.0.2 > 10.9.0.1:9 in=br0' --expect drop
expect_status 0
ask 'udp 10.8.0.2 > 10.8.0.1:53 in=eth1' --expect accept
expect_status 0
nft delete table bridge b

# A chain on the bridge's port, and none on another device.
nft 'add table netdev n; add chain netdev n i { type filter hook ingress device eth0 priority 0; }; add rule netdev n i udp dport 57 drop'
ask 'udp 10.9.0.2 > 10.9.0.1:57 in=br0'
expect_out "table netdev n, chain i, which is not run: denies it"
ask 'udp 10.8.0.2 > 10.8.0.1:57 in=eth1' --expect accept
expect_status 0
nft 'delete table netdev n; add table netdev n; add chain netdev n i { type filter hook ingress device eth1 priority 0; }; add rule netdev n i udp dport 57 drop'
ask 'udp 10.9.0.2 > 10.9.0.1:57 in=br0' --expect accept
expect_status 0
ask 'udp 10.8.0.2 > 10.8.0.1:57 in=eth1' --expect drop
expect_status 0
