"""Clients of `tests/app/worker_app.py` that leave: with a reset, at any moment, while the worker's loop is busy.

    python aborting_clients.py HOST:PORT [--seconds 20] [--clients 40]

Each of the clients opens a connection, begins something and resets the connection a random moment later, so that every
stage is met: accepted or not, head sent or not, body sent or not, answer begun or not. Before an edge those are its
connections; without one they are the worker's, some of them still waiting to be accepted, which is what makes a
fragile worker deaf. `/block` keeps the loop of the worker busy, so that connections do wait. Beside them, some
clients wait longer than the edge lets a worker take (`/slow`, expecting 200 or 504) and some behave
(`/`, expecting 200), counted as `lost` when they are answered otherwise.

Prints `running` when it begins and one JSON object at the end.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import json
import random
import socket
import struct
import time

RESET = struct.pack("ii", 1, 0)  # SO_LINGER of zero seconds: close sends RST
PATIENCE = 20.0

# What clients begin, in the pieces in which they send it; every tenth begins the blocking one.
BLOCKING = [b"GET /block?seconds=0.02 HTTP/1.1\r\nhost: soak.test\r\n\r\n"]
PIECES = [
    [b"GET /slow?seconds=0.5 HTTP/1.1\r\n", b"host: soak.test\r\n\r\n"],
    [b"POST /echo HTTP/1.1\r\nhost: soak.test\r\ncontent-length: 100000\r\n\r\n", b"x" * 50000, b"x" * 50000],
    [b"GET /events?count=100&interval=0.01 HTTP/1.1\r\nhost: soak.test\r\n\r\n"],
    [],
]
BLOCKING_SHARE = 0.1


class Clients:
    def __init__(self, address: str, seconds: float) -> None:
        host, _, port = address.rpartition(":")
        self.address = host, int(port)
        self.end = time.monotonic() + seconds
        self.done: collections.Counter[str] = collections.Counter()
        self.lost: list[str] = []

    async def repeat(self, kind: str) -> None:
        while time.monotonic() < self.end:
            try:
                await asyncio.wait_for(getattr(self, kind)(), PATIENCE)
                self.done[kind] += 1
            except (OSError, TimeoutError, EOFError) as error:
                self.lost.append(f"{kind}: {error!r}")
                await asyncio.sleep(0.05)

    async def leaves(self) -> None:
        """Leave at a random moment, abruptly."""
        connection = socket.socket()
        connection.setblocking(False)
        loop = asyncio.get_running_loop()
        try:
            await loop.sock_connect(connection, self.address)
            for piece in BLOCKING if random.random() < BLOCKING_SHARE else random.choice(PIECES):
                await loop.sock_sendall(connection, piece)
                await asyncio.sleep(random.choice([0, 0, 0.001, 0.01, 0.05]))
            await asyncio.sleep(random.choice([0, 0, 0.001, 0.01, 0.1]))
        except ConnectionResetError:  # by an edge that has enough of half requests
            pass
        finally:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            connection.close()
        await asyncio.sleep(random.uniform(0, 0.2))

    async def waits(self) -> None:
        """Ask for what takes longer than the route allows."""
        await self.expect(b"GET /slow?seconds=1 HTTP/1.1", (200, 504))

    async def behaves(self) -> None:
        await self.expect(b"GET / HTTP/1.1", (200,))
        await asyncio.sleep(0.02)

    async def expect(self, line: bytes, statuses: tuple[int, ...]) -> None:
        reader, writer = await asyncio.open_connection(*self.address)
        try:
            writer.write(line + b"\r\nhost: soak.test\r\nconnection: close\r\n\r\n")
            answer = await reader.read()
            if int(answer.split(b" ")[1]) not in statuses:
                raise EOFError(answer[:300])
        except IndexError:
            raise EOFError("no answer") from None
        finally:
            writer.close()

    async def run(self, clients: int) -> None:
        kinds = ["leaves"] * 8 + ["waits", "behaves"]
        running = [self.repeat(kinds[number % len(kinds)]) for number in range(clients)]
        print("running", flush=True)
        await asyncio.gather(*running)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    arguments.add_argument("address", metavar="HOST:PORT")
    arguments.add_argument("--seconds", type=float, default=20)
    arguments.add_argument("--clients", type=int, default=40)
    options = arguments.parse_args()
    load = Clients(options.address, options.seconds)
    asyncio.run(load.run(options.clients))
    print(json.dumps({"done": load.done, "lost": len(load.lost), "examples": load.lost[:20]}))


if __name__ == "__main__":
    main()
