# A first apply, and a boot, cut no session that is open: one in which the server speaks first goes on, whether
# conntrack picks up flows in their middle or not.
. "$(dirname "$0")/prelude.sh"
command -v nft >/dev/null || { echo "skipped: no nft"; exit 77; }
in_namespaces "$@"
ip link set lo up
mkdir site
cat >site/site.toml <<'T'
[site]
name = "s"
[hosts.srv]
role = "server"
addresses = ["10.0.2.10"]
T
cat >site/server.toml <<'T'
role = "server"
[[inbound]]
id = "ssh"
service = "tcp/2222"
from = "any"
T
cat >session.py <<'P'
# A client in a network of its own, a server here; what the server says after the apply arrives, and
# the client's answer too.
import ctypes, os, socket, subprocess, sys
libc = ctypes.CDLL(None, use_errno=True)
def run(*words): subprocess.run(words, check=True)
ready, ready_w = os.pipe()
go, go_w = os.pipe()
client = os.fork()
if client == 0:
    if libc.unshare(0x40000000) != 0: os._exit(3)  # CLONE_NEWNET
    os.write(ready_w, b"x")
    os.read(go, 1)
    run("ip", "address", "add", "10.0.2.7/24", "dev", "far")
    run("ip", "link", "set", "far", "up")
    session = socket.create_connection(("10.0.2.10", 2222), timeout=5)
    os.write(ready_w, b"x")
    session.settimeout(3)
    said = session.recv(100)
    session.sendall(b"heard " + said)
    os._exit(0 if said == b"after" else 4)
os.read(ready, 1)
run("ip", "link", "add", "near", "type", "veth", "peer", "name", "far", "netns", str(client))
run("ip", "address", "add", "10.0.2.10/24", "dev", "near")
run("ip", "link", "set", "near", "up")
listener = socket.create_server(("10.0.2.10", 2222))
os.write(go_w, b"x")
session, _ = listener.accept()
os.read(ready, 1)
applied = subprocess.run(sys.argv[1:], capture_output=True, text=True)
if applied.returncode != 0: sys.exit("apply: " + applied.stdout + applied.stderr)
session.sendall(b"after")
session.settimeout(3)
try:
    answer = session.recv(100)
except TimeoutError:
    answer = b"nothing"
_, status = os.waitpid(client, 0)
if answer != b"heard after" or status != 0:
    sys.exit(f"the session was cut: {answer!r}, client's status {status}")
P
for loose in 0 1; do
  nft flush ruleset
  sysctl -qw net.netfilter.nf_conntrack_tcp_loose=$loose 2>/dev/null || { echo "skipped: no nf_conntrack_tcp_loose here"; exit 77; }
  rm -rf "$scratch/state"
  ran="a session over a first apply, tcp_loose=$loose"
  status=0
  python3 session.py "$ROLEWALL_PROGRAM" apply site --host srv --state-dir "$scratch/state" \
    >"$scratch/out" 2>"$scratch/err" || status=$?
  expect_status 0
  ip link del near 2>/dev/null || :
  # The table is flushed, and boot loads it again over a session that opened meanwhile.
  nft flush ruleset
  ran="a session over a boot, tcp_loose=$loose"
  status=0
  python3 session.py "$ROLEWALL_PROGRAM" boot -p site --host srv --state-dir "$scratch/state" \
    >"$scratch/out" 2>"$scratch/err" || status=$?
  expect_status 0
  ip link del near 2>/dev/null || :
done
