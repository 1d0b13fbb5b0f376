#!/usr/bin/env python3
"""A name server that says what a file says, for the tests of `refresh` and `lock`.

    dns_server.py ZONE        listens on 127.0.0.1:53, UDP and TCP, until it is killed

ZONE is read again for each question. A line is a name and what is answered for A and AAAA:

    intake.example   192.0.2.7 2001:db8::7
    gone.example     NXDOMAIN
    broken.example   SERVFAIL
    deaf.example     SILENCE            no answer at all
    half.example     192.0.2.8 AAAA=SERVFAIL
    long.example     TRUNCATED 192.0.2.9 ...       over UDP truncated, whole over TCP
    many.example     COUNT=2000         that many of 10.0.0.0/8
    odd.example      GARBAGE            bytes that are no answer
"""
import ipaddress
import pathlib
import socket
import socketserver
import struct
import sys
import threading

A, AAAA = 1, 28
CODES = {"SERVFAIL": 2, "NXDOMAIN": 3, "REFUSED": 5}


def question_of(message: bytes) -> tuple[str, int, bytes]:
    at, labels = 12, []
    while message[at]:
        labels.append(message[at + 1:at + 1 + message[at]].decode())
        at += 1 + message[at]
    kind = struct.unpack_from("!H", message, at + 1)[0]
    return ".".join(labels).lower(), kind, message[12:at + 5]


def words_of(zone: pathlib.Path, name: str, kind: int) -> list[str]:
    for line in zone.read_text().splitlines():
        words = line.split()
        if words and words[0].lower() == name:
            found = []
            for word in words[1:]:
                family, _, what = word.partition("=")
                if family in ("A", "AAAA"):
                    if family == ("A" if kind == A else "AAAA"):
                        return [what]
                else:
                    found.append(word)
            return found
    return ["NXDOMAIN"]


def answer(zone: pathlib.Path, message: bytes, over_udp: bool) -> bytes | None:
    name, kind, asked = question_of(message)
    words = words_of(zone, name, kind)
    if "SILENCE" in words:
        return None
    if "GARBAGE" in words:
        return message[:2] + b"\xff" * 40
    code = next((CODES[word] for word in words if word in CODES), 0)
    addresses = []
    for word in words:
        if word.startswith("COUNT=") and kind == A:
            addresses += [ipaddress.ip_address(0x0a000001 + i) for i in range(int(word[6:]))]
        elif word not in CODES and word != "TRUNCATED" and not word.startswith("COUNT="):
            addresses.append(ipaddress.ip_address(word))
    records = [address.packed for address in addresses if (address.version == 4) == (kind == A)]
    if kind not in (A, AAAA):
        records = []
    truncated = over_udp and ("TRUNCATED" in words or len(records) > 25)
    if truncated:
        records = []
    flags = 0x8580 | (0x0200 if truncated else 0) | code
    out = message[:2] + struct.pack("!HHHHH", flags, 1, len(records), 0, 0) + asked
    for record in records:
        out += struct.pack("!HHHIH", 0xc00c, kind, 1, 1, len(record)) + record
    return out


def main() -> None:
    zone = pathlib.Path(sys.argv[1])

    class OverTcp(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            while head := self.request.recv(2):
                message = self.request.recv(struct.unpack("!H", head)[0])
                if (out := answer(zone, message, False)) is None:
                    return
                self.request.sendall(struct.pack("!H", len(out)) + out)

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = daemon_threads = True

    threading.Thread(target=Server(("127.0.0.1", 53), OverTcp).serve_forever, daemon=True).start()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind(("127.0.0.1", 53))
        print("ready", flush=True)
        while True:
            message, sender = udp.recvfrom(4096)
            if (out := answer(zone, message, True)) is not None:
                udp.sendto(out, sender)


if __name__ == "__main__":
    main()
