//! Files with certificates, keys and revocations: named as they must be, and of use.
//!
//! What is in them is for [`pki`] to say; here it is told which key of the file it is about.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::super::model;
use super::super::place::Place;
use super::{Check, all};
use crate::pki::{self, Concern, Files, Keys, Part, Password};

/// What `certificates` names.
const SOURCES: &str = "cert and key, or pfx";

const CHAIN: &str = "a file in PEM with the certificate and those of its authorities";
const KEY: &str = "a file in PEM with the private key of cert, not encrypted";
const PFX: &str = "a file in PFX (PKCS#12) with a certificate and its private key";
const PASSWORD: &str = "the password of pfx";
const OCSP: &str = "a file with the OCSP response for the certificate, in DER";
const AUTHORITIES: &str = "a file with at least one certificate in PEM";
const REVOCATIONS: &str = "a file with lists of revoked certificates, in PEM or DER";

impl Check<'_> {
    /// The certificates of a listener.
    pub(super) fn listed(
        &mut self,
        list: &[model::Certificate],
        place: &Place<'_>,
    ) -> Option<Vec<Files>> {
        self.not_empty(list, place, "at least one certificate")?;
        let list = list.iter().enumerate();
        all(list.map(|(index, model)| self.certificate(model, &place.item(index))).collect())
    }

    fn certificate(&mut self, model: &model::Certificate, place: &Place<'_>) -> Option<Files> {
        let keys = self.keys(model, place);
        let ocsp = match &model.ocsp {
            // One that is not there is warned about with the rest of what may be wrong with it.
            Some(ocsp) => self.absolute(ocsp, &place.key("ocsp")).map(Some),
            None => Some(None),
        };
        // Without the response, the rest can still be looked at.
        let files = Files { keys: keys?, ocsp: ocsp.clone().flatten() };
        self.identity(&files, place)?;
        ocsp.map(|_| files)
    }

    /// Whether the files are of use together, and what there is to see to.
    fn identity(&mut self, files: &Files, place: &Place<'_>) -> Option<()> {
        let identity = match files.read().and_then(|contents| contents.identity()) {
            Ok(identity) => identity,
            Err(error) => {
                // There may be a password that was refused.
                if error.part != Part::Password || !self.is_damaged(place) {
                    self.unusable(&error, &place_of(error.part, place));
                }
                return None;
            }
        };
        for warning in identity.warnings(SystemTime::now()) {
            let advised = advised(&warning.concern);
            self.warn(place_of(warning.part, place).problem(warning.concern.to_string(), advised));
        }
        Some(())
    }

    fn unusable(&mut self, error: &pki::Error, place: &Place<'_>) {
        self.report(place.problem(error.kind.to_string(), allowed(error.part)));
    }

    /// Where certificate and key are: in exactly one of the two forms, and all of it.
    fn keys(&mut self, model: &model::Certificate, place: &Place<'_>) -> Option<Keys> {
        match (&model.cert, &model.key, &model.pfx) {
            (None, None, Some(pfx)) => self.pfx(pfx, model, place),
            (Some(cert), Some(key), None) => self.pem(cert, key, model, place),
            (None, None, None) => {
                if !self.is_damaged(place) {
                    self.report(place.problem_with("has no certificate", "none", SOURCES));
                }
                None
            }
            (_, _, Some(_)) => {
                let what = "has two sources of its certificate";
                self.report(place.problem_with(what, "cert or key beside pfx", SOURCES));
                None
            }
            (cert, _, None) => {
                let missing = if cert.is_none() { "cert" } else { "key" };
                if !self.is_damaged(place) {
                    self.report(place.key(missing).problem("is missing", SOURCES));
                }
                None
            }
        }
    }

    fn pem(
        &mut self,
        cert: &str,
        key: &str,
        model: &model::Certificate,
        place: &Place<'_>,
    ) -> Option<Keys> {
        if model.password.is_some() {
            let allowed = "this key with pfx only: keys in PEM must not be encrypted";
            let place = place.key("password").hidden();
            self.report(place.problem("has no effect without pfx", allowed));
        }
        let chain = self.existing_file(cert, &place.key("cert"), CHAIN);
        let key = self.existing_file(key, &place.key("key"), KEY);
        Some(Keys::Pem { chain: chain?, key: key? })
    }

    fn pfx(&mut self, pfx: &str, model: &model::Certificate, place: &Place<'_>) -> Option<Keys> {
        let path = self.existing_file(pfx, &place.key("pfx"), PFX)?;
        let password = model.password.as_ref().map(|password| password.0.clone());
        Some(Keys::Pfx { path, password: Password::new(password.unwrap_or_default()) })
    }

    /// Authorities whose certificates are trusted.
    pub(super) fn authorities(&mut self, ca: &str, place: &Place<'_>) -> Option<PathBuf> {
        let path = self.existing_file(ca, place, AUTHORITIES)?;
        match pki::authorities(&path) {
            Ok(_) => Some(path),
            Err(error) => {
                self.unusable(&error, place);
                None
            }
        }
    }

    /// Lists of revoked certificates.
    pub(super) fn revocations(&mut self, crl: &str, place: &Place<'_>) -> Option<PathBuf> {
        let path = self.existing_file(crl, place, REVOCATIONS)?;
        match pki::revocations(std::slice::from_ref(&path)) {
            Ok(_) => Some(path),
            Err(error) => {
                self.unusable(&error, place);
                None
            }
        }
    }

    /// Whether CRLs and authorities, of use each by itself, are of use together.
    pub(super) fn trust(&mut self, ca: &Path, crl: &[PathBuf], place: &Place<'_>) -> Option<()> {
        let crls = place.key("crl");
        let place_of = |part: Part, path: &Path| match crl.iter().position(|one| one == path) {
            Some(index) if part == Part::Crl => crls.item(index),
            _ => place_of(part, place),
        };
        let trusted = match pki::Trust::read(ca, crl).and_then(|trust| trust.understood()) {
            Ok(trusted) => trusted,
            Err(error) => {
                self.unusable(&error, &place_of(error.part, &error.path));
                return None;
            }
        };
        for warning in trusted.revocations.warnings(SystemTime::now()) {
            let place = place_of(warning.part, &warning.path);
            self.warn(place.problem(warning.concern.to_string(), advised(&warning.concern)));
        }
        Some(())
    }
}

/// The key of the file that names a part of what is `place`.
fn place_of<'p>(part: Part, place: &Place<'p>) -> Place<'p> {
    match part {
        Part::Chain => place.key("cert"),
        Part::Key => place.key("key"),
        Part::Pfx => place.key("pfx"),
        Part::Password => place.key("password").hidden(),
        Part::Ocsp => place.key("ocsp"),
        Part::Ca => place.key("ca"),
        Part::Crl => place.key("crl"),
    }
}

/// What a key of the file has to name.
fn allowed(part: Part) -> &'static str {
    match part {
        Part::Chain => CHAIN,
        Part::Key => KEY,
        Part::Pfx => PFX,
        Part::Password => PASSWORD,
        Part::Ocsp => OCSP,
        Part::Ca => AUTHORITIES,
        Part::Crl => REVOCATIONS,
    }
}

/// What to do about it.
fn advised(concern: &Concern) -> &'static str {
    match concern {
        Concern::Expired { .. } | Concern::ExpiresSoon { .. } => "a new certificate",
        Concern::NotYetValid { .. } => "a certificate that is valid now, or the right time",
        Concern::NoNames | Concern::OnlyCommonName => {
            "a certificate with names that clients ask for"
        }
        Concern::NotTheIssuer { .. } => {
            "the certificate, then who issued it, then who issued that one"
        }
        Concern::OpenToAll => "a file that only the account of asgate can read",
        Concern::OcspOver { .. } | Concern::OcspEarly { .. } => "a response that is good now",
        Concern::OcspRevoked | Concern::OcspUnknown => "a certificate that its authority stands by",
        Concern::OcspUnusable { .. } => OCSP,
        Concern::CrlOfNobody { .. } | Concern::CrlNotOfAll { .. } => {
            "CRLs of the authorities in ca, each of another name"
        }
        Concern::CrlOver { .. } => "a CRL that is renewed in time",
    }
}
