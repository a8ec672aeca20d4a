"""The loads that benches/compare/run puts on each server: who makes them, and what is wrong with an answer."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from servers import BODY, BULK_LENGTH, Plan, Server

HERE = Path(__file__).resolve().parent

# wrk's side of TLS: what the other client (client/src/tls.rs) offers too.
OPENSSL = """
openssl_conf = defaults
[defaults]
ssl_conf = ssl
[ssl]
system_default = client
[client]
MinProtocol = TLSv1.3
Ciphersuites = TLS_AES_128_GCM_SHA256
Groups = X25519
"""


class Wrong(Exception):
    """A server answered something else than the upstream, or the counts do not agree."""


@dataclass
class Done:
    """What one load came to."""

    count: int  # of requests, handshakes or MiB
    seconds: float
    p50_us: float
    p99_us: float


@dataclass
class Load:
    """One kind of load: `run` puts it on a server for so many seconds and checks every answer."""

    name: str
    title: str
    unit: str
    run: Callable[[Server, int], Done]


class Loads:
    """The loads of one run. `client` is the program of client/, which makes the loads over TLS."""

    def __init__(self, plan: Plan, upstream: Server, connections: int, client: Path | None) -> None:
        self.plan, self.upstream, self.connections, self.client = plan, upstream, connections, client
        self.asked = 0  # requests for the upstream's count

    def all(self) -> list[Load]:
        requests = Load("requests", "small GET on a kept connection", "request", self.requests)
        if not self.plan.tls:
            return [requests]
        return [
            Load("full_ecdsa", "full handshake, ECDSA P-256", "handshake", self.over_tls("full", "ecdsa")),
            Load("full_rsa", "full handshake, RSA 2048", "handshake", self.over_tls("full", "rsa")),
            Load("resumed", "resumed handshake", "handshake", self.over_tls("resumed", "ecdsa")),
            Load("bulk", "responses of 64 MiB", "MiB", self.over_tls("bulk", "ecdsa")),
            requests,
        ]

    def greet(self, server: Server) -> None:
        """One request, and over TLS one whole download, before anything is measured."""
        if (answer := self.get(server.port, "/", self.plan.tls).decode()) != BODY:
            raise Wrong(f"{server.name} answered {answer!r} in place of the upstream's body")
        if self.plan.tls and (length := len(self.get(server.port, "/bulk", True))) != BULK_LENGTH:
            raise Wrong(f"{server.name} answered {length} bytes in place of {BULK_LENGTH}")

    def get(self, port: int, path: str, tls: bool = False) -> bytes:
        context = ssl._create_unverified_context() if tls else None  # the certificate was made a moment ago
        scheme = "https" if tls else "http"
        with urllib.request.urlopen(f"{scheme}://127.0.0.1:{port}{path}", timeout=30, context=context) as answer:
            return answer.read()

    def over_tls(self, work: str, key: str) -> Callable[[Server, int], Done]:
        """A load of the client, which checks each handshake and each length itself."""
        # A few large responses keep a server as busy as many do, and the client's memory small.
        connections = 4 if work == "bulk" else self.connections
        size = BULK_LENGTH >> 20 if work == "bulk" else 1

        def run(server: Server, seconds: int) -> Done:
            command = [str(self.client), str(server.port), work, key, str(seconds), str(connections)]
            done = self._start(command, seconds)
            if done.returncode:
                raise Wrong(f"{server.name}: {done.stderr.strip()}")
            result = json.loads(done.stdout)
            return Done(result["done"] * size, result["microseconds"] / 1e6, result["p50"], result["p99"])

        return run

    def requests(self, server: Server, seconds: int) -> Done:
        """Small GETs by wrk. The upstream saw them all, and each has its line in the log."""
        before = self._forwarded()
        os.truncate(server.log, 0)
        scheme = "https" if self.plan.tls else "http"
        url = f"{scheme}://127.0.0.1:{server.port}/"
        times = [f"-c{self.connections}", f"-d{seconds}s", "--timeout", "5s"]
        config = self.plan.directory / "openssl.cnf"
        config.write_text(OPENSSL)
        done = self._start(["wrk", "-t1", *times, "-s", str(HERE / "report.lua"), url], seconds, OPENSSL_CONF=str(config))
        done.check_returncode()
        line = next(line for line in done.stdout.splitlines() if line.startswith("RESULT "))
        result = json.loads(line.removeprefix("RESULT "))
        self._check(server, result, self._forwarded() - before)
        return Done(result["requests"], result["microseconds"] / 1e6, result["p50"], result["p99"])

    def _check(self, server: Server, result: dict[str, int], forwarded: int) -> None:
        """Every request was answered with 2xx, reached the upstream and was logged; one of each connection was under way."""
        errors = {kind: result[kind] for kind in ("connect", "read", "write", "status", "timeout") if result[kind]}
        if errors:
            raise Wrong(f"{server.name}: errors of {result['requests']} requests: {errors}")
        if not 0 <= forwarded - result["requests"] <= self.connections:
            raise Wrong(f"{server.name}: {result['requests']} answers, but the upstream saw {forwarded} requests")
        lines = log_lines(server, result["requests"])
        if not result["requests"] <= lines <= forwarded + self.connections:
            raise Wrong(f"{server.name}: {result['requests']} answers, but {lines} lines in the access log")

    def _forwarded(self) -> int:
        """Requests that the upstream has answered but for the ones made here, once no more of them come in."""
        before = -1
        for _ in range(100):
            self.asked += 1
            count = int(self.get(self.upstream.port, "/status").decode().splitlines()[2].split()[2]) - self.asked
            if count == before:
                break
            before = count
            time.sleep(0.05)
        return before

    def _start(self, command: list[str], seconds: int, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=seconds + 60,
            env={**os.environ, **environment},
            preexec_fn=lambda: os.sched_setaffinity(0, self.plan.load_cpus),
        )


def log_lines(server: Server, at_least: int) -> int:
    """Lines in the access log, after a moment for what is still on its way to the file."""
    lines, deadline = 0, time.monotonic() + 5
    while server.log and time.monotonic() < deadline:
        with server.log.open("rb") as log:
            lines = sum(block.count(b"\n") for block in iter(lambda: log.read(1 << 20), b""))
        if lines >= at_least:
            break
        time.sleep(0.1)
    return lines
