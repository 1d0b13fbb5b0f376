# Two hosts on one bridge of the machine that is asked: the bridge passes frames on between its ports, below IP, and
# rules of IP see them where br_netfilter shows them alone. An answer says so, and no proof forgets it. Beside it: a route by
# type of service makes the destinations that it covers conditional, and no others.
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
sysctl -qw net.ipv4.ip_forward=1
nft 'table inet t { chain f { type filter hook forward priority 0; policy drop; udp dport 69 accept; }
  chain i { type filter hook input priority 0; policy drop; udp dport 67 accept; }; }'
ask() { rolewall eval --live --state-dir "$scratch/state" "$@"; }
prove() { rolewall prove --live --state-dir "$scratch/state" "$@"; }

for setting in 0 1; do
  if [ -e /proc/sys/net/bridge/bridge-nf-call-iptables ]; then
    sysctl -qw net.bridge.bridge-nf-call-iptables=$setting
  elif [ $setting = 1 ]; then
    continue
  fi
  for in in "" " in=br0" " in=br0 out=br0"; do
    ask "udp 10.9.0.2 > 10.9.0.3:53 at=self$in" --format json
    expect_status 0
    if [ $setting = 0 ]; then
      expect_json 'd["verdict"] == "conditional"'
      expect_json 'sorted(a["verdict"] for a in d["hops"][-1]["alternatives"]) == ["accept", "drop"]'
    else
      expect_json 'd["verdict"] == "drop"'
    fi
  done
  ask 'udp 10.9.0.2 > 10.9.0.3:69 at=self in=br0' --expect accept
  expect_status 0
  prove 'never udp 10.9.0.2 > 10.9.0.3:53 at=self'
  [ $setting = 0 ] && expect_status 1 || expect_status 0
  # What leaves by another device is routed.
  ask 'udp 10.9.0.2 > 10.8.0.3:53 at=self in=br0' --expect drop
  expect_status 0
  prove 'never udp 10.9.0.2 > 10.8.0.3:53 at=self in=br0 out=eth1'
  expect_status 0
done

# A route for packets of one type of service: what it does not cover is as certain as without.
ip route add unreachable 10.20.5.0/24
ip route add 10.20.11.0/24 via 10.8.0.2 tos 0x10
ask 'udp 10.8.0.2 > 10.8.0.255:67 in=eth1 at=self' --expect accept
expect_status 0
ask 'udp 10.8.0.2 > 10.20.5.5:69 in=eth1 at=self'
expect_out 'its route says unreachable'
ask 'udp 10.8.0.2 > 10.20.11.5:69 in=eth1 at=self'
expect_out 'the route to 10.20.11.0/24 of some packets alone, by their type of service or source'
# Rules of `ip rule` leave the table local first: a broadcast is for this host.
ip rule add fwmark 7 lookup 100
ask 'udp 10.8.0.2 > 10.8.0.255:67 in=eth1 at=self' --expect accept
expect_status 0
