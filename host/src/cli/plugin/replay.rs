//! `plugin replay`: sees a fault again, from its capsule.

use crate::causes;
use crate::plugin::compile::Setup;
use crate::plugin::deploy::Digest;
use crate::plugin::deploy::capsule::{CAPSULE_BYTES_MAX, Capsule, Replayed};
use crate::plugin::deploy::shadow::difference;
use crate::plugin::engine::Engine;
use crate::plugin::load;
use crate::plugin::manifest::secret::REDACTED;
use anyhow::Context as _;
use bytes::Bytes;
use serde_json::json;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Options of `plugin replay`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit codes: 0 the component faults as it did (with --against: the other one does not fault), 1 it does not, 64 a file cannot be used."
)]
pub struct Options {
    /// The capsule, as a dead letter's note names it
    pub capsule: PathBuf,
    /// The component that failed [default: the version kept beside the capsule]
    #[arg(long, value_name = "FILE")]
    pub plugin: Option<PathBuf>,
    /// Another component, to see what it makes of the same event
    #[arg(long, value_name = "FILE")]
    pub against: Option<PathBuf>,
    /// The plugin's configuration, where the capsule lacks its secrets: JSON, or @ and the name of a
    /// file with JSON
    #[arg(long, value_name = "JSON")]
    pub config: Option<String>,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub json: bool,
}

/// Replays, and says what was and what is.
///
/// # Errors
/// When the engine does not start or `out` cannot be written.
pub async fn run(options: &Options, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let Some(bytes) = super::read(&options.capsule, out)? else {
        return Ok(ExitCode::from(super::USAGE));
    };
    let parsed = serde_json::from_slice::<Capsule>(&bytes);
    let mut capsule = match parsed {
        Ok(capsule) if bytes.len() <= CAPSULE_BYTES_MAX => capsule,
        Ok(_) => return refuse(out, &options.capsule, "it is too large for a capsule"),
        Err(error) => return refuse(out, &options.capsule, &format!("no capsule: {error}")),
    };
    if let Some(text) = &options.config {
        match super::given_config(text) {
            Ok(config) => capsule.config = serde_json::from_slice(&config)?,
            Err(problem) => return super::fail(options.json, &problem, super::USAGE, out),
        }
        capsule.config_hidden.clear();
    }
    let file = options.plugin.clone().unwrap_or_else(|| kept(&options.capsule, &capsule));
    let Some(wasm) = super::read(&file, out)? else {
        writeln!(out, "give the component that failed with --plugin")?;
        return Ok(ExitCode::from(super::USAGE));
    };
    let is_same = Digest::of(&wasm).to_string() == capsule.digest;
    // The one of production says what happens, the other what it costs.
    let engine = Engine::serving(Setup::serving(None)).context("starting the engine")?;
    let metered = engine.metered_beside().context("starting the engine")?;
    let engines = (engine, metered);
    let Some(now) = one(&engines, &capsule, &file, wasm, out).await? else {
        return Ok(ExitCode::from(super::USAGE));
    };
    let against = match &options.against {
        None => None,
        Some(file) => {
            let Some(wasm) = super::read(file, out)? else {
                return Ok(ExitCode::from(super::USAGE));
            };
            let Some(replayed) = one(&engines, &capsule, file, wasm, out).await? else {
                return Ok(ExitCode::from(super::USAGE));
            };
            Some(replayed)
        }
    };
    let report = Report { capsule, is_same, now, against };
    if options.json {
        report.json(out)?
    } else {
        report.text(out)?
    }
    Ok(report.code())
}

struct Report {
    capsule: Capsule,
    /// The component is the one that failed.
    is_same: bool,
    now: Again,
    against: Option<Again>,
}

/// What one component made of it, and the fuel it burned, where that means something.
struct Again {
    replayed: Replayed,
    fuel: Option<u64>,
}

impl Report {
    fn code(&self) -> ExitCode {
        let is_well = match &self.against {
            None => self.now.replayed.kind() == self.capsule.fault.kind,
            Some(against) => against.replayed.result.is_ok(),
        };
        ExitCode::from(u8::from(!is_well))
    }

    fn json(&self, out: &mut dyn Write) -> std::io::Result<()> {
        let one = |Again { replayed, fuel }: &Again| {
            let cpu_us = u64::try_from(replayed.usage.cpu.as_micros()).unwrap_or(u64::MAX);
            json!({
                "kind": replayed.kind(),
                "says": replayed.lines(),
                "cpu_us": cpu_us,
                "memory_bytes": replayed.usage.memory_bytes,
                "fuel": fuel,
            })
        };
        let report = json!({
            "plugin": self.capsule.plugin,
            "digest": self.capsule.digest,
            "is_same_component": self.is_same,
            "is_same_fault": self.now.replayed.kind() == self.capsule.fault.kind,
            "config_hidden": self.capsule.config_hidden,
            "then": self.capsule.fault,
            "now": one(&self.now),
            "against": self.against.as_ref().map(one),
        });
        writeln!(out, "{report:#}")
    }

    fn text(&self, out: &mut dyn Write) -> std::io::Result<()> {
        let Self { capsule, is_same, now, against } = self;
        let fault = &capsule.fault;
        writeln!(out, "plugin    {}", capsule.plugin)?;
        let note = if *is_same { "" } else { " (this is another component)" };
        writeln!(out, "failed    {}{note}", capsule.digest)?;
        writeln!(out, "then      {}: {}", fault.kind, fault.text)?;
        for line in &fault.log {
            writeln!(out, "  log     {line}")?;
        }
        write!(out, "now       {}", now.replayed.lines())?;
        writeln!(out, "fuel      {}", now.fuel())?;
        let is_same_fault = now.replayed.kind() == fault.kind;
        writeln!(
            out,
            "the fault {} again",
            if is_same_fault { "is there" } else { "is not there" }
        )?;
        if !capsule.config_hidden.is_empty() {
            writeln!(out, "note      {}", lacks(capsule))?;
        }
        if let Some(against) = against {
            writeln!(out, "against   {}", against.replayed.kind())?;
            writeln!(out, "fuel      {}", against.fuel())?;
            let (now, against) = (now.replayed.lines(), against.replayed.lines());
            if let Some(difference) = difference(&now, &against) {
                write!(out, "{difference}")?;
            }
        }
        Ok(())
    }
}

impl Again {
    fn fuel(&self) -> String {
        self.fuel.map_or("not counted: time ended it".to_owned(), |fuel| fuel.to_string())
    }
}

async fn one(
    (engine, metered): &(Engine, Engine),
    capsule: &Capsule,
    file: &Path,
    wasm: Bytes,
    out: &mut dyn Write,
) -> anyhow::Result<Option<Again>> {
    let again = async {
        let replayed = capsule.replay(engine, wasm.clone()).await?;
        Ok::<_, load::Error>(Again { replayed, fuel: capsule.fuel(metered, wasm).await? })
    };
    match again.await {
        Ok(again) => Ok(Some(again)),
        Err(error) => {
            writeln!(out, "{}: {}", file.display(), causes::line(&error))?;
            if !capsule.config_hidden.is_empty() {
                writeln!(out, "{}", lacks(capsule))?;
            }
            Ok(None)
        }
    }
}

/// What is not in it, and who can bring it.
fn lacks(capsule: &Capsule) -> String {
    format!(
        "a capsule has {REDACTED} in the place of secrets ({}): when the fault depends on them, give \
         the configuration with --config",
        capsule.config_hidden.join(", ")
    )
}

/// `FOLDER/NAME/capsules/X.json` has its component in `FOLDER/NAME/versions/`.
fn kept(file: &Path, capsule: &Capsule) -> PathBuf {
    let folder = file.parent().and_then(Path::parent).unwrap_or(Path::new(""));
    folder.join("versions").join(format!("{}.wasm", capsule.digest))
}

fn refuse(out: &mut dyn Write, file: &Path, why: &str) -> anyhow::Result<ExitCode> {
    writeln!(out, "{}: {why}", file.display())?;
    Ok(ExitCode::from(super::USAGE))
}
