//! What is wrong with a certificate, a key or an address is one line that names the place, and an exit code.

mod addresses;
mod warnings;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::support::certificates::{Authority, KeyKind, Wanted};
use crate::support::openssl::{openssl, texts};

/// What is in front of `site.pem` and `site.key` in the first file below, and in front of the others.
const CERT: &str = "asgate.yaml:5:17: listeners[0].tls.certificates[0].cert: ";
const KEY: &str = "asgate.yaml:6:16: listeners[0].tls.certificates[0].key: ";
const PFX: &str = "asgate.yaml:5:16: listeners[0].tls.certificates[0].pfx: ";
const PASSWORD: &str = "asgate.yaml:6:21: listeners[0].tls.certificates[0].password: ";
const CA: &str = "asgate.yaml:8:13: listeners[0].tls.client_auth.ca: ";
const CRL: &str = "asgate.yaml:9:15: listeners[0].tls.client_auth.crl[0]: ";

const SECRET: &str = "open sesame";
const WRONG: &str = "open barley";

/// A directory with a sound `site.pem`, `site.key`, `ca.pem` and `list.crl`, one of which a test spoils.
struct Place {
    directory: tempfile::TempDir,
    authority: Authority,
}

impl Place {
    fn new() -> Self {
        let place = Self {
            directory: tempfile::tempdir().expect("a directory"),
            authority: Authority::create(),
        };
        place.put("site", Wanted::default());
        let list = place.authority.revoke("list.crl", &[]);
        std::fs::copy(list, place.file("list.crl")).expect("a list");
        std::fs::copy(place.authority.certificate(), place.file("ca.pem")).expect("a certificate");
        place
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.file(name).display().to_string()
    }

    /// Issues a certificate for a name, and puts it and its key here.
    fn put(&self, name: &str, wanted: Wanted<'_>) {
        let names = ["site.test"];
        let names = if wanted.names.is_empty() { &names } else { wanted.names };
        let made = self.authority.issue(name, Wanted { names, ..wanted });
        for (from, end) in [(made.certificate, "pem"), (made.key, "key")] {
            std::fs::copy(from, self.file(&format!("{name}.{end}"))).expect("copied");
        }
    }

    fn spoil(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.file(name), bytes).expect("written");
    }

    /// A list of somebody with another name, with this line in the section of its books.
    fn put_list_of_another(&self, line: &str) {
        let [key, cert, list] = ["it.key", "it.pem", "list.crl"].map(|name| self.text(name));
        let new =
            ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
        openssl(&[&new[..], &["-subj", "/CN=it", "-keyout", &key, "-out", &cert]].concat(), "");
        self.spoil("index.txt", "");
        let (database, books) = (self.text("index.txt"), self.text("ca.conf"));
        let extensions = "[crl]\nauthorityKeyIdentifier = keyid\n";
        self.spoil("ca.conf", format!("[ca]\ndatabase = {database}\n{line}\n{extensions}"));
        let write =
            ["ca", "-config", &books, "-name", "ca", "-gencrl", "-crldays", "9", "-md", "sha256"];
        openssl(&[&write[..], &["-keyfile", &key, "-cert", &cert, "-out", &list]].concat(), "");
    }

    /// A configuration whose first certificate is these two lines.
    fn configure(&self, first: &str, second: &str) {
        let text = format!(
            "listeners:\n  - address: 127.0.0.1:0\n    tls:\n      certificates:\n        \
             - {first}\n          {second}\n      client_auth:\n        ca: ca.pem\n        \
             crl: [list.crl]\nroutes: [{{ respond: {{ body: x }} }}]\n"
        );
        std::fs::write(self.file("asgate.yaml"), text).expect("a configuration");
    }

    fn asgate(&self, word: &str) -> Output {
        asgate(Command::new(env!("CARGO_BIN_EXE_asgate")).arg(word), self.directory.path())
    }
}

/// Runs a command in this directory to its end.
fn asgate(command: &mut Command, directory: &Path) -> Output {
    let command = command.env_remove("RUST_LOG").current_dir(directory).stdin(Stdio::null());
    command.output().expect("it runs")
}

/// One problem, told in one line at this place with these words. `Err` says what of that does not hold.
fn told_in_one_line(output: &Output, place: &str, words: &[&str]) -> Result<(), String> {
    let (told, complaints) = texts(output);
    if output.status.code() != Some(1) || !told.is_empty() {
        return Err(format!("{:?}, {told:?}: {complaints}", output.status.code()));
    }
    if complaints.lines().count() != 1 || !complaints.ends_with(")\n") {
        return Err(format!("not one line that ends with what is allowed: {complaints}"));
    }
    if !complaints.contains(place) || !complaints.contains(" (got ") {
        return Err(format!("not at {place:?}: {complaints}"));
    }
    if complaints.contains(SECRET) || complaints.contains(WRONG) {
        return Err(format!("tells a password: {complaints}"));
    }
    let lower = complaints.to_lowercase();
    let missing = words.iter().find(|word| !lower.contains(**word));
    missing.map_or(Ok(()), |word| Err(format!("no {word:?}: {complaints}")))
}

/// What is wrong, what makes it so, where it is told, and words that tell it.
type Case = (&'static str, fn(&Place), &'static str, &'static [&'static str]);

const PAIRS: &[Case] = &[
    ("no certificate file", |it| remove(it, "site.pem"), CERT, &["site.pem"]),
    ("no key file", |it| remove(it, "site.key"), KEY, &["site.key"]),
    (
        "a directory",
        |it| {
            remove(it, "site.pem");
            make(it, "site.pem")
        },
        CERT,
        &["site.pem"],
    ),
    ("an empty certificate file", |it| it.spoil("site.pem", ""), CERT, &["certificate"]),
    ("garbage for a certificate", |it| it.spoil("site.pem", "garbage"), CERT, &["certificate"]),
    ("a broken certificate", |it| it.spoil("site.pem", BROKEN_CERTIFICATE), CERT, &["certificate"]),
    ("an empty key file", |it| it.spoil("site.key", ""), KEY, &["key"]),
    ("garbage for a key", |it| it.spoil("site.key", "garbage"), KEY, &["key"]),
    ("a key of something else", another_key, KEY, &["not the one"]),
    ("a key of another kind", another_kind_of_key, KEY, &["not the one"]),
    ("an encrypted key", |it| encrypt(it, &["pkey", "-aes256"]), KEY, &["encrypted", "openssl"]),
    ("an old encrypted key", |it| encrypt(it, &["ec", "-aes256"]), KEY, &["encrypted", "openssl"]),
    ("a certificate for a key", |it| copy(it, "site.pem", "site.key"), KEY, &["certificate"]),
    ("a key for a certificate", |it| copy(it, "site.key", "site.pem"), CERT, &["key"]),
    ("DER", der, CERT, &["pem"]),
    ("no authority", |it| remove(it, "ca.pem"), CA, &["ca.pem"]),
    ("garbage for an authority", |it| it.spoil("ca.pem", "garbage"), CA, &["certificate"]),
    ("no list", |it| remove(it, "list.crl"), CRL, &["list.crl"]),
    ("garbage for a list", |it| it.spoil("list.crl", "garbage"), CRL, &["list"]),
    ("a forged list", forged_list, CRL, &["has not signed", "ca.pem"]),
    ("a list in an old format", |it| it.put_list_of_another(""), CRL, &["version 2"]),
    ("two lists of one authority", two_lists, CRL, &["second"]),
];

const BROKEN_CERTIFICATE: &str =
    "-----BEGIN CERTIFICATE-----\nMIIBszCCAVmgAwIBAgIU\n-----END CERTIFICATE-----\n";

fn remove(place: &Place, name: &str) {
    std::fs::remove_file(place.file(name)).expect("removed");
}

fn make(place: &Place, name: &str) {
    std::fs::create_dir(place.file(name)).expect("a directory");
}

fn copy(place: &Place, from: &str, to: &str) {
    std::fs::copy(place.file(from), place.file(to)).expect("copied");
}

/// The signature comes last.
fn forged_list(place: &Place) {
    let [pem, der] = ["list.crl", "list.der"].map(|name| place.text(name));
    openssl(&["crl", "-in", &pem, "-outform", "DER", "-out", &der], "");
    let mut list = std::fs::read(der).expect("a list");
    *list.last_mut().expect("a byte") ^= 1;
    place.spoil("list.crl", list);
}

fn two_lists(place: &Place) {
    let first = std::fs::read(place.file("list.crl")).expect("a list");
    let revoked = place.authority.issue("revoked", Wanted::default());
    let second = place.authority.revoke("second.crl", &[&revoked]);
    place.spoil("list.crl", [first, std::fs::read(second).expect("a list")].concat());
}

fn another_key(place: &Place) {
    place.put("other", Wanted::default());
    copy(place, "other.key", "site.key");
}

fn another_kind_of_key(place: &Place) {
    place.put("other", Wanted { key: KeyKind::Rsa2048, ..Wanted::default() });
    copy(place, "other.key", "site.key");
}

fn encrypt(place: &Place, command: &[&str]) {
    let (key, out) = (place.text("site.key"), place.text("encrypted.key"));
    let secret = format!("pass:{SECRET}");
    openssl(&[command, &["-in", &key, "-passout", &secret, "-out", &out]].concat(), "");
    copy(place, "encrypted.key", "site.key");
}

fn der(place: &Place) {
    let (pem, out) = (place.text("site.pem"), place.text("site.der"));
    openssl(&["x509", "-in", &pem, "-outform", "DER", "-out", &out], "");
    copy(place, "site.der", "site.pem");
}

#[test]
fn each_fault_of_a_pair_of_files_is_one_line() {
    let mut wrong = Vec::new();
    for (what, spoil, at, words) in PAIRS {
        let place = Place::new();
        place.configure("cert: site.pem", "key: site.key");
        let output = place.asgate("check");
        assert_eq!(output.status.code(), Some(0), "the control: {:?}", texts(&output));
        assert_eq!(texts(&output).1, "", "the control: nothing to complain of");
        spoil(&place);
        for word in ["check", "run"] {
            if let Err(problem) = told_in_one_line(&place.asgate(word), at, words) {
                wrong.push(format!("{what}, {word}: {problem}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// Makes `site.pfx` of the pair.
fn export(place: &Place, options: &[&str]) {
    let [cert, key, out] = ["site.pem", "site.key", "site.pfx"].map(|name| place.text(name));
    let secret = format!("pass:{SECRET}");
    let export = ["pkcs12", "-export", "-in", &cert, "-passout", &secret, "-out", &out];
    let key: &[&str] = if options.contains(&"-nokeys") { &[] } else { &["-inkey", &key] };
    openssl(&[&export[..], key, options].concat(), "");
}

#[test]
fn each_fault_of_a_pfx_file_is_one_line() {
    let cases: [Case; 4] = [
        ("no file", |it| remove(it, "site.pfx"), PFX, &["site.pfx"]),
        ("garbage", |it| it.spoil("site.pfx", "garbage"), PFX, &["site.pfx"]),
        ("no key in it", |it| export(it, &["-nokeys"]), PFX, &["key"]),
        (
            "another password",
            |it| it.configure("pfx: site.pfx", &format!("password: {WRONG}")),
            PASSWORD,
            &["password"],
        ),
    ];
    let mut wrong = Vec::new();
    for legacy in [&[][..], &["-legacy"]] {
        for (what, spoil, at, words) in &cases {
            let place = Place::new();
            export(&place, legacy);
            place.configure("pfx: site.pfx", &format!("password: {SECRET}"));
            let output = place.asgate("check");
            assert_eq!(output.status.code(), Some(0), "the control: {:?}", texts(&output));
            spoil(&place);
            if let Err(problem) = told_in_one_line(&place.asgate("check"), at, words) {
                wrong.push(format!("{what}, {legacy:?}: {problem}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}
