//! The account as text: blocks of labelled lines, aligned, at most 100 columns.

use std::fmt::Display;
use std::io::{self, Write};
use std::time::Duration;

/// Columns of a line.
const WIDTH: usize = 100;
/// Columns before a value: the indent and the label.
const LABEL: usize = 12;
const INDENT: &str = "    ";

/// How a piece of text looks on a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ink {
    /// As the terminal has it.
    Plain,
    /// A heading.
    Bold,
    /// A label.
    Dim,
    /// As it should be.
    Good,
    /// A failure that belongs to the story.
    Warn,
    /// Not as expected.
    Bad,
}

/// Where the account goes.
pub struct Page<'a> {
    out: &'a mut dyn Write,
    colour: bool,
}

// === impl Page ===

impl<'a> Page<'a> {
    /// Writes to `out`.
    pub fn new(out: &'a mut dyn Write, colour: bool) -> Self {
        Self { out, colour }
    }

    /// An unlabelled line.
    ///
    /// # Errors
    /// When nobody reads any more.
    pub fn line(&mut self, text: impl Display) -> io::Result<()> {
        writeln!(self.out, "{text}")?;
        self.out.flush()
    }

    /// The head of a block.
    ///
    /// # Errors
    /// When nobody reads any more.
    pub fn head(&mut self, number: usize, kind: &str, title: &str) -> io::Result<()> {
        let kind = self.paint(kind, Ink::Bold);
        self.line(format_args!("\n{number:>2}  {kind}: {title}"))
    }

    /// A line of a block. An empty label continues the one above.
    ///
    /// # Errors
    /// When nobody reads any more.
    pub fn fact(&mut self, label: &str, ink: Ink, value: impl Display) -> io::Result<()> {
        let value = cut(&value.to_string(), WIDTH - INDENT.len() - LABEL);
        let label = self.paint(&format!("{label:<LABEL$}"), Ink::Dim);
        let value = self.paint(&value, ink);
        self.line(format_args!("{INDENT}{label}{value}"))
    }

    /// An expectation that did not hold; never cut.
    ///
    /// # Errors
    /// When nobody reads any more.
    pub fn failure(&mut self, words: &str) -> io::Result<()> {
        let text = self.paint(&format!("WRONG       {words}"), Ink::Bad);
        self.line(format_args!("{INDENT}{text}"))
    }

    /// `text` in this ink, when there is colour.
    pub fn paint(&self, text: &str, ink: Ink) -> String {
        let code = match ink {
            Ink::Plain => return text.to_owned(),
            Ink::Bold => "1",
            Ink::Dim => "2",
            Ink::Good => "32",
            Ink::Warn => "33",
            Ink::Bad => "1;31",
        };
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// At most `columns` characters, on one line.
fn cut(text: &str, columns: usize) -> String {
    let text = text.replace('\n', " / ");
    if text.chars().count() <= columns {
        return text;
    }
    text.chars().take(columns.saturating_sub(3)).chain("...".chars()).collect()
}

/// `<1 ms`, `12 ms` or `2.1 s`.
pub fn took(millis: i64) -> String {
    if millis < 1 {
        "<1 ms".to_owned()
    } else if millis < 1_000 {
        format!("{millis} ms")
    } else {
        format!("{:.1} s", millis as f64 / 1e3)
    }
}

/// The same of a duration.
pub fn took_real(duration: Duration) -> String {
    took(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX))
}

/// `1,234`.
pub fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_readable() {
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), text);
        }
        assert_eq!((took(999), took(2_149)), ("999 ms".to_owned(), "2.1 s".to_owned()));
    }

    #[test]
    fn a_line_is_cut_and_stays_one_line() {
        assert_eq!(cut("ab\ncd", 10), "ab / cd");
        assert_eq!(cut("0123456789", 8), "01234...");
    }
}
