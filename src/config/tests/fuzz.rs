//! Bad input never panics, and every problem has a place inside the file.

use proptest::prelude::*;

use super::{VALID, read};

/// Every key, for mutations that go deep; those of TLS are in the second.
const FULL: [&str; 2] = [
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/conf/full.yaml")),
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/conf/https.yaml")),
];

/// Pieces that mean something to YAML, to the units or to the expansion.
const PIECES: [&str; 44] = [
    "{",
    "}",
    "[",
    "]",
    ":",
    ": ",
    "- ",
    "\n",
    "  ",
    "\t",
    "#",
    "&a ",
    "*a",
    "!!str ",
    "|\n",
    ">-\n",
    "? ",
    "'",
    "\"",
    "---\n",
    "...\n",
    "%YAML 1.2\n",
    "${",
    "${FOUR}",
    "${UNSET:-x}",
    "$$",
    "~",
    "null",
    "0x",
    "1e999",
    "99999999999999999999999",
    "off",
    "30",
    "5d",
    "\u{feff}",
    "é",
    "\r",
    "\u{0}",
    "<<: ",
    "routes:\n",
    "{host}",
    "{{",
    "1.2",
    "unix:/a",
];

/// Cut, double or replace pieces of `text` at the places that `edits` name.
fn mutated(text: &str, edits: &[(usize, usize, usize)]) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    for (start, length, piece) in edits {
        let start = start % (chars.len() + 1);
        let end = (start + length % 8).min(chars.len());
        let piece = PIECES.get(piece % (PIECES.len() * 2)).copied().unwrap_or_default();
        chars.splice(start..end, piece.chars());
    }
    chars.into_iter().collect()
}

fn check(text: &str) {
    let Err(problems) = read(text) else { return };
    let text = text.replace("\r\n", "\n");
    let lines: Vec<&str> = text.split(['\n', '\r']).collect();
    assert!(problems.iter().next().is_some(), "an error has a problem");
    for problem in &problems {
        let (line, column) = (problem.position.line, problem.position.column);
        let length =
            line.checked_sub(1).and_then(|line| lines.get(line)).map(|l| l.chars().count());
        assert!(length.is_some(), "line {line} is in the file: {problem}");
        assert!(
            (1..=length.unwrap_or_default() + 1).contains(&column),
            "column {column} is in line {line}: {problem}"
        );
        let printed = problem.to_string();
        assert!(!printed.contains(['\n', '\r']), "one line: {printed:?}");
        assert!(!problem.path.is_empty(), "a path: {printed}");
    }
}

fn edits() -> impl Strategy<Value = Vec<(usize, usize, usize)>> {
    prop::collection::vec((any::<usize>(), any::<usize>(), any::<usize>()), 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 800, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn mutated_files_never_panic(edits in edits()) {
        for text in FULL {
            check(&mutated(text, &edits));
        }
    }

    #[test]
    fn mutated_small_files_never_panic(edits in edits()) {
        check(&mutated(VALID, &edits));
    }

    #[test]
    fn random_text_never_panics(pieces in prop::collection::vec(0..PIECES.len(), 0..30), text in ".{0,40}") {
        let pieces: String = pieces.iter().filter_map(|piece| PIECES.get(*piece)).copied().collect();
        check(&format!("{pieces}{text}"));
        check(&text);
    }
}
