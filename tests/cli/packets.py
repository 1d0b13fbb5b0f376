"""IPv4 packets of TCP, and captures of packets, for the scripts beside it."""
import socket, struct

def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff

def tcp(source, sport, destination, dport, flags, seq, ack, data=b""):
    src, dst = socket.inet_aton(source), socket.inet_aton(destination)
    def header(check):
        return struct.pack("!HHIIBBHHH", sport, dport, seq, ack, 0x50, flags, 8192, check, 0) + data
    pseudo = src + dst + struct.pack("!BBH", 0, 6, 20 + len(data))
    segment = header(checksum(pseudo + header(0)))
    def ip(check):
        return struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(segment), 1, 0, 64, 6, check) + src + dst
    return ip(checksum(ip(0))) + segment

# What is behind the IP header from `begin` to `end`, as a fragment of its own.
def fragment(packet, begin, end, number):
    part = packet[20 + begin:20 + end]
    field = begin // 8 | (0x2000 if 20 + end < len(packet) else 0)
    def ip(check):
        return struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(part), number, field, 64, 6, check) + packet[12:20]
    return ip(checksum(ip(0))) + part

def write(name, packets, kept_of_last=None):
    with open(name, "wb") as file:
        file.write(struct.pack("<IHHIIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
        for number, packet in enumerate(packets):
            link = b"\2\0\0\0\0\1\2\0\0\0\0\2"
            kind = b"\x08\x06" if not packet else b"\x86\xdd" if packet[0] >> 4 == 6 else b"\x08\x00"
            frame = link + kind + (packet or bytes(28))
            kept = frame[:kept_of_last] if number == len(packets) - 1 else frame
            file.write(struct.pack("<IIII", 1700000000 + number, 5, len(kept), len(frame)) + kept)
