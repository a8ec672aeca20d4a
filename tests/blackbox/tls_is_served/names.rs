//! Which certificate a client is shown: by the name it asks for, and by the keys it can check.

use std::path::{Path, PathBuf};

use crate::support::certificates::{Authority, Certificate, KeyKind, Wanted};
use crate::support::front::Front;
use crate::support::openssl::openssl;
use crate::support::stub::Stub;
use crate::support::tls::{Offer, Tls, der};

use super::{SITE, secured, site};

#[test]
fn the_name_chooses_the_certificate() {
    let stub = Stub::ok();
    let authority = Authority::create();
    let first = authority.sign("first", &["default.test", "127.0.0.1"]);
    let exact = authority.sign("exact", &["a.site.test"]);
    let wildcard = authority.sign("wildcard", &["*.site.test", SITE]);
    let items = [&first, &exact, &wildcard].map(Certificate::item).join(", ");
    let listener = secured(&items, "", "");
    let edge = Front { listeners: &[&listener], ..Front::default() }.before(stub.address());
    let tls = Tls::trusting(&authority, Offer::default());
    for (name, expected) in [
        ("default.test", &first),
        ("a.site.test", &exact),
        ("A.Site.Test", &exact),
        ("b.site.test", &wildcard),
        (SITE, &wildcard),
        // An address is no name: such a client sends none (RFC 6066 §3).
        ("127.0.0.1", &first),
    ] {
        let mut session = tls.handshake(edge.address(), name);
        let session = session.as_mut().unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(session.leaf(), der(expected), "for {name}");
        let answer = session.get("/").expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 200 "), "{name}: {answer}");
    }
    // A wildcard is for one label (RFC 9525 §6.3), and who asks for what is not here gets the default.
    for name in ["x.b.site.test", "other.test"] {
        let error = tls.handshake(edge.address(), name).err().map(|error| error.to_string());
        let error = error.unwrap_or_else(|| panic!("{name}: a certificate for it"));
        assert!(error.contains("not valid for name"), "{name}: the default is shown: {error}");
        let shown = shown(&edge.address().to_string(), name, &[]);
        assert!(shown.contains("DNS:default.test"), "for {name}: {shown}");
    }
}

/// The names of the certificate that `openssl s_client` is shown.
fn shown(address: &str, name: &str, options: &[&str]) -> String {
    let connect = ["s_client", "-connect", address, "-servername", name];
    let session = openssl(&[&connect[..], options].concat(), "");
    openssl(&["x509", "-noout", "-ext", "subjectAltName"], &session)
}

#[test]
fn each_client_gets_a_key_that_it_can_check() {
    let stub = Stub::ok();
    let authority = Authority::create();
    let wanted = Wanted { names: &[SITE], ..Wanted::default() };
    let rsa = authority.issue("rsa", Wanted { key: KeyKind::Rsa2048, ..wanted });
    let ecdsa = authority.issue("ecdsa", wanted);
    let items = [&rsa, &ecdsa].map(Certificate::item).join(", ");
    let listener = secured(&items, "", "");
    let edge = Front { listeners: &[&listener], ..Front::default() }.before(stub.address());
    let address = edge.address().to_string();
    let connect = ["s_client", "-connect", &address, "-servername", SITE];
    for (options, signature) in [
        (["-tls1_3", "-sigalgs", "rsa_pss_rsae_sha256"], "RSA-PSS"),
        (["-tls1_3", "-sigalgs", "ECDSA+SHA256"], "ECDSA"),
        (["-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256"], "RSA"),
        (["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"], "ECDSA"),
    ] {
        let told = openssl(&[&connect[..], &options].concat(), "");
        let line = told.lines().find(|line| line.starts_with("Peer signature type: "));
        let line = line.unwrap_or_else(|| panic!("no signature with {options:?}: {told}"));
        assert!(line.contains(signature), "{options:?}: {line}");
    }
    let session = Tls::trusting(&authority, Offer::default()).handshake(edge.address(), SITE);
    assert_eq!(session.expect("a handshake").leaf(), der(&ecdsa), "the cheaper one for who can");
}

/// Makes a PFX file of a certificate with its key and its authority, with these options.
fn pfx(authority: &Authority, certificate: &Certificate, name: &str, options: &[&str]) -> PathBuf {
    let file = authority.directory().join(name);
    let text = |path: &Path| path.display().to_string();
    let (cert, key) = (text(&certificate.certificate), text(&certificate.key));
    let (ca, out) = (text(&authority.certificate()), text(&file));
    let export = ["pkcs12", "-export", "-in", &cert, "-inkey", &key, "-certfile", &ca];
    let output = ["-passout", "pass:open sesame", "-out", &out];
    openssl(&[&export[..], &output, options].concat(), "");
    file
}

#[test]
fn a_pfx_file_is_as_good_as_a_pair_of_files() {
    let stub = Stub::ok();
    let authority = Authority::create();
    let certificate = authority.sign("site", &[SITE]);
    let legacy = ["-legacy"];
    // As the export dialog of Windows Server 2012 R2 and before writes it.
    let windows =
        ["-keypbe", "PBE-SHA1-3DES", "-certpbe", "PBE-SHA1-3DES", "-macalg", "sha1", "-legacy"];
    for (what, options) in [("modern", &[][..]), ("legacy", &legacy), ("windows", &windows)] {
        let file = pfx(&authority, &certificate, &format!("{what}.pfx"), options);
        let item = format!("{{ pfx: {:?}, password: open sesame }}", file.display().to_string());
        let listener = secured(&item, "", "");
        let edge = Front { listeners: &[&listener], ..Front::default() }.before(stub.address());
        let mut session = Tls::trusting(&authority, Offer::default())
            .handshake(edge.address(), SITE)
            .unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(session.leaf(), der(&certificate), "{what}");
        let answer = session.get("/").expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 200 "), "{what}: {answer}");
        assert!(!edge.stderr_text().contains("sesame"), "{what}: a password is never told");
    }
}

/// Keys as various tools write them.
#[test]
fn every_form_of_a_key_is_read() {
    let stub = Stub::ok();
    let authority = Authority::create();
    let wanted = Wanted { names: &[SITE, "127.0.0.1"], ..Wanted::default() };
    let ecdsa = authority.issue("ecdsa", wanted);
    let rsa = authority.issue("rsa", Wanted { key: KeyKind::Rsa2048, ..wanted });
    for (what, certificate, command, begin) in [
        ("PKCS#8", &ecdsa, "pkey", "BEGIN PRIVATE KEY"),
        ("SEC1", &ecdsa, "ec", "BEGIN EC PRIVATE KEY"),
        ("PKCS#1", &rsa, "rsa", "BEGIN RSA PRIVATE KEY"),
    ] {
        let key = certificate.key.display().to_string();
        let traditional: &[&str] = if command == "rsa" { &["-traditional"] } else { &[] };
        let text = openssl(&[&[command, "-in", &key][..], traditional].concat(), "");
        assert!(text.contains(begin), "openssl {command} writes {what}: {text}");
        let file = authority.directory().join(format!("{command}.key"));
        crate::support::certificates::write_private(&file, &text);
        let listener = certificate.with_key(file).listener();
        let edge = Front { listeners: &[&listener], ..Front::default() }.before(stub.address());
        let session = Tls::trusting(&authority, Offer::default()).handshake(edge.address(), SITE);
        let session = session.unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(session.leaf(), der(certificate), "{what}");
    }
}

/// OCSP (RFC 6960): the response of a file is shown to clients that ask for it.
#[test]
fn a_given_ocsp_response_is_stapled() {
    let stub = Stub::ok();
    let authority = Authority::create();
    let certificate = authority.sign("stapled", &[SITE]);
    let text = |path: &Path| path.display().to_string();
    let (ca, cert) = (text(&authority.certificate()), text(&certificate.certificate));
    let directory = authority.directory();
    let [request, response, index] =
        ["site.req", "site.ocsp", "index.txt"].map(|name| text(&directory.join(name)));
    std::fs::write(
        &index,
        format!("V\t22000101000000Z\t\t{:02X}\tunknown\t/CN=worker\n", certificate.serial()),
    )
    .expect("an index");
    openssl(&["ocsp", "-issuer", &ca, "-cert", &cert, "-no_nonce", "-reqout", &request], "");
    let sign =
        ["ocsp", "-index", &index, "-CA", &ca, "-rsigner", &ca, "-rkey", &text(&authority.key())];
    let give = ["-ndays", "7", "-reqin", &request, "-respout", &response];
    openssl(&[&sign[..], &give].concat(), "");

    let plain = site(&authority, stub.address(), "", "");
    let item = certificate.item().replace(" }", &format!(", ocsp: {response:?} }}"));
    let listener = secured(&item, "", "");
    let stapling = Front { listeners: &[&listener], ..Front::default() }.before(stub.address());
    for (edge, expected) in
        [(&plain, "no response sent"), (&stapling, "OCSP Response Status: successful")]
    {
        let address = edge.address().to_string();
        let told = openssl(&["s_client", "-connect", &address, "-servername", SITE, "-status"], "");
        assert!(told.contains(expected), "{expected}: {told}");
    }
}
