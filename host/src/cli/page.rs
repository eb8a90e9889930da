//! What all lists take: a span of time, a limit, JSON.

use super::now;
use crate::config::past;
use crate::store::PAGE_MAX;
use livekit_webhook_core::time::Timestamp;
use std::io::Write;

/// Which part of a list.
#[derive(clap::Args, Clone, Debug)]
#[group(id = "page_what")]
pub struct Page {
    /// From then on: 1h (ago), 09:00, 2026-11-23T09:00:00Z
    #[arg(long, value_name = "TIME", value_parser = past)]
    pub since: Option<Timestamp>,
    /// Before then
    #[arg(long, value_name = "TIME", value_parser = past)]
    pub until: Option<Timestamp>,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = limit)]
    pub limit: usize,
    /// Print one JSON object a line
    #[arg(long)]
    pub json: bool,
}

/// Reads a time as seen from now.
///
/// # Errors
/// What would be right.
pub fn past(text: &str) -> Result<Timestamp, String> {
    past::parse(text, now())
}

fn limit(text: &str) -> Result<usize, String> {
    let limit = text.parse().ok().filter(|limit| (1..=PAGE_MAX).contains(limit));
    limit.ok_or_else(|| format!("must be 1 to {PAGE_MAX}; --before goes to the next page"))
}

/// Says how to see the next page, when there may be one.
///
/// # Errors
/// When `out` fails.
pub fn more(
    out: &mut dyn Write,
    rows: usize,
    limit: usize,
    last: Option<String>,
) -> std::io::Result<()> {
    match last {
        Some(last) if rows >= limit => {
            writeln!(out, "\nThere may be more: --before {last}, or a higher --limit")
        }
        _ => Ok(()),
    }
}
