//! `listeners[].tls`: certificates, versions, client certificates, and what browsers are told.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::super::units::{OrOff, Span};
use super::{SecretText, seconds};

/// TLS 1.2 and 1.3 on a listener. Files are read again when they change; connections go on, and while
/// a new file is broken the old one stays in use.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ListenerTls {
    /// Certificates with their keys; at least one. The names that each is for are read from it, and a
    /// client gets the one for the name that it asks for (SNI): an exact name before a wildcard, and of
    /// several for the same name the first whose kind of key the client can use, ECDSA before RSA. The
    /// first in the list is also for clients that ask for a name that no certificate has, or for none.
    #[schemars(extend("x-required" = true))]
    pub certificates: Vec<Certificate>,

    /// The oldest version that is spoken. With `"1.3"` clients from before 2018 or so are left out.
    pub min_version: TlsVersion,

    /// Certificates of clients. Without this section they are not asked for.
    pub client_auth: Option<ClientAuth>,

    /// From the connection, or the end of its `proxy_protocol` header, to the end of the handshake. A
    /// client that is slower is cut off.
    pub handshake_timeout: Span,

    /// Handshakes under way at once, from the client's first message on; one more waits for its place, at
    /// most until `handshake_timeout`. Whoever begins handshakes and does not go on takes places from
    /// others: what one address can take is bounded by `max_connections_per_address`.
    #[schemars(range(min = 1))]
    pub max_handshakes: u32,

    /// Tell browsers never to come here without TLS (`Strict-Transport-Security`): `hsts: {}` for a
    /// year. Without this section they are told nothing. A header of this name that the app sends is
    /// left alone.
    pub hsts: Option<Hsts>,
}

impl Default for ListenerTls {
    fn default() -> Self {
        Self {
            certificates: Vec::new(),
            min_version: TlsVersion::V1_2,
            client_auth: None,
            handshake_timeout: seconds(10),
            max_handshakes: 1000,
            hsts: None,
        }
    }
}

/// A certificate with its key: either `cert` and `key` in PEM, or both in one `pfx`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Certificate {
    /// File in PEM: the certificate, then those of the authorities that issued it, one by one, without
    /// the root. Clients that do not know an authority in between refuse a chain that leaves it out.
    #[schemars(extend("examples" = ["certs/site.pem"]))]
    pub cert: Option<String>,

    /// File in PEM with the private key of `cert` (PKCS#8, PKCS#1 or SEC1), not encrypted. It may be
    /// the same file. Nobody but the account that asgate runs as should be able to read it.
    #[schemars(extend("examples" = ["certs/site.key"]))]
    pub key: Option<String>,

    /// File in PFX (PKCS#12), as Windows exports them: key, certificate and authorities in one.
    #[schemars(extend("examples" = ["certs/site.pfx"]))]
    pub pfx: Option<String>,

    /// The password of `pfx`. Left out: none. Take it from the environment (`"${PFX_PASSWORD}"`); it
    /// is never logged and never shown in messages.
    #[schemars(extend("x-secret" = true))]
    pub password: Option<SecretText>,

    /// File with the authority's statement that the certificate is not revoked (an OCSP response in
    /// DER), sent along in the handshake. It has to be fetched by something else, and often enough: one
    /// that has expired is not sent.
    #[schemars(extend("examples" = ["certs/site.ocsp"]))]
    pub ocsp: Option<String>,
}

/// A version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum TlsVersion {
    #[serde(rename = "1.2")]
    V1_2,
    #[serde(rename = "1.3")]
    V1_3,
}

impl JsonSchema for TlsVersion {
    fn schema_name() -> Cow<'static, str> {
        "TlsVersion".into()
    }

    /// The words are what a scalar of either kind is read as. The numbers are for editors, which
    /// tell `1.2` from `"1.2"`.
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "enum": ["1.2", "1.3", 1.2, 1.3] })
    }
}

/// Certificates of clients. The app gets subject and SHA-256 fingerprint in `X-Client-Cert-Subject` and
/// `X-Client-Cert-Fingerprint`, which no client can send by itself.
///
/// Routes are the same on every listener: a client that comes by another one is not asked. Where a
/// certificate is to be a condition, the app must look for these headers, or no other listener may be
/// within the clients' reach.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ClientAuth {
    /// File in PEM with the certificates of the authorities that issue the clients' certificates.
    /// Required unless `mode` is `off`. Whoever they issue a certificate to gets in: name an authority
    /// of your own, not a public one.
    #[schemars(extend("examples" = ["certs/clients.pem"]))]
    pub ca: Option<String>,

    /// What is asked of clients.
    ///
    /// - `required`: a handshake without a valid certificate fails.
    /// - `optional`: a client may have none; one that is not valid fails the handshake all the same.
    /// - `off`: not asked for, and the files of this section are not looked at.
    pub mode: ClientAuthMode,

    /// Files with the authorities' lists of revoked certificates (CRL), in PEM or DER. Certificates of
    /// an authority that none of them is from are not checked for revocation.
    pub crl: Vec<String>,
}

/// What is asked of clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuthMode {
    Off,
    Optional,
    #[default]
    Required,
}

/// The promise that a host is there over TLS only (RFC 6797). Browsers hold it for `max_age`, and there
/// is no way around it for their users: make sure of the certificate first, and begin with a short time.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Hsts {
    /// How long browsers hold the promise, counted from each answer, in whole seconds. With `off` they
    /// are told to forget it.
    pub max_age: OrOff<Span>,

    /// For all names below the host's as well, those that something else serves included.
    pub include_subdomains: bool,

    /// Agree to be built into browsers, after an application at hstspreload.org. To get out again takes
    /// months. Needs `include_subdomains` and a `max_age` of 8760h.
    pub preload: bool,
}

impl Default for Hsts {
    fn default() -> Self {
        Self {
            max_age: OrOff(Some(seconds(365 * 24 * 60 * 60))),
            include_subdomains: false,
            preload: false,
        }
    }
}
