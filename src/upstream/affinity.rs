//! Affinity: which worker a client belongs to, said by a cookie that only asgate can make.
//!
//! The cookie is a code over the names of upstream and worker under a secret key (HMAC-SHA-256, RFC 2104): it tells
//! nobody which worker it means or how many there are, and a made-up one means nothing. The name of a worker outlives its
//! processes, and so does the cookie.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;

use crate::config;

/// Bytes of a code that are kept: too many to be guessed.
const CODE: usize = 16;

/// How cookies of one upstream are made.
pub struct Affinity {
    cookie: Box<str>,
    key: hmac::Key,
    upstream: Arc<str>,
}

/// What the cookies of the present workers say.
#[derive(Default)]
pub(super) struct Tokens {
    names: HashMap<Arc<str>, Arc<str>>,
    tokens: HashMap<Arc<str>, Arc<str>>,
}

/// The system gives no random numbers.
#[derive(Debug, thiserror::Error)]
#[error("no random numbers for a secret")]
pub struct NoRandomness;

impl Affinity {
    /// # Errors
    /// [`NoRandomness`], where no secret is given.
    pub fn new(settings: &config::Affinity, upstream: &Arc<str>) -> Result<Self, NoRandomness> {
        let key = match &settings.secret {
            Some(secret) => hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()),
            None => hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new())
                .map_err(|_| NoRandomness)?,
        };
        Ok(Self { cookie: settings.cookie.as_str().into(), key, upstream: Arc::clone(upstream) })
    }

    /// The name of the cookie.
    pub fn cookie(&self) -> &str {
        &self.cookie
    }

    /// The value of the cookie for the worker of this name.
    fn token(&self, worker: &str) -> String {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(self.upstream.as_bytes());
        // No name has it.
        context.update(b"\0");
        context.update(worker.as_bytes());
        let code = context.sign();
        code.as_ref().iter().take(CODE).fold(String::with_capacity(2 * CODE), |mut text, byte| {
            // Writing to memory cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}

impl Tokens {
    pub(super) fn new<'a>(affinity: &Affinity, names: impl Iterator<Item = &'a Arc<str>>) -> Self {
        let mut tokens = Self::default();
        for name in names {
            let token: Arc<str> = affinity.token(name).into();
            tokens.names.insert(Arc::clone(&token), Arc::clone(name));
            tokens.tokens.insert(Arc::clone(name), token);
        }
        tokens
    }

    /// The token for the worker of this name.
    pub(super) fn of(&self, name: &str) -> Option<&Arc<str>> {
        self.tokens.get(name)
    }

    /// The name of the worker that `token` is for.
    pub(super) fn worker(&self, token: &str) -> Option<&Arc<str>> {
        self.names.get(token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn affinity(upstream: &str) -> Affinity {
        let settings = config::Affinity { cookie: "c".to_owned(), secret: None };
        Affinity::new(&settings, &upstream.into()).expect("random numbers")
    }

    #[test]
    fn a_cookie_means_its_worker_under_its_key_only() {
        let names: [Arc<str>; 2] = ["1".into(), "2".into()];
        let (ours, theirs) = (affinity("u"), affinity("u"));
        let tokens = Tokens::new(&ours, names.iter());
        assert_eq!(tokens.worker(&ours.token("2")).map(|name| &**name), Some("2"), "its own");
        assert_eq!(tokens.worker(&theirs.token("2")), None, "another key");
        assert_eq!(tokens.worker(&ours.token("3")), None, "nobody of that name");
        assert_eq!(tokens.worker("2"), None, "made up");
        assert_eq!(ours.token("1").len(), 2 * CODE, "as long as it is to be");
    }

    #[test]
    fn upstreams_do_not_take_each_others_cookies() {
        let one = affinity("a");
        let other = Affinity { upstream: "ab".into(), key: one.key.clone(), cookie: "c".into() };
        assert_ne!(one.token("1"), other.token("1"), "the upstream counts");
    }
}
