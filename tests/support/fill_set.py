"""Fills a set of table `inet t` with many elements over netlink, in transactions small enough for
any socket: fill_set.py SET KIND FIRST COUNT.

KIND is hash (addresses one by one), tree (ranges of two addresses) or ranges (the same in a
concatenation with port 22); with `:drop`, `:accept` or a number behind it each element has that
verdict or mark. The Nth element begins at the address FIRST + 4 * N.
"""

import socket
import struct
import sys

NEW_ELEMENT = 10 << 8 | 12  # NFNL_SUBSYS_NFTABLES, NFT_MSG_NEWSETELEM
BATCH_BEGIN, BATCH_END = 16, 17
CREATE, ACKNOWLEDGE = 0x400, 4
INET = 1
STEP = 4  # addresses from one element's first to the next one's
EACH = 800  # elements of a message
MESSAGES = 3  # of a transaction
VERDICTS = {"drop": 0, "accept": 1}


def attribute(kind, payload, nested=False):
    length = 4 + len(payload)
    header = struct.pack("HH", length, kind | (0x8000 if nested else 0))
    return header + payload + b"\0" * (-length % 4)


def message(kind, flags, family, resource, payload, number):
    body = struct.pack("!BBH", family, 0, resource) + payload
    return struct.pack("IHHII", 16 + len(body), kind, 1 | flags, number, 0) + body


def value(number, kind):
    return attribute(kind, attribute(1, number), nested=True)


def data(word):
    if word in VERDICTS:
        verdict = attribute(1, struct.pack("!I", VERDICTS[word]))
        return attribute(2, attribute(2, verdict, nested=True), nested=True)
    return value(struct.pack("I", int(word)), 2)


def elements(kind, at, more):
    first, last, end = (struct.pack("!I", at + offset) for offset in (0, 1, 2))
    port = struct.pack("!HH", 22, 0)
    if kind == "hash":
        yield value(first, 1) + more
    elif kind == "tree":
        yield value(first, 1) + more
        yield attribute(3, struct.pack("!I", 1)) + value(end, 1)  # NFT_SET_ELEM_INTERVAL_END
    else:
        yield value(first + port, 1) + value(last + port, 10) + more


def main():
    name, kind, first, count = sys.argv[1:]
    kind, _, word = kind.partition(":")
    more = data(word) if word else b""
    first = struct.unpack("!I", socket.inet_aton(first))[0]
    netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)
    netlink.bind((0, 0))
    where = attribute(1, b"t\0") + attribute(2, name.encode() + b"\0")
    rows = range(int(count))
    for begin in range(0, len(rows), EACH * MESSAGES):
        batch = message(BATCH_BEGIN, 0, 0, 10, b"", 1)
        for part in range(begin, min(begin + EACH * MESSAGES, len(rows)), EACH):
            listed = b"".join(
                attribute(1, element, nested=True)
                for row in rows[part : part + EACH]
                for element in elements(kind, first + STEP * row, more)
            )
            filling = where + attribute(3, listed, nested=True)
            last = part + EACH >= min(begin + EACH * MESSAGES, len(rows))
            flags = CREATE | (ACKNOWLEDGE if last else 0)
            batch += message(NEW_ELEMENT, flags, INET, 0, filling, 2)
        netlink.send(batch + message(BATCH_END, 0, 0, 10, b"", 3))
        answer = netlink.recv(65536)
        error = struct.unpack_from("i", answer, 16)[0]
        if error:
            sys.exit(f"{name}: errno {-error}")


main()
