//! What a certificate says (RFC 5280).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, SystemTime};

use aws_lc_rs::digest;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::oid_registry::{
    OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_NIST_EC_P384, OID_NIST_EC_P521,
    OID_PKCS1_RSAENCRYPTION, OID_SIG_ED25519,
};
use x509_parser::prelude::FromDer as _;
use x509_parser::public_key::{PublicKey, RSAPublicKey};
use x509_parser::time::ASN1Time;
use x509_parser::x509::SubjectPublicKeyInfo;

use super::{Facts, Name, distinguished};

/// The certificate in `der`, and nothing after it.
pub fn parse(der: &[u8]) -> Option<X509Certificate<'_>> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Some(certificate),
        Ok(_) | Err(_) => None,
    }
}

/// What status, metrics and the choice by name need.
pub fn facts(certificate: &X509Certificate<'_>) -> Facts {
    let validity = certificate.validity();
    Facts {
        names: names(certificate),
        subject: distinguished::name(certificate.subject()),
        not_before: moment(validity.not_before),
        not_after: moment(validity.not_after),
        key: key(certificate.public_key()),
        fingerprint: fingerprint(certificate.as_raw()),
    }
}

/// SHA-256 of a whole certificate in lower-case hexadecimal digits.
pub fn fingerprint(der: &[u8]) -> String {
    let digest = digest::digest(&digest::SHA256, der);
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether `issuer` may have issued `certificate`: as far as names say, and the identifiers of keys where there are
/// any (RFC 5280 §4.2.1.1). An authority that renewed its key has one name and several certificates.
pub fn is_issuer(issuer: &X509Certificate<'_>, certificate: &X509Certificate<'_>) -> bool {
    if issuer.subject().as_raw() != certificate.issuer().as_raw() {
        return false;
    }
    match (subject_key_id(issuer), authority_key_id(certificate)) {
        (Some(own), Some(wanted)) => own == wanted,
        (None, _) | (_, None) => true,
    }
}

/// Whether the names of the certificate are those of its alternative names, not the common name of its subject, which
/// clients have not looked at for years (RFC 9525 §2).
pub fn has_alternative_names(certificate: &X509Certificate<'_>) -> bool {
    alternative_names(certificate).is_some()
}

/// A time of ASN.1 as the clock of the system has it. What that cannot express was long ago.
pub fn moment(time: ASN1Time) -> SystemTime {
    let seconds = Duration::from_secs(time.timestamp().unsigned_abs());
    let moment = if time.timestamp() < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(seconds)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(seconds)
    };
    moment.unwrap_or(SystemTime::UNIX_EPOCH)
}

fn subject_key_id<'a>(certificate: &'a X509Certificate<'_>) -> Option<&'a [u8]> {
    certificate.iter_extensions().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectKeyIdentifier(id) => Some(id.0),
        _ => None,
    })
}

fn authority_key_id<'a>(certificate: &'a X509Certificate<'_>) -> Option<&'a [u8]> {
    certificate.iter_extensions().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::AuthorityKeyIdentifier(id) => id.key_identifier.as_ref().map(|id| id.0),
        _ => None,
    })
}

fn alternative_names<'a>(certificate: &'a X509Certificate<'_>) -> Option<&'a [GeneralName<'a>]> {
    certificate.iter_extensions().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectAlternativeName(names) => Some(names.general_names.as_slice()),
        _ => None,
    })
}

/// The names that the certificate is for; one that no client can mean is left out.
fn names(certificate: &X509Certificate<'_>) -> Vec<Name> {
    let mut names = Vec::new();
    let found: Box<dyn Iterator<Item = Option<Name>>> = match alternative_names(certificate) {
        Some(alternatives) => Box::new(alternatives.iter().map(alternative_name)),
        None => Box::new(certificate.subject().iter_common_name().map(|name| {
            let name = name.as_str().ok()?;
            name.parse().map(Name::Address).ok().or_else(|| dns_name(name))
        })),
    };
    for name in found.flatten() {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

fn alternative_name(name: &GeneralName<'_>) -> Option<Name> {
    match name {
        GeneralName::DNSName(name) => dns_name(name),
        GeneralName::IPAddress(octets) => address(octets).map(Name::Address),
        GeneralName::OtherName(..)
        | GeneralName::RFC822Name(_)
        | GeneralName::X400Address(_)
        | GeneralName::DirectoryName(_)
        | GeneralName::EDIPartyName(_)
        | GeneralName::URI(_)
        | GeneralName::RegisteredID(_)
        | GeneralName::Invalid(..) => None,
    }
}

/// A host name, or one below which any single label may stand: `*.` and nothing else (RFC 9525 §6.3).
fn dns_name(name: &str) -> Option<Name> {
    let name = name.to_ascii_lowercase();
    match name.strip_prefix("*.") {
        Some(parent) => is_host_name(parent).then(|| Name::Wildcard(parent.to_owned())),
        None => is_host_name(&name).then_some(Name::Exact(name)),
    }
}

/// As DNS has them (RFC 1123 §2.1), and with the underscores that some networks have.
fn is_host_name(name: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    name.len() <= 253 && name.split('.').all(label)
}

fn address(octets: &[u8]) -> Option<IpAddr> {
    if let Ok(octets) = <[u8; 4]>::try_from(octets) {
        return Some(Ipv4Addr::from(octets).into());
    }
    <[u8; 16]>::try_from(octets).ok().map(|octets| Ipv6Addr::from(octets).into())
}

/// `RSA 2048`, `ECDSA P-256`, `Ed25519`, or the number of the algorithm.
fn key(key: &SubjectPublicKeyInfo<'_>) -> String {
    let algorithm = &key.algorithm.algorithm;
    if *algorithm == OID_PKCS1_RSAENCRYPTION {
        return match key.parsed() {
            Ok(PublicKey::RSA(key)) => format!("RSA {}", bits(&key)),
            Ok(_) | Err(_) => "RSA".to_owned(),
        };
    }
    if *algorithm == OID_KEY_TYPE_EC_PUBLIC_KEY {
        return format!("ECDSA {}", curve(key));
    }
    if *algorithm == OID_SIG_ED25519 {
        return "Ed25519".to_owned();
    }
    algorithm.to_id_string()
}

/// The length of the modulus.
fn bits(key: &RSAPublicKey<'_>) -> usize {
    let leading = key.modulus.iter().take_while(|byte| **byte == 0).count();
    let digits = key.modulus.get(leading..).unwrap_or_default();
    let unused = digits.first().map_or(0, |first| first.leading_zeros());
    (digits.len() * 8).saturating_sub(usize::try_from(unused).unwrap_or_default())
}

/// The name of the curve (RFC 5480 §2.1.1.1, FIPS 186-4), or its number.
fn curve(key: &SubjectPublicKeyInfo<'_>) -> String {
    let parameters = key.algorithm.parameters.as_ref();
    match parameters.and_then(|parameters| parameters.as_oid().ok()) {
        Some(curve) if curve == OID_EC_P256 => "P-256".to_owned(),
        Some(curve) if curve == OID_NIST_EC_P384 => "P-384".to_owned(),
        Some(curve) if curve == OID_NIST_EC_P521 => "P-521".to_owned(),
        Some(other) => other.to_id_string(),
        None => "of its own curve".to_owned(),
    }
}
