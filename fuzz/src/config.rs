//! The loader: no text makes it panic, and whatever is wrong with one is told in one line each, with its place in the
//! text.

use std::path::Path;

use asgate::config;

/// `text` is a configuration file.
pub fn check(text: &str) {
    let Err(problems) = config::parse(text, Path::new("asgate.yaml"), &|_| None) else { return };
    let text = text.replace("\r\n", "\n");
    let lengths: Vec<usize> = text.split(['\n', '\r']).map(|line| line.chars().count()).collect();
    assert!(problems.iter().next().is_some(), "an error without a problem");
    for problem in &problems {
        let (line, column) = (problem.position.line, problem.position.column);
        let length = line.checked_sub(1).and_then(|line| lengths.get(line));
        let end = length.unwrap_or_else(|| panic!("no line {line}: {problem}")) + 1;
        assert!((1..=end).contains(&column), "no column {column} in line {line}: {problem}");
        assert!(!problem.path.is_empty(), "no path: {problem}");
        assert!(!problem.to_string().contains(['\n', '\r']), "more than a line: {problem}");
    }
}
