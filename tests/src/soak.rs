//! Runs that look for a broken promise where no story was written: kills at odd moments, many events
//! in one process.
//!
//! The cast: a [`rig`] is a gateway with LiveKit's double before it and receivers behind it;
//! [`kills`] lets it die again and again; [`verdict`] compares what LiveKit was told with what the
//! receivers got and what the store says; [`memory`] is the other run. Each run
//! prints its seed first, and the same seed makes the same choices; the moment of a kill depends on
//! the machine, too.
//!
//! `make soak` runs them all with numbers from the environment; the end-to-end tests run a few
//! rounds of the same.

use std::fmt::Display;
use std::io::{self, Write};

pub mod dice;
pub mod kills;
pub mod memory;
pub mod rig;
pub mod verdict;

/// How much of everything.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Kills on each kind of store.
    pub rounds: usize,
    /// Events in one process.
    pub events: usize,
    /// Where the dice begin.
    pub seed: u64,
}

/// Progress and the closing table.
pub struct Page<'a> {
    out: &'a mut dyn Write,
    rows: Vec<[String; 3]>,
    violations: Vec<String>,
}

// === impl Page ===

impl<'a> Page<'a> {
    /// Writes to `out`.
    pub fn new(out: &'a mut dyn Write) -> Self {
        Self { out, rows: Vec::new(), violations: Vec::new() }
    }

    /// A line now.
    ///
    /// # Errors
    /// When nobody reads any more.
    pub fn line(&mut self, text: impl Display) -> io::Result<()> {
        writeln!(self.out, "{text}")?;
        self.out.flush()
    }

    /// A row of the closing table.
    pub fn row(&mut self, what: &str, value: impl Display, promise: &str) {
        self.rows.push([what.to_owned(), value.to_string(), promise.to_owned()]);
    }

    /// A promise that was broken. It is printed at once and again at the end.
    ///
    /// # Errors
    /// When nobody reads any more.
    pub fn violation(&mut self, text: String) -> io::Result<()> {
        self.line(format_args!("    BROKEN: {text}"))?;
        self.violations.push(text);
        Ok(())
    }

    /// Prints the table and what was broken. Tells how much that was.
    ///
    /// # Errors
    /// When nobody reads any more.
    pub fn close(mut self) -> io::Result<usize> {
        self.line("")?;
        for [what, value, promise] in std::mem::take(&mut self.rows) {
            self.line(format_args!("    {what:<44}{value:>12}   {promise}"))?;
        }
        let broken = self.violations.len();
        self.line(format_args!("\n    {broken} promises broken"))?;
        for text in std::mem::take(&mut self.violations) {
            self.line(format_args!("    BROKEN: {text}"))?;
        }
        Ok(broken)
    }
}

/// Every run, one after the other. Tells how many promises were broken.
///
/// # Errors
/// What kept a run from its end; that is no verdict.
pub async fn run(options: &Options, out: &mut dyn Write) -> anyhow::Result<usize> {
    let mut page = Page::new(out);
    page.line(format_args!("seed {} (SOAK_SEED)", options.seed))?;
    kills::run(options, &mut page).await?;
    memory::run(options, &mut page).await?;
    Ok(page.close()?)
}
