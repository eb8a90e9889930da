//! The table: one line a number, with its quartiles and the design's goal.

use super::stats::Quartiles;
use std::fmt::Display;
use std::io::{self, Write};

/// Where the table goes.
pub struct Table<'a>(&'a mut dyn Write);

// === impl Table ===

impl<'a> Table<'a> {
    /// Writes to `out`.
    pub fn new(out: &'a mut dyn Write) -> Self {
        Self(out)
    }

    /// A line as it is.
    ///
    /// # Errors
    /// When nobody reads any more.
    pub fn line(&mut self, text: impl Display) -> io::Result<()> {
        writeln!(self.0, "{text}")?;
        self.0.flush()
    }

    /// What was measured, and how.
    ///
    /// # Errors
    /// When nobody reads any more.
    pub fn section(&mut self, what: &str, how: impl Display) -> io::Result<()> {
        self.line(format_args!("\n{what}\n    {how}\n"))?;
        let (value, middle) = ("median", "quartiles");
        self.line(format_args!("    {:<44}{value:>9}      {middle:>15}", ""))
    }

    /// A number with its unit.
    ///
    /// # Errors
    /// When nobody reads any more.
    pub fn value(&mut self, what: &str, sample: &[f64], unit: &str, goal: &str) -> io::Result<()> {
        self.row(what, Quartiles::of(sample), unit, goal)
    }

    /// A ratio, round by round.
    ///
    /// # Errors
    /// When nobody reads any more.
    pub fn ratio(
        &mut self,
        what: &str,
        dividends: &[f64],
        divisors: &[f64],
        goal: &str,
    ) -> io::Result<()> {
        self.row(what, Quartiles::of_ratios(dividends, divisors), "x", goal)
    }

    fn row(&mut self, what: &str, of: Quartiles, unit: &str, goal: &str) -> io::Result<()> {
        let middle = format!("{} .. {}", shown(of.low), shown(of.high));
        let goal = if goal.is_empty() { String::new() } else { format!("   goal {goal}") };
        self.line(format_args!("    {what:<44}{:>9} {unit:<4} {middle:>15}{goal}", shown(of.mid)))
    }
}

/// Three digits that matter.
fn shown(number: f64) -> String {
    match number.abs() {
        size if size >= 100.0 => format!("{number:.0}"),
        size if size >= 10.0 => format!("{number:.1}"),
        _ => format!("{number:.2}"),
    }
}
