"""A small FastAPI application with one endpoint for each kind of traffic an edge server has to carry.

`scripts/run` serves it, the tests use it as a real application behind the edge. Run it alone with

    uvicorn app:app

Each endpoint does one thing and keeps no state, so any worker may answer any request.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import FastAPI, HTTPException, Query, Request, Response, WebSocket, WebSocketDisconnect
from fastapi.responses import JSONResponse, PlainTextResponse, StreamingResponse

ANY_METHOD = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
CHUNK = bytes(range(256)) * 256  # 64 KiB, the size at which Uvicorn pauses reading and writing

app = FastAPI(title="asgate sample application")


@app.get("/")
async def index() -> dict[str, str | int]:
    """Say hello, and from which worker process."""
    return {"message": "Hello from FastAPI", "pid": os.getpid()}


@app.get("/healthz")
async def healthz() -> PlainTextResponse:
    """Answer health checks."""
    return PlainTextResponse("ok")


@app.get("/items/{item_id}")
async def item(item_id: int, q: str | None = None) -> dict[str, int | str | None]:
    """Take a typed path parameter and an optional query parameter."""
    return {"item_id": item_id, "q": q}


@app.get("/slow")
async def slow(seconds: Annotated[float, Query(ge=0, le=7200)] = 5.0) -> dict[str, float]:
    """Stay silent for `seconds`, then answer."""
    await asyncio.sleep(seconds)
    return {"slept": seconds}


@app.get("/events")
async def events(
    count: Annotated[int, Query(ge=1)] = 10,
    interval: Annotated[float, Query(ge=0, le=3600)] = 1.0,
) -> StreamingResponse:
    """Send `count` server-sent events, `interval` seconds apart, the first one at once."""

    async def stream() -> AsyncIterator[str]:
        for number in range(count):
            if number:
                await asyncio.sleep(interval)
            yield f"id: {number}\ndata: event {number}\n\n"

    return StreamingResponse(
        stream(), media_type="text/event-stream", headers={"cache-control": "no-cache"}
    )


@app.websocket("/ws")
async def echo_websocket(websocket: WebSocket) -> None:
    """Send every message back, text as text and binary as binary."""
    await websocket.accept()
    try:
        while True:
            message = await websocket.receive()
            if message["type"] == "websocket.disconnect":
                return
            if message.get("text") is not None:
                await websocket.send_text(message["text"])
            else:
                await websocket.send_bytes(message["bytes"])
    except WebSocketDisconnect:
        return  # the client left while an answer was on its way


@app.api_route("/upload", methods=["POST", "PUT"])
async def upload(request: Request) -> dict[str, int | str]:
    """Read the body as it arrives, in flat memory, and tell its length and SHA-256."""
    length, digest = 0, hashlib.sha256()
    async for chunk in request.stream():
        length += len(chunk)
        digest.update(chunk)
    return {"bytes": length, "sha256": digest.hexdigest()}


@app.get("/download")
async def download(
    size: Annotated[int, Query(ge=0)] = 1 << 20, chunked: bool = False
) -> StreamingResponse:
    """Stream `size` bytes (0, 1, … 255, 0, 1, …), with a content-length unless `chunked` is asked for."""

    async def stream() -> AsyncIterator[bytes]:
        left = size
        while left > 0:
            part = CHUNK[: min(left, len(CHUNK))]
            left -= len(part)
            yield part

    headers = {} if chunked else {"content-length": str(size)}
    return StreamingResponse(stream(), media_type="application/octet-stream", headers=headers)


@app.api_route("/echo", methods=ANY_METHOD)
@app.api_route("/echo/{rest:path}", methods=ANY_METHOD)
async def echo(request: Request) -> JSONResponse:
    """Tell what arrived: the request as the application sees it, every header line in its order."""
    scope = request.scope
    return JSONResponse(
        {
            "method": request.method,
            "url": str(request.url),
            "scheme": request.url.scheme,
            "http_version": scope["http_version"],
            "client": list(request.client) if request.client else None,
            "server": list(scope["server"]) if scope.get("server") else None,
            "root_path": scope.get("root_path", ""),
            "path": scope["path"],
            "raw_path": scope["raw_path"].decode("latin-1"),
            "query": scope["query_string"].decode("latin-1"),
            "headers": [[k.decode("latin-1"), v.decode("latin-1")] for k, v in request.headers.raw],
            "body": (await request.body()).decode("utf-8", "replace"),
        }
    )


@app.api_route("/status/{code}", methods=ANY_METHOD)
async def status(code: int) -> Response:
    """Answer with the status asked for; 204, 205 and 304 have no body."""
    if not 200 <= code <= 599:
        raise HTTPException(422, "a final status is between 200 and 599")
    if code in (204, 205, 304):
        return Response(status_code=code)
    return PlainTextResponse(f"status {code}\n", status_code=code)


@app.get("/abort")
async def abort() -> StreamingResponse:
    """Start a response and break off: the connection is cut in the middle of the body."""

    async def stream() -> AsyncIterator[bytes]:
        yield b"the first part, and then "
        raise RuntimeError("/abort was asked for: the response is cut here")

    return StreamingResponse(stream(), media_type="text/plain")


@app.get("/boom")
async def boom() -> None:
    """Fail before answering; FastAPI makes it a 500."""
    raise RuntimeError("/boom was asked for")


@app.api_route("/early", methods=["POST", "PUT"])
async def early() -> JSONResponse:
    """Answer without reading the request body."""
    return JSONResponse({"read": 0}, status_code=202)
