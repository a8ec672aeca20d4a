//! What is shown of listeners and their certificates.

use std::collections::BTreeMap;

use crate::admin::{CertificateStatus, ClientAuthStatus, ListenerStatus, TlsStatus};

use super::{listener, render, status};

pub fn certificate(file: &str, days_left: i64) -> CertificateStatus {
    CertificateStatus {
        names: vec!["site.example".to_owned()],
        file: file.to_owned(),
        expires: "2027-03-01T23:59:59Z".to_owned(),
        days_left,
        problem: None,
    }
}

pub fn secured(certificates: Vec<CertificateStatus>) -> ListenerStatus {
    let tls = TlsStatus {
        min_version: "1.2".to_owned(),
        certificates,
        client_auth: None,
        handshakes: BTreeMap::new(),
    };
    ListenerStatus { tls: Some(tls), ..listener("0.0.0.0:443") }
}

#[test]
fn listeners_show_their_certificates_and_what_they_refused() {
    let mut names: Vec<_> = ["site.example", "*.site.example"].map(str::to_owned).into();
    names.push("::1".to_owned());
    let broken = "certs/b.key: it is empty\n";
    let certificates = vec![
        CertificateStatus { names, ..certificate("certs/site.pem", 99) },
        CertificateStatus { names: Vec::new(), ..certificate("certs/b.pfx", 12) },
        CertificateStatus {
            problem: Some("expired on 2026-03-01T23:59:59Z".to_owned()),
            ..certificate("certs/old.pem", -3)
        },
        CertificateStatus {
            problem: Some(broken.to_owned()),
            names: vec!["b.example\u{1b}".to_owned()],
            ..certificate("certs/b.pem", 30)
        },
    ];
    let mut secured = secured(certificates);
    secured.refused = BTreeMap::from([("max_connections".to_owned(), 3)]);
    if let Some(tls) = &mut secured.tls {
        tls.client_auth = Some(ClientAuthStatus {
            file: "certs/clients.pem".to_owned(),
            problem: Some("certs/revoked.crl: is empty\n".to_owned()),
        });
        tls.handshakes = BTreeMap::from([("full".to_owned(), 20), ("not_tls".to_owned(), 1)]);
    }
    let mut status = status(Vec::new());
    status.upstreams.clear();
    status.listeners.push(secured);
    let expected = "\
asgate 1.2.3 degraded: pid 99, up 59s
127.0.0.1:80: 7 of 10000 connections
0.0.0.0:443: 7 of 10000 connections, TLS from 1.2

LISTENER     NAMES                 EXPIRES     DAYS LEFT  CERTIFICATE
0.0.0.0:443  site.example, 2 more  2027-03-01  99         certs/site.pem
0.0.0.0:443  -                     2027-03-01  12         certs/b.pfx
0.0.0.0:443  site.example          2027-03-01  -3         certs/old.pem
0.0.0.0:443  b.example\\u{1b}       2027-03-01  30         certs/b.pem

0.0.0.0:443: certificate certs/b.pfx: expires in 12 days
0.0.0.0:443: certificate certs/old.pem: expired on 2026-03-01T23:59:59Z
0.0.0.0:443: certificate certs/b.pem: certs/b.key: it is empty\\n
0.0.0.0:443: client_auth certs/clients.pem: certs/revoked.crl: is empty\\n
connections refused by 0.0.0.0:443: 3 max_connections
TLS handshakes of 0.0.0.0:443: 20 full, 1 not_tls
";
    assert_eq!(render(&status), expected);
}

#[test]
fn a_certificate_that_ends_within_30_days_is_told_of() {
    for (days_left, expected) in [
        (31, None),
        (30, None),
        (29, Some("expires in 29 days")),
        (2, Some("expires in 2 days")),
        (1, Some("expires in 1 day")),
        (0, Some("expires in less than a day")),
    ] {
        let mut status = status(Vec::new());
        status.listeners = vec![secured(vec![certificate("site.pem", days_left)])];
        let text = render(&status);
        let line = text.lines().find_map(|line| line.split_once(": certificate site.pem: "));
        assert_eq!(line.map(|(_, remark)| remark), expected, "{days_left} days left: {text}");
    }
}
