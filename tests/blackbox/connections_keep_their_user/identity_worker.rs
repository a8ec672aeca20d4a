//! A worker whose connections belong to whoever authenticated on them.

use crate::support::stub::{Accepted, Stub};

/// How a client says who it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Handshake {
    /// `Authorization: NTLM hello`, answered by 401 with a challenge, then `Authorization: NTLM user:NAME`.
    Ntlm,
    /// `Authorization: Negotiate user:NAME` at once; the answer says nothing of it (RFC 4559 allows that).
    NegotiateUnasked,
    /// `X-Auth: user:NAME`, of which a proxy knows nothing.
    Unnoticed,
}

impl Handshake {
    /// The header line with the client's last word.
    pub fn proof(self, user: usize) -> String {
        let header = match self {
            Self::Ntlm => "Authorization: NTLM",
            Self::NegotiateUnasked => "Authorization: Negotiate",
            Self::Unnoticed => "X-Auth:",
        };
        format!("{header} user:{user}\r\n")
    }
}

/// Starts one that answers every request with the user of its connection, `nobody` before there is one.
pub fn start(handshake: Handshake) -> Stub {
    Stub::start(move |accepted| serve(handshake, accepted))
}

fn serve(handshake: Handshake, mut accepted: Accepted) {
    let mut user = "nobody".to_owned();
    let mut is_challenged = false;
    while let Some(request) = accepted.request() {
        let token = token(&request);
        let (status, header) = match token {
            Some("hello") => {
                is_challenged = true;
                (401, "www-authenticate: NTLM challenge\r\n")
            }
            // The proof answers a challenge of this very connection.
            Some(_) if handshake == Handshake::Ntlm && !is_challenged => {
                (401, "www-authenticate: NTLM\r\n")
            }
            Some(proof) => {
                proof.trim_start_matches("user:").clone_into(&mut user);
                (200, "")
            }
            None => (200, ""),
        };
        let length = user.len();
        let answer =
            format!("HTTP/1.1 {status} So\r\n{header}content-length: {length}\r\n\r\n{user}");
        if !accepted.send(answer) {
            return;
        }
    }
}

/// What the client says of itself in this request.
fn token(request: &str) -> Option<&str> {
    request.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let is_ours = ["authorization", "x-auth"].contains(&name.to_lowercase().as_str());
        is_ours.then(|| value.rsplit(' ').next())?
    })
}
