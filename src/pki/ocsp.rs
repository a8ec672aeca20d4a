//! OCSP responses (RFC 6960) that are stapled: whether one is for a certificate, and how long it holds.
//!
//! Its signature is not looked at: clients do that, and a server that staples a forged one only harms itself.

use std::time::SystemTime;

use aws_lc_rs::digest;
use x509_parser::asn1_rs::{Any, Tag};
use x509_parser::certificate::X509Certificate;

use super::der::Reader;
use super::{Concern, Kind};

/// `successful` (RFC 6960 §4.2.1).
const SUCCESSFUL: u32 = 0;

/// How far the clocks of the responder and of this machine may be apart.
const SKEW: std::time::Duration = std::time::Duration::from_secs(300);

/// What was said about one certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Response {
    status: Status,
    this_update: SystemTime,
    next_update: Option<SystemTime>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Status {
    Good,
    Revoked,
    Unknown,
}

/// What a response says about one certificate, and which.
struct Single<'a> {
    hash: Any<'a>,
    issuer: &'a [u8],
    serial: &'a [u8],
    response: Response,
}

impl Response {
    /// What the response in `der` says about `certificate`.
    ///
    /// # Errors
    /// It is no response, not one of success, or not for that certificate.
    pub fn read(der: &[u8], certificate: &X509Certificate<'_>) -> Result<Self, Kind> {
        let mut outer = Reader::new(der).sequence().ok_or(Kind::NotOcsp)?;
        let status = outer.next(Tag::Enumerated).and_then(|any| any.enumerated().ok());
        match status.ok_or(Kind::NotOcsp)?.0 {
            SUCCESSFUL => {}
            status => return Err(Kind::OcspRefused { status }),
        }
        let mut singles = singles(&mut outer).ok_or(Kind::NotOcsp)?;
        while !singles.is_empty() {
            let single = single(&mut singles).ok_or(Kind::NotOcsp)?;
            if single.is_about(certificate) {
                return Ok(single.response);
            }
        }
        Err(Kind::OcspMismatch)
    }

    /// Why it must not be sent to clients at `now`.
    pub fn concern(&self, now: SystemTime) -> Option<Concern> {
        match self.status {
            Status::Good => {}
            Status::Revoked => return Some(Concern::OcspRevoked),
            Status::Unknown => return Some(Concern::OcspUnknown),
        }
        let clients = now.checked_add(SKEW).unwrap_or(now);
        if clients < self.this_update {
            return Some(Concern::OcspEarly { from: self.this_update });
        }
        let until = self.next_update.filter(|until| *until <= now)?;
        Some(Concern::OcspOver { since: until })
    }
}

impl Single<'_> {
    /// By the serial number and, where the hash is a usual one, the name of the issuer.
    fn is_about(&self, certificate: &X509Certificate<'_>) -> bool {
        let algorithm = match self.hash.clone().oid() {
            Ok(oid) => oid.to_id_string(),
            Err(_) => return false,
        };
        let algorithm = match algorithm.as_str() {
            "1.3.14.3.2.26" => Some(&digest::SHA1_FOR_LEGACY_USE_ONLY),
            "2.16.840.1.101.3.4.2.1" => Some(&digest::SHA256),
            _ => None,
        };
        let issuer = certificate.issuer().as_raw();
        self.serial == certificate.raw_serial()
            && algorithm
                .is_none_or(|algorithm| digest::digest(algorithm, issuer).as_ref() == self.issuer)
    }
}

/// From `OCSPResponse` down to its `SEQUENCE OF SingleResponse`.
fn singles<'a>(outer: &mut Reader<'a>) -> Option<Reader<'a>> {
    let mut bytes = outer.tagged(0)?.sequence()?;
    bytes.next(Tag::Oid)?;
    let basic = Reader::new(bytes.next(Tag::OctetString)?.data);
    let mut data = basic.sequence()?.sequence_inside()?;
    // The version, which is left out, as a rule; then who answered, by name or by key.
    data.tagged(0);
    data.tagged(1).or_else(|| data.tagged(2))?;
    data.next(Tag::GeneralizedTime)?;
    data.sequence_inside()
}

fn single<'a>(singles: &mut Reader<'a>) -> Option<Single<'a>> {
    let mut fields = singles.sequence_inside()?;
    let mut id = fields.sequence_inside()?;
    let hash = id.sequence_inside()?.next(Tag::Oid)?;
    let issuer = id.next(Tag::OctetString)?.data;
    id.next(Tag::OctetString)?;
    let serial = id.next(Tag::Integer)?.data;
    let status = match fields.any()?.tag().0 {
        0 => Status::Good,
        1 => Status::Revoked,
        _ => Status::Unknown,
    };
    let this_update = fields.time()?;
    let next_update = match fields.tagged(0) {
        Some(mut next) => Some(next.time()?),
        None => None,
    };
    Some(Single { hash, issuer, serial, response: Response { status, this_update, next_update } })
}
