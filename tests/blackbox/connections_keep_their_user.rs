//! A worker that authenticates connections instead of requests, as IIS does with NTLM, never takes one user for another.
//!
//! Many clients, each of which authenticates its connection once and then asks without saying who it is, with aborts and
//! anonymous visitors between them. The control is the same traffic with a handshake that nobody can notice.

mod crowd;
mod identity_worker;

use crowd::{Crowd, Findings};
use identity_worker::Handshake;

use crate::support::client::Client;
use crate::support::edge::Edge;
use crate::support::http2;
use crate::support::load::soak_seconds;
use crate::support::pool::Pool;
use crate::support::stub::Stub;

/// 10,000 at least, and 100,000 in a soak of 5 minutes.
fn requests() -> usize {
    (soak_seconds() as usize * 334).clamp(10_000, 100_000)
}

fn set_up(handshake: Handshake, keys: &str) -> (Vec<Stub>, Edge) {
    let workers: Vec<_> = (0..2).map(|_| identity_worker::start(handshake)).collect();
    let addresses: Vec<_> = workers.iter().map(Stub::address).collect();
    let edge = Pool::with(keys).before(&addresses);
    (workers, edge)
}

fn ask(handshake: Handshake, keys: &str, requests: usize) -> Findings {
    let (_workers, edge) = set_up(handshake, keys);
    let findings = Crowd { edge: edge.address(), handshake, requests }.ask();
    eprintln!("{handshake:?} {{ {keys} }}: {findings:?}");
    findings
}

/// Nobody was taken for somebody else, and the clients were treated as the users they are.
fn expect_private(findings: &Findings) {
    assert_eq!(findings.somebody_elses, 0, "answered as somebody else: {findings:?}");
    assert_eq!(findings.failed, 0, "not answered at all: {findings:?}");
    assert!(findings.own > findings.asked / 2, "the control: users were known: {findings:?}");
    assert!(findings.anonymous > 0 && findings.aborted > 0, "the control: {findings:?}");
    // A connection to a worker ends now and then, and its client authenticates again.
    assert!(findings.forgotten * 50 < findings.own, "kept for their clients: {findings:?}");
}

#[test]
fn after_an_ntlm_handshake() {
    expect_private(&ask(Handshake::Ntlm, "", requests()));
}

#[test]
fn after_a_negotiate_token_that_nobody_asked_for() {
    expect_private(&ask(Handshake::NegotiateUnasked, "", requests()));
}

#[test]
fn whatever_the_handshake_when_connections_are_not_shared() {
    expect_private(&ask(Handshake::Unnoticed, "connections: { reuse: per_client }", requests()));
}

#[test]
fn the_crowd_notices_shared_connections() {
    let findings = ask(Handshake::Unnoticed, "connections: { reuse: safe }", 2000);
    assert!(findings.somebody_elses > 100, "nearly all are mistaken: {findings:?}");
}

/// The handshake itself takes two requests, which must meet on one connection among others that are idle.
#[test]
fn a_handshake_stays_on_its_connection() {
    let (workers, edge) = set_up(Handshake::Ntlm, "connections: { prewarm: 3 }");
    let mut clients: Vec<Client> = (0..10).map(|_| edge.connect()).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        let challenge = client.get_with("/", "Authorization: NTLM hello\r\n");
        assert_eq!(challenge.status, 401, "{challenge:?}");
        assert_eq!(challenge.header("www-authenticate"), Some("NTLM challenge"), "passed on");
        // In the meantime, others ask.
        assert_eq!(edge.connect().get("/").text(), "nobody");
        let proof = format!("Authorization: NTLM user:{number}\r\n");
        let welcome = client.get_with("/", &proof);
        assert_eq!((welcome.status, welcome.text()), (200, number.to_string()), "{welcome:?}");
    }
    for _ in 0..3 {
        for (number, client) in clients.iter_mut().enumerate().rev() {
            assert_eq!(client.get("/").text(), number.to_string(), "without a word");
            assert_eq!(client.post("/", "body").text(), number.to_string(), "and with a body");
        }
    }
    drop(clients);
    for _ in 0..20 {
        assert_eq!(edge.connect().get("/").text(), "nobody", "what they leave is nobody's");
    }
    drop(workers);
}

/// The streams of one HTTP/2 connection are one client's; those of another one are not.
#[test]
fn over_http2_too() {
    let (_workers, edge) = set_up(Handshake::NegotiateUnasked, "");
    let answers = http2::run(
        edge.address(),
        "\
ask = lambda client, headers=(): client.answer(client.open('GET', '/', headers))['body']
other = Http2(int(sys.argv[1]))
answers = []
for number in range(20):
    ask(c, [('authorization', 'Negotiate user:7')])
    answers.append([ask(c), ask(other)])
c.socket.close()
answers.append(['7', ask(other)])
answers.append(['7', ask(Http2(int(sys.argv[1])))])
tell(answers)",
    );
    for answer in answers.as_array().expect("answers") {
        assert_eq!(answer[1], "nobody", "the other client is nobody: {answers}");
        assert_eq!(answer[0], "7", "and the user is itself: {answers}");
    }
}
