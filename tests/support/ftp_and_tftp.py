"""A small FTP server (RFC 959, RFC 2428) and a small TFTP server (RFC 1350) for the tests, and who asks
them. Each gives one text, over a data connection or from a port of its own."""

import ftplib
import ipaddress
import re
import socket
import struct
import threading

TEXT = "one\r\ntwo\r\n"
SECONDS = 1.5


class FtpSession:
    """One control connection, seen from the server."""

    def __init__(self, control):
        self.control = control
        self.lines = control.makefile("r", newline="\r\n")
        self.listening = None
        self.goal = None

    def say(self, text):
        self.control.sendall(f"{text}\r\n".encode())

    def serve(self):
        self.say("220 ready")
        for line in self.lines:
            verb, _, words = line.strip().partition(" ")
            if not self.answer(verb.upper(), words):
                break
        self.control.close()

    def answer(self, verb, words):
        if verb in ("PASV", "EPSV"):
            here = self.control.getsockname()[0]
            self.listening = socket.create_server((here, 0), family=self.control.family)
            port = self.listening.getsockname()[1]
            octets = here.removeprefix("::ffff:").replace(".", ",")
            self.say(f"229 (|||{port}|)" if verb == "EPSV" else
                     f"227 ({octets},{port >> 8},{port & 255})")
        elif verb == "PORT":
            numbers = words.split(",")
            self.goal = (".".join(numbers[:4]), int(numbers[4]) << 8 | int(numbers[5]))
            self.say("200 done")
        elif verb == "EPRT":
            _, address, port = re.fullmatch(r"\|(\d)\|(.*)\|(\d+)\|", words).groups()
            self.goal = (address, int(port))
            self.say("200 done")
        elif verb == "LIST":
            self.say("150 it comes")
            try:
                self.send()
                self.say("226 done")
            except OSError as error:
                self.say(f"425 {error}")
        else:
            self.say("221 bye" if verb == "QUIT" else "200 done")
        return verb != "QUIT"

    def text(self, data):
        return TEXT

    def send(self):
        if self.listening is None:
            data = socket.create_connection(self.goal, SECONDS)
        else:
            self.listening.settimeout(SECONDS)
            data, _ = self.listening.accept()
            self.listening.close()
        with data:
            data.sendall(self.text(data).encode())
        self.listening = None


def serve_ftp(port, address, session=FtpSession):
    """On one address of its family, so that no IPv4 address is written as one of IPv6."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    server = socket.create_server((address, port), family=family)

    def accept():
        while True:
            control = session(server.accept()[0])
            threading.Thread(target=control.serve, daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()


def fetch_by_ftp(address, port, passive):
    """"fetched", or what went wrong. The address that the server names is taken, as old clients do:
    a gateway that translates must have put its own there."""
    try:
        with ftplib.FTP(timeout=SECONDS + 1) as ftp:
            ftp.trust_server_pasv_ipv4_address = True
            ftp.connect(address, port)
            ftp.set_pasv(passive)
            lines = []
            ftp.retrlines("LIST", lines.append)
        return "fetched" if lines == TEXT.split() else f"other lines: {lines}"
    except (OSError, EOFError, ftplib.Error) as error:
        return f"failed: {error}"


def serve_tftp(port, address):
    server = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((address, port))

    def answer():
        while True:
            _, client = server.recvfrom(512)
            with socket.socket(server.family, socket.SOCK_DGRAM) as data:  # a port of its own
                data.bind((address, 0))
                data.sendto(struct.pack("!HH", 3, 1) + TEXT.encode(), client)

    threading.Thread(target=answer, daemon=True).start()


def fetch_by_tftp(address, port):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as client:
        client.settimeout(SECONDS)
        client.sendto(b"\0\1name\0octet\0", (address, port))
        try:
            data, sender = client.recvfrom(512)
        except OSError as error:
            return f"failed: {error}"
    if ipaddress.ip_address(sender[0]) != ipaddress.ip_address(address):
        return f"from another address, {sender[0]}"
    return "fetched" if data[4:] == TEXT.encode() else f"other data: {data}"
