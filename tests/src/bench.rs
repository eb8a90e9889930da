//! What `make bench` measures. Nothing here is asserted; every case is compared with another of the
//! same run, in rounds that alternate, and a ratio is of one round.

pub mod backlog;
pub mod edge;
pub mod flow;
pub mod memory;
pub mod plugin;
pub mod stats;
pub mod table;
pub mod verify;

use crate::interrupt::interrupted;
use crate::judge::guest;
use anyhow::{Context as _, bail};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};
use table::Table;

/// How long the whole bench may take.
pub const BENCH_MAX: Duration = Duration::from_secs(1_200);
/// Rounds of the cases that take microseconds, and of those that take seconds.
const ROUNDS: usize = 60;
const FLOW_ROUNDS: usize = 9;
/// Of the cases with an Envoy: in the whole bench, and alone.
const EDGE_PLAN: edge::Plan = edge::Plan { rounds: 9, slice: Duration::from_millis(500) };
const EDGE_ALONE: edge::Plan = edge::Plan { rounds: 100, slice: Duration::from_millis(150) };

/// A part of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// The verifier.
    Verify,
    /// A plugin's call.
    Plugin,
    /// Envoy with and without the filter.
    Edge,
    /// The whole way.
    Flow,
    /// One endpoint of ten hangs.
    Hang,
    /// A million deliveries wait.
    Backlog,
    /// A million events pass.
    Memory,
}

/// Their names on the command line, in the order of the table.
const SECTIONS: [(&str, Section); 7] = [
    ("verify", Section::Verify),
    ("plugin", Section::Plugin),
    ("edge", Section::Edge),
    ("flow", Section::Flow),
    ("hang", Section::Hang),
    ("backlog", Section::Backlog),
    ("memory", Section::Memory),
];

/// The sections of these names, all without any; `None` when there is no such section.
pub fn sections(names: &[&str]) -> Option<Vec<Section>> {
    let find = |name: &&str| SECTIONS.iter().find(|(known, _)| known == name);
    match names {
        [] => Some(SECTIONS.iter().map(|(_, section)| *section).collect()),
        names => names.iter().map(|name| find(name).map(|(_, section)| *section)).collect(),
    }
}

/// Measures these sections and writes the table.
///
/// # Errors
/// When a case cannot be measured, or it takes longer than [`BENCH_MAX`], or it is interrupted.
pub async fn run(sections: &[Section], out: &mut dyn Write) -> anyhow::Result<()> {
    let began = Instant::now();
    let interrupted = interrupted()?;
    let mut table = Table::new(out);
    let measured = async {
        head(&mut table)?;
        for section in sections {
            match section {
                Section::Verify => verify::run(ROUNDS, &mut table)?,
                Section::Plugin => {
                    plugin::run(&guest("redact.wasm"), ROUNDS, &mut table).await?;
                    plugin::rest::run(plugin::rest::FULL, &mut table).await?;
                }
                Section::Edge => {
                    tokio::task::block_in_place(|| edge::run(EDGE_PLAN, &[], &mut table))?;
                }
                Section::Flow => flow::run(FLOW_ROUNDS, &mut table).await?,
                Section::Hang => flow::hang::run(FLOW_ROUNDS, &mut table).await?,
                Section::Backlog => backlog::run(FLOW_ROUNDS, &mut table).await?,
                Section::Memory => memory::run(&mut table).await?,
            }
        }
        anyhow::Ok(())
    };
    tokio::select! {
        ended = tokio::time::timeout(BENCH_MAX, measured) => {
            ended.with_context(|| format!("not over after {BENCH_MAX:?}"))??;
        }
        () = interrupted => bail!("interrupted"),
    }
    warn_of_debug(&mut table)?;
    table.line(format_args!("\nIt took {:.0} s.", began.elapsed().as_secs_f64()))?;
    Ok(())
}

/// Only the edge, longer, with other builds of the filter beside ours.
///
/// # Errors
/// See [`edge::run`].
pub fn run_edge(filters: &[&str], out: &mut dyn Write) -> anyhow::Result<()> {
    let mut table = Table::new(out);
    head(&mut table)?;
    let filters: Vec<&Path> = filters.iter().map(Path::new).collect();
    edge::run(EDGE_ALONE, &filters, &mut table)?;
    warn_of_debug(&mut table)
}

fn head(table: &mut Table<'_>) -> anyhow::Result<()> {
    let profile = if cfg!(debug_assertions) { "debug" } else { "release" };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let system = std::env::consts::OS;
    let kernel = first_line("/proc/sys/kernel/osrelease").unwrap_or_default();
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("unknown processor", |(_, model)| model);
    table.line(format_args!("\nmake bench (target/{profile}/bench)"))?;
    table.line(format_args!("{cores} cores, {model}, {system} {kernel}"))?;
    table.line(
        "Medians over rounds, quartiles beside them; x: ratio of two cases in the same round.",
    )?;
    warn_of_debug(table)
}

fn warn_of_debug(table: &mut Table<'_>) -> anyhow::Result<()> {
    if cfg!(debug_assertions) {
        let text = "DEBUG BUILD: these numbers say nothing about the product; run `make bench`.";
        table.line(format_args!("\n{text}"))?;
    }
    Ok(())
}

fn first_line(path: impl AsRef<Path>) -> Option<String> {
    std::fs::read_to_string(path).ok()?.lines().next().map(str::to_owned)
}
