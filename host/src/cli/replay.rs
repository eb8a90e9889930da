//! `livekit-webhook replay`: sends stored events again, and looks after what goes on.

use super::page::past;
use super::place::{Opened, Place};
use super::print::{self, Table, counted};
use super::{deliveries, now};
use crate::entropy::Entropy;
use crate::replay::ask::{self, Preview};
use crate::store::{Store, StoredReplay};
use crate::view;
use anyhow::{Context as _, bail};
use livekit_webhook_core::delivery::DeadReason;
use livekit_webhook_core::id::{DeliveryId, EventId};
use livekit_webhook_core::replay::pace::{RATE_MILLI_DEFAULT, RATE_MILLI_MAX, RATE_MILLI_MIN};
use livekit_webhook_core::replay::{ReplayStatus, Selection};
use livekit_webhook_core::time::Timestamp;
use livekit_webhook_wire::glob::Glob;
use std::io::Write;
use std::process::ExitCode;

mod manage;

pub use manage::Command;

const EXAMPLES: &str = "Examples:
  livekit-webhook replay --config gateway.toml --endpoint billing --since 09:00 --dry-run
  livekit-webhook replay --config gateway.toml --endpoint billing --status dead --reason exhausted
  livekit-webhook replay evt_01k… evt_01m… --config gateway.toml --to billing-copy
  livekit-webhook replay list --config gateway.toml
  livekit-webhook replay pause rpl_01k… --config gateway.toml

An endpoint that has an event, or is still owed it, gets it again only with
--include-succeeded. The webhook-id stays the same. The hosts do the work: a replay
goes on when this command has ended, and over restarts.

Exit codes: 0 done, 1 not (no store, no such replay, nothing matches), 64 wrong usage.";

/// Why something that is selected is skipped.
const SKIPPED: &str = "delivered or owed already, or dead of a plugin, which left no payload";

/// Send stored events again
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
#[command(subcommand_negates_reqs = true)]
#[group(id = "replay_what")]
pub struct Options {
    #[command(subcommand)]
    command: Option<Command>,
    /// These events, or these deliveries of one endpoint
    #[arg(value_name = "EVENT|DELIVERY")]
    ids: Vec<String>,
    #[expect(missing_docs, reason = "a text here would replace the command's description")]
    #[command(flatten)]
    pub place: Place,
    /// Received from then on: 1h (ago), 09:00, 2026-11-23T09:00:00Z
    #[arg(long, value_name = "TIME", value_parser = past)]
    since: Option<Timestamp>,
    /// Received before then [default: now]
    #[arg(long, value_name = "TIME", value_parser = past)]
    until: Option<Timestamp>,
    /// Event types, such as room_*; may be given several times
    #[arg(long, value_name = "PATTERN", value_parser = glob)]
    kind: Vec<Glob>,
    /// Room names, such as prod-*; may be given several times
    #[arg(long, value_name = "PATTERN", value_parser = glob)]
    room: Vec<Glob>,
    /// Events of this source
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// Deliveries of this endpoint
    #[arg(long, value_name = "NAME")]
    endpoint: Option<String>,
    /// Deliveries that are delivered or dead
    #[arg(long, value_name = "STATUS", value_parser = status)]
    status: Option<ReplayStatus>,
    /// Dead letters with this reason, such as exhausted or gone
    #[arg(long, value_name = "REASON", value_parser = deliveries::reason)]
    reason: Option<DeadReason>,
    /// Send to this endpoint instead
    #[arg(long, value_name = "NAME")]
    to: Option<String>,
    /// Everything that is stored
    #[arg(long)]
    all: bool,
    /// Also what was delivered or is still owed
    #[arg(long)]
    include_succeeded: bool,
    /// Deliveries planned per second, 0.01 to 10000
    #[arg(long, value_name = "R", value_parser = rate, default_value = "50")]
    rate: u32,
    /// Count, name the first few, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

fn glob(text: &str) -> Result<Glob, String> {
    Glob::parse(text).map_err(|error| error.to_string())
}

fn status(text: &str) -> Result<ReplayStatus, String> {
    match text {
        "delivered" => Ok(ReplayStatus::Delivered),
        "dead" => Ok(ReplayStatus::Dead),
        _ => Err("expected delivered or dead; what is pending is sent anyway".to_owned()),
    }
}

/// Thousandths of a delivery per second.
fn rate(text: &str) -> Result<u32, String> {
    let per_second: f64 = text.parse().unwrap_or(f64::NAN);
    let milli = (per_second * 1_000.0).round();
    if milli >= f64::from(RATE_MILLI_MIN) && milli <= f64::from(RATE_MILLI_MAX) {
        return Ok(milli as u32);
    }
    let default = RATE_MILLI_DEFAULT / 1_000;
    Err(format!("must be 0.01 to 10000 deliveries per second, {default} when not given"))
}

/// Runs it.
///
/// # Errors
/// No store, nothing selected, or `out` fails.
pub async fn run(options: Options, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    if let Some(command) = options.command {
        return manage::run(command, out).await;
    }
    let opened = match options.dry_run {
        true => options.place.read().await?,
        false => options.place.open().await?,
    };
    let store = &*opened.store;
    let now = now();
    let selection = ask::checked(options.select(store).await?, now)?;
    let preview = ask::preview(store, &selection).await?;
    if options.dry_run {
        if options.json {
            print::json_line(out, &view::preview(&preview))?;
        } else {
            dry_run(&preview, &opened, now, out)?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let planned: u64 = preview.planned.values().sum();
    if planned == 0 {
        bail!(
            "nothing to send again: {} skipped ({SKIPPED}; --include-succeeded sends what was \
             delivered or is owed all the same)",
            preview.skipped
        );
    }
    refuse_unconfigured(&options, &opened)?;
    let entropy = Entropy::system().context("the system has no randomness to give")?;
    let replay = ask::create(store, &entropy, now, selection, options.rate).await?;
    if options.json {
        print::json_line(out, &view::replay(&replay))?;
    } else {
        started(&replay, planned, out)?;
    }
    Ok(ExitCode::SUCCESS)
}

// === impl Options ===

impl Options {
    async fn select(&self, store: &dyn Store) -> anyhow::Result<Selection> {
        let is_narrow = self.since.is_some()
            || self.until.is_some()
            || !self.ids.is_empty()
            || !self.kind.is_empty()
            || !self.room.is_empty()
            || self.source.is_some()
            || self.endpoint.is_some()
            || self.status.is_some()
            || self.reason.is_some();
        if !is_narrow && !self.all {
            bail!("nothing is selected: give ids, --since, --endpoint, … or --all");
        }
        let mut selection = Selection {
            events: Vec::new(),
            since: self.since,
            until: self.until,
            kinds: self.kind.clone(),
            rooms: self.room.clone(),
            source: self.source.clone(),
            endpoint: self.endpoint.clone(),
            status: self.status,
            reason: self.reason,
            to: self.to.clone(),
            include_succeeded: self.include_succeeded,
        };
        for id in &self.ids {
            let event = match (id.parse::<EventId>(), id.parse::<DeliveryId>()) {
                (Ok(event), _) => event,
                (_, Ok(delivery)) => {
                    let row = deliveries::find(store, delivery).await?;
                    let other = selection.endpoint.replace(row.endpoint.clone());
                    if other.is_some_and(|other| other != row.endpoint) {
                        bail!("the deliveries belong to several endpoints: give those of one");
                    }
                    row.event
                }
                _ => bail!("{id:?} is no id: expected evt_… or dlv_… and 26 characters"),
            };
            if !selection.events.contains(&event) {
                selection.events.push(event);
            }
        }
        Ok(selection)
    }
}

/// A target that no host knows would keep the deliveries waiting for ever.
fn refuse_unconfigured(options: &Options, opened: &Opened) -> anyhow::Result<()> {
    let (Some(to), Some(config)) = (&options.to, &opened.config) else { return Ok(()) };
    let names: Vec<&str> = config.endpoints.iter().map(|one| one.name.as_str()).collect();
    if !names.contains(&to.as_str()) {
        bail!("--to {to}: no such endpoint is configured; there is: {}", names.join(", "));
    }
    Ok(())
}

fn dry_run(
    preview: &Preview,
    opened: &Opened,
    now: Timestamp,
    out: &mut dyn Write,
) -> std::io::Result<()> {
    let planned: u64 = preview.planned.values().sum();
    let more = if preview.is_whole { "" } else { "at least " };
    writeln!(
        out,
        "dry run: {more}{} of {} would be sent again, {} skipped ({SKIPPED})",
        deliveries_text(planned),
        counted(preview.events, "event"),
        preview.skipped,
    )?;
    if planned == 0 {
        return Ok(());
    }
    writeln!(out)?;
    let mut table = Table::new(&["endpoint", "deliveries", "note"]);
    for (endpoint, count) in &preview.planned {
        let is_known = opened.config.as_ref().is_none_or(|config| {
            config.endpoints.iter().any(|configured| configured.name.as_str() == endpoint)
        });
        let note = if is_known { "" } else { "not configured: they would wait" };
        table.row([endpoint.clone(), count.to_string(), note.to_owned()]);
    }
    table.write(out, "")?;
    writeln!(out, "\nthe first:")?;
    let mut table = Table::new(&["event", "received", "kind", "room", "endpoint", "was"]);
    for first in &preview.first {
        table.row([
            first.event.to_string(),
            print::ago(first.received_at, now),
            first.kind.clone(),
            print::or_dash(first.room.as_deref()),
            first.endpoint.clone(),
            deliveries::state(first.was),
        ]);
    }
    table.write(out, "")
}

fn started(replay: &StoredReplay, planned: u64, out: &mut dyn Write) -> std::io::Result<()> {
    let id = replay.id;
    let rate = f64::from(replay.rate_milli) / 1_000.0;
    let seconds = planned as f64 / rate;
    let span = print::span((seconds * 1_000.0) as i64);
    writeln!(out, "{id}")?;
    let planned = deliveries_text(planned);
    writeln!(out, "{planned} at {rate} a second: about {span} once a host is up.")?;
    writeln!(out, "See: livekit-webhook replay show {id}; stop: replay pause|cancel {id}")
}

fn deliveries_text(count: u64) -> String {
    format!("{count} {}", if count == 1 { "delivery" } else { "deliveries" })
}
