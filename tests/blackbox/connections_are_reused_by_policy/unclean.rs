//! After an exchange that did not end cleanly a connection is closed by FIN and serves nobody.

use crate::support::client::Client;
use crate::support::pool::Pool;
use crate::support::stub::{Accepted, Stub};
use crate::support::wait_for;

/// What happens in the first exchange of a connection.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Unclean {
    /// The answer comes while the client still sends the body.
    EarlyAnswer,
    /// More bytes follow the answer.
    ExtraBytes,
    /// The answer ends with the connection.
    UntilClose,
    /// The worker says that it will close.
    AnnouncedClose,
    /// HTTP/1.0 does not keep connections.
    OldVersion,
    /// The client leaves in the middle of the answer.
    ClientLeaves,
    /// The app failed: Uvicorn closes then, and does not say so.
    Failure,
    /// The app gave a body to a status that has none: Uvicorn closes then, or sends it.
    NoContent,
    /// The app goes on with the body that is not sent.
    Head,
}

const ALL: [Unclean; 9] = [
    Unclean::EarlyAnswer,
    Unclean::ExtraBytes,
    Unclean::UntilClose,
    Unclean::AnnouncedClose,
    Unclean::OldVersion,
    Unclean::ClientLeaves,
    Unclean::Failure,
    Unclean::NoContent,
    Unclean::Head,
];

/// Answers every request with the number of its connection, the first one of all uncleanly.
fn serve(unclean: Unclean, mut accepted: Accepted) {
    let number = accepted.number;
    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n{number}");
    if number == 0 {
        accepted.request_head();
        match unclean {
            Unclean::EarlyAnswer => {
                accepted.send(&answer);
            }
            Unclean::ExtraBytes => {
                accepted.send(format!("{answer}{answer}"));
            }
            Unclean::UntilClose => {
                accepted.send("HTTP/1.1 200 OK\r\n\r\n0");
                return accepted.close();
            }
            Unclean::AnnouncedClose => {
                let head = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 1\r\n\r\n";
                accepted.send(format!("{head}0"));
            }
            Unclean::OldVersion => {
                accepted.send("HTTP/1.0 200 OK\r\ncontent-length: 1\r\n\r\n0");
            }
            Unclean::ClientLeaves => {
                accepted.send("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf");
            }
            Unclean::Failure => {
                accepted.send("HTTP/1.1 500 Oops\r\ncontent-length: 1\r\n\r\n0");
            }
            Unclean::NoContent => {
                accepted.send("HTTP/1.1 204 No Content\r\ncontent-length: 4\r\n\r\n");
            }
            Unclean::Head => {
                accepted.send("HTTP/1.1 200 OK\r\n\r\n");
            }
        }
    }
    while accepted.request().is_some() {
        accepted.send(&answer);
    }
}

/// The exchange that goes wrong.
fn first_exchange(unclean: Unclean, client: &mut Client) {
    match unclean {
        Unclean::EarlyAnswer => {
            client.send("POST / HTTP/1.1\r\nHost: a\r\ncontent-length: 100\r\n\r\nsome of it");
            assert_eq!(client.response().text(), "0", "{unclean:?}");
        }
        Unclean::ClientLeaves => {
            client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
            assert!(client.head().is_some(), "{unclean:?}: the answer begins");
            client.finish();
        }
        Unclean::NoContent => assert_eq!(client.get("/").status, 204, "{unclean:?}"),
        Unclean::Head => {
            client.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
            assert_eq!(client.head().map(|(status, _)| status), Some(200), "{unclean:?}");
        }
        _ => assert_eq!(client.get("/").text(), "0", "{unclean:?}"),
    }
}

#[test]
fn it_serves_nobody_after_an_unclean_end() {
    for unclean in ALL {
        let stub = Stub::start(move |accepted| serve(unclean, accepted));
        let edge = Pool::with("connections: { prewarm: 0 }").before(&[stub.address()]);
        let mut client = edge.connect();
        first_exchange(unclean, &mut client);
        drop(client);
        wait_for("the first exchange to end", || (edge.access_log().len() == 1).then_some(()));
        let mut client = edge.connect();
        for _ in 0..3 {
            assert_eq!(client.get("/").text(), "1", "{unclean:?}: over another connection");
            assert_eq!(client.post("/", "body").text(), "1", "{unclean:?}: which is kept");
        }
        assert_eq!(stub.accepted(), 2, "{unclean:?}");
    }
}

/// Whoever ends a connection to a worker does so by FIN: a reset would meet a worker that has not accepted it yet.
#[test]
fn it_is_closed_by_fin() {
    for unclean in ALL {
        let (tell, told) = std::sync::mpsc::channel();
        let tell = std::sync::Mutex::new(tell);
        let stub = Stub::start(move |mut accepted| {
            accepted.request_head();
            match unclean {
                Unclean::UntilClose | Unclean::ClientLeaves => {
                    accepted.send("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf");
                }
                Unclean::AnnouncedClose => {
                    let head = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 1\r\n\r\n";
                    accepted.send(format!("{head}0"));
                }
                Unclean::Failure => {
                    accepted.send("HTTP/1.1 500 Oops\r\ncontent-length: 1\r\n\r\n0");
                }
                Unclean::NoContent | Unclean::Head => {
                    accepted.send("HTTP/1.1 204 No Content\r\ncontent-length: 4\r\n\r\n");
                }
                _ => {
                    accepted.send("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n0extra");
                }
            }
            let fin = accepted.wait_for_fin();
            tell.lock().expect("the sender").send(fin).expect("told");
        });
        let edge = Pool::with("connections: { prewarm: 0 }").before(&[stub.address()]);
        let mut client = edge.connect();
        match unclean {
            Unclean::EarlyAnswer => {
                client.send("POST / HTTP/1.1\r\nHost: a\r\ncontent-length: 100\r\n\r\nsome of it");
            }
            _ => client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        }
        assert!(client.head().is_some(), "{unclean:?}: the answer begins");
        drop(client);
        let fin = told.recv_timeout(crate::support::PATIENCE).expect("the edge closes");
        assert!(fin, "{unclean:?}: by FIN");
    }
}
