"""An application that can be made to behave as bad workers do: plain ASGI, so that it starts quickly.

Each answer names the process that gave it. What the state of a process is, its memory for instance, is asked for by a
request to its own address; what has to be known before a worker runs comes by environment variables:

    FAIL_FILE    while this file exists, importing the application fails
    HEALTH_FILE  while this file holds the pid of a process, its `/health` is a 500
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sys
import threading
import time
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

if Path(os.environ.get("FAIL_FILE") or os.devnull).is_file():
    print("about to fail: FAIL_FILE is there", flush=True)
    raise RuntimeError("this application cannot be imported today")

HEALTH_FILE = Path(os.environ.get("HEALTH_FILE") or os.devnull)
seen: list[str] = []  # the targets of the requests so far
held: list[bytearray] = []  # memory that is not given back
flooded = 0  # bytes printed by `/flood` so far


async def answer(send: Send, body: bytes | dict[str, Any], status: int = 200) -> None:
    if isinstance(body, dict):
        body = json.dumps(body | {"pid": os.getpid()}).encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def body_of(receive: Receive) -> bytes:
    parts, more = [], True
    while more:
        message = await receive()
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(parts)


async def events(send: Send, count: int, interval: float) -> None:
    """`count` server-sent events, `interval` seconds apart, the first one at once."""
    headers = [(b"content-type", b"text/event-stream")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    for number in range(count):
        if number:
            await asyncio.sleep(interval)
        event = f"id: {number}\ndata: {os.getpid()}\n\n".encode()
        await send({"type": "http.response.body", "body": event, "more_body": True})
    await send({"type": "http.response.body"})


def flood(seconds: float) -> None:
    """Print as fast as the other side reads."""
    global flooded
    block = (b"x" * 999 + b"\n") * 64
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        flooded += os.write(sys.stdout.fileno(), block)


def write(stream: str, data: bytes) -> None:
    """Write bytes as they are, past the buffers of Python."""
    descriptor = {"stdout": 1, "stderr": 2}[stream]
    while data:
        data = data[os.write(descriptor, data) :]


async def http(scope: Scope, receive: Receive, send: Send) -> None:
    query = dict(parse_qsl(scope["query_string"].decode()))
    seconds = float(query.get("seconds", 1))
    match scope["path"]:
        case "/slow":
            await asyncio.sleep(seconds)
        case "/block":  # a blocking call in `async def`: legal, and nothing else is served meanwhile
            time.sleep(seconds)
        case "/echo":
            return await answer(send, await body_of(receive))
        case "/upload":
            body = await body_of(receive)
            return await answer(send, {"bytes": len(body), "sha256": hashlib.sha256(body).hexdigest()})
        case "/events":
            return await events(send, int(query["count"]), float(query["interval"]))
        case "/seen":
            return await answer(send, {"seen": seen})
        case "/health" if HEALTH_FILE.is_file() and HEALTH_FILE.read_text().strip() == str(os.getpid()):
            return await answer(send, {"healthy": False}, 500)
        case "/grow":  # the pages are written to, so that they are resident
            held.append(bytearray(b"x") * (int(query["megabytes"]) << 20))
        case "/flood":
            threading.Thread(target=flood, args=[seconds], daemon=True).start()
        case "/flooded":
            return await answer(send, {"bytes": flooded})
        case "/print":
            write(query["stream"], await body_of(receive))
        case "/exit":
            os._exit(int(query["code"]))
    await answer(send, {})


async def websocket(receive: Receive, send: Send) -> None:
    """Send every message back."""
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message.get("text"), "bytes": message.get("bytes")})


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        while (message := await receive())["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        return await send({"type": f"{message['type']}.complete"})
    if scope["type"] == "websocket":
        return await websocket(receive, send)
    query = scope["query_string"].decode()
    seen.append(scope["path"] + (f"?{query}" if query else ""))
    await http(scope, receive, send)
