//! `livekit-webhook deliveries` and `dead-letters`: what is owed, was delivered, or was given up.

use super::page::{self, Page};
use super::place::Place;
use super::print::{self, Table};
use super::{attempts, now};
use crate::operate;
use crate::store::{DeliveryFilter, Status, Store, StoredDelivery};
use crate::view;
use anyhow::Context as _;
use livekit_webhook_core::delivery::{DeadReason, State};
use livekit_webhook_core::id::{DeliveryId, EventId, ReplayId};
use livekit_webhook_core::time::Timestamp;
use std::io::Write;
use std::process::ExitCode;

const EXAMPLES: &str = "Examples:
  livekit-webhook deliveries --config gateway.toml --endpoint billing --status pending
  livekit-webhook deliveries dlv_01k… --config gateway.toml      # and its attempts
  livekit-webhook deliveries --config gateway.toml --replay rpl_01k… --json

Times: 1h (ago), 09:00 (UTC, the last time it was), 2026-11-23, 2026-11-23T09:00:00Z.
Exit codes: 0 found or empty, 1 no such delivery or no store, 64 wrong usage.";

const DEAD_EXAMPLES: &str = "Examples:
  livekit-webhook dead-letters --config gateway.toml --summary
  livekit-webhook dead-letters --config gateway.toml --endpoint billing --reason exhausted
  livekit-webhook replay --config gateway.toml --endpoint billing --status dead --dry-run

Exit codes: 0 found or empty, 1 no store, 64 wrong usage.";

/// List deliveries, or show one with its attempts
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
#[group(id = "deliveries_what")]
pub struct Options {
    /// One delivery, with its attempts
    #[arg(value_name = "DELIVERY")]
    id: Option<DeliveryId>,
    /// Only pending, delivered or dead
    #[arg(long, value_name = "STATUS", value_parser = status)]
    status: Option<Status>,
    #[expect(missing_docs, reason = "a text here would replace the command's description")]
    #[command(flatten)]
    pub which: Which,
}

/// List dead letters: deliveries that were given up
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = DEAD_EXAMPLES)]
#[group(id = "dead_what")]
pub struct DeadOptions {
    /// Count them by endpoint and reason
    #[arg(long)]
    summary: bool,
    #[expect(missing_docs, reason = "a text here would replace the command's description")]
    #[command(flatten)]
    pub which: Which,
}

/// Which deliveries.
#[derive(clap::Args, Clone, Debug)]
#[group(id = "deliveries_which")]
pub struct Which {
    #[expect(missing_docs, reason = "a text here would replace the command's description")]
    #[command(flatten)]
    pub place: Place,
    #[expect(missing_docs, reason = "a text here would replace the command's description")]
    #[command(flatten)]
    pub page: Page,
    /// Of this endpoint
    #[arg(long, value_name = "NAME")]
    endpoint: Option<String>,
    /// Dead letters with this reason, such as exhausted or gone
    #[arg(long, value_name = "REASON", value_parser = reason)]
    reason: Option<DeadReason>,
    /// Of this type, as sent
    #[arg(long, value_name = "TYPE")]
    kind: Option<String>,
    /// Of events of this source
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// Of events of this room
    #[arg(long, value_name = "NAME")]
    room: Option<String>,
    /// Of this event
    #[arg(long, value_name = "EVENT")]
    event: Option<EventId>,
    /// Planned by this replay
    #[arg(long, value_name = "REPLAY")]
    replay: Option<ReplayId>,
    /// Only older than this one: the next page
    #[arg(long, value_name = "DELIVERY")]
    before: Option<DeliveryId>,
}

/// Reads a status.
///
/// # Errors
/// What would be right.
pub fn status(text: &str) -> Result<Status, String> {
    match text {
        "pending" => Ok(Status::Pending),
        "delivered" => Ok(Status::Delivered),
        "dead" => Ok(Status::Dead),
        _ => Err("expected pending, delivered or dead".to_owned()),
    }
}

/// Reads the reason of a dead letter.
///
/// # Errors
/// What would be right.
pub fn reason(text: &str) -> Result<DeadReason, String> {
    let known = || DeadReason::ALL.map(DeadReason::as_str).join(", ");
    DeadReason::parse(text).ok_or_else(|| format!("expected one of {}", known()))
}

// === impl Which ===

impl Which {
    fn filter(&self, status: Option<Status>) -> DeliveryFilter {
        DeliveryFilter {
            endpoint: self.endpoint.clone(),
            event: self.event,
            status,
            reason: self.reason,
            kind: self.kind.clone(),
            source: self.source.clone(),
            room: self.room.clone(),
            replay: self.replay,
            since: self.page.since,
            until: self.page.until,
            before: self.before,
            limit: self.page.limit,
        }
    }
}

/// Runs `deliveries`.
///
/// # Errors
/// No store, no such delivery, or `out` fails.
pub async fn run(options: Options, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let which = &options.which;
    let store = which.place.read().await?.store;
    match options.id {
        Some(id) => show(&*store, id, which.page.json, out).await?,
        None => list(&*store, which, options.status, out).await?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs `dead-letters`.
///
/// # Errors
/// No store, or `out` fails.
pub async fn run_dead(options: DeadOptions, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let which = &options.which;
    let store = which.place.read().await?.store;
    if options.summary {
        summary(&*store, which, out).await?;
    } else {
        list(&*store, which, Some(Status::Dead), out).await?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(
    store: &dyn Store,
    which: &Which,
    status: Option<Status>,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let rows = store.deliveries(which.filter(status)).await?;
    if which.page.json {
        for row in &rows {
            print::json_line(out, &view::delivery(row))?;
        }
        return Ok(());
    }
    table(&rows, now()).write(out, "no deliveries")?;
    let last = rows.last().map(|row| row.id.to_string());
    page::more(out, rows.len(), which.page.limit, last)?;
    Ok(())
}

/// Deliveries for people.
pub fn table(rows: &[StoredDelivery], now: Timestamp) -> Table {
    let mut table = Table::new(&[
        "delivery", "planned", "endpoint", "kind", "state", "attempts", "next", "note",
    ]);
    for row in rows {
        let next = (row.state == State::Pending).then(|| print::ago(row.due_at, now));
        table.row([
            row.id.to_string(),
            print::ago(row.created_at, now),
            row.endpoint.clone(),
            row.kind.clone(),
            state(row.state),
            row.attempts.to_string(),
            next.unwrap_or_else(|| "-".to_owned()),
            row.note.clone().unwrap_or_default(),
        ]);
    }
    table
}

/// `pending`, `delivered`, `dead (exhausted)`.
pub fn state(state: State) -> String {
    match view::reason(state) {
        Some(reason) => format!("{} ({reason})", view::status(state)),
        None => view::status(state).to_owned(),
    }
}

async fn summary(store: &dyn Store, which: &Which, out: &mut dyn Write) -> anyhow::Result<()> {
    let (groups, is_whole) = operate::summary(store, &which.filter(None)).await?;
    if which.page.json {
        for group in &groups {
            print::json_line(out, &view::dead(group))?;
        }
        return Ok(());
    }
    let now = now();
    let mut table = Table::new(&["endpoint", "reason", "count", "oldest", "newest"]);
    for group in &groups {
        table.row([
            group.endpoint.clone(),
            group.reason.as_str().to_owned(),
            group.count.to_string(),
            print::ago(group.oldest_at, now),
            print::ago(group.newest_at, now),
        ]);
    }
    table.write(out, "no dead letters")?;
    if !is_whole {
        writeln!(
            out,
            "\nThere are more: only the newest {} are counted",
            operate::SUMMARY_ROWS_MAX
        )?;
    }
    Ok(())
}

/// One delivery.
///
/// # Errors
/// When there is none.
pub async fn find(store: &dyn Store, id: DeliveryId) -> anyhow::Result<StoredDelivery> {
    // The page that begins with it: what is older than the next possible id.
    let next = u128::from_be_bytes(id.to_bytes()).saturating_add(1).to_be_bytes();
    let before = Some(DeliveryId::from_bytes(next));
    let rows = store.deliveries(DeliveryFilter { before, limit: 1, ..Default::default() }).await?;
    rows.into_iter().find(|row| row.id == id).with_context(|| {
        format!("there is no delivery {id}: it was never here, or retention has removed it")
    })
}

async fn show(
    store: &dyn Store,
    id: DeliveryId,
    is_json: bool,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let row = find(store, id).await?;
    let made = store.attempts(id).await?;
    if is_json {
        let mut value = view::delivery(&row);
        if let Some(members) = value.as_object_mut() {
            members.insert("attempt_log".to_owned(), made.iter().map(view::attempt).collect());
        }
        print::json_line(out, &value)?;
        return Ok(());
    }
    let now = now();
    let due = (row.state == State::Pending).then(|| print::when(row.due_at, now));
    let headers: Vec<String> = row.headers.lines().collect();
    print::facts(
        out,
        &[
            ("delivery", Some(row.id.to_string())),
            ("event", Some(row.event.to_string())),
            ("endpoint", Some(row.endpoint.clone())),
            ("kind", Some(row.kind.clone())),
            ("webhook-id", Some(row.webhook_id.clone())),
            ("state", Some(state(row.state))),
            ("planned", Some(print::when(row.created_at, now))),
            ("changed", Some(print::when(row.updated_at, now))),
            ("next attempt", due),
            ("lane", row.lane.clone()),
            ("sequence", row.sequence.map(|number| number.to_string())),
            ("batch", row.batch.map(|batch| batch.to_string())),
            ("replay", row.replay.map(|replay| replay.to_string())),
            ("headers", (!headers.is_empty()).then(|| headers.join("; "))),
            ("note", row.note.clone()),
        ],
    )?;
    writeln!(out)?;
    attempts::table(&made, now).write(out, "no attempts")?;
    Ok(())
}
