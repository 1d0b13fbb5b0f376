# eval --pcap: a capture's packets are one conversation, told from each other by number and time.
. "$(dirname "$0")/prelude.sh"
site="$ROLEWALL_SOURCE/policies"

rolewall compile "$site" --host web-01 --format json -o web-01.json
expect_status 0

# A handshake and data from a peer that may ask for https, a stray answer, an ARP frame, and a
# packet of which the capture kept the headers.
PYTHONPATH="$ROLEWALL_SOURCE/tests/cli" python3 - <<'PYTHON'
from packets import tcp, write

peer, host = "10.0.1.10", "10.0.2.10"
frames = [
    tcp(peer, 40000, host, 443, 2, 100, 0),
    tcp(host, 443, peer, 40000, 18, 500, 101),
    tcp(peer, 40000, host, 443, 16, 101, 501, b"hello"),
    tcp(peer, 40000, host, 443, 16, 900000, 501),
    tcp(peer, 443, host, 40001, 18, 1, 1),
    None,
    tcp(peer, 40000, host, 443, 16, 106, 501, b"d" * 200),
]
write("talk.pcap", frames, kept_of_last=60)
PYTHON

rolewall eval --ruleset web-01.json --pcap talk.pcap --in eth0 --format json --write-dropped no.pcap
expect_status 0
python3 - "$scratch/out" <<'PYTHON' || complain "the packets' answers are others"
import json, sys
lines = [json.loads(line) for line in open(sys.argv[1], encoding="utf-8")]
verdicts = [line.get("verdict") for line in lines]
assert verdicts == ["accept", "accept", "accept", "drop", "conditional", None, "conditional", None], verdicts
assert lines[0]["time"] == "1700000000.000005000" and lines[0]["number"] == 1
assert lines[0]["decided_by"]["rule"] == "web.inbound.app-from-lb"
assert lines[1]["hook"] == "output" and lines[1]["decided_by"]["rule"] == "(established)", lines[1]
assert lines[2]["decided_by"]["rule"] == "(established)"
assert lines[5]["other"] == "ARP"
assert lines[6]["as_taken"] == "accept" and len(lines[6]["conditions"]) == 1
summary = lines[7]["summary"]
assert summary["packets"] == 7 and summary["other"] == {"ARP": 1}
assert sum(entry["packets"] for entry in summary["by_rule"]) == 6
PYTHON

# What was denied is a capture that can be asked again: without the flow's beginning all is new.
rolewall eval --ruleset web-01.json --pcap no.pcap --in eth0
expect_status 0
expect_out "no.pcap: 1 packets on"
rolewall eval -p "$site" --host web-01 --pcap talk.pcap --in eth0 --all
expect_status 0
expect_out "tcp 10.0.1.10:40000 > 10.0.2.10:443 flags=syn"
expect_out "web.inbound.app-from-lb"
expect_out "not IP"

# Fragments wait for each other, and the rules see whole datagrams: the ports are in the first alone.
PYTHONPATH="$ROLEWALL_SOURCE/tests/cli" python3 - <<'PYTHON'
from packets import fragment, tcp, write

peer, host = "10.0.1.10", "10.0.2.10"
data = tcp(peer, 40000, host, 443, 16, 101, 501, b"d" * 100)
other = tcp(peer, 40000, host, 25, 2, 100, 0)
write("parts.pcap", [
    tcp(peer, 40000, host, 443, 2, 100, 0),
    tcp(host, 443, peer, 40000, 18, 500, 101),
    fragment(data, 64, 120, 7),
    fragment(data, 0, 64, 7),
    fragment(other, 0, 16, 8),
    fragment(other, 16, 20, 8),
])
PYTHON
rolewall eval --ruleset web-01.json --pcap parts.pcap --in eth0 --format json --write-dropped no.pcap
expect_status 0
python3 - "$scratch/out" <<'PYTHON' || complain "the fragments' answers are others"
import json, sys
lines = [json.loads(line) for line in open(sys.argv[1], encoding="utf-8")]
verdicts = [line.get("verdict") for line in lines[:6]]
assert verdicts == ["accept", "accept", "held", "accept", "held", "drop"], verdicts
assert lines[3]["decided_by"]["rule"] == "(established)", lines[3]
# Nothing is printed that is not in the packet, and of a datagram what the rules have seen.
packets = [line["packet"] for line in lines[:6]]
assert packets[2] == "protocol/6 10.0.1.10 > 10.0.2.10 in=eth0, a fragment from byte 64", packets[2]
assert packets[3].startswith("tcp 10.0.1.10:40000 > 10.0.2.10:443 flags=ack"), packets[3]
assert packets[3].endswith(", put together of fragments"), packets[3]
assert packets[5].startswith("tcp 10.0.1.10:40000 > 10.0.2.10:25 flags=syn"), packets[5]
assert packets[5].endswith(", put together of fragments"), packets[5]
PYTHON
rolewall eval --ruleset web-01.json --pcap no.pcap --in eth0
expect_status 0
expect_out "no.pcap: 1 packets on"
rolewall eval --ruleset web-01.json --pcap parts.pcap --in eth0
expect_status 0
expect_out "held: a fragment that the kernel keeps until its datagram is complete"
refuse_out "stack: "

# IPv6 counts the place of a piece in bytes, IPv4 in eights of them: one at 8192 is a later one too.
PYTHONPATH="$ROLEWALL_SOURCE/tests/cli" python3 - <<'PYTHON'
from ipaddress import ip_address
import struct
from packets import write

def piece(at):
    header = struct.pack("!BBHI", 17, 0, at | 1, 9) + b"\x13\x88\x00\x35" * 4
    ends = ip_address("fd00::1").packed + ip_address("fd00::2").packed
    return struct.pack("!IHBB", 6 << 28, len(header), 44, 64) + ends + header

write("places.pcap", [piece(1448), piece(8192)])
PYTHON
rolewall eval --ruleset web-01.json --pcap places.pcap --in eth0 --all
expect_out "protocol/17 fd00::1 > fd00::2 in=eth0, a fragment from byte 1448"
expect_out "protocol/17 fd00::1 > fd00::2 in=eth0, a fragment from byte 8192"

rolewall eval -p "$site" --host lb-01 --pcap talk.pcap --in nowhere0
expect_status 2
expect_err "no interface \`nowhere0\`"
rolewall eval --ruleset web-01.json --pcap web-01.json --in eth0
expect_status 2
expect_err "not a capture"
rolewall eval --ruleset web-01.json
expect_status 2
rolewall eval --ruleset web-01.json --in eth0 'tcp 10.0.1.10 > 10.0.2.10:443'
expect_status 2
head -c 300 talk.pcap >cut.pcap
rolewall eval --ruleset web-01.json --pcap cut.pcap --in eth0
expect_status 2
expect_out "packets on"

# Interrupted, here while it waits for more, it says how far it came, and what it was so far.
mkfifo waits.pcap
(cat talk.pcap; sleep 3) >waits.pcap &
ran="rolewall eval --pcap waits.pcap, interrupted"
status=0
timeout -s INT 2 "$ROLEWALL_PROGRAM" eval --ruleset web-01.json --pcap waits.pcap --in eth0 \
  >"$scratch/out" 2>"$scratch/err" </dev/null || status=$?
expect_out "waits.pcap: 7 packets on"
expect_out "interrupted: of what is behind packet 7 nothing is known"
expect_out "web.inbound.app-from-lb"
