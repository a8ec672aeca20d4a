//! Which certificate a client is shown.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::SignatureScheme;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::certificate::Certificate;
use crate::pki::Name;

/// The certificates of a listener, which may be exchanged while handshakes are under way.
#[derive(Debug)]
pub struct Store(ArcSwap<Table>);

impl Store {
    pub fn new(table: Table) -> Self {
        Self(ArcSwap::from_pointee(table))
    }

    /// Shows these from now on.
    pub fn replace(&self, table: Table) {
        self.0.store(Arc::new(table));
    }
}

impl ResolvesServerCert for Store {
    fn resolve(&self, client: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let table = self.0.load();
        table.find(client.server_name(), client.signature_schemes()).map(|found| found.key())
    }
}

/// Certificates by name. Where several have a name, the one to be preferred comes first, then the order of the
/// configuration counts.
#[derive(Debug)]
pub struct Table {
    exact: HashMap<Box<str>, Vec<Arc<Certificate>>>,
    /// By what follows the first label.
    wildcard: HashMap<Box<str>, Vec<Arc<Certificate>>>,
    /// The first of the configuration, and those with other keys for the same names.
    default: Vec<Arc<Certificate>>,
}

impl Table {
    /// Of `certificates` in the order of the configuration.
    pub fn new(certificates: impl Iterator<Item = Arc<Certificate>>) -> Self {
        let mut table =
            Self { exact: HashMap::new(), wildcard: HashMap::new(), default: Vec::new() };
        for certificate in certificates {
            table.add(&certificate);
        }
        let groups = table.exact.values_mut().chain(table.wildcard.values_mut());
        for group in groups.chain([&mut table.default]) {
            group.sort_by_key(|certificate| certificate.preference());
        }
        table
    }

    fn add(&mut self, certificate: &Arc<Certificate>) {
        for name in &certificate.facts().names {
            let (names, name) = match name {
                Name::Exact(name) => (&mut self.exact, name),
                Name::Wildcard(parent) => (&mut self.wildcard, parent),
                // Nobody asks for an address: SNI has names only (RFC 6066 §3).
                Name::Address(_) => continue,
            };
            names.entry(name.as_str().into()).or_default().push(Arc::clone(certificate));
        }
        if self.default.first().is_none_or(|default| default.is_for_the_same(certificate)) {
            self.default.push(Arc::clone(certificate));
        }
    }

    /// The certificate for a client that asks for `name`, in lower case, and can verify signatures of `schemes`. If none
    /// for that name suits it, one for that name all the same: it says best what is wrong. `None` in an empty table.
    fn find(&self, name: Option<&str>, schemes: &[SignatureScheme]) -> Option<&Arc<Certificate>> {
        let named = || name.into_iter().flat_map(|name| self.named(name));
        let default = || self.default.iter();
        let suits = |certificate: &&Arc<Certificate>| certificate.suits(schemes);
        match named().next() {
            Some(first) => named().find(suits).or(Some(first)),
            None => default().find(suits).or_else(|| default().next()),
        }
    }

    fn named(&self, name: &str) -> impl Iterator<Item = &Arc<Certificate>> {
        // A name may end in a dot for the resolver's sake (RFC 6066 §3 does not want it here).
        let name = name.strip_suffix('.').unwrap_or(name);
        let parent = name.split_once('.').map(|(_, parent)| parent);
        let exact = self.exact.get(name);
        let wildcard = parent.and_then(|parent| self.wildcard.get(parent));
        exact.into_iter().chain(wildcard).flatten()
    }
}
