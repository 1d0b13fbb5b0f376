"""A host in a network namespace of its own, and frames that the kernel makes arrive on its device.

The frames come from the kernel's XDP live-frame test run (net/bpf/test_run.c; xdp-tools' xdp-trafficgen uses
it too): XDP_PASS hands each to the stack as if the device's driver had received it, within the system call of
whoever asks. So the processor time of that call is what the packets cost, and nothing has to be sent.

Needs Linux 5.18, and root in the machine's first user namespace.
"""
import contextlib
import ctypes
import ipaddress
import os
import platform
import socket
import struct
import subprocess
import time
from collections.abc import Iterable, Iterator
from typing import NamedTuple

ADDRESS = "10.255.0.1"
DEVICE = "bench0"
HOST_MAC = "02:00:00:00:00:01"
PEER_MAC = "02:00:00:00:00:02"
FIXED_SOURCE_PORT = 1024
IPV4_CHECKSUM, IPV4_SOURCE = 14 + 10, 14 + 12  # where in a frame
UDP_SOURCE, UDP_DESTINATION = 14 + 20, 14 + 22

SYS_BPF = {"x86_64": 321, "aarch64": 280}.get(platform.machine())
BPF_MAP_CREATE, BPF_PROG_LOAD, BPF_PROG_TEST_RUN = 0, 5, 10
BPF_MAP_TYPE_ARRAY = 2
BPF_PROG_TYPE_XDP = 6
BPF_PSEUDO_MAP_VALUE = 2
BPF_F_TEST_XDP_LIVE_FRAMES = 2
XDP_PASS = 2
CLONE_NEWNET = 0x40000000

libc = ctypes.CDLL(None, use_errno=True)


class Flow(NamedTuple):
    """UDP from an address to a port of the host."""

    source: str
    port: int


def checked(result: int, what: str) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")
    return result


def bpf(command: int, attributes: bytes, what: str) -> int:
    if SYS_BPF is None:
        raise OSError(f"{what}: the number of bpf(2) on {platform.machine()} is not known here")
    buffer = ctypes.create_string_buffer(attributes, len(attributes))
    return checked(libc.syscall(SYS_BPF, command, buffer, len(attributes)), what)


def instruction(code: int, target: int = 0, source: int = 0, offset: int = 0, value: int = 0) -> bytes:
    return struct.pack("<BBhi", code, target | source << 4, offset, value)


def load_program(*instructions: bytes) -> int:
    code = ctypes.create_string_buffer(b"".join(instructions))
    licence = ctypes.create_string_buffer(b"GPL")
    return bpf(BPF_PROG_LOAD, struct.pack("<IIQQ", BPF_PROG_TYPE_XDP, len(instructions), ctypes.addressof(code),
                                          ctypes.addressof(licence)), "loading an XDP program")


def load_same_flow() -> int:
    """Passes each frame as it is."""
    return load_program(instruction(0xB7, 0, value=XDP_PASS),  # r0 = XDP_PASS
                        instruction(0x95))  # exit


def load_new_flows(flows: list[Flow]) -> int:
    """Passes each frame as one of the flows, by turns, with another source port, the next of 65,536: to conntrack, a
    new connection.

    What it writes is the source address, the header's checksum and both ports.
    """
    counter = bpf(BPF_MAP_CREATE, struct.pack("<IIII", BPF_MAP_TYPE_ARRAY, 4, 4, 1), "making a BPF map")
    write_flow = []
    for number, flow in enumerate(flows):
        frame = frame_of(flow)
        write_flow += [
            instruction(0x55, 7, offset=4, value=number),  # if r7 != number, skip what follows
            instruction(0x62, 2, offset=IPV4_SOURCE, value=struct.unpack_from("<i", frame, IPV4_SOURCE)[0]),
            instruction(0x6A, 2, offset=IPV4_CHECKSUM, value=struct.unpack_from("<H", frame, IPV4_CHECKSUM)[0]),
            instruction(0x6A, 2, offset=UDP_DESTINATION, value=struct.unpack_from("<H", frame, UDP_DESTINATION)[0]),
            instruction(0x05, offset=5 * (len(flows) - number - 1))]  # to the end of these
    return load_program(instruction(0x61, 2, 1, 0),  # r2 = context->data
                        instruction(0x61, 3, 1, 4),  # r3 = context->data_end
                        instruction(0xB7, 0, value=XDP_PASS),  # r0 = XDP_PASS
                        instruction(0xBF, 4, 2),  # r4 = r2
                        instruction(0x07, 4, value=UDP_DESTINATION + 2),  # r4 += 38
                        instruction(0x2D, 4, 3, 8 + len(write_flow)),  # if r4 > r3, exit
                        instruction(0x18, 5, BPF_PSEUDO_MAP_VALUE, value=counter),  # r5 = the counter's address
                        instruction(0),  # (its upper half)
                        instruction(0x61, 6, 5),  # r6 = *r5
                        instruction(0x07, 6, value=1),  # r6 += 1
                        instruction(0x63, 5, 6),  # *r5 = r6
                        instruction(0x6B, 2, 6, UDP_SOURCE),  # *(r2 + 34) = r6
                        instruction(0xBF, 7, 6),  # r7 = r6
                        instruction(0x97, 7, value=len(flows)),  # r7 %= how many flows
                        *write_flow,
                        instruction(0x95))  # exit


def internet_checksum(words: bytes) -> int:
    total = sum(struct.unpack(f"!{len(words) // 2}H", words))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def frame_of(flow: Flow) -> bytes:
    payload = bytes(18)
    udp = struct.pack("!HHHH", FIXED_SOURCE_PORT, flow.port, 8 + len(payload), 0)  # 0: no checksum
    start = struct.pack("!BBHHHBB", 0x45, 0, 20 + len(udp) + len(payload), 1, 0x4000, 64, socket.IPPROTO_UDP)
    end = ipaddress.IPv4Address(flow.source).packed + ipaddress.IPv4Address(ADDRESS).packed
    ethernet = bytes.fromhex(HOST_MAC.replace(":", "") + PEER_MAC.replace(":", "")) + b"\x08\x00"
    return ethernet + start + struct.pack("!H", internet_checksum(start + end)) + end + udp + payload


def run(*command: str, **options) -> subprocess.CompletedProcess:
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: exit status {done.returncode}\n{done.stdout}{done.stderr}")
    return done


class Host:
    """A namespace with one device, ADDRESS on it, and a socket on each port that is asked for."""

    def __init__(self, flows: Iterable[Flow]):
        self.sockets: dict[int, socket.socket] = {}
        with open("/proc/thread-self/ns/net", "rb") as home:
            checked(libc.unshare(CLONE_NEWNET), "making a network namespace")
            try:
                self.namespace = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
                self._set_up(list(flows))
            finally:
                checked(libc.setns(home.fileno(), CLONE_NEWNET), "going back to the network namespace")

    def _set_up(self, flows: list[Flow]) -> None:
        run("ip", "link", "set", "lo", "up")
        run("ip", "link", "add", DEVICE, "address", HOST_MAC, "type", "veth", "peer", "name", "peer0")
        run("ip", "address", "add", f"{ADDRESS}/32", "dev", DEVICE)
        for device in (DEVICE, "peer0"):
            run("ip", "link", "set", device, "up")
        run("ip", "route", "add", "default", "dev", DEVICE)
        self.index = socket.if_nametoindex(DEVICE)
        for flow in flows:
            run("ip", "neighbour", "replace", flow.source, "lladdr", PEER_MAC, "dev", DEVICE, "nud", "permanent")
            if flow.port not in self.sockets:
                receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
                receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)  # what nobody reads is dropped soon
                receiver.bind((ADDRESS, flow.port))
                self.sockets[flow.port] = receiver

    @contextlib.contextmanager
    def inside(self) -> Iterator[None]:
        """Programs that are started here run on this host."""
        with open("/proc/thread-self/ns/net", "rb") as home:
            checked(libc.setns(self.namespace, CLONE_NEWNET), "entering a network namespace")
            try:
                yield
            finally:
                checked(libc.setns(home.fileno(), CLONE_NEWNET), "leaving a network namespace")

    def receive(self, flow: Flow, packets: int, program: int) -> int:
        """How many nanoseconds of processor time it takes until all are dealt with."""
        frame = ctypes.create_string_buffer(frame_of(flow))
        context = ctypes.create_string_buffer(struct.pack("<6I", 0, len(frame) - 1, 0, self.index, 0, 0))
        attributes = struct.pack("<4I2Q4I2Q3I4x", program, 0, len(frame) - 1, 0, ctypes.addressof(frame), 0, packets,
                                 0, len(context) - 1, 0, ctypes.addressof(context), 0, BPF_F_TEST_XDP_LIVE_FRAMES,
                                 0, 0)
        with self.inside():
            begin = time.clock_gettime_ns(time.CLOCK_THREAD_CPUTIME_ID)
            bpf(BPF_PROG_TEST_RUN, attributes, "a test run with live frames")
            return time.clock_gettime_ns(time.CLOCK_THREAD_CPUTIME_ID) - begin

    def _answer_arrived(self) -> list[Flow]:
        arrived = []
        for port, receiver in self.sockets.items():
            with contextlib.suppress(BlockingIOError):
                while True:
                    payload, peer = receiver.recvfrom(2048)
                    receiver.sendto(payload, peer)
                    arrived.append(Flow(peer[0], port))
        return arrived

    def answer_one(self, flow: Flow, program: int) -> Flow | None:
        """What arrives of one packet, if anything does; it is answered, and the connection is established."""
        self._answer_arrived()  # what was left of others
        self.receive(flow, 1, program)
        return next(iter(self._answer_arrived()), None)

    def keep_connections(self) -> None:
        """No connection runs out from here on. Needs conntrack, which comes with the first rule that asks it."""
        with self.inside():
            for timeout in ("nf_conntrack_udp_timeout", "nf_conntrack_udp_timeout_stream"):
                with open(f"/proc/sys/net/netfilter/{timeout}", "w", encoding="ascii") as setting:
                    setting.write("86400")

    def remember_no_more_connections(self) -> None:
        """From here on, what is new is dropped behind every firewall and before conntrack would keep it.

        So each frame is new for ever, none is dearer than the last, and the table of connections stays small. Those
        that are established stay so.
        """
        with self.inside():
            run("nft", "add table inet last; add chain inet last input { type filter hook input priority 1000; };"
                "add rule inet last input ct state new drop")
