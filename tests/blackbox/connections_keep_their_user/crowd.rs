//! Clients by the dozen: each authenticates its connections, asks without a word, leaves in the middle, comes back.

use std::net::SocketAddr;
use std::ops::AddAssign;
use std::thread::spawn;

use socket2::SockRef;

use super::identity_worker::Handshake;
use crate::support::client::Client;

const USERS: usize = 12;

/// Traffic to come.
#[derive(Clone, Copy)]
pub struct Crowd {
    pub edge: SocketAddr,
    pub handshake: Handshake,
    /// Of all clients, about.
    pub requests: usize,
}

/// What the answers said.
#[derive(Debug, Default)]
pub struct Findings {
    /// Requests sent.
    pub asked: usize,
    /// Answered as the user who asked.
    pub own: usize,
    /// Asked by nobody and answered so.
    pub anonymous: usize,
    /// Asked by a user and answered as nobody: the connection to the worker was another one.
    pub forgotten: usize,
    /// Answered as another user, or as some user where nobody asked.
    pub somebody_elses: usize,
    /// Left without waiting for the answer.
    pub aborted: usize,
    /// Not answered.
    pub failed: usize,
}

impl AddAssign for Findings {
    fn add_assign(&mut self, other: Self) {
        self.asked += other.asked;
        self.own += other.own;
        self.anonymous += other.anonymous;
        self.forgotten += other.forgotten;
        self.somebody_elses += other.somebody_elses;
        self.aborted += other.aborted;
        self.failed += other.failed;
    }
}

impl Crowd {
    /// Sends it all.
    pub fn ask(self) -> Findings {
        let clients: Vec<_> =
            (0..USERS).map(|user| spawn(move || Visitor::new(self, user).visit())).collect();
        let mut findings = Findings::default();
        for client in clients {
            findings += client.join().expect("a client ends");
        }
        findings
    }
}

/// One user's program.
struct Visitor {
    crowd: Crowd,
    user: usize,
    dice: u64,
    findings: Findings,
}

impl Visitor {
    fn new(crowd: Crowd, user: usize) -> Self {
        Self { crowd, user, dice: user as u64 + 1, findings: Findings::default() }
    }

    /// Connection after connection, every fourth of them without saying who it is.
    fn visit(mut self) -> Findings {
        while self.findings.asked < self.crowd.requests / USERS {
            let mut client = Client::connect(self.crowd.edge);
            let is_anonymous = self.roll(4) == 0;
            let mut is_known = false;
            for _ in 0..1 + self.roll(20) {
                if self.roll(25) == 0 {
                    self.abort(client);
                    break;
                }
                if !is_anonymous && !is_known {
                    self.greet(&mut client);
                }
                let header = if is_anonymous || is_known { String::new() } else { self.proof() };
                let body = self.roll(2) == 0;
                let Some(name) = self.exchange(&mut client, &header, body) else { break };
                is_known = self.note(&name, is_anonymous);
                if self.roll(10) == 0 {
                    self.pipeline(&mut client, is_known, is_anonymous);
                }
            }
        }
        self.findings
    }

    fn proof(&self) -> String {
        self.crowd.handshake.proof(self.user)
    }

    /// The first word of a handshake that has two.
    fn greet(&mut self, client: &mut Client) {
        if self.crowd.handshake == Handshake::Ntlm {
            self.exchange(client, "Authorization: NTLM hello\r\n", false);
        }
    }

    /// One request and its answer: the user that the worker took it for.
    fn exchange(&mut self, client: &mut Client, header: &str, body: bool) -> Option<String> {
        self.findings.asked += 1;
        let request = if body {
            format!("POST / HTTP/1.1\r\nHost: a\r\n{header}content-length: 4\r\n\r\nbody")
        } else {
            format!("GET / HTTP/1.1\r\nHost: a\r\n{header}\r\n")
        };
        let response = client.try_send(request).then(|| client.try_response_to("GET")).flatten();
        let response = response.filter(|it| it.complete && [200, 401].contains(&it.status));
        if response.is_none() {
            self.findings.failed += 1;
        }
        response.map(|response| response.text())
    }

    /// Two requests at once, which say nothing of the user.
    fn pipeline(&mut self, client: &mut Client, is_known: bool, is_anonymous: bool) {
        self.findings.asked += 2;
        client.try_send("GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(2));
        for _ in 0..2 {
            match client.try_response_to("GET").filter(|response| response.complete) {
                Some(response) => _ = self.note(&response.text(), is_anonymous || !is_known),
                None => self.findings.failed += 1,
            }
        }
    }

    /// Judges an answer; whether the connection is known as this user's from now on.
    fn note(&mut self, name: &str, is_anonymous: bool) -> bool {
        let is_own = name == self.user.to_string();
        let finding = match (name == "nobody", is_own, is_anonymous) {
            (true, _, true) => &mut self.findings.anonymous,
            (true, _, false) => &mut self.findings.forgotten,
            (false, true, false) => &mut self.findings.own,
            (false, _, _) => &mut self.findings.somebody_elses,
        };
        *finding += 1;
        is_own && !is_anonymous
    }

    /// Leaves with a request under way, by FIN or by a reset.
    fn abort(&mut self, mut client: Client) {
        self.findings.asked += 1;
        self.findings.aborted += 1;
        let header = if self.roll(2) == 0 { self.proof() } else { String::new() };
        client.try_send(format!("GET / HTTP/1.1\r\nHost: a\r\n{header}\r\n"));
        if self.roll(2) == 0 {
            let linger = SockRef::from(&client.stream).set_linger(Some(std::time::Duration::ZERO));
            linger.expect("its close is a reset");
        }
    }

    /// A number below `sides` (Knuth's MMIX generator: the same numbers in each run).
    fn roll(&mut self, sides: u64) -> u64 {
        self.dice = self.dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.dice >> 33) % sides
    }
}
