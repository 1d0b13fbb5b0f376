# prove and diff beside settings of the machine that let in what a kernel refuses by itself.
. "$(dirname "$0")/prelude.sh"
command -v nft >/dev/null || { echo "skipped: no nft"; exit 77; }
in_namespaces "$@"
ip link set lo up
two_devices
ip address add 10.9.0.1/24 dev eth0
ip address add 10.8.0.1/24 dev eth1
sysctl -qw net.ipv4.ip_forward=1
load() {
  nft -f - <<NFT
flush ruleset
table inet t {
  chain i { type filter hook input priority 0; policy drop; $1 udp dport 53 accept; }
  chain f { type filter hook forward priority 0; policy $2; }
}
NFT
}
ask() { rolewall "$@" --state-dir "$scratch/state"; }

# route_localnet: the loopback's addresses from the network (CVE-2020-8558).
load 'ip saddr 10.9.0.0/24' drop
ask prove --live 'never udp 10.9.0.2 > 127.0.0.1:53 in=eth0 at=self'
expect_status 0
sysctl -qw net.ipv4.conf.eth0.route_localnet=1
ask prove --live 'never udp 10.9.0.2 > 127.0.0.1:53 in=eth0 at=self'
expect_status 1
ask prove --live 'never udp 10.8.0.2 > 127.0.0.1:53 in=eth1 at=self'
expect_status 0
ask dump -o open.json
load 'ip daddr != 127.0.0.0/8 ip saddr 10.9.0.0/24' drop
ask dump -o mended.json
rolewall diff mended.json open.json --fail-on newly-accepted
expect_status 1
expect_out "127."
sysctl -qw net.ipv4.conf.eth0.route_localnet=0

# accept_local: the host's own addresses as a sender's.
load 'iifname eth0 ip saddr 10.8.0.1' drop
ask dump -o own.json
load 'iifname eth0 ip saddr 10.8.0.9' drop
ask dump -o none.json
rolewall diff none.json own.json
refuse_out "10.8.0.1 "
sysctl -qw net.ipv4.conf.eth0.accept_local=1 net.ipv4.conf.eth0.rp_filter=0 net.ipv4.conf.all.rp_filter=0
ask dump -o none.json
load 'iifname eth0 ip saddr 10.8.0.1' drop
ask dump -o own.json
rolewall diff none.json own.json
expect_status 1
expect_out "10.8.0.1"

# bc_forwarding: what a broadcast does then is not modelled, and not proven.
load '' accept
ask prove --live 'never udp 10.9.0.2 > 10.8.0.255:54 at=self in=eth0'
expect_status 0
sysctl -qw net.ipv4.conf.all.bc_forwarding=1 net.ipv4.conf.eth0.bc_forwarding=1
ask prove --live 'never udp 10.9.0.2 > 10.8.0.255:54 at=self in=eth0'
expect_status 1

# An address that another host has is none: what is sent there is passed on.
nft -f - <<'NFT'
flush ruleset
table inet t {
  chain i { type filter hook input priority 0; policy drop; }
  chain f { type filter hook forward priority 0; policy accept; }
}
NFT
sysctl -qw net.ipv6.conf.all.forwarding=1 net.ipv6.conf.eth1.accept_dad=1 net.ipv6.conf.eth1.dad_transmits=600
ip address add 2001:db8:8::1/64 dev eth1 nodad
ip address add 2001:db8:8::77/64 dev eth1
ask prove --live 'never udp 2001:db8:9::2 > [2001:db8:8::77]:54 at=self in=eth0'
expect_status 1
ask prove --live 'never udp 2001:db8:9::2 > [2001:db8:8::1]:54 at=self in=eth0'
expect_status 0
