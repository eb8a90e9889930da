//! `livekit-webhook events`: what arrived, and what became of it.

use super::page::{self, Page};
use super::place::Place;
use super::print::{self, Table, or_dash};
use super::{deliveries, now};
use crate::store::{DeliveryFilter, EventFilter, PAGE_MAX, Store, StoredEvent};
use crate::view;
use anyhow::Context as _;
use livekit_webhook_core::id::EventId;
use livekit_webhook_core::time::Timestamp;
use std::io::Write;
use std::process::ExitCode;

const EXAMPLES: &str = "Examples:
  livekit-webhook events --config gateway.toml --since 1h --room prod-7
  livekit-webhook events evt_01k… --config gateway.toml          # and its deliveries
  livekit-webhook events evt_01k… --config gateway.toml --body   # its bytes, as received

Times: 1h (ago), 09:00 (UTC, the last time it was), 2026-11-23, 2026-11-23T09:00:00Z.
Exit codes: 0 found or empty, 1 no such event or no store, 64 wrong usage.";

/// List events, or show one with its deliveries
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
#[group(id = "events_what")]
pub struct Options {
    /// One event, with its deliveries
    #[arg(value_name = "EVENT")]
    id: Option<EventId>,
    #[expect(missing_docs, reason = "a text here would replace the command's description")]
    #[command(flatten)]
    pub place: Place,
    #[expect(missing_docs, reason = "a text here would replace the command's description")]
    #[command(flatten)]
    pub page: Page,
    /// Of this source
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// Of this type, such as room_started
    #[arg(long, value_name = "TYPE")]
    kind: Option<String>,
    /// Of this room
    #[arg(long, value_name = "NAME")]
    room: Option<String>,
    /// Only older than this one: the next page
    #[arg(long, value_name = "EVENT")]
    before: Option<EventId>,
    /// Print the event's bytes as received, and nothing else
    #[arg(long, requires = "id", conflicts_with = "json")]
    body: bool,
}

/// Runs it.
///
/// # Errors
/// No store, no such event, or `out` fails.
pub async fn run(options: Options, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let store = options.place.read().await?.store;
    if let Some(id) = options.id {
        let event = store.event(id).await?;
        let event = event.with_context(|| {
            format!("there is no event {id}: it was never here, or retention has removed it")
        })?;
        show(&*store, &event, &options, out).await?;
        return Ok(ExitCode::SUCCESS);
    }
    let filter = EventFilter {
        source: options.source,
        kind: options.kind,
        room: options.room,
        since: options.page.since,
        until: options.page.until,
        before: options.before,
        limit: options.page.limit,
    };
    let events = store.events(filter).await?;
    if options.page.json {
        for event in &events {
            print::json_line(out, &view::event(event))?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let now = now();
    let mut table = Table::new(&["event", "received", "source", "kind", "room", "plan", "note"]);
    for stored in &events {
        let event = &stored.event;
        table.row([
            event.id.to_string(),
            print::ago(event.received_at, now),
            event.source.clone(),
            event.kind.clone(),
            or_dash(event.room.as_deref()),
            view::plan(stored.plan).to_owned(),
            stored.note.clone().unwrap_or_default(),
        ]);
    }
    table.write(out, "no events")?;
    let last = events.last().map(|stored| stored.event.id.to_string());
    page::more(out, events.len(), options.page.limit, last)?;
    Ok(ExitCode::SUCCESS)
}

async fn show(
    store: &dyn Store,
    event: &StoredEvent,
    options: &Options,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    if options.body {
        out.write_all(&event.event.body)?;
        return Ok(());
    }
    let filter = DeliveryFilter {
        event: Some(event.event.id),
        limit: PAGE_MAX,
        ..DeliveryFilter::default()
    };
    let rows = store.deliveries(filter).await?;
    if options.page.json {
        let mut value = view::event(event);
        if let Some(members) = value.as_object_mut() {
            let deliveries = rows.iter().map(view::delivery).collect();
            members.insert("deliveries".to_owned(), deliveries);
        }
        print::json_line(out, &value)?;
        return Ok(());
    }
    let now = now();
    facts(event, now, out)?;
    writeln!(out)?;
    deliveries::table(&rows, now).write(out, "no deliveries")?;
    Ok(())
}

fn facts(stored: &StoredEvent, now: Timestamp, out: &mut dyn Write) -> std::io::Result<()> {
    let event = &stored.event;
    let sha256: String = event.body_sha256.iter().map(|byte| format!("{byte:02x}")).collect();
    let settled = (!stored.settled.is_empty()).then(|| stored.settled.join(", "));
    print::facts(
        out,
        &[
            ("event", Some(event.id.to_string())),
            ("kind", Some(event.kind.clone())),
            ("source", Some(event.source.clone())),
            ("room", event.room.clone()),
            ("received", Some(print::when(event.received_at, now))),
            ("created", event.created_at.map(|at| print::when(at, now))),
            ("livekit id", Some(event.dedupe_key.clone())),
            ("api key", Some(event.api_key.clone())),
            ("lane", event.lane.clone()),
            ("sequence", stored.sequence.map(|number| number.to_string())),
            ("plan", Some(view::plan(stored.plan).to_owned())),
            ("settled", settled),
            ("note", stored.note.clone()),
            ("body", Some(format!("{} bytes, sha256 {sha256}", event.body.len()))),
        ],
    )
}
