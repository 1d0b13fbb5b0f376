"""The scene for tests/cli/words_live.sh: frames of our own arrive on eth0, and count; the program is asked
about the same in words, on the live ruleset, and must name the rule that counted."""

import json
import os
import socket
import struct
import subprocess
import sys
import time

PROGRAM = os.environ["ROLEWALL_PROGRAM"]
HOST, PEER = "192.0.2.10", "192.0.2.1"
HOST6, PEER6 = "2001:db8::10", "2001:db8::1"
MAC = "02:00:00:00:00:10"
PORT = 5300


def run(*words, given=None):
    return subprocess.run(words, input=given, text=True, check=True, capture_output=True).stdout


def set_up():
    run("ip", "link", "add", "eth0", "address", MAC, "type", "veth", "peer", "name", "out")
    for device in ("eth0", "out"):
        run("ip", "link", "set", device, "up")
    run("ip", "address", "add", HOST + "/24", "dev", "eth0")
    run("ip", "-6", "address", "add", HOST6 + "/64", "dev", "eth0", "nodad")


def hours_of(now):
    """nft's hours are the place's own; the kernel's and the program's are UTC's, as TZ is here."""
    return time.strftime("%H:%M:%S", time.gmtime(now))


def rules(now):
    """Those about the time come first; of each table the first that matches decides."""
    day = now - now % 86400
    soon, later = hours_of(max(now - 60, day)), hours_of(min(now + 3600, day + 86399))
    return f"""
flush ruleset
table ip a {{
  chain raw {{
    type filter hook prerouting priority -500
    ip dscp ef counter drop
    ip dscp cs1 counter drop
    ip dscp 63 counter drop
    ip frag-off & 0x4000 != 0 counter drop
    ip frag-off & 0x2000 != 0 counter drop
    ip frag-off & 0x1fff == 185 counter drop
    ip frag-off & 0x1fff == 1 counter drop
    meta l4proto udp counter drop
  }}
}}
table ip6 b {{
  chain raw {{
    type filter hook prerouting priority -500
    ip6 dscp ef counter drop
    ip6 dscp 63 counter drop
    frag frag-off 185 counter drop
    frag more-fragments 1 counter drop
    meta l4proto udp counter drop
  }}
}}
table inet c {{
  chain raw {{
    type filter hook prerouting priority -600
    udp sport 4 meta hour "{soon}"-"{later}" counter drop
    udp sport 6 meta day {time.strftime('"%A"', time.gmtime(now))} counter drop
    udp sport 5 meta time >= "{time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime(now - 3600))}" \
      counter drop
  }}
}}
"""


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def frame(family, sport, dscp=0, df=0, more=0, offset=0):
    """A UDP datagram, or a part of one, by hand."""
    payload = struct.pack("!HHHH", sport, PORT, 44, 0) + bytes(36)
    ethernet = bytes.fromhex(MAC.replace(":", "") + "020000000001")
    if family == 4:
        header = struct.pack("!BBHHHBBH4s4s", 0x45, dscp << 2, 20 + len(payload), 1,
                             df << 14 | more << 13 | offset // 8, 64, 17, 0,
                             socket.inet_aton(PEER), socket.inet_aton(HOST))
        header = header[:10] + struct.pack("!H", checksum(header)) + header[12:]
        return ethernet + b"\x08\x00" + header + payload
    fragment = b""
    if more or offset:
        fragment = struct.pack("!BBHI", 17, 0, offset | more, 1)
    header = struct.pack("!IHBB16s16s", 6 << 28 | dscp << 22, len(fragment) + len(payload),
                         44 if fragment else 17, 64,
                         socket.inet_pton(socket.AF_INET6, PEER6), socket.inet_pton(socket.AF_INET6, HOST6))
    return ethernet + b"\x86\xdd" + header + fragment + payload


def counted():
    """(table, handle) of each rule that has counted a packet."""
    found = set()
    for item in json.loads(run("nft", "-j", "list", "ruleset"))["nftables"]:
        rule = item.get("rule")
        if rule and any(expr.get("counter", {}).get("packets") for expr in rule["expr"]):
            found.add((rule["table"], rule["handle"]))
    return found


def answered(words):
    """The question, and the program's answer."""
    host, peer = (f"[{HOST6}]", f"[{PEER6}]") if "family=6" in words else (HOST, PEER)
    sport = 40000
    if words.startswith("sport="):
        sport, words = words[6:].split(" ", 1)
    asked = f"udp {peer}:{sport} > {host}:{PORT} in=eth0 {words}"
    done = subprocess.run([PROGRAM, "eval", "--live", "--format", "json", asked], text=True,
                          capture_output=True, check=False)
    if done.returncode not in (0, 1):
        sys.exit(f"{asked}: {done.stderr}")
    return asked, json.loads(done.stdout)


def deciding_rule(answer):
    """(table, handle) of the rule that decides, by the program."""
    by = answer["hops"][0].get("decided_by", {})
    return by.get("table"), by.get("handle")


def main():
    os.environ["TZ"] = "UTC"
    set_up()
    now = int(time.time())
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))
    ahead = time.strftime("%Y-%m-%dT%H:%M:%S+05:30", time.gmtime(now + 5 * 3600 + 1800))
    questions = [
        ("", 4, {}),
        ("dscp=ef", 4, {"dscp": 46}),
        ("dscp=46", 4, {"dscp": 46}),
        ("dscp=cs1", 4, {"dscp": 8}),
        ("dscp=63", 4, {"dscp": 63}),
        ("df=1", 4, {"df": 1}),
        ("df=0", 4, {"df": 0}),
        ("frag=first", 4, {"more": 1}),
        ("frag=later", 4, {"offset": 1480}),
        ("frag=8", 4, {"offset": 8}),
        ("family=6", 6, {}),
        ("dscp=ef family=6", 6, {"dscp": 46}),
        ("dscp=63 family=6", 6, {"dscp": 63}),
        ("frag=first family=6", 6, {"more": 1}),
        ("frag=later family=6", 6, {"offset": 1480}),
        (f"sport=4 time={stamp}", 4, {"sport": 4}),
        (f"sport=4 time={ahead}", 4, {"sport": 4}),
        (f"sport=5 time={stamp}", 4, {"sport": 5}),
        (f"sport=6 time={stamp}", 4, {"sport": 6}),
    ]
    failures = 0
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as wire:
        wire.bind(("out", 0))
        for words, family, fields in questions:
            run("nft", "-f", "-", given=rules(now))
            wire.send(frame(family, **({"sport": 40000} | fields)))
            deadline = time.monotonic() + 3
            seen = counted()
            while not seen and time.monotonic() < deadline:
                time.sleep(0.02)
                seen = counted()
            asked, answer = answered(words)
            if len(seen) != 1 or deciding_rule(answer) != next(iter(seen)):
                failures += 1
                print(f"{asked}\n  kernel: {seen}\n  rolewall: {json.dumps(answer)[:1500]}")
    # At another time the rules of that time do not decide.
    run("nft", "-f", "-", given=rules(now))
    other = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now - 36 * 3600))
    for sport in (4, 5, 6):
        asked, answer = answered(f"sport={sport} time={other}")
        if deciding_rule(answer)[0] != "a":
            failures += 1
            print(f"{asked}\n  rolewall: {json.dumps(answer)[:1500]}")
    print(f"{len(questions)} packets and 3 times, {failures} differences")
    return 1 if failures else 0

if __name__ == "__main__":
    sys.exit(main())
