//! A name server on loopback that answers as it is told (RFC 1035 section 4), over UDP.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::net::UdpSocket;
use tokio_util::task::AbortOnDropHandle;

/// What is said about one type of record of every name.
#[derive(Debug, Clone)]
pub enum Says {
    /// Addresses, and the seconds that they are good for.
    Records(Vec<IpAddr>, u32),
    NoSuchName,
    ServerFailure,
    Nothing,
}

/// A type of record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Type {
    A = 1,
    Aaaa = 28,
}

type Script = Arc<Mutex<HashMap<u16, Says>>>;

pub struct NameServer {
    address: SocketAddr,
    script: Script,
    questions: Arc<Mutex<Vec<String>>>,
    _serving: AbortOnDropHandle<()>,
}

impl NameServer {
    /// Says that there is no such name until told otherwise.
    pub async fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
        let address = socket.local_addr().expect("bound");
        let script = Script::default();
        let questions = Arc::default();
        let serving = tokio::spawn(serve(socket, Arc::clone(&script), Arc::clone(&questions)));
        Self { address, script, questions, _serving: AbortOnDropHandle::new(serving) }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn says(&self, about: Type, what: Says) {
        self.script.lock().insert(about as u16, what);
    }

    /// The names that it was asked for.
    pub fn questions(&self) -> Vec<String> {
        self.questions.lock().clone()
    }
}

async fn serve(socket: UdpSocket, script: Script, questions: Arc<Mutex<Vec<String>>>) {
    let mut datagram = [0; 1500];
    while let Ok((length, peer)) = socket.recv_from(&mut datagram).await {
        let (name, record_type, question) = parse(&datagram[..length]);
        questions.lock().push(name);
        let said = script.lock().get(&record_type).cloned().unwrap_or(Says::NoSuchName);
        if let Some(answer) = answer(&datagram[..2], question, &said) {
            socket.send_to(&answer, peer).await.expect("loopback");
        }
    }
}

/// The name of the question, its type, and its bytes.
fn parse(query: &[u8]) -> (String, u16, &[u8]) {
    let mut at = 12;
    let mut name = String::new();
    while query[at] != 0 {
        let label = &query[at + 1..=at + usize::from(query[at])];
        name += &String::from_utf8_lossy(label).to_lowercase();
        name.push('.');
        at += 1 + label.len();
    }
    let record_type = u16::from_be_bytes([query[at + 1], query[at + 2]]);
    (name, record_type, &query[12..at + 5])
}

fn answer(id: &[u8], question: &[u8], said: &Says) -> Option<Vec<u8>> {
    let none = Vec::new();
    let (code, addresses, ttl): (u8, &Vec<IpAddr>, u32) = match said {
        Says::Records(addresses, ttl) => (0, addresses, *ttl),
        Says::ServerFailure => (2, &none, 0),
        Says::NoSuchName => (3, &none, 0),
        Says::Nothing => return None,
    };
    let count = u8::try_from(addresses.len()).expect("few");
    let mut bytes = id.to_vec();
    // A response, recursion desired and available.
    bytes.extend([0x81, 0x80 | code, 0, 1, 0, count, 0, 0, 0, 0]);
    bytes.extend(question);
    for address in addresses {
        let (record_type, data) = match address {
            IpAddr::V4(ip) => (Type::A, ip.octets().to_vec()),
            IpAddr::V6(ip) => (Type::Aaaa, ip.octets().to_vec()),
        };
        // The name of the question, by its place.
        bytes.extend([0xc0, 12, 0, record_type as u8, 0, 1]);
        bytes.extend(ttl.to_be_bytes());
        bytes.extend([0, u8::try_from(data.len()).expect("few")]);
        bytes.extend(data);
    }
    Some(bytes)
}
