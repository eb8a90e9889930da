//! The log: constant text, facts as fields, on standard error.

use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// How lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Text on a terminal, JSON elsewhere.
    Auto,
    /// For people.
    Text,
    /// One object a line.
    Json,
}

/// Why the log cannot be set up.
#[derive(Debug, thiserror::Error)]
#[error(
    "--log {filter:?} is not a filter, for example info or info,livekit_webhook::deliver=debug"
)]
pub struct Error {
    filter: String,
    source: tracing_subscriber::filter::ParseError,
}

/// Sets up the process's log. Call it once.
///
/// # Errors
/// When `filter` cannot be read.
pub fn init(format: Format, filter: &str) -> Result<(), Error> {
    let parsed = EnvFilter::try_new(filter);
    let filter = parsed.map_err(|source| Error { filter: filter.to_owned(), source })?;
    let terminal = std::io::stderr().is_terminal();
    let json = match format {
        Format::Auto => !terminal,
        Format::Text => false,
        Format::Json => true,
    };
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second call (tests in one process) keeps the first log.
    let _ = if json {
        log.json().flatten_event(true).with_current_span(false).with_span_list(false).try_init()
    } else {
        log.with_target(false).with_ansi(terminal).try_init()
    };
    Ok(())
}
