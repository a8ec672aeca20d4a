//! The reader: syntax, positions, the core schema's types, `${NAME}`.

use super::super::problem::Position;
use super::super::yaml::{Env, Kind, Node, Plain, Scalar, read};
use super::{env, said, with};

fn tree(text: &str) -> Node {
    let (tree, problems) = read(text, &env);
    assert_eq!(problems, [], "no problem with {text:?}");
    tree.expect("a tree")
}

fn scalar(text: &str) -> Scalar {
    match tree(&format!("key: {text}\n")).get("key").map(|node| node.kind.clone()) {
        Some(Kind::Scalar(scalar)) => scalar,
        other => panic!("{text:?} is no scalar but {other:?}"),
    }
}

#[test]
fn what_is_not_one_plain_document_is_refused() {
    let cases = [
        (
            "",
            "asgate.yaml:1:1: (file): is empty (got nothing, allowed a mapping with at least listeners and routes)",
        ),
        (
            "# nothing\n",
            "asgate.yaml:1:1: (file): is empty (got nothing, allowed a mapping with at least listeners and routes)",
        ),
        (
            "[]",
            "asgate.yaml:1:1: (file): has the wrong type (got an empty list, allowed a mapping)",
        ),
        (
            "listeners: [",
            "asgate.yaml:1:13: listeners[0]: is not YAML: while parsing a node, did not find expected node content (got this text, allowed YAML 1.2)",
        ),
        (
            "a: 1\n---\nb: 2\n",
            "asgate.yaml:2:1: (file): holds more than one document (got a second document, allowed one document)",
        ),
        (
            "a: b\u{0}c\n",
            "asgate.yaml:1:5: (file): holds a control character (got \"\\0\", allowed text, tab and line breaks)",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(said(text), expected, "what is said about {text:?}");
    }
    let deep = format!("a: {}1{}", "[".repeat(40), "]".repeat(40));
    let said_of_deep = said(&deep);
    assert!(
        said_of_deep
            .ends_with(": is nested too deeply (got one level more, allowed at most 32 levels)"),
        "what is said about 40 levels: {said_of_deep}"
    );
}

#[test]
fn what_has_two_meanings_is_refused() {
    let route = "  - upstream: app\n";
    let cases = [
        (
            "  - upstream: &a app\n    name: *a\n",
            "asgate.yaml:12:11: routes[0].name: aliases are not supported (got an alias, allowed the value itself)",
        ),
        (
            "  - upstream: !!str app\n",
            "asgate.yaml:11:15: routes[0].upstream: YAML tags are not supported (got \"str\", allowed the value without a tag)",
        ),
        (
            "  - upstream: app\n    ? [a]\n    : b\n",
            "asgate.yaml:12:7: routes[0]: is not a key (got a list or mapping, allowed text)",
        ),
        (
            "  - upstream: app\n    name: a\n    name: b\n",
            "asgate.yaml:13:5: routes[0].name: is there twice (got a second value, allowed each key once)",
        ),
    ];
    for (new, expected) in cases {
        assert_eq!(said(&with(route, new)), expected, "what is said about {new:?}");
    }
}

#[test]
fn keys_and_values_know_where_they_stand() {
    let tree = tree("a: 1\nbé:\n  - x\n  - { c: 'y' }\n");
    let Kind::Map(entries) = &tree.kind else { panic!("a mapping") };
    let at = |line, column| Position { line, column };
    let keys: Vec<_> = entries.iter().map(|e| (e.key.as_str(), e.key_at, e.value.at)).collect();
    assert_eq!(keys, [("a", at(1, 1), at(1, 4)), ("bé", at(2, 1), at(3, 3))], "keys and values");
    let list = tree.get("bé").expect("the list");
    let inner = list.item(1).and_then(|item| item.get("c")).expect("the inner value");
    assert_eq!(inner.at, at(4, 10), "a value in flow style");
}

#[test]
fn scalars_have_the_types_of_the_core_schema() {
    let cases = [
        ("", Plain::Null),
        ("~", Plain::Null),
        ("null", Plain::Null),
        ("\"\"", Plain::Text),
        ("true", Plain::Bool(true)),
        ("FALSE", Plain::Bool(false)),
        ("yes", Plain::Text),
        ("off", Plain::Text),
        ("12", Plain::Integer(Some(12))),
        ("-7", Plain::Integer(Some(-7))),
        ("+7", Plain::Integer(Some(7))),
        ("0o17", Plain::Integer(Some(15))),
        ("0x1F", Plain::Integer(Some(31))),
        ("0123", Plain::Integer(Some(123))),
        ("99999999999999999999", Plain::Integer(None)),
        ("1_000", Plain::Text),
        ("1.5", Plain::Float),
        (".5", Plain::Float),
        ("1e3", Plain::Float),
        ("-.inf", Plain::Float),
        (".nan", Plain::Float),
        (".", Plain::Text),
        ("1.2.3", Plain::Text),
        ("127.0.0.1:8080", Plain::Text),
        ("\"12\"", Plain::Text),
        ("'true'", Plain::Text),
        ("|\n  12\n", Plain::Text),
    ];
    for (text, expected) in cases {
        assert_eq!(scalar(text).plain(), expected, "the type of {text:?}");
    }
}

#[test]
fn variables_are_filled_in_and_other_dollars_stay() {
    let cases = [
        ("${ADDRESS}", "127.0.0.1:8080"),
        ("a${FOUR}b${FOUR}", "a4b4"),
        ("${UNSET:-default}", "default"),
        ("${UNSET:-}", ""),
        ("${EMPTY:-default}", "default"),
        ("${EMPTY}", ""),
        ("${FOUR:-5}", "4"),
        ("/new/$1", "/new/$1"),
        ("/new/${1}x", "/new/${1}x"),
        ("$$1 $${FOUR}", "$1 ${FOUR}"),
        ("^/a$", "^/a$"),
        ("$", "$"),
        ("${SECRET}$", "hunter2$"),
    ];
    for (text, expected) in cases {
        assert_eq!(scalar(&format!("\"{text}\"")).value(), expected, "the value of {text:?}");
    }
}

#[test]
fn variables_that_cannot_be_filled_in_are_refused() {
    let said_of = |value: &str| said(&with("127.0.0.1:8080", value));
    assert_eq!(
        said_of("${UNSET}"),
        "asgate.yaml:2:14: listeners[0].address: names an environment variable that is not set \
         (got ${UNSET}, allowed a variable that is set, or ${NAME:-default})",
        "an unset variable"
    );
    for malformed in ["${UNSET", "${}", "${A-b}", "${A B}"] {
        assert_eq!(
            said_of(malformed),
            "asgate.yaml:2:14: listeners[0].address: has a malformed ${…} (got something else \
             after ${, allowed ${NAME}, ${NAME:-default}, or $$ for a literal $)",
            "{malformed}"
        );
    }
}

#[test]
fn a_variable_takes_the_type_that_its_key_wants() {
    let app =
        |extra: &str| with("      asgi: main:app\n", &format!("      asgi: main:app\n{extra}"));
    assert_eq!(said(&app("      workers: ${FOUR}\n")), "", "a number");
    assert_eq!(said(&app("      env: { PORT: \"${FOUR}\" }\n")), "", "text");
    let text = app("      env:\n        PORT: ${FOUR}\n");
    assert_eq!(said(&text), "", "text, whatever the variable holds");
    let text = app("      env:\n        NOTE: ${UNSET:-}\n");
    assert_eq!(said(&text), "", "an empty text");
    assert_eq!(
        said(&app("      workers: ${EMPTY}\n")),
        "asgate.yaml:7:16: upstreams.app.app.workers: has the wrong type \
         (got \"${EMPTY}\" after expansion, allowed a whole number from 1 to 65535)",
        "an empty variable is no number"
    );
    assert_eq!(
        said(&app("      workers: ${SECRET}\n")),
        "asgate.yaml:7:16: upstreams.app.app.workers: has the wrong type \
         (got \"${SECRET}\" after expansion, allowed a whole number from 1 to 65535)",
        "the value of a variable is not shown"
    );
}

#[test]
fn keys_are_not_expanded() {
    let env: Env<'_> = &|_| Some("expanded".to_owned());
    let (tree, _) = read("${KEY}: value\n", env);
    assert!(tree.is_some_and(|tree| tree.get("${KEY}").is_some()), "the key as written");
}
