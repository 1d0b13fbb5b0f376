# libvirt's network as libvirtd makes it by iptables-nft, with our table beside it: of each question eval says
# what a real connection of a guest's, to a guest or to the host meets, and which table decides.
. "$(dirname "$0")/prelude.sh"
. "$ROLEWALL_SOURCE/tests/support/winner.sh"
for program in libvirtd virsh dnsmasq nft iptables-nft nsenter; do
  command -v $program >/dev/null || { echo "skipped: no $program"; exit 77; }
done
iptables -V 2>/dev/null | grep -q nf_tables || { echo "skipped: iptables is not iptables-nft"; exit 77; }
drivers=$(dirname "$(find /usr/lib -name libvirt_driver_network.so 2>/dev/null | head -n 1)")
network=/usr/share/libvirt/networks/default.xml
[ -e "$drivers/libvirt_driver_network.so" ] && [ -e "$network" ] || { echo "skipped: no network of libvirt's"; exit 77; }
in_network_of_root "$@"

# What it keeps of networks is this run's alone.
for folder in /run /var/lib/libvirt /var/log/libvirt /var/cache/libvirt /etc/libvirt; do
  mkdir -p $folder
  mount -t tmpfs none $folder
done
ip link set lo up
ip link add eth0 type veth peer name clients
ip link add port type veth peer name within
unshare -n sleep 300 & clients=$!
unshare -n sleep 300 & guest=$!
sleep 0.3
ip link set clients netns $clients
ip link set within netns $guest
ip address add 192.0.2.10/24 dev eth0
ip link set eth0 up
sysctl -qw net.ipv4.ip_forward=1
nsenter -t $clients -n sh -ec 'ip link set lo up; ip link set clients up; ip a a 192.0.2.7/24 dev clients
  ip route add 192.168.122.0/24 via 192.0.2.10'
python3 "$real_connections" listen host 22 & listener=$!
nsenter -t $clients -n python3 "$real_connections" listen client 80 443 & outer=$!
nsenter -t $guest -n python3 "$real_connections" listen guest 22 & inner=$!
mkdir /run/drivers
cp "$drivers/libvirt_driver_network.so" /run/drivers
cat >libvirtd.conf <<'T'
auth_unix_rw = "none"
unix_sock_group = "root"
T
LIBVIRT_DRIVER_DIR=/run/drivers libvirtd -p /run/libvirtd.pid -f libvirtd.conf >libvirtd.out 2>&1 & daemon=$!
end() {
  virsh -q -c network:///system net-destroy default >/dev/null 2>&1
  kill $daemon $clients $guest $listener $outer $inner 2>/dev/null
  end_waiting
  rm -rf "$scratch"
}
trap end EXIT
for _ in $(seq 100); do
  [ -S /run/libvirt/libvirt-sock ] && [ -e listens.host.22 ] && [ -e listens.client.443 ] && [ -e listens.guest.22 ] && break
  sleep 0.1
done
virsh="virsh -q -c network:///system"
{ $virsh net-define $network && $virsh net-start default; } >virsh.out 2>&1 || {
  cat virsh.out libvirtd.out
  echo "skipped: libvirt cannot start a network here"
  exit 77
}
ip link set port master virbr0
ip link set port up
nsenter -t $guest -n sh -ec 'ip link set lo up; ip link set within up; ip a a 192.168.122.2/24 dev within
  ip route add default via 192.168.122.1'
# A bridge's port is silent until it has learnt.
for _ in $(seq 100); do
  nsenter -t $guest -n ping -qc 1 -W 1 192.168.122.1 >/dev/null 2>&1 && break
  sleep 0.1
done

mkdir site
cat >site/site.toml <<'T'
[site]
name = "s"
management = "office"
[defaults]
inbound = "drop"
outbound = "accept"
[networks]
office = "192.0.2.0/28"
guests = "192.168.122.0/24"
[interfaces.public]
device = "eth0"
[interfaces.inner]
device = "virbr0"
behind = "guests"
[hosts.srv]
role = "server"
addresses = ["192.0.2.10", "192.168.122.1"]
interfaces = ["public", "inner"]
T
cat >site/server.toml <<'T'
role = "server"
[[inbound]]
id = "ssh"
service = "ssh"
from = "office"
[[inbound]]
id = "names"
service = "dns"
from = "guests"
[[forward]]
id = "web"
service = "http"
from = "guests"
to = "any"
[[forward]]
id = "in"
service = "ssh"
from = "office"
to = "guests"
T
state="$scratch/state"
rolewall apply site --host srv --state-dir "$state"
expect_status 0

at=" at=srv"  # forwarded
winner $guest 192.168.122.2 192.0.2.7 80 virbr0 accept -
winner $guest 192.168.122.2 192.0.2.7 443 virbr0 drop rolewall  # though libvirt's accepts it
winner $clients 192.0.2.7 192.168.122.2 22 eth0 reject filter LIBVIRT_FWI  # though our table accepts it
at=""
winner $guest 192.168.122.2 192.168.122.1 53 virbr0 accept -
winner $guest 192.168.122.2 192.168.122.1 22 virbr0 drop rolewall
winner $clients 192.0.2.7 192.0.2.10 22 eth0 accept -
# A guest leaves with the host's address, as eval says.
rolewall eval --live "tcp 192.168.122.2:40000 > 192.0.2.7:80 in=virbr0 at=srv" --state-dir "$state"
expect_out "192.0.2.10"
connection $guest 192.168.122.2 192.0.2.7 80
[ "$met" = "accept 192.0.2.10" ] || complain "a guest's connection is $met"
# Nothing of it needs a note of the guard's.
rolewall plan site --host srv --state-dir "$state" --format json
expect_json 'd.get("notes", []) == [] and d.get("lost", []) == []'
# From a dump, elsewhere: the same.
rolewall dump --state-dir "$state"
cp "$scratch/out" dump.json
rolewall eval --ruleset dump.json 'tcp 192.0.2.7 > 192.168.122.2:22 in=eth0 at=srv' --format json
expect_json 'd["verdict"] == "reject" and not d.get("conditions")'
echo "$checks checks"
