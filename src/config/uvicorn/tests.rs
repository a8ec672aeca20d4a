use super::*;

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

/// Index, option, value with its index.
type Seen<'a> = (usize, Option<&'a str>, Option<(usize, &'a str)>);

#[test]
fn options_are_told_from_values_and_strays() {
    let cases: &[(&[&str], &[Seen<'_>])] = &[
        (&[], &[]),
        (&["--log-level", "warning"], &[(0, Some("--log-level"), Some((1, "warning")))]),
        (&["--log-level=warning"], &[(0, Some("--log-level"), Some((0, "warning")))]),
        (&["--header=a=b"], &[(0, Some("--header"), Some((0, "a=b")))]),
        (&["--app-dir="], &[(0, Some("--app-dir"), Some((0, "")))]),
        (&["--app-dir", ""], &[(0, Some("--app-dir"), Some((1, "")))]),
        (&["--factory", "stray"], &[(0, Some("--factory"), None), (1, None, None)]),
        (&["stray", "--factory"], &[(0, None, None), (1, Some("--factory"), None)]),
        (
            &["--new-option", "x", "y"],
            &[(0, Some("--new-option"), Some((1, "x"))), (2, None, None)],
        ),
        (&["--log-level", "--port"], &[(0, Some("--log-level"), None), (1, Some("--port"), None)]),
        (&["--backlog", "-1"], &[(0, Some("--backlog"), Some((1, "-1")))]),
        (&["--", "--port"], &[(0, None, None), (1, Some("--port"), None)]),
        (&["-m"], &[(0, None, None)]),
    ];
    for (given, expected) in cases {
        let given = words(given);
        let seen: Vec<_> =
            arguments(&given).into_iter().map(|a| (a.at, a.option, a.value)).collect();
        assert_eq!(seen, *expected, "{given:?}");
    }
}

#[test]
fn the_last_of_an_option_counts() {
    let given = words(&["--loop", "uvloop", "--factory", "--loop=asyncio", "--log-level"]);
    assert_eq!(last_value(&given, "--loop"), Some("asyncio"), "given twice");
    assert_eq!(last_value(&given, "--log-level"), None, "without a value");
    assert_eq!(last_value(&given, "--http"), None, "not given");
}

#[test]
fn refused_options_have_their_reason() {
    let refused = [
        ("--host", "another address"),
        ("--port", "another address"),
        ("--uds", "another address"),
        ("--fd", "another address"),
        ("--workers", "several processes"),
        ("--reload", "several processes"),
        ("--reload-include", "several processes"),
        ("--ssl-keyfile-password", "encrypt"),
        ("--http2", "protocol"),
        ("--limit-max-requests", "end the worker while"),
        ("--limit-max-requests-jitter", "end the worker while"),
        ("--root-path", "a key of its own"),
        ("--version", "at once"),
        ("--help", "at once"),
    ];
    for (option, reason) in refused {
        let refusal = refused_option(option);
        assert!(refusal.is_some_and(|r| r.what.contains(reason)), "{option}: {refusal:?}");
    }
    let allowed = [
        "--access-log",
        "--app-dir",
        "--forwarded-allow-ips",
        "--http",
        "--limit-concurrency",
        "--loop",
        "--timeout-keep-alive",
        "--workers-of-the-future",
    ];
    for option in allowed {
        assert_eq!(refused_option(option), None, "{option} is the user's");
    }
}

#[test]
fn variables_follow_the_options() {
    for name in ["UVICORN_PORT", "UVICORN_RELOAD_DIRS", "UVICORN_SSL_KEYFILE", "UVICORN_VERSION"] {
        assert!(refused_variable(name).is_some_and(|r| r != NO_EFFECT), "{name} breaks a worker");
    }
    for name in ["UVICORN_TIMEOUT_KEEP_ALIVE", "UVICORN_APP", "UVICORN_ACCESS_LOG"] {
        assert_eq!(refused_variable(name), Some(NO_EFFECT), "{name} loses against the option");
    }
    for name in ["UVICORN_LOG_LEVEL", "UVICORN_LOOP", "WEB_CONCURRENCY", "PORT", "UVICORN_"] {
        assert_eq!(refused_variable(name), None, "{name} is the user's");
    }
    assert_eq!(refused_variable("uvicorn_port").is_some(), cfg!(windows), "letter case");
}

#[test]
fn limits_leave_room_for_a_request_and_a_check() {
    let cases = [
        ("3", Some(3)),
        ("1000", Some(1000)),
        ("2", None),
        ("0", None),
        ("", None),
        ("+3", None),
        ("-3", None),
        ("3.0", None),
        ("4294967296", None),
    ];
    for (text, expected) in cases {
        assert_eq!(parse_limit(text).map(NonZeroU32::get), expected, "{text:?}");
    }
}

#[test]
fn the_limit_is_the_option_before_the_variable() {
    let env = |value: &str| BTreeMap::from([("UVICORN_LIMIT_CONCURRENCY".into(), value.into())]);
    let option = words(&["--limit-concurrency", "5"]);
    assert_eq!(limit_concurrency(&option, &env("6")), Some("5"), "both");
    assert_eq!(limit_concurrency(&[], &env("6")), Some("6"), "the variable");
    assert_eq!(limit_concurrency(&[], &env("")), None, "an empty one is none");
    assert_eq!(limit_concurrency(&[], &BTreeMap::new()), None, "neither");
}
