//! A name server for one name, over UDP on loopback, that answers as a test says (RFC 1035 §4).

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What the name is.
#[derive(Debug, Clone)]
pub enum Answer {
    /// These addresses, for so long. There are never IPv6 addresses.
    Addresses(Vec<Ipv4Addr>, Duration),
    /// There is no such name.
    NoSuchName,
    /// The question is left unanswered.
    Nothing,
}

/// A running name server.
pub struct NameServer {
    address: SocketAddr,
    answer: Arc<Mutex<Answer>>,
    asked: Arc<AtomicUsize>,
}

const TYPE_A: [u8; 2] = [0, 1];
const CLASS_IN: [u8; 2] = [0, 1];
/// A reference to the name of the question, which begins after the header (RFC 1035 §4.1.4).
const SAME_NAME: [u8; 2] = [0xC0, 12];
/// A response that was asked to be recursive and is.
const RECURSIVE: u8 = 0x81;
const NO_ERROR: u8 = 0x80;
const NAME_ERROR: u8 = 0x83;

impl NameServer {
    pub fn start(answer: Answer) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let address = socket.local_addr().expect("its address");
        let (answer, asked) = (Arc::new(Mutex::new(answer)), Arc::new(AtomicUsize::new(0)));
        let (now, counter) = (Arc::clone(&answer), Arc::clone(&asked));
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok((length, client)) = socket.recv_from(&mut buffer) {
                counter.fetch_add(1, Ordering::SeqCst);
                let answer = now.lock().expect("an answer").clone();
                if let Some(reply) = reply(&buffer[..length], &answer) {
                    let _ = socket.send_to(&reply, client);
                }
            }
        });
        Self { address, answer, asked }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on the name is this.
    pub fn say(&self, answer: Answer) {
        *self.answer.lock().expect("an answer") = answer;
    }

    /// How many questions came so far.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

/// The message that answers `question`; nothing when there is to be none.
fn reply(question: &[u8], answer: &Answer) -> Option<Vec<u8>> {
    let (addresses, ttl, code) = match answer {
        Answer::Addresses(addresses, ttl) => (addresses.as_slice(), *ttl, NO_ERROR),
        Answer::NoSuchName => (&[][..], Duration::ZERO, NAME_ERROR),
        Answer::Nothing => return None,
    };
    let name = question.get(12..)?.iter().position(|byte| *byte == 0)? + 1;
    let asked = question.get(12..12 + name + 4)?;
    let addresses = if asked[name..].starts_with(&TYPE_A) { addresses } else { &[] };
    let count = u8::try_from(addresses.len()).ok()?;
    let ttl = u32::try_from(ttl.as_secs()).ok()?.to_be_bytes();

    // The id, the flags, and how many questions, answers, authorities and additional records there are.
    let mut reply = [&question[..2], &[RECURSIVE, code, 0, 1, 0, count, 0, 0, 0, 0]].concat();
    reply.extend(asked);
    for address in addresses {
        reply.extend([SAME_NAME, TYPE_A, CLASS_IN].concat());
        reply.extend(ttl);
        reply.extend([0, 4]);
        reply.extend(address.octets());
    }
    Some(reply)
}
