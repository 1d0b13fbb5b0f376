# Devices that rules name: one that never was, that goes, or is called otherwise by now. And what is
# said where nothing can be rolled back.
. "$(dirname "$0")/prelude.sh"
command -v nft >/dev/null || { echo "skipped: no nft"; exit 77; }
in_namespaces "$@"
state="$scratch/state"
ip link set lo up
two_devices
ip address add 203.0.113.10/24 dev eth0
ip address add 10.0.2.10/24 dev eth1
ip route add default via 203.0.113.1 dev eth0
sysctl -qw net.ipv4.conf.all.rp_filter=1
site_of_srv '"203.0.113.10", "10.0.2.10"'
cat >site/server.toml <<'T'
role = "server"
[[inbound]]
id = "ssh"
service = "ssh"
from = "management"
in = "public"
[[inbound]]
service = "ndp"
[[outbound]]
service = "ndp"
T
apply() { rolewall apply site --host srv --state-dir "$state" "$@"; }
export SSH_CONNECTION="198.51.100.7 50022 203.0.113.10 22"

# Over ssh, without a terminal: nothing is armed, and a line says so.
apply
expect_status 0
expect_err "no rollback is armed"
expect_err "--confirm TIME"
apply --confirm 60s
expect_status 0
refuse_err "no rollback is armed"
rolewall confirm --state-dir "$state"
apply --no-confirm
refuse_err "no rollback is armed"
rolewall apply --help
expect_out "without a terminal"
rolewall status --state-dir "$state"
refuse_out "absent-device"

# G12: the device has another name now; the policy is as it was.
ip link set eth0 down
ip link set eth0 name wan0
ip link set wan0 up
ip address add 203.0.113.10/24 dev wan0 2>/dev/null
ip route replace default via 203.0.113.1 dev wan0
rolewall status --state-dir "$state"
expect_out "eth0, which this machine does not have"
expect_out "absent-device"
apply
expect_status 1
expect_err ": lost: "
expect_err "eth0, which this machine does not have"
ip link set wan0 down
ip link set wan0 name eth0
ip link set eth0 up
ip address add 203.0.113.10/24 dev eth0 2>/dev/null
ip route replace default via 203.0.113.1 dev eth0
apply
expect_status 0
expect_out "nothing to do"

# Another host's policy, by a slip: neither the name nor an address is this machine's.
refuse_err "other-machine"
cp -r site elsewhere
sed -i 's/addresses = .*/addresses = ["192.0.2.99"]/' elsewhere/site.toml
rolewall plan elsewhere --host srv --state-dir "$state"
expect_status 0
expect_err "this is the ruleset of srv, but this machine is called $(hostname) and has none of its addresses [other-machine]"

# G15: the inside is said to be behind a device that this machine does not have.
sed -i 's/device = "eth1"/device = "ens9"/' site/site.toml
rolewall plan site --host srv --state-dir "$state"
expect_status 0
expect_err "ens9, which this machine does not have: packets from the networks \`behind\` it are dropped"
apply --force
expect_status 0
expect_err "absent-device"
rolewall status --state-dir "$state"
expect_out "ens9"
# And with a session from the inside it is refused.
sed -i 's/device = "ens9"/device = "eth1"/; s/"198.51.100.0\/24"/"198.51.100.0\/24", "10.0.2.0\/24"/' site/site.toml
sed -i '/^in = "public"$/d' site/server.toml
apply
expect_status 0
sed -i 's/device = "eth1"/device = "ens9"/' site/site.toml
apply
expect_status 1
expect_err "(spoofed)"
