"""What the tests need of an application beyond the sample application.

Streams go step by step: each part is sent when the test says so, so that a part that is held back on its way is a
test that stops there, however fast or slow the machine is. One process, one event loop: the state is global.
"""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any

from fastapi import FastAPI, Request, Response, WebSocket, WebSocketDisconnect
from fastapi.responses import PlainTextResponse, StreamingResponse

STEPS = 5

api = FastAPI()
gates: defaultdict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(0))
seen: defaultdict[str, int] = defaultdict(int)


@api.get("/where")
async def where(request: Request) -> dict[str, Any]:
    """The URLs that the application would hand out."""
    return {
        "url": str(request.url),
        "base_url": str(request.base_url),
        "url_for": str(request.url_for("item", number=7)),
        "client": request.client.host if request.client else None,
        "path": request.scope["path"],
        "root_path": request.scope["root_path"],
    }


@api.get("/items/{number}/")
async def item(number: int) -> int:
    """Something that `url_for` names, and that is redirected to without its slash."""
    return number


def part(kind: str, number: int) -> bytes:
    """Part `number` of a stream, complete in itself."""
    if kind == "sse":
        return f"id: {number}\ndata: part\n\n".encode()
    return json.dumps({"part": number}).encode() + b"\n"


@api.get("/steps/{kind}/{key}")
async def steps(kind: str, key: str) -> StreamingResponse:
    """Send the first part at once and each other one when told: `sse`, `ndjson`, or `length` with a content-length."""

    async def stream() -> AsyncIterator[bytes]:
        for number in range(STEPS):
            if number:
                await gates[key].acquire()
            yield part(kind, number)

    media = "text/event-stream" if kind == "sse" else "application/x-ndjson"
    total = sum(len(part(kind, number)) for number in range(STEPS))
    headers = {"content-length": str(total)} if kind == "length" else {}
    return StreamingResponse(stream(), media_type=media, headers=headers)


@api.post("/next/{key}")
async def release(key: str) -> Response:
    """Let a stream go on by one part."""
    gates[key].release()
    return Response(status_code=204)


@api.put("/receive/{key}")
async def receive(request: Request, key: str) -> int:
    """Read the body and count it while it comes."""
    async for chunk in request.stream():
        seen[key] += len(chunk)
    return seen[key]


@api.get("/received/{key}")
async def received(key: str) -> int:
    """How much of a body has come so far."""
    return seen[key]


@api.websocket("/ws")
async def echo(websocket: WebSocket) -> None:
    """Send every message back; take the last of the offered subprotocols."""
    offered = websocket.scope["subprotocols"]
    await websocket.accept(
        subprotocol=offered[-1] if offered else None, headers=[(b"x-from-the-app", b"yes")]
    )
    try:
        while (message := await websocket.receive())["type"] == "websocket.receive":
            if message.get("text") is not None:
                await websocket.send_text(message["text"])
            else:
                await websocket.send_bytes(message["bytes"])
    except WebSocketDisconnect:
        return
    closes.put_nowait([message.get("code"), message.get("reason")])


closes: asyncio.Queue[list[Any]] = asyncio.Queue()


@api.get("/closed")
async def closed() -> list[Any]:
    """The close code and reason that the application saw, oldest first; waits for one."""
    return await closes.get()


@api.websocket("/ws/scope")
async def websocket_scope(websocket: WebSocket) -> None:
    """Tell what the application sees of the handshake, and close."""
    await websocket.accept()
    await websocket.send_json(
        {
            "url": str(websocket.url),
            "client": websocket.client.host if websocket.client else None,
            "path": websocket.scope["path"],
            "root_path": websocket.scope["root_path"],
            "subprotocols": websocket.scope["subprotocols"],
            "headers": [[k.decode("latin-1"), v.decode("latin-1")] for k, v in websocket.headers.raw],
        }
    )
    await websocket.close()


@api.websocket("/ws/close/{code}")
async def websocket_close(websocket: WebSocket, code: int) -> None:
    """Close with this code."""
    await websocket.accept()
    await websocket.close(code, f"reason {code}")


@api.websocket("/ws/reject")
async def websocket_reject(websocket: WebSocket) -> None:
    """Refuse: the server makes it a 403."""
    await websocket.close()


@api.websocket("/ws/deny")
async def websocket_deny(websocket: WebSocket) -> None:
    """Refuse with a response of the application's own."""
    await websocket.send_denial_response(
        PlainTextResponse("who are you?", status_code=401, headers={"www-authenticate": "Basic"})
    )


async def duplex(receive: Callable[[], Awaitable[MutableMapping[str, Any]]], send: Callable) -> None:
    """Send each part of the body back as soon as it comes."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    while (message := await receive())["type"] == "http.request":
        more = message.get("more_body", False)
        await send({"type": "http.response.body", "body": message["body"], "more_body": more})
        if not more:
            return


async def app(scope: MutableMapping[str, Any], receive: Callable, send: Callable) -> None:
    """The FastAPI application, and beside it what has to be plain ASGI."""
    if scope["type"] == "http" and scope["path"] == "/duplex":
        await duplex(receive, send)
    else:
        await api(scope, receive, send)
