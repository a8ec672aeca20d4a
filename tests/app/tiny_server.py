"""A worker without a framework, ready within milliseconds of its start: for starts by the hundred, and for misconduct.

    tiny_server.py ADDRESS [CONDUCT]

ADDRESS is a port on loopback or the path of a Unix socket. Every answer is the pid and that of a child, as JSON.
Beside serving, CONDUCT is one of

    with-child       starts a process of its own and leaves it behind
    ignores-sigterm  goes on when it is asked to stop
    crashes          ends with status 3 a while after it has answered for the first time, unless the file `mended` exists
    never-listens    does not serve at all
    lends-its-port   does not serve, but writes ADDRESS into the file `port` for somebody else to listen there

Files are those of the working directory. Each start and each crash is a line `start TIME` or `end TIME` of `times`,
in seconds of the system's monotonic clock.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

CRASH_AFTER = 0.2


def note(what: str) -> None:
    with open("times", "a") as times:
        times.write(f"{what} {time.monotonic()}\n")


def crash_soon() -> None:
    time.sleep(CRASH_AFTER)
    if not os.path.exists("mended"):
        note("end")
        os._exit(3)


def listener(address: str) -> socket.socket:
    if address.isdigit():
        return socket.create_server(("127.0.0.1", int(address)), backlog=128)
    return socket.create_server(address, family=socket.AF_UNIX, backlog=128)


def serve(connection: socket.socket, body: bytes) -> None:
    """Answer requests without a body, one after the other."""
    received = b""
    while data := connection.recv(65536):
        received += data
        while b"\r\n\r\n" in received:
            head, _, received = received.partition(b"\r\n\r\n")
            content = b"" if head.startswith(b"HEAD ") else body
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), content))
            if b"connection: close" in head.lower():
                connection.close()
                return
    connection.close()


def main() -> None:
    address, conduct = (*sys.argv[1:], "")[:2]
    note("start")
    child = None
    match conduct:
        case "with-child":
            child = subprocess.Popen(["sleep", "1000"]).pid
        case "ignores-sigterm":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        case "never-listens":
            threading.Event().wait()
        case "lends-its-port":
            with open("port.new", "w") as port:
                port.write(address)
            os.rename("port.new", "port")
            threading.Event().wait()
    body = json.dumps({"pid": os.getpid(), "child": child}).encode()
    server = listener(address)
    crashing = conduct == "crashes"
    while True:
        connection, _ = server.accept()
        if crashing:
            crashing = False
            threading.Thread(target=crash_soon, daemon=True).start()
        threading.Thread(target=serve, args=[connection, body], daemon=True).start()


if __name__ == "__main__":
    main()
