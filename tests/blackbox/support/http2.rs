//! An HTTP/2 client that sends the frames a test says: Python's `h2` over a plain socket, with prior knowledge.

use std::net::SocketAddr;

use serde_json::Value;

use super::uvicorn::run_python;

/// What the scripts begin with: a connection, and reading until something is there.
const PRELUDE: &str = r#"
import json, socket, sys, time
import h2.config, h2.connection, h2.events, h2.exceptions

class Http2:
    """One connection. `streams[id]` is what came for a stream."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        config = h2.config.H2Configuration(
            header_encoding="latin-1", validate_outbound_headers=False, normalize_outbound_headers=False)
        self.engine = h2.connection.H2Connection(config)
        self.engine.initiate_connection()
        self.streams, self.settings, self.ended, self.goaway = {}, {}, False, None
        self.flush()

    def flush(self):
        try:
            self.socket.sendall(self.engine.data_to_send())
        except OSError:
            self.ended = True

    def open(self, method, path, headers=(), end=True, host="test.example"):
        pseudo = [(":method", method), (":scheme", "http"), (":path", path)]
        if host is not None:
            pseudo.insert(1, (":authority", host))
        return self.send(pseudo + list(headers), end)

    def send(self, fields, end=True):
        stream = self.engine.get_next_available_stream_id()
        self.streams[stream] = {"status": None, "informational": [], "headers": [], "body": "", "pieces": [], "end": None}
        self.engine.send_headers(stream, fields, end_stream=end)
        self.flush()
        return stream

    def data(self, stream, data, end=False):
        self.engine.send_data(stream, data, end_stream=end)
        self.flush()

    def pump(self):
        """Reads once; False at the end of the connection."""
        try:
            data = self.socket.recv(65536)
        except ConnectionError:
            data = b""
        if not data:
            self.ended = True
            return False
        for event in self.engine.receive_data(data):
            stream = self.streams.get(getattr(event, "stream_id", None))
            if isinstance(event, h2.events.ResponseReceived):
                stream["headers"] = [list(field) for field in event.headers]
                stream["status"] = int(dict(event.headers)[":status"])
            elif isinstance(event, h2.events.InformationalResponseReceived):
                stream["informational"].append(int(dict(event.headers)[":status"]))
            elif isinstance(event, h2.events.DataReceived):
                stream["body"] += event.data.decode("latin-1")
                stream["pieces"].append([len(event.data), event.stream_ended is not None])
                self.engine.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, h2.events.StreamEnded):
                stream["end"] = stream["end"] or "whole"
            elif isinstance(event, h2.events.StreamReset):
                stream["end"] = stream["end"] or "reset"
            elif isinstance(event, h2.events.RemoteSettingsChanged):
                self.settings.update({int(k): c.new_value for k, c in event.changed_settings.items()})
            elif isinstance(event, h2.events.ConnectionTerminated):
                self.goaway = int(event.error_code)
        self.flush()
        return True

    def answer(self, stream):
        """Reads until the stream or the connection has ended."""
        found = self.streams[stream]
        while found["end"] is None and self.pump():
            pass
        return found

def tell(value):
    print(json.dumps(value))

c = Http2(int(sys.argv[1]))
"#;

/// Runs `script` with a connection `c` to the edge; what it gives to `tell(…)` comes back.
pub fn run(edge: SocketAddr, script: &str) -> Value {
    let output = run_python(&format!("{PRELUDE}\n{script}"), &[&edge.port().to_string()]);
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("not JSON: {}", String::from_utf8_lossy(&output.stdout)))
}
