//! `livekit-webhook replay list|show|pause|resume|cancel`.

use crate::cli::now;
use crate::cli::place::Place;
use crate::cli::print::{self, Table};
use crate::replay::ask;
use crate::store::{DeliveryFilter, PAGE_MAX, ReplayState, Status, Store, StoredReplay};
use crate::view;
use livekit_webhook_core::id::ReplayId;
use livekit_webhook_core::time::Timestamp;
use std::io::Write;
use std::process::ExitCode;

/// What can be done with replays that are there.
#[derive(clap::Subcommand, Clone, Debug)]
pub enum Command {
    /// List replays, newest first
    List(List),
    /// Show one, and what became of its deliveries
    Show(One),
    /// Stop planning; what is planned is still sent
    Pause(One),
    /// Go on after a pause
    Resume(One),
    /// Stop for good, and give up what it still owes
    Cancel(One),
}

/// Options of `list`.
#[derive(clap::Args, Clone, Debug)]
pub struct List {
    #[command(flatten)]
    pub place: Place,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 20,
          value_parser = clap::value_parser!(u16).range(1..=1_000))]
    limit: u16,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
}

/// Options of the others.
#[derive(clap::Args, Clone, Debug)]
pub struct One {
    /// The replay
    #[arg(value_name = "REPLAY")]
    id: ReplayId,
    #[command(flatten)]
    pub place: Place,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Runs one of them.
///
/// # Errors
/// No store, no such replay, or one that has ended.
pub async fn run(command: Command, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    match command {
        Command::List(options) => list(options, out).await?,
        Command::Show(options) => show(options, out).await?,
        Command::Pause(options) => change(options, ReplayState::Paused, out).await?,
        Command::Resume(options) => change(options, ReplayState::Running, out).await?,
        Command::Cancel(options) => change(options, ReplayState::Cancelled, out).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(options: List, out: &mut dyn Write) -> anyhow::Result<()> {
    let store = options.place.read().await?.store;
    let replays = store.replays(usize::from(options.limit)).await?;
    if options.json {
        for replay in &replays {
            print::json_line(out, &view::replay(replay))?;
        }
        return Ok(());
    }
    let now = now();
    let mut table = Table::new(&["replay", "asked", "state", "planned", "skipped", "rate", "of"]);
    for replay in &replays {
        table.row([
            replay.id.to_string(),
            print::ago(replay.created_at, now),
            replay.state.as_str().to_owned(),
            replay.planned.to_string(),
            replay.skipped.to_string(),
            rate(replay),
            selected(replay),
        ]);
    }
    table.write(out, "no replays")?;
    Ok(())
}

async fn show(options: One, out: &mut dyn Write) -> anyhow::Result<()> {
    let store = options.place.read().await?.store;
    let replay = ask::find(&*store, options.id).await?;
    let fates = Fates::of(&*store, options.id).await?;
    if options.json {
        let mut value = view::replay(&replay);
        if let Some(members) = value.as_object_mut() {
            members.insert("pending".to_owned(), fates.pending.into());
            members.insert("dead".to_owned(), fates.dead.into());
        }
        print::json_line(out, &value)?;
        return Ok(());
    }
    let now: Timestamp = now();
    let limited = |count: usize| match count {
        PAGE_MAX.. => format!("{count} or more"),
        count => count.to_string(),
    };
    print::facts(
        out,
        &[
            ("replay", Some(replay.id.to_string())),
            ("state", Some(replay.state.as_str().to_owned())),
            ("of", Some(selected(&replay))),
            ("rate", Some(rate(&replay))),
            ("planned", Some(replay.planned.to_string())),
            ("skipped", Some(replay.skipped.to_string())),
            ("still owed", Some(limited(fates.pending))),
            ("dead", Some(limited(fates.dead))),
            ("asked", Some(print::when(replay.created_at, now))),
            ("changed", Some(print::when(replay.updated_at, now))),
            ("last event", replay.cursor.map(|event| event.to_string())),
            ("note", replay.note.clone()),
        ],
    )?;
    Ok(())
}

/// What became of its deliveries, counted up to a page.
struct Fates {
    pending: usize,
    dead: usize,
}

impl Fates {
    async fn of(store: &dyn Store, id: ReplayId) -> anyhow::Result<Self> {
        let count = async |status| {
            let filter = DeliveryFilter {
                replay: Some(id),
                status: Some(status),
                limit: PAGE_MAX,
                ..DeliveryFilter::default()
            };
            store.deliveries(filter).await.map(|rows| rows.len())
        };
        Ok(Self { pending: count(Status::Pending).await?, dead: count(Status::Dead).await? })
    }
}

async fn change(options: One, to: ReplayState, out: &mut dyn Write) -> anyhow::Result<()> {
    let store = options.place.open().await?.store;
    ask::change(&*store, now(), options.id, to).await?;
    if options.json {
        let replay = ask::find(&*store, options.id).await?;
        print::json_line(out, &view::replay(&replay))?;
        return Ok(());
    }
    let id = options.id;
    match to {
        ReplayState::Paused => writeln!(out, "{id} is paused; `replay resume {id}` goes on")?,
        ReplayState::Cancelled => {
            writeln!(out, "{id} is cancelled; the hosts give up what it still owes")?;
        }
        _ => writeln!(out, "{id} goes on")?,
    }
    Ok(())
}

fn rate(replay: &StoredReplay) -> String {
    format!("{}/s", f64::from(replay.rate_milli) / 1_000.0)
}

/// The selection as the options that made it.
fn selected(replay: &StoredReplay) -> String {
    let selection = &replay.selection;
    let mut parts = Vec::new();
    let events = selection.events.len();
    if events > 0 {
        parts.push(print::counted(events as u64, "event"));
    }
    let mut option = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            parts.push(format!("--{name} {value}"));
        }
    };
    option("endpoint", selection.endpoint.clone());
    option("status", selection.status.map(|status| view::replay_status(status).to_owned()));
    option("reason", selection.reason.map(|reason| reason.as_str().to_owned()));
    option("source", selection.source.clone());
    selection.kinds.iter().for_each(|glob| option("kind", Some(glob.as_str().to_owned())));
    selection.rooms.iter().for_each(|glob| option("room", Some(glob.as_str().to_owned())));
    option("since", selection.since.map(|at| at.to_string()));
    option("to", selection.to.clone());
    if selection.include_succeeded {
        parts.push("--include-succeeded".to_owned());
    }
    if parts.is_empty() { "everything".to_owned() } else { parts.join(" ") }
}
