"""For tests/support/winner.sh: who listens, and who connects.

usage: real_connections.py listen NAME PORT...       each tells its caller the caller's address
       real_connections.py connect FROM TO PORT      prints "accept ADDRESS" ("accept" of others), "drop" or "reject"

Once somebody listens on a port there is a file `listens.NAME.PORT` here.
"""
import socket
import sys
import threading
import time


def serve(name, port):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("0.0.0.0", port))
    s.listen(64)
    open(f"listens.{name}.{port}", "w").close()
    while True:
        client, peer = s.accept()
        client.sendall(peer[0].encode())
        client.close()


def connect(source, to, port):
    s = socket.socket()
    s.settimeout(1.2)
    s.bind((source, 0))
    try:
        s.connect((to, port))
    except TimeoutError:
        return "drop"
    except ConnectionRefusedError:
        return "reject"
    try:
        return "accept " + s.recv(64).decode()
    except TimeoutError:
        return "accept"  # by another program


if sys.argv[1] == "listen":
    for number in map(int, sys.argv[3:]):
        threading.Thread(target=serve, args=(sys.argv[2], number), daemon=True).start()
    time.sleep(600)
else:
    print(connect(sys.argv[2], sys.argv[3], int(sys.argv[4])))
