//! Lines and columns of a text.

use super::super::problem::Position;

/// Characters of each line of `text`, of which there is at least one. YAML 1.2.2 §5.4: a line ends
/// with a line feed, a carriage return, or both.
pub fn line_lengths(text: &str) -> Vec<usize> {
    let text = text.replace("\r\n", "\n");
    text.split(['\n', '\r']).map(|line| line.chars().count()).collect()
}

/// The position just after `text`.
pub fn end_of(text: &str) -> Position {
    let lines = line_lengths(text);
    Position { line: lines.len(), column: lines.last().map_or(0, |length| *length) + 1 }
}
