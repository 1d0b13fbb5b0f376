# An answer that hangs on what only the kernel knows lists its ways, and never takes one for granted.
. "$(dirname "$0")/prelude.sh"
command -v nft >/dev/null || { echo "skipped: no nft"; exit 77; }
in_namespaces "$@"
ip link add veth0 address 02:00:00:00:00:01 type veth peer name veth1
ip address add 192.0.2.10/24 dev veth0
ip link set veth0 up
nft 'add table ip t
add chain ip t in { type filter hook input priority 0; policy accept; }
add rule ip t in tcp dport 22 numgen random mod 2 vmap { 0 : drop, 1 : accept }
add rule ip t in tcp dport 23 numgen random mod 1000 < 10 drop
add rule ip t in tcp dport 24 meta random > 0 counter accept'

rolewall eval --live 'tcp 192.0.2.7 > 192.0.2.10:22 in=veth0' --format json --state-dir "$scratch/state"
expect_status 0
expect_json 'd["verdict"] == "conditional"'
expect_json '[(a["when"], a["verdict"]) for a in d["hops"][-1]["alternatives"]] == [("numgen random mod 2: 0", "drop"), ("numgen random mod 2: 1", "accept")]'
rolewall eval --live 'tcp 192.0.2.7 > 192.0.2.10:23 in=veth0' --expect accept --state-dir "$scratch/state"
expect_status 1
expect_out 'depends on what only the kernel knows'
expect_out 'numgen random mod 1000 is below'
# All ways lead to the same.
rolewall eval --live 'tcp 192.0.2.7 > 192.0.2.10:24 in=veth0' --expect accept --state-dir "$scratch/state"
expect_status 0

# A translation has its ways, where the verdict is the same by each.
ip address add 192.0.2.11/24 dev veth0
ip address add 192.0.2.12/24 dev veth0
nft 'add table ip n
add chain ip n pre { type nat hook prerouting priority -100; }
add rule ip n pre tcp dport 80 dnat to numgen random mod 2 map { 0 : 192.0.2.11, 1 : 192.0.2.12 }'
rolewall eval --live 'tcp 192.0.2.7 > 192.0.2.10:80 in=veth0' --format json --state-dir "$scratch/state"
expect_status 0
expect_json 'd["verdict"] == "accept"'
expect_json '[(a["when"], a["translated"]) for a in d["hops"][0]["alternatives"]] == [("numgen random mod 2: 0", "to 192.0.2.11:80"), ("numgen random mod 2: 1", "to 192.0.2.12:80")]'
rolewall eval --live 'tcp 192.0.2.7 > 192.0.2.10:80 in=veth0' --state-dir "$scratch/state"
expect_out 'accept     numgen random mod 2: 1  to 192.0.2.12:80'
nft delete table ip n

# A capture's conversation goes on by the first way; each packet lists the ways that it may have gone.
PYTHONPATH="$ROLEWALL_SOURCE/tests/cli" python3 - <<'PYTHON'
from packets import tcp, write

peer, host = "192.0.2.7", "192.0.2.10"
write("talk.pcap", [
    tcp(peer, 40000, host, 24, 2, 100, 0),
    tcp(peer, 40001, host, 22, 2, 100, 0),
    tcp(peer, 40002, host, 25, 2, 100, 0),
    tcp(peer, 40003, host, 25, 2, 100, 0),
])
PYTHON
nft 'add rule ip t in tcp dport 25 numgen random mod 2 0 limit rate 1/hour burst 1 packets counter drop'
rolewall dump -o live.json --state-dir "$scratch/state"
# A frame to another link address than the device's may have been for another machine, until the device's is seen.
sed 's/02:00:00:00:00:01/02:00:00:00:00:09/' live.json >other.json
rolewall eval --ruleset other.json --pcap talk.pcap --in veth0 --all
expect_status 0
expect_out "accept if, as was taken: that its frame was for this host, whose link address has not been seen yet"
rolewall eval --ruleset live.json --pcap talk.pcap --in veth0 --format json
expect_status 0
python3 - "$scratch/out" <<'PYTHON' || complain "the capture's ways are others"
import json, sys
lines = [json.loads(line) for line in open(sys.argv[1], encoding="utf-8")]
ways = [[(way["when"], way["verdict"]) for way in line.get("alternatives", [])] for line in lines]
assert lines[0]["verdict"] == "accept" and ways[0] == [], lines[0]
assert [c["is"] for c in lines[0]["conditions"]] != [], lines[0]
number = "numgen random mod 2: "
assert lines[1]["verdict"] == "conditional" and lines[1]["as_taken"] == "drop", lines[1]
assert ways[1] == [(number + "0", "drop"), (number + "1", "accept")], ways[1]
assert ways[2] == [(number + "0", "drop"), (number + "1", "accept")], ways[2]
# Whether the limit's one token is still there depends on the packet before, too.
assert lines[3]["verdict"] == "conditional", lines[3]
assert {way[1] for way in ways[3]} == {"accept", "drop"}, ways[3]
assert lines[4]["summary"]["conditions"]["numgen random mod 2"] == 3, lines[4]
PYTHON
rolewall eval --ruleset live.json --pcap talk.pcap --in veth0 --all
expect_status 0
expect_out 'numgen random mod 2: 1: accept'
expect_out 'assumed: numgen random mod 2, for 3 packets'

# What a helper may expect of a connection that the capture shows, it may accept.
mkdir files
cat >files/site.toml <<'TOML'
[site]
name = "s"
management = "198.51.100.0/24"
[hosts.files-01]
role = "files"
addresses = "192.0.2.10"
TOML
cat >files/files.toml <<'TOML'
role = "files"
[[inbound]]
service = "ftp"
helper = "ftp"
TOML
python3 - "$ROLEWALL_SOURCE/tests/cli" <<'PYTHON'
import sys
sys.path.insert(0, sys.argv[1])
from packets import tcp, write
peer, host = "192.0.2.7", "192.0.2.10"
write("data.pcap", [
    tcp(peer, 40000, host, 50000, 2, 100, 0),
    tcp(peer, 40001, host, 21, 2, 100, 0),
    tcp(peer, 40002, host, 50001, 2, 100, 0),
])
PYTHON
rolewall eval -p files --pcap data.pcap --in eth0 --all
expect_status 0
expect_out "192.0.2.10:50000 flags=syn in=eth0 length=40: drop"
expect_out "192.0.2.10:21 flags=syn in=eth0 length=40: accept"
expect_out "192.0.2.10:50001 flags=syn in=eth0 length=40: conditional"
expect_out "the helper of an earlier connection expects this one: yes: accept"
