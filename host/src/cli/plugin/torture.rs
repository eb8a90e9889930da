//! `livekit-webhook plugin torture`: what a plugin does with events nobody thought of.
//!
//! Every sample event, whole, with members missing, with bytes changed; bodies that are empty, no
//! JSON, too deep or too large; names of any kind; and the samples again with little memory and
//! with little CPU. A plugin survives an event by answering, or by saying that it cannot; a trap or
//! a limit used up is a fault. With little memory or CPU it may run out of them: there it is only
//! looked whether the next event finds it well.
//!
//! What it asks for is granted, and leads to an [`outside`] that misbehaves in every way it can.
//! Nothing real is reached.

mod events;
mod outside;

use super::{USAGE, fail, given_config, given_grant, read};
use crate::plugin::compile::Setup;
use crate::plugin::engine::Engine;
use crate::plugin::gate::Secret;
use crate::plugin::limits::{self, Limits};
use crate::plugin::manifest::Manifest;
use crate::plugin::permission::Permissions;
use crate::plugin::registry::{OnError, Options as Loading, Plugin};
use crate::plugin::{Fault, Input, fixture, load};
use anyhow::Context as _;
use bytes::Bytes;
use events::Group;
use outside::{Hostile, Mood};
use serde_json::json;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Changed events, when nobody says how many.
const EVENTS: u32 = 1000;
/// Faults that are shown.
const SHOWN_MAX: usize = 10;
/// The little memory there is: what it begins with, and so many bytes.
const LITTLE_BYTES: u64 = 64 * 1024;

const HELP: &str =
    "What it is shown: every sample event, whole, with members missing, with bytes changed; bodies
that are empty, no JSON, deep or large; odd names. What it asks for is granted and leads nowhere
real: to the samples, and the events of its fixtures, answers are late, huge, of another shape or
none, by HTTP, state and LiveKit. An event is survived when the plugin answers, or says that it
cannot; a trap or a limit used up is a fault.

Exit codes: 0 it survived all, 1 not, 64 the file or an option cannot be used.";

/// What to torture, and how much.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub struct Options {
    /// The component
    file: PathBuf,
    /// Its configuration: JSON, or @ and the name of a file with JSON
    #[arg(long, default_value = "{}")]
    config: String,
    /// What it may reach, as far as it asks for it [default: all that it asks for]
    #[arg(long, value_name = "FILE")]
    grant: Option<PathBuf>,
    /// Events with changed bytes, beside the fixed ones
    #[arg(long, default_value_t = EVENTS, value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    events: u32,
    /// Print one JSON object instead of a table
    #[arg(long)]
    json: bool,
}

/// What became of one group.
#[derive(Debug, Default)]
struct Row {
    name: &'static str,
    calls: usize,
    answered: usize,
    declined: usize,
    faults: usize,
    /// Whether faults are the group's own doing.
    forgiven: bool,
    cpu: Duration,
    memory_bytes: u64,
}

/// What became of all of them.
#[derive(Debug, Default)]
struct Report {
    rows: Vec<Row>,
    /// Texts of faults that are the plugin's, each once, with the group they were first seen in.
    seen: Vec<(&'static str, String)>,
    /// What it asks for, and used in no event.
    unmet: Vec<&'static str>,
}

/// Tortures a file. The exit code is 0 when it survived, 1 when not, 64 when there is no such file.
///
/// # Errors
/// When there is no engine, or `out` cannot be written.
pub async fn run(options: Options, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let Some(wasm) = read(&options.file, out)? else {
        return Ok(ExitCode::from(USAGE));
    };
    let mutated = usize::try_from(options.events)?;
    let grant = options.grant.as_deref().map(given_grant).transpose();
    let given = given_config(&options.config).and_then(|config| Ok((config, grant?)));
    let (config, grant) = match given {
        Ok(given) => given,
        Err(problem) => return fail(options.json, &problem, USAGE, out),
    };
    match report(wasm, config, grant, mutated).await? {
        Ok(report) => report.print(options.json, out),
        Err(error) => fail(options.json, &super::check::problem(&error).to_string(), 1, out),
    }
}

/// Tortures `wasm` with `mutated` changed events beside the fixed ones. Without a grant it may do all
/// that it asks for.
///
/// # Errors
/// When there is no engine. The plugin may not load.
async fn report(
    wasm: Bytes,
    config: Bytes,
    grant: Option<Permissions>,
    mutated: usize,
) -> anyhow::Result<Result<Report, load::Error>> {
    let engine = Engine::serving(Setup::serving(None)).context("starting the engine")?;
    let hostile = Hostile::new();
    let manifest = Manifest::read(&wasm).ok().flatten();
    let asked = manifest.as_ref().map(|manifest| manifest.permissions.clone());
    let grant = grant.or(asked.clone()).unwrap_or_default();
    let given = asked.map_or_else(|| grant.clone(), |asked| asked.both(&grant));
    let load = |limits: Limits| {
        let names = given.http.iter().flat_map(|rule| &rule.secrets);
        let secret = |name: &String| (name.clone(), Secret::new(b"test-secret"));
        let options = Loading {
            config: config.clone(),
            limits,
            on_error: Some(OnError::Fail),
            grant: grant.clone(),
            secrets: names.map(secret).collect(),
            outside: Some(hostile.clone().outside()),
            ..Loading::default()
        };
        Plugin::load(&engine, "tortured", wasm.clone(), options)
    };
    let plugin = match load(ample()).await {
        Ok(plugin) => plugin,
        Err(error) => return Ok(Err(error)),
    };
    let mut report = Report::default();
    for Group { name, inputs } in events::groups(mutated) {
        report.run(name, false, &plugin, inputs).await;
    }
    let mut inputs: Vec<_> = samples();
    let fixtures = manifest.iter().flat_map(|manifest| &manifest.fixtures);
    inputs.extend(fixtures.map(|fixture| fixture::input(&fixture.event, &fixture.attributes)));
    for mood in Mood::of(&given) {
        report.suffer(mood, &hostile, &plugin, &inputs).await;
    }
    let least = report.rows.iter().map(|row| row.memory_bytes).min().unwrap_or_default();
    let little_memory = ample().with(limits::MEMORY_BYTES, least + LITTLE_BYTES);
    let little_cpu = ample().with(limits::CPU_PURE_MS, 1);
    let little_cpu = little_cpu.and_then(|limits| limits.with(limits::CPU_IO_MS, 1));
    for (name, limits) in [("little memory", little_memory), ("little CPU", little_cpu)] {
        // One that does not even start with so little has nothing to show here.
        let Ok(limits) = limits else { continue };
        let Ok(weak) = load(limits).await else { continue };
        let groups = events::groups(0).into_iter();
        let inputs = groups.filter(|group| matches!(group.name, "samples" | "large"));
        report.run(name, true, &weak, inputs.flat_map(|group| group.inputs).collect()).await;
    }
    report.run("samples again", false, &plugin, samples()).await;
    Ok(Ok(report))
}

/// One event of each type.
fn samples() -> Vec<Input> {
    events::groups(0).into_iter().take(1).flat_map(|group| group.inputs).collect()
}

/// The limits of production, with room for the largest file and as much time to compile and to begin
/// as an operator can give: none of that is the event's doing.
fn ample() -> Limits {
    let set =
        |limits: Limits, row: limits::Row| limits.clone().with(row, row.cap).unwrap_or(limits);
    let rows = [limits::COMPONENT_BYTES, limits::COMPILE_MS, limits::CPU_INIT_MS];
    rows.into_iter().fold(Limits::default(), set)
}

// === impl Row ===

impl Row {
    /// Both, as one.
    fn and(self, other: Self) -> Self {
        Self {
            name: self.name,
            forgiven: self.forgiven,
            calls: self.calls + other.calls,
            answered: self.answered + other.answered,
            declined: self.declined + other.declined,
            faults: self.faults + other.faults,
            cpu: self.cpu.max(other.cpu),
            memory_bytes: self.memory_bytes.max(other.memory_bytes),
        }
    }
}

// === impl Report ===

impl Report {
    /// These events, in every way in which something outside can be wrong.
    async fn suffer(&mut self, mood: Mood, hostile: &Hostile, plugin: &Plugin, inputs: &[Input]) {
        let before = self.rows.len();
        for way in 0..mood.ways() {
            hostile.be(mood, way);
            self.run(mood.name(), false, plugin, inputs.to_vec()).await;
        }
        hostile.be(Mood::Well, 0);
        if !hostile.was_met() {
            self.unmet.extend(mood.door().filter(|door| !self.unmet.contains(door)));
        }
        let ways = self.rows.split_off(before);
        self.rows.extend(ways.into_iter().reduce(Row::and));
    }

    async fn run(&mut self, name: &'static str, forgiven: bool, plugin: &Plugin, of: Vec<Input>) {
        let mut row = Row { name, forgiven, calls: of.len(), ..Row::default() };
        for input in of {
            let (outputs, usage) = plugin.measure(input).await;
            row.cpu = row.cpu.max(usage.cpu);
            row.memory_bytes = row.memory_bytes.max(usage.memory_bytes);
            match outputs {
                Ok(_) => row.answered += 1,
                Err(Fault::Rejected(_) | Fault::Retry { .. } | Fault::Failed(_)) => {
                    row.declined += 1;
                }
                Err(fault) => {
                    row.faults += 1;
                    let text = fault.to_string();
                    let is_new = self.seen.iter().all(|(_, seen)| *seen != text);
                    if is_new && !forgiven && self.seen.len() < SHOWN_MAX {
                        self.seen.push((name, text));
                    }
                }
            }
        }
        self.rows.push(row);
    }

    fn survived(&self) -> bool {
        self.rows.iter().all(|row| row.forgiven || row.faults == 0)
    }

    /// Writes it, and says with which code to exit: 1 when a fault was the plugin's.
    ///
    /// # Errors
    /// When `out` cannot be written.
    fn print(&self, as_json: bool, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
        if as_json {
            writeln!(out, "{:#}", self.json())?;
        } else {
            self.text(out)?;
        }
        Ok(ExitCode::from(u8::from(!self.survived())))
    }

    fn json(&self) -> serde_json::Value {
        let rows = self.rows.iter().map(|row| {
            json!({
                "events": row.name,
                "calls": row.calls,
                "answered": row.answered,
                "declined": row.declined,
                "faults": row.faults,
                "faults_expected": row.forgiven,
                "worst_cpu_us": u64::try_from(row.cpu.as_micros()).unwrap_or(u64::MAX),
                "peak_memory_bytes": row.memory_bytes,
            })
        });
        let seen =
            self.seen.iter().map(|(events, fault)| json!({ "events": events, "fault": fault }));
        json!({
            "survived": self.survived(),
            "rows": rows.collect::<Vec<_>>(),
            "faults": seen.collect::<Vec<_>>(),
            "never_used": self.unmet,
        })
    }

    fn text(&self, out: &mut dyn Write) -> std::io::Result<()> {
        let (cpu, memory) = ("worst CPU", "peak memory");
        writeln!(
            out,
            "{:<18}{:>8}{:>10}{:>10}{:>8}{cpu:>13}{memory:>14}",
            "events", "calls", "answered", "declined", "faults"
        )?;
        for row in &self.rows {
            let Row { name, calls, answered, declined, faults, forgiven, cpu, memory_bytes } = row;
            let cpu_ms = cpu.as_secs_f64() * 1000.0;
            let memory_kib = memory_bytes / 1024;
            let note = if *forgiven && *faults > 0 { "  as expected" } else { "" };
            writeln!(
                out,
                "{name:<18}{calls:>8}{answered:>10}{declined:>10}{faults:>8}{cpu_ms:>10.2} ms{memory_kib:>10} KiB{note}"
            )?;
        }
        for (name, fault) in &self.seen {
            writeln!(out, "\nfault       {fault}\nfirst with  {name}")?;
        }
        for door in &self.unmet {
            writeln!(
                out,
                "\nnote        it never used {door}, so this shows nothing of it: add a fixture whose event makes it"
            )?;
        }
        let verdict = if self.survived() {
            "survived: it answered every event, or said that it cannot"
        } else {
            "not survived: return an error for what you cannot use, and do not panic"
        };
        writeln!(out, "\n{verdict}")
    }
}

#[cfg(test)]
mod tests;
