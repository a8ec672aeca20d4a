use std::time::{Duration, UNIX_EPOCH};

use super::*;

fn reloaded(path: &str, outcome: Outcome) -> Reloaded {
    Reloaded { subject: Subject::Certificate, path: path.into(), outcome }
}

fn clients(path: &str, outcome: Outcome) -> Reloaded {
    Reloaded { subject: Subject::Clients, ..reloaded(path, outcome) }
}

fn renewed(names: &[&str]) -> Outcome {
    let names = names.iter().map(|name| (*name).to_owned()).collect();
    Outcome::Renewed { names, not_after: UNIX_EPOCH + Duration::from_secs(1_801_627_506) }
}

fn kept(error: &str) -> Outcome {
    Outcome::Kept { error: error.to_owned() }
}

fn said(listeners: &[(&str, Vec<Reloaded>)]) -> Result<String, String> {
    match answer(listeners) {
        Ok(Done { message }) => Ok(message),
        Err(refusal) => Err(refusal.to_string()),
    }
}

#[test]
fn what_changed_is_told_line_by_line() {
    let answer = said(&[
        (
            "0.0.0.0:443",
            vec![
                reloaded("certs/site.pem", renewed(&["site.example"])),
                reloaded("certs/same.pem", Outcome::Unchanged),
                clients("certs/clients.pem", Outcome::ClientsRenewed),
            ],
        ),
        ("[::1]:8443", vec![reloaded("b.pfx", renewed(&["a", "*.a", "b", "c", "d"]))]),
        ("[::1]:9443", vec![reloaded("c.pem", renewed(&[]))]),
    ]);
    let expected = "\
certificates of 0.0.0.0:443: renewed certs/site.pem (site.example, expires 2027-02-03T04:05:06Z)
client_auth of 0.0.0.0:443: renewed certs/clients.pem
certificates of [::1]:8443: renewed b.pfx (a, *.a, b, 2 more, expires 2027-02-03T04:05:06Z)
certificates of [::1]:9443: renewed c.pem (for no name, expires 2027-02-03T04:05:06Z)
the configuration file is not read again: restart for that";
    assert_eq!(answer, Ok(expected.to_owned()));
}

#[test]
fn when_nothing_changed_it_is_said() {
    let same = || reloaded("site.pem", Outcome::Unchanged);
    let cases: [&[(&str, Vec<Reloaded>)]; 3] =
        [&[], &[(":80", vec![])], &[(":443", vec![same(), same()])]];
    let expected = "nothing changed\nthe configuration file is not read again: restart for that";
    for case in cases {
        assert_eq!(said(case), Ok(expected.to_owned()), "{case:?}");
    }
}

#[test]
fn a_broken_file_makes_it_a_failure_that_tells_the_rest_too() {
    let answer = said(&[
        (":443", vec![reloaded("a.pem", kept("a.key: it is empty"))]),
        (":8443", vec![reloaded("b.pem", renewed(&["b.example"])), clients("c", kept("c: gone"))]),
    ]);
    let expected = "\
certificates of :443: unchanged, the new files cannot be used: a.key: it is empty
certificates of :8443: renewed b.pem (b.example, expires 2027-02-03T04:05:06Z)
client_auth of :8443: unchanged, the new files cannot be used: c: gone";
    assert_eq!(answer, Err(expected.to_owned()));
}

#[test]
fn few_names_are_told_and_many_are_counted() {
    let cases: [(&[&str], &str); 5] = [
        (&[], "for no name"),
        (&["a"], "a"),
        (&["a", "b", "c"], "a, b, c"),
        (&["a", "b", "c", "d"], "a, b, c, 1 more"),
        (&["a", "b", "c", "d", "e"], "a, b, c, 2 more"),
    ];
    for (names, expected) in cases {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(few(&names), expected, "{names:?}");
    }
}
