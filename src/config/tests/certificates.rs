//! Files with certificates, keys and revocations: each thing that may be wrong with one, at the key that names it.

use std::fs;
use std::path::Path;

use super::super::{Config, Problems, parse};
use super::with;

/// Certificates that `pki` is tested with, made by the script beside them.
const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/pki/tests/fixtures");

/// A directory with a copy of `files`, each readable by its owner alone, and a broken one.
pub(super) fn directory_with(files: &[(&str, &str)]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    for (fixture, name) in files {
        let bytes = fs::read(Path::new(FIXTURES).join(fixture)).expect(fixture);
        private_file(&directory.path().join(name), &bytes);
    }
    private_file(&directory.path().join("broken.pem"), b"nothing of use\n");
    directory
}

fn private_file(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).expect("a file");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("its mode");
    }
}

/// What is made of `text` in `directory`; and all that is said about it.
fn read_in(directory: &Path, text: &str) -> (Result<Config, Problems>, String) {
    let env = |name: &str| (name == "PFX_PASSWORD").then(|| "secret".to_owned());
    match parse(text, &directory.join("asgate.yaml"), &env) {
        Ok(loaded) => (Ok(loaded.config), loaded.warnings.to_string()),
        Err(problems) => (Err(problems.clone()), problems.to_string()),
    }
}

/// The valid file with `keys` in the `tls` section of its listener, on line 3.
fn with_tls(keys: &str) -> String {
    let listener = "  - address: 127.0.0.1:8080\n";
    with(listener, &format!("{listener}    tls: {{ {keys} }}\n"))
}

/// Each pair: the keys of `tls`, and all that is said. `{directory}` stands for that of the file.
fn check(directory: &Path, cases: &[(&str, &str)]) {
    let shown = directory.to_str().expect("a Unicode directory");
    for (keys, expected) in cases {
        let (_, said) = read_in(directory, &with_tls(keys));
        let said = said.replace(&format!("{shown}/asgate.yaml:"), "asgate.yaml:");
        assert_eq!(said, expected.replace("{directory}", shown), "what is said about {keys}");
        println!("ACTUAL\t{keys:?}\t{:?}", said.replace(shown, "{directory}"));
    }
}

#[test]
fn certificates_in_pem() {
    let directory = directory_with(&[
        ("chain.pem", "chain.pem"),
        ("ec-sec1.key", "ec.key"),
        ("rsa.pem", "rsa.pem"),
        ("rsa-pkcs1.key", "rsa.key"),
        ("together.pem", "together.pem"),
        ("encrypted-pkcs8.key", "encrypted.key"),
        ("chain-reversed.pem", "reversed.pem"),
        ("chain-gap.pem", "gap.pem"),
        ("ec.der", "ec.der"),
    ]);
    check(
        directory.path(),
        &[
            (
                "certificates: [{ cert: chain.pem, key: ec.key }, { cert: rsa.pem, key: rsa.key }]",
                "",
            ),
            ("certificates: [{ cert: together.pem, key: together.pem }]", ""),
            (
                "certificates: [{ cert: gone.pem, key: gone.key }]",
                "asgate.yaml:3:35: listeners[0].tls.certificates[0].cert: does not exist: {directory}/gone.pem (got \"gone.pem\", allowed a file in PEM with the certificate and those of its authorities)\nasgate.yaml:3:50: listeners[0].tls.certificates[0].key: does not exist: {directory}/gone.key (got \"gone.key\", allowed a file in PEM with the private key of cert, not encrypted)",
            ),
            (
                "certificates: [{ cert: \"a\\nb\", key: ec.key }]",
                "asgate.yaml:3:35: listeners[0].tls.certificates[0].cert: does not exist: {directory}/a\\nb (got \"a\\nb\", allowed a file in PEM with the certificate and those of its authorities)",
            ),
            (
                "certificates: [{ cert: ., key: ec.key }]",
                "asgate.yaml:3:35: listeners[0].tls.certificates[0].cert: is not a file: {directory} (got \".\", allowed a file in PEM with the certificate and those of its authorities)",
            ),
            (
                "certificates: [{ cert: broken.pem, key: ec.key }]",
                "asgate.yaml:3:35: listeners[0].tls.certificates[0].cert: is not in PEM: nothing in it begins with -----BEGIN (got \"broken.pem\", allowed a file in PEM with the certificate and those of its authorities)",
            ),
            (
                "certificates: [{ cert: ec.key, key: chain.pem }]",
                "asgate.yaml:3:35: listeners[0].tls.certificates[0].cert: holds no certificate, only EC PRIVATE KEY: are `cert` and `key` swapped? (got \"ec.key\", allowed a file in PEM with the certificate and those of its authorities)",
            ),
            (
                "certificates: [{ cert: chain.pem, key: chain.pem }]",
                "asgate.yaml:3:51: listeners[0].tls.certificates[0].key: holds no private key, only CERTIFICATE: are `cert` and `key` swapped? (got \"chain.pem\", allowed a file in PEM with the private key of cert, not encrypted)",
            ),
            (
                "certificates: [{ cert: ec.der, key: ec.key }]",
                "asgate.yaml:3:35: listeners[0].tls.certificates[0].cert: is in DER, not PEM: convert it with `openssl x509 -inform der -in FILE -out NEWFILE` (got \"ec.der\", allowed a file in PEM with the certificate and those of its authorities)",
            ),
            (
                "certificates: [{ cert: chain.pem, key: broken.pem }]",
                "asgate.yaml:3:51: listeners[0].tls.certificates[0].key: is not in PEM: nothing in it begins with -----BEGIN (got \"broken.pem\", allowed a file in PEM with the private key of cert, not encrypted)",
            ),
            (
                "certificates: [{ cert: chain.pem, key: encrypted.key }]",
                "asgate.yaml:3:51: listeners[0].tls.certificates[0].key: holds an encrypted private key, and there is nobody to ask for the passphrase: decrypt it with `openssl pkey -in FILE -out NEWFILE` (got \"encrypted.key\", allowed a file in PEM with the private key of cert, not encrypted)",
            ),
            (
                "certificates: [{ cert: chain.pem, key: rsa.key }]",
                "asgate.yaml:3:51: listeners[0].tls.certificates[0].key: holds a private key that is not the one of the certificate in {directory}/chain.pem (got \"rsa.key\", allowed a file in PEM with the private key of cert, not encrypted)",
            ),
            (
                "certificates: [{ cert: reversed.pem, key: ec.key }]",
                "asgate.yaml:3:35: listeners[0].tls.certificates[0].cert: must begin with the certificate of the private key, which is number 2 in it (got \"reversed.pem\", allowed a file in PEM with the certificate and those of its authorities)",
            ),
            (
                "certificates: [{ cert: gap.pem, key: ec.key }]",
                "asgate.yaml:3:35: warning: listeners[0].tls.certificates[0].cert: certificate 2 is not the issuer of the one before it: clients may not find their way to an authority (got \"gap.pem\", advised the certificate, then who issued it, then who issued that one)",
            ),
        ],
    );
}

#[test]
fn certificates_in_pfx() {
    let directory = directory_with(&[
        ("modern.pfx", "site.pfx"),
        ("no-password.pfx", "open.pfx"),
        ("no-key.pfx", "no-key.pfx"),
        ("chain.pem", "chain.pem"),
    ]);
    check(
        directory.path(),
        &[
            (
                "certificates: [{ pfx: site.pfx, password: \"${PFX_PASSWORD}\" }, { pfx: open.pfx }]",
                "",
            ),
            (
                "certificates: [{ pfx: site.pfx, password: hunter2 }]",
                "asgate.yaml:3:54: listeners[0].tls.certificates[0].password: cannot be opened with this password (got a hidden value, allowed the password of pfx)",
            ),
            (
                "certificates: [{ pfx: site.pfx }]",
                "asgate.yaml:3:27: listeners[0].tls.certificates[0].password: cannot be opened with this password (got nothing, allowed the password of pfx)",
            ),
            (
                "certificates: [{ pfx: no-key.pfx, password: secret }]",
                "asgate.yaml:3:34: listeners[0].tls.certificates[0].pfx: holds no private key: export it with the private key (got \"no-key.pfx\", allowed a file in PFX (PKCS#12) with a certificate and its private key)",
            ),
            (
                "certificates: [{ pfx: broken.pem, password: hunter2 }]",
                "asgate.yaml:3:34: listeners[0].tls.certificates[0].pfx: is broken, or not PKCS#12 in DER: unexpected ASN.1 DER tag: expected SEQUENCE, got APPLICATION [14] (constructed) (got \"broken.pem\", allowed a file in PFX (PKCS#12) with a certificate and its private key)",
            ),
            (
                "certificates: [{ pfx: chain.pem }]",
                "asgate.yaml:3:34: listeners[0].tls.certificates[0].pfx: is PEM, not PKCS#12: give it as `cert` and `key` (got \"chain.pem\", allowed a file in PFX (PKCS#12) with a certificate and its private key)",
            ),
            (
                "certificates: [{ pfx: site.pfx, password: [hunter2] }]",
                "asgate.yaml:3:54: listeners[0].tls.certificates[0].password: has the wrong type (got a list, allowed text)",
            ),
            (
                "certificates: [{ pfx: site.pfx, password: \"${NO_PASSWORD}\" }]",
                "asgate.yaml:3:54: listeners[0].tls.certificates[0].password: names an environment variable that is not set (got ${NO_PASSWORD}, allowed a variable that is set, or ${NAME:-default})",
            ),
        ],
    );
}

#[test]
fn revocations_and_authorities() {
    let directory = directory_with(&[
        ("chain.pem", "site.pem"),
        ("ec-pkcs8.key", "site.key"),
        ("ocsp-good.der", "good.ocsp"),
        ("ocsp-revoked.der", "other.ocsp"),
        ("issuer.pem", "clients.pem"),
        ("root.pem", "root.pem"),
        ("crl.pem", "crl.pem"),
        ("crl.der", "crl.der"),
    ]);
    let mut flipped = fs::read(directory.path().join("crl.der")).expect("a list");
    *flipped.last_mut().expect("a signature") ^= 1;
    fs::write(directory.path().join("flipped.crl"), flipped).expect("a file");
    let site = "certificates: [{ cert: site.pem, key: site.key }]";
    check(
        directory.path(),
        &[
            ("certificates: [{ cert: site.pem, key: site.key, ocsp: good.ocsp }]", ""),
            (
                "certificates: [{ cert: site.pem, key: site.key, ocsp: other.ocsp }]",
                "asgate.yaml:3:66: warning: listeners[0].tls.certificates[0].ocsp: not sent to clients: it is an OCSP response for another certificate (got \"other.ocsp\", advised a file with the OCSP response for the certificate, in DER)",
            ),
            (
                "certificates: [{ cert: site.pem, key: site.key, ocsp: broken.pem }]",
                "asgate.yaml:3:66: warning: listeners[0].tls.certificates[0].ocsp: not sent to clients: it is not an OCSP response in DER (RFC 6960) (got \"broken.pem\", advised a file with the OCSP response for the certificate, in DER)",
            ),
            (&format!("{site}, client_auth: {{ ca: clients.pem, crl: [crl.pem, crl.der] }}"), ""),
            (
                &format!("{site}, client_auth: {{ ca: gone.pem, crl: [gone.crl] }}"),
                "asgate.yaml:3:82: listeners[0].tls.client_auth.ca: does not exist: {directory}/gone.pem (got \"gone.pem\", allowed a file with at least one certificate in PEM)\nasgate.yaml:3:98: listeners[0].tls.client_auth.crl[0]: does not exist: {directory}/gone.crl (got \"gone.crl\", allowed a file with lists of revoked certificates, in PEM or DER)",
            ),
            (
                &format!("{site}, client_auth: {{ ca: site.key, crl: [crl.der, clients.pem] }}"),
                "asgate.yaml:3:82: listeners[0].tls.client_auth.ca: holds no certificate, only PRIVATE KEY: are `cert` and `key` swapped? (got \"site.key\", allowed a file with at least one certificate in PEM)\nasgate.yaml:3:107: listeners[0].tls.client_auth.crl[1]: holds no CRL, only CERTIFICATE (got \"clients.pem\", allowed a file with lists of revoked certificates, in PEM or DER)",
            ),
            (
                &format!("{site}, client_auth: {{ ca: root.pem, crl: [crl.pem] }}"),
                "asgate.yaml:3:98: warning: listeners[0].tls.client_auth.crl[0]: no authority in `ca` is called CN=Issuer,O=Example Org,C=DE, as the issuer of the CRL is: it revokes nothing but of clients that bring a certificate of that issuer along (got \"crl.pem\", advised CRLs of the authorities in ca, each of another name)",
            ),
            (
                &format!("{site}, client_auth: {{ ca: clients.pem, crl: [crl.pem, flipped.crl] }}"),
                "asgate.yaml:3:110: listeners[0].tls.client_auth.crl[1]: holds a CRL of CN=Issuer,O=Example Org,C=DE that the authority of this name in {directory}/clients.pem has not signed: with it, no client of that authority could be let in (got \"flipped.crl\", allowed a file with lists of revoked certificates, in PEM or DER)",
            ),
            (&format!("{site}, client_auth: {{ ca: gone.pem, mode: off, crl: [gone.crl] }}"), ""),
        ],
    );
}

#[test]
fn secrets_of_certificates_are_not_shown() {
    let directory = directory_with(&[("modern.pfx", "site.pfx")]);
    let text = with_tls("certificates: [{ pfx: site.pfx, password: secret }]");
    let (config, said) = read_in(directory.path(), &text);
    let debug = format!("{:?}", config.expect("a valid file"));
    assert_eq!(said, "", "no warning");
    assert!(debug.contains("site.pfx"), "the file is shown: {debug}");
    assert!(!debug.contains("secret"), "the password is not: {debug}");
}

/// Those who may read the key may be the site.
#[cfg(unix)]
#[test]
fn a_key_that_everybody_can_read_is_warned_of() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = directory_with(&[("chain.pem", "site.pem"), ("ec-pkcs8.key", "site.key")]);
    let key = directory.path().join("site.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).expect("its mode");
    check(
        directory.path(),
        &[(
            "certificates: [{ cert: site.pem, key: site.key }]",
            "asgate.yaml:3:50: warning: listeners[0].tls.certificates[0].key: every user of this machine may read the private key (got \"site.key\", advised a file that only the account of asgate can read)",
        )],
    );
}

#[test]
fn certificates_that_are_over_or_begin_later_are_warned_of() {
    let directory = directory_with(&[]);
    for (name, from, until) in [("over", 2000, 2001), ("later", 3000, 3001)] {
        let key = rcgen::KeyPair::generate().expect("a key");
        let mut parameters =
            rcgen::CertificateParams::new(["www.example.com".to_owned()]).expect("parameters");
        parameters.not_before = rcgen::date_time_ymd(from, 1, 1);
        parameters.not_after = rcgen::date_time_ymd(until, 1, 1);
        let certificate = parameters.self_signed(&key).expect("a certificate");
        let file = |end: &str| directory.path().join(format!("{name}.{end}"));
        private_file(&file("pem"), certificate.pem().as_bytes());
        private_file(&file("key"), key.serialize_pem().as_bytes());
    }
    check(
        directory.path(),
        &[
            (
                "certificates: [{ cert: over.pem, key: over.key }]",
                "asgate.yaml:3:35: warning: listeners[0].tls.certificates[0].cert: certificate 1 expired on 2001-01-01 (got \"over.pem\", advised a new certificate)",
            ),
            (
                "certificates: [{ cert: later.pem, key: later.key }]",
                "asgate.yaml:3:35: warning: listeners[0].tls.certificates[0].cert: certificate 1 is not valid before 3000-01-01 (got \"later.pem\", advised a certificate that is valid now, or the right time)",
            ),
        ],
    );
}

/// `conf/https.yaml` with the files that it names.
#[test]
fn the_example_with_certificates_is_valid() {
    let directory = directory_with(&[]);
    fs::create_dir(directory.path().join("certs")).expect("a directory");
    for (fixture, name) in [
        ("chain.pem", "site.pem"),
        ("ec-pkcs8.key", "site.key"),
        ("ocsp-good.der", "site.ocsp"),
        ("modern.pfx", "intranet.pfx"),
        ("issuer.pem", "clients.pem"),
        ("crl.pem", "revoked-list.pem"),
    ] {
        let bytes = fs::read(Path::new(FIXTURES).join(fixture)).expect(fixture);
        private_file(&directory.path().join("certs").join(name), &bytes);
    }
    let text = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/conf/https.yaml"));
    let (config, said) = read_in(directory.path(), text);
    assert_eq!(said, "", "nothing is said");
    assert_eq!(config.expect("a valid file").listeners.len(), 4, "listeners");
}
