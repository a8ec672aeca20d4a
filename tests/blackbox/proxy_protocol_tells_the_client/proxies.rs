//! Real proxies in front: HAProxy and nginx, which write the header.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::support::certificates::Authority;
use crate::support::front::Front;
use crate::support::sources::{client_from, connect_from};
use crate::support::stub::Stub;
use crate::support::tls::{Offer, Tls};
use crate::support::uvicorn::free_address;
use crate::support::{programs, wait_for};

use super::{TRUSTED, values};

/// A proxy in front of an edge. Killed when dropped.
struct Proxy(Child);

impl Proxy {
    /// Starts it and waits until it listens at all of these addresses.
    fn start(command: &mut Command, addresses: &[SocketAddr]) -> Self {
        let command = command.stdin(Stdio::null()).stdout(Stdio::null());
        let proxy = Self(command.spawn().expect("it starts"));
        for address in addresses {
            wait_for("a proxy to listen", || TcpStream::connect(address).ok());
        }
        proxy
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// As many free addresses as are asked for, no two the same.
fn free_addresses<const COUNT: usize>() -> [SocketAddr; COUNT] {
    let mut held = Vec::new();
    std::array::from_fn(|_| {
        let address = free_address();
        held.push(TcpListener::bind(address).expect("it is free"));
        address
    })
}

/// The certificate and the key in one file, as HAProxy has them.
fn bundle(authority: &Authority, directory: &Path) -> String {
    let site = authority.sign("proxy", &["site.test"]);
    let read = |path: &Path| std::fs::read_to_string(path).expect("a file");
    let file = directory.join("proxy.pem");
    std::fs::write(&file, read(&site.certificate) + &read(&site.key)).expect("a file");
    file.display().to_string()
}

#[test]
fn haproxy_tells() {
    let Some(haproxy) = programs::find("haproxy") else {
        return;
    };
    let stub = Stub::echoing();
    let authority = Authority::create();
    let tls = authority.sign("site", &["site.test"]).listener();
    let listeners = ["proxy_protocol: true".to_owned(), format!("{tls}, proxy_protocol: true")];
    let edge =
        Front { listeners: &[&listeners[0], &listeners[1]], file: TRUSTED, ..Front::default() }
            .before(stub.address());
    let (plain, secured) = (edge.address(), edge.address_of(1));
    let directory = tempfile::tempdir().expect("a directory");
    let [one, two, through, ended, plain_ended] = free_addresses();
    let bundle = bundle(&authority, directory.path());
    let text = format!(
        "defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 20s\n  timeout server 20s\n\
         listen one\n  bind {one}\n  server edge {plain} send-proxy\n\
         listen two\n  bind {two}\n  server edge {plain} send-proxy-v2\n\
         listen through\n  bind {through}\n  server edge {secured} send-proxy-v2\n\
         listen ended\n  bind {ended} ssl crt {bundle}\n  server edge {plain} send-proxy-v2-ssl-cn\n\
         listen plain_ended\n  bind {plain_ended}\n  server edge {plain} send-proxy-v2-ssl\n"
    );
    let file = directory.path().join("haproxy.cfg");
    std::fs::write(&file, text).expect("a file");
    let mut command = Command::new(haproxy);
    let command = command.args(["-db", "-q", "-f"]).arg(&file);
    let _proxy = Proxy::start(command, &[one, two, through, ended, plain_ended]);

    for (what, address) in [("v1", one), ("v2", two), ("v2-ssl without TLS", plain_ended)] {
        let mut client = client_from(77, address);
        let port = client.local_address().port();
        for _ in 0..2 {
            let got = client.get_with("/", "X-Forwarded-For: 6.6.6.6\r\n").text();
            assert_eq!(values(&got, "x-forwarded-for"), ["127.0.0.77"], "{what}: {got}");
            assert_eq!(values(&got, "x-forwarded-proto"), ["http"], "{what}: {got}");
        }
        let logged = wait_for("its line", || {
            edge.access_log().into_iter().find(|line| line["client.port"] == port)
        });
        assert_eq!(logged["client.ip"], "127.0.0.77", "{what}: {logged}");
    }
    let tls = Tls::trusting(&authority, Offer::default());
    for (what, address) in [("TLS that we end", through), ("TLS that HAProxy ends", ended)] {
        let socket = connect_from(78, address, None);
        let mut session = tls.handshake_over(socket, "site.test").expect("a handshake");
        let got = session.get("/").expect("an answer");
        assert_eq!(values(&got, "x-forwarded-for"), ["127.0.0.78"], "{what}: {got}");
        assert_eq!(values(&got, "x-forwarded-proto"), ["https"], "{what}: {got}");
    }
}

/// HAProxy's health checks say LOCAL: they are the proxy's own.
#[test]
fn haproxy_checks() {
    let Some(haproxy) = programs::find("haproxy") else {
        return;
    };
    let stub = Stub::ok();
    let edge = super::edge(&stub, "");
    let directory = tempfile::tempdir().expect("a directory");
    let [address] = free_addresses();
    let text = format!(
        "defaults\n  mode http\n  timeout connect 5s\n  timeout client 20s\n  timeout server 20s\n\
         listen one\n  bind {address}\n  option httpchk\n  http-check send meth GET uri /check hdr Host a\n  \
         server edge {} send-proxy-v2 check inter 200ms check-send-proxy\n",
        edge.address()
    );
    let file = directory.path().join("haproxy.cfg");
    std::fs::write(&file, text).expect("a file");
    let mut command = Command::new(haproxy);
    let _proxy = Proxy::start(command.args(["-db", "-q", "-f"]).arg(&file), &[address]);
    let line = wait_for("a check", || {
        edge.access_log().into_iter().find(|line| line["url.path"] == "/check")
    });
    assert_eq!(line["http.response.status_code"], 200, "{line}");
    assert_eq!(line["client.ip"], "127.0.0.1", "the proxy itself: {line}");
}

#[test]
fn nginx_tells() {
    let module = "/usr/lib/nginx/modules/ngx_stream_module.so";
    let (Some(nginx), true) = (programs::find("nginx"), Path::new(module).exists()) else {
        eprintln!("skipped: nginx with its stream module is not installed");
        return;
    };
    let stub = Stub::echoing();
    let authority = Authority::create();
    let tls = authority.sign("site", &["site.test"]).listener();
    let listeners = ["proxy_protocol: true".to_owned(), format!("{tls}, proxy_protocol: true")];
    let edge =
        Front { listeners: &[&listeners[0], &listeners[1]], file: TRUSTED, ..Front::default() }
            .before(stub.address());
    let directory = tempfile::tempdir().expect("a directory");
    let [plain, through] = free_addresses();
    let text = format!(
        "load_module {module};\ndaemon off;\nmaster_process off;\npid nginx.pid;\nerror_log stderr;\n\
         events {{}}\nstream {{\n  proxy_protocol on;\n  \
         server {{ listen {plain}; proxy_pass {}; }}\n  server {{ listen {through}; proxy_pass {}; }}\n}}\n",
        edge.address(),
        edge.address_of(1)
    );
    let file = directory.path().join("nginx.conf");
    std::fs::write(&file, text).expect("a file");
    let mut command = Command::new(nginx);
    let command = command.arg("-p").arg(directory.path()).arg("-c").arg(&file);
    let _proxy = Proxy::start(command, &[plain, through]);
    let got = client_from(79, plain).get("/").text();
    assert_eq!(values(&got, "x-forwarded-for"), ["127.0.0.79"], "{got}");
    let socket = connect_from(80, through, None);
    let tls = Tls::trusting(&authority, Offer::default());
    let mut session = tls.handshake_over(socket, "site.test").expect("a handshake");
    let got = session.get("/").expect("an answer");
    assert_eq!(values(&got, "x-forwarded-for"), ["127.0.0.80"], "{got}");
}
