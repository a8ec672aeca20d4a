"""A steady mix of requests for `tests/app/worker_app.py` while its workers are killed, replaced and stopped.

    python replacement_load.py HOST:PORT [--rate 300]

Sends `--rate` requests a second, however long the answers take, retries nothing and checks every byte of every answer.
Each request has a number of its own in its query (`n=17`), by which it is found in the access log.

Prints `running` when it begins, ends when its stdin does, and prints one JSON object: how many of each kind were sent,
those that failed, and how many WebSockets ended with status 1012, "service restart", which is no failure. Exit code 1
when anything failed: who was to blame is for the test to say.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import hashlib
import json
import random
import sys
import time
from collections.abc import AsyncIterator

from websockets.asyncio.client import connect as websocket
from websockets.exceptions import ConnectionClosed, InvalidStatus

PATIENCE = 30.0  # seconds for one exchange: longer than a hung worker is waited for
NORMAL, SERVICE_RESTART = 1000, 1012
UPLOAD = bytes(range(256)) * 256
# Of 100 requests.
MIX = {"get": 55, "post": 25, "slow": 12, "events": 3, "upload": 4, "websocket": 1}

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Failed(Exception):
    """An exchange that did not go as it must."""

    def __init__(self, how: str, detail: str, status: int | None = None) -> None:
        super().__init__(detail)
        # `refused` by an answer that is not the application's, `unanswered`, `broken off` after the answer had begun,
        # `wrong` where it is not the answer to this request
        self.how = how
        self.status = status  # of the answer that was a refusal


class Exchange:
    """One request on a connection, and the answer to it."""

    def __init__(self, streams: Streams) -> None:
        self.reader, self.writer = streams
        self.begun = False  # whether a part of the application's answer has come
        self.kept = False

    async def ask(self, method: str, target: str, body: bytes = b"") -> bytes:
        try:
            length = f"content-length: {len(body)}\r\n" if body or method != "GET" else ""
            head = f"{method} {target} HTTP/1.1\r\nhost: soak.test\r\n{length}\r\n"
            self.writer.write(head.encode() + body)
            await self.writer.drain()
            headers = await self.head()
            content = b"".join([part async for part in self.parts(headers)])
        except (asyncio.IncompleteReadError, OSError) as error:
            raise Failed("broken off" if self.begun else "unanswered", repr(error)) from None
        self.kept = headers.get("connection") != "close"
        return content

    async def head(self) -> dict[str, str]:
        lines = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        status = int(lines[0].split(" ")[1])
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:-2])}
        if status != 200:
            raise Failed("refused", str(lines), status)
        self.begun = True
        return headers

    async def parts(self, headers: dict[str, str]) -> AsyncIterator[bytes]:
        """The body as it comes, to the end that its framing promises."""
        if "content-length" in headers:
            yield await self.reader.readexactly(int(headers["content-length"]))
            return
        while size := int(await self.reader.readuntil(b"\r\n"), 16):
            yield (await self.reader.readexactly(size + 2))[:-2]
        await self.reader.readexactly(2)


class Load:
    def __init__(self, address: str, rate: float) -> None:
        host, _, port = address.rpartition(":")
        self.host, self.port, self.rate = host, int(port), rate
        self.kept: list[Streams] = []
        self.sent: collections.Counter[str] = collections.Counter()
        self.failed: list[dict[str, object]] = []
        self.restarted_websockets = 0
        self.latencies: list[float] = []

    async def over_http(self, kind: str, number: int) -> None:
        streams = self.kept.pop() if self.kept else await asyncio.open_connection(self.host, self.port)
        exchange = Exchange(streams)
        try:
            await getattr(self, kind)(exchange, number)
        finally:
            if exchange.kept:
                self.kept.append(streams)
            else:
                streams[1].close()

    async def get(self, exchange: Exchange, number: int) -> None:
        begun = time.monotonic()
        expect(set(json.loads(await exchange.ask("GET", f"/?n={number}"))) == {"pid"}, "the answer to GET /")
        self.latencies.append(time.monotonic() - begun)

    async def post(self, exchange: Exchange, number: int) -> None:
        body = f"{number} ".encode() * (1 + number % 500)
        expect(await exchange.ask("POST", f"/echo?n={number}", body) == body, "the echo")

    async def slow(self, exchange: Exchange, number: int) -> None:
        content = await exchange.ask("GET", f"/slow?seconds=0.1&n={number}")
        expect(set(json.loads(content)) == {"pid"}, "the slow answer")

    async def events(self, exchange: Exchange, number: int) -> None:
        content = (await exchange.ask("GET", f"/events?count=11&interval=0.1&n={number}")).decode()
        ids = [line for line in content.splitlines() if line.startswith("id: ")]
        expect(ids == [f"id: {number}" for number in range(11)], "every event")
        origins = {line for line in content.splitlines() if line.startswith("data: ")}
        expect(len(origins) == 1, "all events from one worker")

    async def upload(self, exchange: Exchange, number: int) -> None:
        body = UPLOAD[number % 1000 :]
        seen = json.loads(await exchange.ask("POST", f"/upload?n={number}", body))
        right = len(body), hashlib.sha256(body).hexdigest()
        expect((seen["bytes"], seen["sha256"]) == right, "the checksum of the upload")

    async def websocket(self, number: int) -> None:
        try:
            address = f"ws://{self.host}:{self.port}/ws?n={number}"
            async with websocket(address, compression=None, open_timeout=PATIENCE) as ws:
                for count in range(10):
                    await ws.send(f"{number} {count}")
                    expect(await ws.recv() == f"{number} {count}", "the echo of a message")
                    await asyncio.sleep(0.1)
            code = ws.close_code  # 1006 where the other side said none
        except ConnectionClosed as closed:
            code = closed.rcvd.code if closed.rcvd else None
        except InvalidStatus as refused:
            raise Failed("refused", str(refused), refused.response.status_code) from None
        if code == SERVICE_RESTART:
            self.restarted_websockets += 1
        elif code != NORMAL:
            raise Failed("broken off", f"closed with {code}")

    async def one(self, kind: str, number: int) -> None:
        began = time.time()
        exchange = self.websocket(number) if kind == "websocket" else self.over_http(kind, number)
        try:
            await asyncio.wait_for(exchange, PATIENCE)
        except Exception as error:  # whatever it is, the exchange did not go as it must
            known = error if isinstance(error, Failed) else Failed("unanswered", f"{type(error).__name__}: {error}")
            fields = {"how": known.how, "status": known.status, "detail": str(known)[:300]}
            self.failed.append({"n": number, "kind": kind, "began": began, **fields})

    async def run(self) -> None:
        """Send at the rate until stdin ends; then wait for what is under way."""
        stdin_ends = asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        kinds = random.Random(1)  # the same mix in every run
        names, weights = list(MIX), list(MIX.values())
        begun = time.monotonic()
        print("running", flush=True)
        async with asyncio.TaskGroup() as exchanges:
            while not stdin_ends.done():
                due = int((time.monotonic() - begun) * self.rate)
                while (number := self.sent.total()) < due:
                    kind = kinds.choices(names, weights)[0]
                    self.sent[kind] += 1
                    exchanges.create_task(self.one(kind, number))
                await asyncio.sleep(1 / self.rate)
            self.seconds = time.monotonic() - begun

    def report(self) -> dict[str, object]:
        latencies = sorted(self.latencies) or [0.0]
        return {
            "sent": dict(self.sent),
            "per_second": round(self.sent.total() / self.seconds),
            "failed": self.failed,
            "restarted_websockets": self.restarted_websockets,
            "milliseconds": {
                name: round(1000 * latencies[int(share * (len(latencies) - 1))], 1)
                for name, share in [("p50", 0.5), ("p99", 0.99), ("max", 1.0)]
            },
        }


def expect(right: bool, what: str) -> None:
    if not right:
        raise Failed("wrong", what)


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    arguments.add_argument("address", metavar="HOST:PORT")
    arguments.add_argument("--rate", type=float, default=300, help="requests a second")
    options = arguments.parse_args()
    load = Load(options.address, options.rate)
    asyncio.run(load.run())
    print(json.dumps(load.report()))
    return 1 if load.failed else 0


if __name__ == "__main__":
    sys.exit(main())
