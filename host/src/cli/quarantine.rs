//! `livekit-webhook quarantine`: what is authentic (or was let in) and could not become an event.

use super::now;
use super::place::Place;
use super::print::{self, Table, or_dash};
use crate::store::PAGE_MAX;
use crate::view;
use anyhow::Context as _;
use livekit_webhook_core::id::EventId;
use std::io::Write;
use std::process::ExitCode;

const EXAMPLES: &str = "Examples:
  livekit-webhook quarantine --config gateway.toml
  livekit-webhook quarantine evt_01k… --config gateway.toml --body > body.json

Exit codes: 0 found or empty, 1 no such item or no store, 64 wrong usage.";

/// List what was kept though it could not become an event
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
#[group(id = "quarantine_what")]
pub struct Options {
    /// Only this one
    #[arg(value_name = "ID")]
    id: Option<EventId>,
    #[expect(missing_docs, reason = "a text here would replace the command's description")]
    #[command(flatten)]
    pub place: Place,
    /// At most so many, newest first
    #[arg(long, value_name = "N", default_value_t = 20,
          value_parser = clap::value_parser!(u16).range(1..=1_000))]
    limit: u16,
    /// Print its bytes as received, and nothing else
    #[arg(long, requires = "id", conflicts_with = "json")]
    body: bool,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
}

/// Runs it.
///
/// # Errors
/// No store, no such item, or `out` fails.
pub async fn run(options: Options, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let store = options.place.read().await?.store;
    let limit = options.id.map_or(usize::from(options.limit), |_| PAGE_MAX);
    let mut items = store.quarantined(limit).await?;
    if let Some(id) = options.id {
        items.retain(|item| item.id == id);
        let item = items
            .first()
            .with_context(|| format!("{id} is not among the newest {PAGE_MAX} in quarantine"))?;
        if options.body {
            out.write_all(&item.body)?;
            return Ok(ExitCode::SUCCESS);
        }
    }
    if options.json {
        for item in &items {
            print::json_line(out, &view::quarantined(item))?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let now = now();
    let mut table = Table::new(&["id", "received", "source", "reason", "bytes"]);
    for item in &items {
        table.row([
            item.id.to_string(),
            print::ago(item.received_at, now),
            or_dash(item.source.as_deref()),
            item.reason.clone(),
            item.body.len().to_string(),
        ]);
    }
    table.write(out, "nothing is in quarantine")?;
    Ok(ExitCode::SUCCESS)
}
