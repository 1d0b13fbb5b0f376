# Rules of `ip rule` beside the kernel's own: what they ask of a packet is known of it, so that an answer is as certain as
# without them; what is of this host by a route is so with them, too; and a source that no host has is discarded from the first
# rule on (ruleset_judge --ruled asks the kernel about random ones).
. "$(dirname "$0")/prelude.sh"
command -v nft >/dev/null || { echo "skipped: no nft"; exit 77; }
in_namespaces "$@"
ip link set lo up
two_devices
ip address add 10.0.1.1/24 brd + dev eth0
ip address add 10.0.2.1/24 brd + dev eth1
ip -6 address add fd01::1/64 dev eth0 nodad
sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv4.conf.all.rp_filter=0 \
  net.ipv4.conf.eth0.rp_filter=0 net.ipv4.conf.eth1.rp_filter=0
nft 'table inet t { chain f { type filter hook forward priority 0; policy drop; oifname "eth1" udp dport 69 accept; }
  chain m { type filter hook prerouting priority -150; policy accept; udp dport 70 meta mark set 7; }
  chain i { type filter hook input priority 0; policy drop; udp dport 67 fib daddr type { local, anycast } accept
    udp dport 68 accept; }; }'
ask() { rolewall eval --live --state-dir "$scratch/state" "$@"; expect_status 0; }

ask 'udp 10.0.1.255 > 10.0.1.1:68 in=eth0' --expect accept
expect_out 'no rule of `ip rule` since the machine was started'
ip -6 rule add from fd09::/64 lookup 100
ask 'udp 10.0.1.255 > 10.0.1.1:68 in=eth0' --expect accept
for rule in 'to 10.10.0.0/16 lookup 101' 'from 10.9.0.0/16 lookup 101' 'fwmark 7 lookup 102' 'iif eth1 lookup 101'; do
  ip rule add $rule
done
ip route add default via 10.0.1.9 dev eth0 table 101
ip route add prohibit default table 102
ip route add local 10.77.0.0/16 dev lo
ip -6 route add local fd77::/64 dev lo
# Certain: no rule is for it; one is, by its device, its source, or the mark that it gets before it is routed.
ask 'udp 10.0.1.2 > 10.0.2.2:69 in=eth0 at=self' --expect accept
ask 'udp 10.0.2.2 > 10.0.2.3:69 in=eth1 at=self' --expect drop
ask 'udp 10.9.1.2 > 10.0.2.2:69 in=eth0 at=self' --expect drop
ask 'udp 10.0.1.2 > 10.0.2.2:70 in=eth0 at=self' --expect stack
# What is local by a route is so, and a subnet's routers' address is theirs.
ask 'udp 10.0.1.2 > 10.77.0.1:67 in=eth0 at=self' --expect accept
ask 'udp fd01::2 > [fd77::1]:67 in=eth0 at=self' --expect accept
ask 'udp fd01::2 > [fd01::]:67 in=eth0 at=self' --expect accept
ask 'udp 10.0.1.255 > 10.0.1.1:68 in=eth0' --expect stack
# As wg-quick has it: all but the tunnel's own packets go by it, unless a network is on a link.
ip rule flush
ip rule add pref 32766 lookup main
ip rule add pref 32765 not fwmark 51820 lookup 103
ip rule add pref 32764 lookup main suppress_prefixlength 0
ip route add default dev eth0 table 103
ask 'udp 10.0.1.2 > 10.0.2.2:69 in=eth0 at=self' --expect accept
# What only the kernel knows stays a condition.
ip rule add pref 10 tos 0x10 lookup 101
ask 'udp 10.0.1.2 > 10.0.2.2:69 in=eth0 at=self' --expect conditional
