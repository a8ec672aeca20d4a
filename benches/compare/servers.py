"""The programs that benches/compare/run puts side by side: how each is configured, started and stopped.

The three proxies do the same work for a request: a kept connection on both sides, the forwarded headers and a request id
set for the upstream, the id returned to the client, one JSON line with the same facts written to a file.

With TLS they have the same two certificates and speak TLS 1.3; all else of TLS, session tickets among it, is as each has it by
default. The clients offer one cipher suite and one key exchange, so that all choose the same.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

FOREVER = 1_000_000_000  # requests on one connection: no server may be alone in reconnecting

BULK_LENGTH = 64 << 20  # bytes of the large response; the client (client/src/main.rs) knows it too

BODY = '{"message":"hello","items":[1,2,3],"ok":true}'

# Temporary files of nginx stay in the run's own directory; without `user` a root master would switch to nobody.
NGINX_HEAD = """
daemon off;
pid {dir}/{name}.pid;
error_log {dir}/{name}.error.log;
worker_processes {threads};
{user}
events {{ worker_connections 4096; }}
"""
NGINX_HTTP = """
    client_body_temp_path {dir}/{name}.body;
    proxy_temp_path {dir}/{name}.proxy;
    fastcgi_temp_path {dir}/{name}.fastcgi;
    uwsgi_temp_path {dir}/{name}.uwsgi;
    scgi_temp_path {dir}/{name}.scgi;
    keepalive_requests {forever};
    keepalive_timeout 75s;
"""

UPSTREAM = """
http {{
%s
    access_log off;
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        default_type application/json;
        location / {{ return 200 '{body}'; }}
        location = /bulk {{ sendfile on; alias {dir}/bulk; }}
        location = /status {{ stub_status; }}
    }}
}}
""" % NGINX_HTTP

NGINX = """
http {{
%s
    log_format json escape=json '{{"@timestamp":"$time_iso8601","http.request.method":"$request_method",'
        '"http.request.id":"$request_id","http.version":"$server_protocol","http.response.status_code":$status,'
        '"http.request.body.bytes":"$content_length","http.response.body.bytes":$body_bytes_sent,"url.scheme":"$scheme",'
        '"url.domain":"$host","url.path":"$uri","url.query":"$args","client.ip":"$remote_addr","client.port":$remote_port,'
        '"user_agent.original":"$http_user_agent","duration":$request_time,"upstream":"$upstream_addr",'
        '"connect":"$upstream_connect_time","ttfb":"$upstream_header_time"}}';
    access_log {log} json;
    upstream backend {{
        server 127.0.0.1:{upstream};
        keepalive 64;
        keepalive_requests {forever};
    }}
    server {{
        listen 127.0.0.1:{port} backlog=4096{listen};
        {tls}
        location / {{
            proxy_pass http://backend;
            proxy_max_temp_file_size 0;  # a large response goes through memory, as in the others
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_set_header X-Forwarded-Host $http_host;
            proxy_set_header X-Forwarded-Port $server_port;
            proxy_set_header X-Request-Id $request_id;
            add_header X-Request-Id $request_id;
        }}
    }}
}}
""" % NGINX_HTTP

HAPROXY = """
global
    maxconn 4096
    {nbthread}
    log stdout format raw local0
defaults
    mode http
    log global
    timeout connect 5s
    timeout client 75s
    timeout server 75s
    timeout http-keep-alive 75s
frontend front
    bind 127.0.0.1:{port} backlog 4096{tls}
    # A connection without a request gets no line in the log and no answer, as in the others.
    option dontlognull
    option http-ignore-probes
    unique-id-format %[uuid()]
    unique-id-header X-Request-Id
    http-request set-header X-Forwarded-For %[src]
    http-request set-header X-Forwarded-Proto {scheme}
    http-request set-header X-Forwarded-Host %[req.hdr(host)]
    http-request set-header X-Forwarded-Port %[dst_port]
    http-request set-var(txn.host) req.hdr(host)
    http-request set-var(txn.agent) req.hdr(user-agent),json
    http-response set-header X-Request-Id %[unique-id]
    log-format '{{"@timestamp":"%tr","http.request.method":"%HM","http.request.id":"%ID","http.version":"%HV","http.response.status_code":%ST,"http.request.bytes":%U,"http.response.bytes":%B,"url.domain":"%[var(txn.host)]","url.path":"%HP","url.query":"%HQ","client.ip":"%ci","client.port":%cp,"user_agent.original":"%[var(txn.agent)]","duration":%Ta,"upstream":"%s","queue":%Tw,"connect":%Tc,"ttfb":%Tr,"termination":"%tsc"}}'
    default_backend back
backend back
    server upstream 127.0.0.1:{upstream}
"""

NGINX_TLS = """
        ssl_protocols TLSv1.3;
        ssl_certificate {dir}/site.pem.ecdsa;
        ssl_certificate_key {dir}/site.pem.ecdsa;
        ssl_certificate {dir}/site.pem.rsa;
        ssl_certificate_key {dir}/site.pem.rsa;
"""

# It takes the files beside this name that end in `.ecdsa` and `.rsa`.
HAPROXY_TLS = " ssl crt {dir}/site.pem ssl-min-ver TLSv1.3"

ASGATE_TLS = """
    # The others were not told to speak it.
    http2: false
    tls:
      min_version: "1.3"
      certificates:
        - {{ cert: {dir}/site.pem.ecdsa, key: {dir}/site.pem.ecdsa }}
        - {{ cert: {dir}/site.pem.rsa, key: {dir}/site.pem.rsa }}
"""

ASGATE = """
listeners:
  - address: 127.0.0.1:{port}
{tls}
upstreams:
  backend:
    servers:
      - {{ address: 127.0.0.1:{upstream} }}
routes:
  - name: all
    match: {{ path: / }}
    upstream: backend
logging:
  access: {{ format: ecs, output: stdout }}
"""


class CannotStart(Exception):
    """A server did not come up; the message says which and shows what it wrote."""


def free_port() -> int:
    """A TCP port nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@dataclass
class Server:
    """A running server: the root of its process tree, its port and its access log (None: it writes none)."""

    name: str
    process: subprocess.Popen[bytes]
    port: int
    log: Path | None

    def stop(self) -> None:
        """SIGTERM, and SIGKILL when that is not enough."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@dataclass
class Plan:
    """What every server of one run has in common."""

    directory: Path
    threads: int | None  # per server; None: each server's own default
    server_cpus: set[int]
    load_cpus: set[int]
    asgate: Path | None = None
    tls: bool = False

    def make_certificates(self) -> None:
        """`site.pem.ecdsa` and `site.pem.rsa`: a self-signed certificate with its key each."""
        for name, key in (("ecdsa", ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]), ("rsa", ["rsa:2048"])):
            path = self.directory / f"site.pem.{name}"
            certificate = ["openssl", "req", "-x509", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
            names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
            subprocess.run([*certificate, *names, "-newkey", *key, "-keyout", path, "-out", path], check=True, capture_output=True)

    def upstream(self) -> Server:
        """The trivial upstream: nginx answering a constant from memory, one process, no log."""
        port = free_port()
        with open(self.directory / "bulk", "wb") as bulk:
            bulk.truncate(BULK_LENGTH)
        config = self._nginx_config("upstream", UPSTREAM, 1, port=port, body=BODY)
        return self._start("upstream", ["nginx", "-c", str(config)], port, None, self.load_cpus)

    def nginx(self, upstream: int) -> Server:
        port, log = free_port(), self.directory / "nginx.log"
        threads = self.threads or "auto"
        listen, tls = (" ssl", self._tls(NGINX_TLS)) if self.tls else ("", "")
        config = self._nginx_config("nginx", NGINX, threads, port=port, upstream=upstream, log=log, listen=listen, tls=tls)
        return self._start("nginx", ["nginx", "-c", str(config)], port, log, self.server_cpus)

    def haproxy(self, upstream: int) -> Server:
        port, log = free_port(), self.directory / "haproxy.log"
        nbthread = f"nbthread {self.threads}" if self.threads else ""
        values = {"nbthread": nbthread, "tls": self._tls(HAPROXY_TLS), "scheme": "https" if self.tls else "http"}
        config = self._write("haproxy.cfg", HAPROXY, port=port, upstream=upstream, **values)
        return self._start("haproxy", ["haproxy", "-db", "-f", str(config)], port, log, self.server_cpus)

    def asgate_server(self, upstream: int) -> Server:
        # Its threads follow the processors it may run on, so that the affinity set in _start decides.
        port, log = free_port(), self.directory / "asgate.log"
        config = self._write("asgate.yaml", ASGATE, port=port, upstream=upstream, tls=self._tls(ASGATE_TLS))
        command = [str(self.asgate), "run", "-c", str(config)]
        return self._start("asgate", command, port, log, self.server_cpus)

    def _tls(self, template: str) -> str:
        return template.format(dir=self.directory) if self.tls else ""

    def _nginx_config(self, name: str, template: str, threads: int | str, **values: object) -> Path:
        user = "user root;" if os.geteuid() == 0 else ""
        return self._write(
            f"{name}.conf", NGINX_HEAD + template, name=name, threads=threads, user=user, forever=FOREVER, **values
        )

    def _write(self, file: str, template: str, **values: object) -> Path:
        path = self.directory / file
        path.write_text(template.format(dir=self.directory, **values))
        return path

    def _start(self, name: str, command: list[str], port: int, log: Path | None, cpus: set[int]) -> Server:
        output = self.directory / f"{name}.output"
        # HAProxy and asgate log to their standard output; nginx opens the same file itself.
        with open(log or output, "ab") as out, open(output, "ab") as err:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                preexec_fn=lambda: os.sched_setaffinity(0, cpus),
            )
        server = Server(name, process, port, log)
        try:
            wait_until_listening(server)
        except CannotStart as reason:
            server.stop()
            said = output.read_text(errors="replace").strip()
            raise CannotStart(f"{reason}\n{' '.join(command)}\n{said}") from None
        return server


def wait_until_listening(server: Server, seconds: float = 15.0) -> None:
    """Return when the server accepts a connection; CannotStart when it ended or the time is over."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if server.process.poll() is not None:
            raise CannotStart(f"{server.name} ended with status {server.process.returncode}")
        try:
            socket.create_connection(("127.0.0.1", server.port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise CannotStart(f"{server.name} does not listen after {seconds:.0f} s")
