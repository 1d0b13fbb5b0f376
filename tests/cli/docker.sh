# A published port of Docker's, as dockerd makes it by iptables-nft, with our table beside it: of each question eval
# says what a real connection to the container meets, and which table decides.
. "$(dirname "$0")/prelude.sh"
. "$ROLEWALL_SOURCE/tests/support/winner.sh"
for program in dockerd docker containerd runc nft iptables-nft nsenter; do
  command -v $program >/dev/null || { echo "skipped: no $program"; exit 77; }
done
iptables -V 2>/dev/null | grep -q nf_tables || { echo "skipped: iptables is not iptables-nft"; exit 77; }
in_network_of_root "$@"

# What it keeps is this run's alone.
for folder in /run /var/lib/docker /etc/docker; do
  mkdir -p $folder
  mount -t tmpfs none $folder
done
grep -q ' cgroup' /proc/mounts || mount -t cgroup2 none /sys/fs/cgroup
ip link set lo up
ip link add eth0 type veth peer name clients
unshare -n sleep 300 & clients=$!
sleep 0.3
ip link set clients netns $clients
ip address add 192.0.2.10/24 dev eth0
ip link set eth0 up
nsenter -t $clients -n sh -ec 'ip link set lo up; ip link set clients up; ip a a 192.0.2.7/24 dev clients
  ip a a 192.0.2.66/24 dev clients'
# Its processes end with it.
timeout 240 unshare --pid --fork --kill-child --mount-proc dockerd --data-root /var/lib/docker --exec-root /run/docker \
  --pidfile /run/dockerd.pid -H unix:///run/docker.sock --storage-driver vfs >dockerd.out 2>&1 & daemon=$!
docker() { command timeout 60 docker -H unix:///run/docker.sock "$@"; }
listener=""
end() {
  docker kill web >/dev/null 2>&1
  kill $daemon $clients $listener 2>/dev/null
  wait $daemon 2>/dev/null
  end_waiting
  rm -rf "$scratch"
}
trap end EXIT
for _ in $(seq 60); do
  docker info 2>/dev/null | grep -q 'Server Version' && break
  sleep 0.5
done
# An image with nothing in it: the container has the programs of this machine.
seconds=$((100000 + $$))  # by which it is found
{
  tar -c --files-from /dev/null | docker import - nothing &&
    docker run -d --name web -p 8080:80 -v /usr:/usr:ro -v /lib:/lib:ro -v /lib64:/lib64:ro nothing /usr/bin/sleep $seconds
} >docker.out 2>&1 || {
  cat docker.out
  tail -n 5 dockerd.out
  echo "skipped: docker cannot start a container here"
  exit 77
}
inside=$(docker inspect -f '{{.NetworkSettings.IPAddress}}' web)
nsenter -t "$(pgrep -f "^/usr/bin/sleep $seconds\$")" -n python3 "$real_connections" listen web 80 & listener=$!
for _ in $(seq 50); do
  [ -e listens.web.80 ] && break
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
containers = "172.17.0.0/16"
[interfaces.public]
device = "eth0"
[interfaces.inner]
device = "docker0"
behind = "containers"
[hosts.srv]
role = "server"
addresses = ["192.0.2.10", "172.17.0.1"]
interfaces = ["public", "inner"]
T
cat >site/server.toml <<'T'
role = "server"
[[inbound]]
id = "ssh"
service = "ssh"
from = "office"
[[forward]]
id = "web"
service = "tcp/8080"  # as the client sees it
from = "office"
to = "self"
T
state="$scratch/state"
# Docker alone.
winner $clients 192.0.2.7 192.0.2.10 8080 eth0 accept -
rolewall apply site --host srv --state-dir "$state"
expect_status 0
winner $clients 192.0.2.7 192.0.2.10 8080 eth0 accept -
winner $clients 192.0.2.66 192.0.2.10 8080 eth0 drop rolewall  # though Docker's rules accept it
rolewall eval --live "tcp 192.0.2.7 > 192.0.2.10:8080 in=eth0" --state-dir "$state"
expect_out "-j DNAT --to-destination $inside:80"
iptables-nft -I DOCKER-USER -s 192.0.2.7 -j DROP
winner $clients 192.0.2.7 192.0.2.10 8080 eth0 drop filter DOCKER-USER
iptables-nft -D DOCKER-USER 1
rolewall status --state-dir "$state"
expect_out "[published-port]"
# Nothing of it needs a note of the guard's.
rolewall plan site --host srv --state-dir "$state" --format json
expect_json 'd.get("notes", []) == [] and d.get("lost", []) == []'
rolewall dump --state-dir "$state"
cp "$scratch/out" dump.json
rolewall eval --ruleset dump.json 'tcp 192.0.2.66 > 192.0.2.10:8080 in=eth0' --format json
expect_json 'd["verdict"] == "drop" and not d.get("conditions")'
echo "$checks checks"
