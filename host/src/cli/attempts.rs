//! `livekit-webhook attempts`: every fact of every HTTP try of one delivery.

use super::place::Place;
use super::print::{self, Table};
use super::{deliveries, now};
use crate::store::AttemptRecord;
use crate::view;
use livekit_webhook_core::attempt::Outcome;
use livekit_webhook_core::id::DeliveryId;
use livekit_webhook_core::time::Timestamp;
use std::io::Write;
use std::process::ExitCode;

/// Bytes of a response that people are shown; JSON has all that was kept.
const RESPONSE_BYTES_SHOWN: usize = 2_000;

const EXAMPLES: &str = "Examples:
  livekit-webhook attempts dlv_01k… --config gateway.toml
  livekit-webhook attempts dlv_01k… --config gateway.toml --json

Exit codes: 0 found, 1 no such delivery or no store, 64 wrong usage.";

/// Show all attempts of a delivery with all that is known of them
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
#[group(id = "attempts_what")]
pub struct Options {
    /// The delivery
    #[arg(value_name = "DELIVERY")]
    delivery: DeliveryId,
    #[expect(missing_docs, reason = "a text here would replace the command's description")]
    #[command(flatten)]
    pub place: Place,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
}

/// Runs it.
///
/// # Errors
/// No store, no such delivery, or `out` fails.
pub async fn run(options: Options, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let store = options.place.read().await?.store;
    let delivery = deliveries::find(&*store, options.delivery).await?;
    let made = store.attempts(delivery.id).await?;
    if options.json {
        for attempt in &made {
            print::json_line(out, &view::attempt(attempt))?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    if made.is_empty() {
        let state = deliveries::state(delivery.state);
        writeln!(out, "no attempts yet: the delivery is {state}")?;
    }
    let now = now();
    for (index, attempt) in made.iter().enumerate() {
        if index > 0 {
            writeln!(out)?;
        }
        write(attempt, now, out)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// A line for each.
pub fn table(made: &[AttemptRecord], now: Timestamp) -> Table {
    let mut table = Table::new(&["attempt", "began", "took", "result", "address", "error"]);
    for attempt in made {
        table.row([
            attempt.number.to_string(),
            print::ago(attempt.started_at, now),
            format!("{}ms", attempt.duration_ms),
            result(&attempt.outcome),
            print::or_dash(attempt.address.as_deref()),
            attempt.error.clone().unwrap_or_default(),
        ]);
    }
    table
}

fn result(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Answered { status, .. } => status.to_string(),
        Outcome::Failed(class) => class.as_str().to_owned(),
    }
}

fn write(attempt: &AttemptRecord, now: Timestamp, out: &mut dyn Write) -> std::io::Result<()> {
    let retry_after = match &attempt.outcome {
        Outcome::Answered { retry_after_ms, .. } => *retry_after_ms,
        Outcome::Failed(_) => None,
    };
    print::facts(
        out,
        &[
            ("attempt", Some(attempt.number.to_string())),
            ("began", Some(print::when(attempt.started_at, now))),
            ("took", Some(took(attempt))),
            ("result", Some(result(&attempt.outcome))),
            ("retry after", retry_after.map(print::span)),
            ("error", attempt.error.clone()),
            ("address", attempt.address.clone()),
            ("host", attempt.host.clone()),
        ],
    )?;
    block(out, "sent", &attempt.request_headers)?;
    block(out, "answered", &attempt.response_headers)?;
    let shown = attempt.response_start.len().min(RESPONSE_BYTES_SHOWN);
    let start = attempt.response_start.get(..shown).unwrap_or_default();
    block(out, "response", &String::from_utf8_lossy(start))?;
    let left_out = attempt.response_start.len() - shown;
    if left_out > 0 {
        writeln!(out, "  … {left_out} bytes more were kept: see --json")?;
    }
    Ok(())
}

fn took(attempt: &AttemptRecord) -> String {
    let timings = &attempt.timings;
    let parts = [
        ("dns", timings.dns_ms),
        ("connect", timings.connect_ms),
        ("tls", timings.tls_ms),
        ("first byte", timings.first_byte_ms),
    ];
    let parts: Vec<String> =
        parts.iter().filter_map(|(name, ms)| Some(format!("{name} {}ms", (*ms)?))).collect();
    match parts.is_empty() {
        true => format!("{}ms", attempt.duration_ms),
        false => format!("{}ms ({})", attempt.duration_ms, parts.join(", ")),
    }
}

fn block(out: &mut dyn Write, name: &str, text: &str) -> std::io::Result<()> {
    if text.is_empty() {
        return Ok(());
    }
    writeln!(out, "{name}:")?;
    text.lines().try_for_each(|line| writeln!(out, "  {}", print::clean(line)))
}
