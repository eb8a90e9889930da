//! `livekit-webhook plugin torture`: what a plugin does with events nobody thought of.
//!
//! Every sample event, whole, with members missing, with bytes changed; bodies that are empty, no
//! JSON, too deep or too large; names of any kind; and the samples again with little memory and
//! with little CPU. A plugin survives an event by answering, or by saying that it cannot; a trap or
//! a limit used up is a fault. With little memory or CPU it may run out of them: there it is only
//! looked whether the next event finds it well.

mod events;

use super::{USAGE, read};
use crate::plugin::compile::Setup;
use crate::plugin::engine::Engine;
use crate::plugin::limits::{self, Limits};
use crate::plugin::registry::{OnError, Options as Loading, Plugin};
use crate::plugin::{Fault, Input};
use anyhow::Context as _;
use bytes::Bytes;
use events::Group;
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

/// What to torture, and how much.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// The component.
    file: PathBuf,
    /// Its configuration, JSON.
    #[arg(long, default_value = "{}")]
    config: String,
    /// Events with changed bytes, beside the fixed ones.
    #[arg(long, default_value_t = EVENTS, value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    events: u32,
    /// Print one JSON object instead of a table.
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
}

/// Tortures a file. The exit code is 0 when it survived, 1 when not, 64 when there is no such file.
///
/// # Errors
/// When there is no engine, the plugin does not load, or `out` cannot be written.
pub async fn run(options: Options, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let Some(wasm) = read(&options.file, out)? else {
        return Ok(ExitCode::from(USAGE));
    };
    let mutated = usize::try_from(options.events)?;
    let report = report(wasm, Bytes::from(options.config), mutated).await?;
    report.print(options.json, out)
}

/// Tortures `wasm` with `mutated` changed events beside the fixed ones.
///
/// # Errors
/// When there is no engine, or the plugin does not load.
async fn report(wasm: Bytes, config: Bytes, mutated: usize) -> anyhow::Result<Report> {
    let engine = Engine::serving(Setup::serving(None)).context("starting the engine")?;
    let load = |limits: Limits| {
        let on_error = Some(OnError::Fail);
        let options = Loading { config: config.clone(), limits, on_error, ..Loading::default() };
        Plugin::load(&engine, "tortured", wasm.clone(), options)
    };
    let plugin = load(Limits::default()).await?;
    let mut report = Report::default();
    for Group { name, inputs } in events::groups(mutated) {
        report.run(name, false, &plugin, inputs).await;
    }
    let least = report.rows.iter().map(|row| row.memory_bytes).min().unwrap_or_default();
    let little_memory = Limits::default().with(limits::MEMORY_BYTES, least + LITTLE_BYTES);
    let little_cpu = Limits::default().with(limits::CPU_PURE_MS, 1);
    let little_cpu = little_cpu.and_then(|limits| limits.with(limits::CPU_IO_MS, 1));
    for (name, limits) in [("little memory", little_memory), ("little CPU", little_cpu)] {
        // One that does not even start with so little has nothing to show here.
        let Ok(limits) = limits else { continue };
        let Ok(weak) = load(limits).await else { continue };
        let groups = events::groups(0).into_iter();
        let inputs = groups.filter(|group| matches!(group.name, "samples" | "large"));
        report.run(name, true, &weak, inputs.flat_map(|group| group.inputs).collect()).await;
    }
    let samples = events::groups(0).into_iter().take(1).flat_map(|group| group.inputs);
    report.run("samples again", false, &plugin, samples.collect()).await;
    Ok(report)
}

// === impl Report ===

impl Report {
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
