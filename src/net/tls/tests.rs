//! Against a TLS server on loopback, with certificates that are made anew for each test.

mod server;

use std::future::poll_fn;
use std::io::Write as _;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa};
use rustls::HandshakeKind;
use socket2::SockRef;
use tempfile::NamedTempFile;
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::timeout;

use super::*;
use crate::config::Address;
use server::{Authority, Identity, Server};

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(10);

fn file(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().expect("a file");
    file.write_all(text.as_bytes()).expect("written");
    file
}

fn trusting(ca: &NamedTempFile) -> UpstreamTls {
    UpstreamTls { sni: None, ca: Some(ca.path().to_owned()), verify: true }
}

fn connector(settings: &UpstreamTls) -> Connector {
    Connector::new(settings).expect("settings")
}

#[tokio::test]
async fn a_worker_must_prove_its_name_and_where_it_got_it() {
    let authority = Authority::new("friends");
    let ca = authority.file();
    let strangers = Authority::new("strangers").file();
    let identity = authority.sign(&["app.internal", "127.0.0.1"], |_| ());
    let verified = trusting(&ca);
    let elsewhere = trusting(&strangers);
    let anybody = UpstreamTls { sni: None, ca: None, verify: false };
    let named = UpstreamTls { sni: Some("app.internal".to_owned()), ..verified.clone() };
    let misnamed = UpstreamTls { sni: Some("other.internal".to_owned()), ..verified.clone() };
    let cases = [
        (&verified, "app.internal", None),
        (&verified, "app.internal.", None),
        (&verified, "127.0.0.1", None),
        (&verified, "127.0.0.2", Some("not valid for name")),
        (&verified, "other.internal", Some("not valid for name")),
        (&elsewhere, "app.internal", Some("UnknownIssuer")),
        (&anybody, "other.internal", None),
        (&named, "other.internal", None),
        (&misnamed, "app.internal", Some("not valid for name")),
    ];
    for version in rustls::ALL_VERSIONS {
        let server = Server::start(&identity, &[*version]).await;
        for (settings, host, expected) in cases {
            let what = format!("{:?}: {host} with {settings:?}", version.version);
            let met = server.meet_or_fail(&connector(settings), host).await;
            match expected {
                None => met.unwrap_or_else(|error| panic!("{what}: {error}")),
                Some(reason) => {
                    let error = met.expect_err(&what);
                    assert!(error.contains(reason), "{what}: {error}");
                    assert!(!error.contains('\n'), "{what}: one line: {error}");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_certificate_that_signed_itself_can_be_trusted_unless_it_is_an_authority() {
    let authority = IsCa::Ca(BasicConstraints::Unconstrained);
    for (is_ca, expected) in
        [(IsCa::NoCa, None), (IsCa::ExplicitNoCa, None), (authority, Some("CaUsedAsEndEntity"))]
    {
        let identity = Identity::self_signed(&["app.internal"], is_ca);
        let server = Server::start(&identity, rustls::ALL_VERSIONS).await;
        let connector = connector(&trusting(&identity.file()));
        let refused = server.meet_or_fail(&connector, "app.internal").await.err();
        let told = refused.as_ref().zip(expected).map(|(error, reason)| error.contains(reason));
        assert!(told.unwrap_or(refused.is_none() && expected.is_none()), "{refused:?}");
    }
}

#[tokio::test]
async fn a_certificate_must_hold_today() {
    let authority = Authority::new("friends");
    let ca = authority.file();
    let early =
        |params: &mut CertificateParams| params.not_before = rcgen::date_time_ymd(3000, 1, 1);
    let late = |params: &mut CertificateParams| params.not_after = rcgen::date_time_ymd(2000, 1, 1);
    let not_yet = authority.sign(&["app.internal"], early);
    let expired = authority.sign(&["app.internal"], late);
    for (identity, reason) in [(not_yet, "not valid yet"), (expired, "expired")] {
        let server = Server::start(&identity, rustls::ALL_VERSIONS).await;
        let refused = server.meet_or_fail(&connector(&trusting(&ca)), "app.internal").await;
        let error = refused.expect_err(reason);
        assert!(error.contains(reason), "{error}");
    }
}

#[tokio::test]
async fn a_worker_without_tls_is_refused_with_a_reason() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let cases: [(&[u8], &str); 2] =
        [(b"HTTP/1.1 400 Bad Request\r\n\r\n", "InvalidContentType"), (b"", "eof")];
    for (answer, reason) in cases {
        let connector = connector(&UpstreamTls { sni: None, ca: None, verify: false });
        let name = connector.name_for("app.internal").expect("a name");
        let connect = async {
            let stream = Stream::connect(&Address::Tcp(address)).await?;
            connector.connect(stream, &name).await
        };
        let serve = async {
            let (mut socket, _) = listener.accept().await.expect("accepted");
            let mut hello = vec![0; 16 * 1024];
            let _ = socket.read(&mut hello).await.expect("a hello");
            socket.write_all(answer).await.expect("answered");
        };
        let (refused, ()) =
            timeout(LONG, async { tokio::join!(connect, serve) }).await.expect("in time");
        let error = refused.expect_err(reason).to_string();
        assert!(error.contains(reason), "{error}");
    }
}

/// Waits until `check` says so, at most [`LONG`].
async fn until(what: &str, mut check: impl FnMut() -> bool) {
    let checked = timeout(LONG, async {
        while !check() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    checked.await.unwrap_or_else(|_| panic!("{what}: not in time"));
}

fn unread(stream: &Stream) -> usize {
    let Stream::Tls(session) = stream else {
        panic!("it is TLS");
    };
    let mut bytes = [MaybeUninit::uninit(); 64 * 1024];
    SockRef::from(session.socket()).peek(&mut bytes).unwrap_or_default()
}

#[tokio::test]
async fn session_tickets_leave_a_connection_quiet() {
    let authority = Authority::new("friends");
    let server = authority.server(&["app.internal"]).await;
    let connector = connector(&trusting(&authority.file()));
    for (look, how) in LOOKS {
        let (mut client, mut served) = server.meet(&connector, "app.internal").await.expect("met");
        // A server of rustls sends its tickets behind the handshake.
        until("tickets", || unread(&client) > 0).await;
        client.readable_socket().await;
        assert!(look(&mut client), "{how}: tickets are not for us");
        assert_eq!(unread(&client), 0, "{how}: they were taken in");
        assert!(look(&mut client), "{how}: still quiet");
        served.write_all(b"x").await.expect("sent");
        served.flush().await.expect("sent");
        until("a byte", || unread(&client) > 0).await;
        client.readable_socket().await;
        assert!(!look(&mut client), "{how}: a byte");
        assert!(!look(&mut client), "{how}: which nobody took");
        let mut byte = [0];
        client.read_exact(&mut byte).await.expect("it is still there");
        assert_eq!(&byte, b"x", "{how}: the byte");
        assert!(look(&mut client), "{how}: quiet again");
    }
}

type Look = fn(&mut Stream) -> bool;
const LOOKS: [(Look, &str); 2] = [(Stream::is_quiet, "kernel"), (Stream::seems_quiet, "notes")];

impl Stream {
    /// Waits until the runtime has noted that something arrived.
    async fn readable_socket(&self) {
        let Stream::Tls(session) = self else {
            panic!("it is TLS");
        };
        timeout(LONG, session.socket().readable()).await.expect("in time").expect("readable");
    }
}

#[tokio::test]
async fn the_end_of_a_connection_is_not_quiet() {
    let authority = Authority::new("friends");
    let server = authority.server(&["app.internal"]).await;
    let connector = connector(&trusting(&authority.file()));
    for (look, how) in LOOKS {
        let (mut client, mut served) = server.meet(&connector, "app.internal").await.expect("met");
        assert!(look(&mut client), "{how}: open");
        served.shutdown().await.expect("close_notify and FIN");
        until("close_notify", || !look(&mut client)).await;
        let mut rest = Vec::new();
        client.read_to_end(&mut rest).await.expect("an orderly end");

        let (mut client, served) = server.meet(&connector, "app.internal").await.expect("met");
        let (socket, _) = served.into_inner();
        drop(socket);
        until("FIN", || !look(&mut client)).await;
        let cut = client.read_to_end(&mut rest).await.expect_err("without close_notify");
        assert_eq!(cut.kind(), io::ErrorKind::UnexpectedEof, "{how}: cut off, not ended");

        let (mut client, served) = server.meet(&connector, "app.internal").await.expect("met");
        SockRef::from(served.get_ref().0).set_linger(Some(Duration::ZERO)).expect("set");
        drop(served);
        until("reset", || !look(&mut client)).await;
    }
}

#[tokio::test]
async fn what_could_not_be_sent_at_once_goes_out_while_the_answer_is_waited_for() {
    let authority = Authority::new("friends");
    let server = authority.server(&["app.internal"]).await;
    let connector = connector(&trusting(&authority.file()));
    let (mut client, mut served) = server.meet(&connector, "app.internal").await.expect("met");
    let piece = [b'x'; 1024];
    let mut taken = 0;
    // Until neither the sockets nor TLS take any more.
    while let Poll::Ready(written) =
        poll_fn(|cx| Poll::Ready(Pin::new(&mut client).poll_write(cx, &piece))).await
    {
        taken += written.expect("open");
    }
    let serve = async {
        let mut got = vec![0; taken];
        served.read_exact(&mut got).await.expect("all of it");
        served.write_all(b"ok").await.expect("answered");
        served.flush().await.expect("answered");
    };
    let mut answer = [0; 2];
    let exchanged = timeout(LONG, async { tokio::join!(client.read_exact(&mut answer), serve) });
    exchanged.await.expect("in time").0.expect("answered");
    assert_eq!(&answer, b"ok", "the answer");
}

#[tokio::test]
async fn a_close_is_an_orderly_end_and_a_reset_is_not() {
    let authority = Authority::new("friends");
    let server = authority.server(&["app.internal"]).await;
    let connector = connector(&trusting(&authority.file()));
    let mut rest = Vec::new();
    let (mut client, mut served) = server.meet(&connector, "app.internal").await.expect("met");
    client.shutdown().await.expect("close_notify and FIN");
    served.read_to_end(&mut rest).await.expect("an orderly end");

    let (client, mut served) = server.meet(&connector, "app.internal").await.expect("met");
    client.reset_on_close();
    drop(client);
    let broken = served.read_to_end(&mut rest).await.expect_err("a reset");
    assert_eq!(broken.kind(), io::ErrorKind::ConnectionReset, "{broken}");
}

#[tokio::test]
async fn a_session_is_resumed() {
    let authority = Authority::new("friends");
    let server = authority.server(&["app.internal"]).await;
    let connector = connector(&trusting(&authority.file()));
    for expected in [HandshakeKind::Full, HandshakeKind::Resumed] {
        let (mut client, served) = server.meet(&connector, "app.internal").await.expect("met");
        assert_eq!(served.get_ref().1.handshake_kind(), Some(expected), "the server's word");
        until("tickets", || unread(&client) > 0).await;
        assert!(client.is_quiet(), "and nothing else");
    }
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let nonsense = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let broken = "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n";
    for (text, expected) in [
        ("no certificates", "nothing in it begins with"),
        (nonsense, "is of no use as an authority"),
        (broken, "broken"),
    ] {
        let ca = file(text);
        let error = Connector::new(&trusting(&ca)).err().expect(expected).to_string();
        assert!(error.contains(expected), "{error}");
        assert!(error.contains(&ca.path().display().to_string()), "it names the file: {error}");
    }
    let gone = UpstreamTls { sni: None, ca: Some("no/such/file.pem".into()), verify: true };
    let error = Connector::new(&gone).err().expect("no such file").to_string();
    assert!(error.starts_with("no/such/file.pem: cannot be read: "), "{error}");
    let misnamed = UpstreamTls { sni: Some("a b".to_owned()), ca: None, verify: false };
    let error = Connector::new(&misnamed).err().expect("no such name").to_string();
    assert_eq!(error, "`a b` is neither a DNS name nor an IP address");
}

#[test]
fn the_system_says_whom_it_trusts_or_why_nobody() {
    match Connector::new(&UpstreamTls { sni: None, ca: None, verify: true }) {
        Ok(_) | Err(TlsError::NoSystemRoots { .. }) => {}
        Err(other) => panic!("neither authorities nor a reason: {other}"),
    }
}
