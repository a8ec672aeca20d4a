//! Columns of text under headings. Knows nothing of what they say.

use std::fmt::Write as _;

/// For what there is not.
pub const NONE: &str = "-";

/// Appends an empty line and then the rows, aligned; nothing when there is no row. A column in which each row has
/// [`NONE`] is left out.
pub fn push<const N: usize>(text: &mut String, headings: [&str; N], rows: &[[String; N]]) {
    let widths: Vec<_> = headings.iter().zip(0..).map(|(name, at)| width(name, rows, at)).collect();
    if rows.is_empty() {
        return;
    }
    text.push('\n');
    let headings = headings.map(str::to_owned);
    for line in std::iter::once(&headings).chain(rows) {
        let start = text.len();
        for (cell, width) in line.iter().zip(&widths) {
            if let Some(width) = width {
                // Writing to a string cannot fail.
                let _ = write!(text, "{cell:<width$}  ");
            }
        }
        // The last column needs no room on its right.
        let end = text.get(start..).map_or(0, |line| line.trim_end().len());
        text.truncate(start + end);
        text.push('\n');
    }
}

/// Letters that a column takes, or `None` where it has nothing to say.
fn width<const N: usize>(heading: &str, rows: &[[String; N]], column: usize) -> Option<usize> {
    let cells = || rows.iter().filter_map(|row| row.get(column));
    let says_something = cells().any(|cell| cell != NONE);
    let widest = cells().map(|cell| cell.chars().count()).max();
    says_something.then_some(widest.unwrap_or(0).max(heading.chars().count()))
}
