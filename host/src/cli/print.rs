//! How verbs print: aligned tables for people, one JSON object a line for programs.
//!
//! What strangers wrote (room names, error texts) may hold anything: control characters are shown
//! as escapes, so that no text steers the terminal.

use livekit_webhook_core::time::Timestamp;
use serde_json::Value;
use std::io::Write;

/// Widest cell of a table, in characters.
const CELL_MAX: usize = 44;
/// Between two columns.
const GAP: &str = "  ";

/// Rows under headings. A column is as wide as its widest cell.
pub struct Table {
    headings: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

// === impl Table ===

impl Table {
    /// No rows yet.
    pub fn new(headings: &[&'static str]) -> Self {
        Self { headings: headings.to_vec(), rows: Vec::new() }
    }

    /// One more row; cells beyond the headings are left out.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let cells = cells.into_iter().take(self.headings.len());
        self.rows.push(cells.map(|cell| cut(&clean(&cell))).collect());
    }

    /// Prints it; nothing but `none` when there are no rows.
    ///
    /// # Errors
    /// When `out` fails.
    pub fn write(&self, out: &mut dyn Write, none: &str) -> std::io::Result<()> {
        if self.rows.is_empty() {
            return writeln!(out, "{none}");
        }
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            let widest = cells.map(|cell| cell.chars().count()).max().unwrap_or(0);
            widest.max(self.headings.get(column).map_or(0, |heading| heading.len()))
        };
        let widths: Vec<usize> = (0..self.headings.len()).map(width).collect();
        let headings = self.headings.iter().map(ToString::to_string).collect();
        for row in std::iter::once(&headings).chain(&self.rows) {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
            let line = cells.collect::<Vec<_>>().join(GAP);
            writeln!(out, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// One `name: value` a line, the values aligned; what is not there is left out.
///
/// # Errors
/// When `out` fails.
pub fn facts(out: &mut dyn Write, facts: &[(&'static str, Option<String>)]) -> std::io::Result<()> {
    let present = facts.iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
    let width = present.clone().map(|(name, _)| name.len()).max().unwrap_or(0) + 1;
    for (name, value) in present {
        writeln!(out, "{:<width$} {}", format!("{name}:"), clean(value))?;
    }
    Ok(())
}

/// One JSON object on a line.
///
/// # Errors
/// When `out` fails.
pub fn json_line(out: &mut dyn Write, value: &Value) -> std::io::Result<()> {
    writeln!(out, "{value}")
}

/// A time and how long ago that was.
pub fn when(at: Timestamp, now: Timestamp) -> String {
    let text = at.to_string();
    let seconds = text.get(..19).unwrap_or(&text).replace('T', " ");
    format!("{seconds}Z ({})", ago(at, now))
}

/// `3m ago`, `in 2h`, `now`.
pub fn ago(at: Timestamp, now: Timestamp) -> String {
    let millis = now.millis_since(at);
    let span = span(millis.saturating_abs());
    match millis {
        -999..=999 => "now".to_owned(),
        1_000.. => format!("{span} ago"),
        _ => format!("in {span}"),
    }
}

/// A span in its largest whole unit.
pub fn span(millis: i64) -> String {
    let units = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)];
    let unit = units.into_iter().find(|(_, unit_ms)| millis >= *unit_ms);
    unit.map_or_else(
        || format!("{millis}ms"),
        |(unit, unit_ms)| format!("{}{unit}", millis / unit_ms),
    )
}

/// Without anything that a terminal obeys.
pub fn clean(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() || is_direction(character) {
            clean.extend(character.escape_default());
        } else {
            clean.push(character);
        }
    }
    clean
}

/// Characters that turn the direction of text around.
fn is_direction(character: char) -> bool {
    matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn cut(text: &str) -> String {
    if text.chars().count() <= CELL_MAX {
        return text.to_owned();
    }
    let head: String = text.chars().take(CELL_MAX - 1).collect();
    head + "…"
}

/// `1 event`, `2 events`.
pub fn counted(count: u64, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// A cell of what may be missing.
pub fn or_dash(text: Option<&str>) -> String {
    text.unwrap_or("-").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_aligned_and_cannot_steer_the_terminal() {
        let mut table = Table::new(&["id", "room"]);
        table.row(["1".to_owned(), "a\u{1b}[2Jb".to_owned()]);
        table.row(["22222".to_owned(), "x".repeat(60)]);
        let mut out = Vec::new();
        table.write(&mut out, "none").unwrap();
        let long = "x".repeat(43);
        let expected = format!("id     room\n1      a\\u{{1b}}[2Jb\n22222  {long}…\n");
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn an_empty_table_says_so() {
        let mut out = Vec::new();
        Table::new(&["id"]).write(&mut out, "no events").unwrap();
        assert_eq!(out, b"no events\n");
    }

    #[test]
    fn times_are_told_from_now() {
        let now = Timestamp::from_millis(1_795_435_200_000);
        for (millis, text) in [
            (0, "now"),
            (-999, "now"),
            (-1_000, "1s ago"),
            (-90_000, "1m ago"),
            (7_200_000, "in 2h"),
            (-172_800_000, "2d ago"),
        ] {
            assert_eq!(ago(now.plus_millis(millis), now), text, "{millis}");
        }
        assert_eq!(when(now.plus_millis(-3_600_000), now), "2026-11-23 11:00:00Z (1h ago)");
    }
}
