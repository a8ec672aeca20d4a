//! PEM files (RFC 7468): certificates, a private key, CRLs; and what a file is that is none.
//!
//! Structure is looked at here, so that errors can say what was found in the place of what was wanted; the decoding of a
//! section is left to rustls.

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};

use super::Kind;

const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"-----END ";
const DASHES: &[u8] = b"-----";

const CERTIFICATE: &str = "CERTIFICATE";
const CRL: &str = "X509 CRL";
const ENCRYPTED: &str = "ENCRYPTED PRIVATE KEY";

/// PKCS#8 (RFC 5208), PKCS#1 (RFC 8017), SEC 1 (RFC 5915).
const KEYS: [&str; 3] = ["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY"];

/// What other kinds of private keys are called ends so.
const ANY_KEY: &str = "PRIVATE KEY";

/// The mark of a key that OpenSSL encrypted before PKCS#8 (RFC 1421 §4.6.1.1).
const LEGACY_ENCRYPTION: &[u8] = b"Proc-Type: 4,ENCRYPTED";

const UTF8_MARK: &[u8] = b"\xef\xbb\xbf";
const UTF16_MARKS: [&[u8]; 2] = [b"\xff\xfe", b"\xfe\xff"];

/// From a line `-----BEGIN label-----` to the next line `-----END `, both included.
struct Section<'a> {
    label: String,
    text: &'a [u8],
}

/// The certificates of a file, at least one, in its order.
pub fn certificates(bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, Kind> {
    const CONVERT: &str = "openssl x509 -inform der -in FILE -out NEWFILE";
    let sections = sections(bytes, CONVERT)?;
    let decoded = decode_all(sections.iter().filter(|section| section.label == CERTIFICATE))?;
    if decoded.is_empty() {
        return Err(Kind::NoCertificate { found: labels(&sections) });
    }
    Ok(decoded)
}

/// The one private key of a file, unencrypted.
pub fn private_key(bytes: &[u8]) -> Result<PrivateKeyDer<'static>, Kind> {
    const CONVERT: &str = "openssl pkey -inform der -in FILE -out NEWFILE";
    let sections = sections(bytes, CONVERT)?;
    let keys: Vec<_> = sections.iter().filter(|section| section.label.ends_with(ANY_KEY)).collect();
    match keys.as_slice() {
        [] => Err(Kind::NoKey { found: labels(&sections) }),
        [key] => key.private_key(),
        [_, _, ..] => Err(Kind::SeveralKeys { count: keys.len() }),
    }
}

/// The CRLs of a file in PEM, at least one.
pub fn revocations(bytes: &[u8]) -> Result<Vec<CertificateRevocationListDer<'static>>, Kind> {
    const CONVERT: &str = "openssl crl -inform der -in FILE -out NEWFILE";
    let sections = sections(bytes, CONVERT)?;
    let decoded = decode_all(sections.iter().filter(|section| section.label == CRL))?;
    if decoded.is_empty() {
        return Err(Kind::NoCrl { found: labels(&sections) });
    }
    Ok(decoded)
}

/// Whether anything in it looks like PEM.
pub fn is_pem(bytes: &[u8]) -> bool {
    lines(bytes).any(|(_, line)| line.starts_with(BEGIN))
}

impl Section<'_> {
    fn private_key(&self) -> Result<PrivateKeyDer<'static>, Kind> {
        let legacy = lines(self.text).any(|(_, line)| line.starts_with(LEGACY_ENCRYPTION));
        if legacy || self.label == ENCRYPTED {
            return Err(Kind::EncryptedKey);
        }
        if !KEYS.contains(&self.label.as_str()) {
            // DSA, OpenSSH's own format.
            return Err(Kind::UnusableKey);
        }
        self.decode()
    }

    fn decode<T: PemObject>(&self) -> Result<T, Kind> {
        T::from_pem_slice(self.text).map_err(|_| Kind::BrokenPem { label: self.label.clone() })
    }
}

fn decode_all<'a, T: PemObject>(
    sections: impl Iterator<Item = &'a Section<'a>>,
) -> Result<Vec<T>, Kind> {
    sections.map(Section::decode).collect()
}

/// What there is, for a message: each label once.
fn labels(sections: &[Section<'_>]) -> String {
    let mut labels: Vec<&str> = Vec::new();
    for section in sections {
        if !labels.contains(&section.label.as_str()) {
            labels.push(&section.label);
        }
    }
    labels.join(", ")
}

/// The sections of a file, at least one; `convert` is what makes PEM of the same in DER.
fn sections<'a>(bytes: &'a [u8], convert: &'static str) -> Result<Vec<Section<'a>>, Kind> {
    // Editors on Windows put it there; the decoder would not know the first line by it.
    let bytes = bytes.strip_prefix(UTF8_MARK).unwrap_or(bytes);
    let mut sections = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (start, line) in lines(bytes) {
        if let Some(label) = line.strip_prefix(BEGIN) {
            if let Some((_, label)) = open {
                return Err(Kind::CutOff { label });
            }
            open = Some((start, printable(label)));
        } else if line.starts_with(END)
            && let Some((begin, label)) = open.take()
        {
            let text = bytes.get(begin..start.saturating_add(line.len())).unwrap_or_default();
            sections.push(Section { label, text });
        }
    }
    match open {
        Some((_, label)) => Err(Kind::CutOff { label }),
        None if sections.is_empty() => Err(not_pem(bytes, convert)),
        None => Ok(sections),
    }
}

/// The lines, each with the place where it starts; as the decoder tells them, which is on Windows and old Macs too.
fn lines(bytes: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut next = 0;
    bytes.split(|byte| matches!(byte, b'\n' | b'\r')).map(move |line| {
        let start = next;
        next += line.len() + 1;
        (start, line)
    })
}

/// What stands between the dashes, fit for a message.
fn printable(label: &[u8]) -> String {
    const LONGEST: usize = 40;
    let label = label.trim_ascii_end();
    let label = label.strip_suffix(DASHES).unwrap_or(label);
    let printable = |byte: u8| if matches!(byte, b' '..=b'~') { char::from(byte) } else { '?' };
    label.iter().take(LONGEST).map(|byte| printable(*byte)).collect()
}

/// What a file without sections is.
fn not_pem(bytes: &[u8], convert: &'static str) -> Kind {
    if bytes.trim_ascii().is_empty() {
        Kind::Empty
    } else if UTF16_MARKS.iter().any(|mark| bytes.starts_with(mark)) {
        Kind::Utf16
    } else if is_pkcs12(bytes) {
        Kind::IsPkcs12
    } else if is_sequence(bytes) {
        Kind::Der { command: convert }
    } else {
        Kind::NotPem
    }
}

/// A SEQUENCE in BER or DER with its length in more than a byte: certificates and keys are no shorter, and no text
/// begins so.
fn is_sequence(bytes: &[u8]) -> bool {
    matches!(bytes, [0x30, 0x80..=0x84, ..])
        // An Ed25519 key is all that fits into fewer.
        || matches!(bytes, [0x30, length, rest @ ..] if usize::from(*length) == rest.len())
}

/// A SEQUENCE that begins with the number 3, as no certificate and no key does (RFC 7292 §4).
fn is_pkcs12(bytes: &[u8]) -> bool {
    const VERSION_3: &[u8] = &[0x02, 0x01, 0x03];
    match bytes {
        [0x30, length @ 0x80..=0x84, rest @ ..] => {
            rest.get(usize::from(length & 0x0f)..).is_some_and(|rest| rest.starts_with(VERSION_3))
        }
        _ => false,
    }
}
