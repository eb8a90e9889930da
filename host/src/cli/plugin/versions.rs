//! `plugin deploy | rollback | release | status`: what an operator does about versions.
//!
//! They work through files: the configured component is replaced whole, and a host that runs sees
//! it. None of them needs the host.

use crate::app::plugins::{Surroundings, spec};
use crate::cli::{check, now};
use crate::config::{Config, Plugin};
use crate::plugin::compile::Setup;
use crate::plugin::deploy::Digest;
use crate::plugin::deploy::folder::{Folder, replace};
use crate::plugin::deploy::upgrade::{Before, prepare};
use crate::plugin::engine::Engine;
use crate::plugin::manifest::Manifest;
use anyhow::Context as _;
use bytes::Bytes;
use livekit_webhook_core::time::Timestamp;
use serde_json::{Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Of the file that is replaced: components are no secret.
const MODE: u32 = 0o644;

/// The configuration, and which plugin of it.
#[derive(Debug, clap::Args)]
pub struct Which {
    /// The configuration file
    #[arg(long, value_name = "FILE", env = "LIVEKIT_WEBHOOK_CONFIG")]
    config: PathBuf,
    /// The plugin, as the configuration names it
    name: String,
}

/// The configuration.
#[derive(Debug, clap::Args)]
pub struct All {
    /// The configuration file
    #[arg(long, value_name = "FILE", env = "LIVEKIT_WEBHOOK_CONFIG")]
    config: PathBuf,
    /// Print one JSON array instead of text
    #[arg(long)]
    json: bool,
}

impl Which {
    fn find(&self, out: &mut dyn Write) -> anyhow::Result<Option<(Config, Plugin)>> {
        let config = check::load(&self.config)?;
        let found = config.plugins.iter().find(|plugin| plugin.name == self.name).cloned();
        if found.is_none() {
            let names: Vec<_> = config.plugins.iter().map(|plugin| plugin.name.as_str()).collect();
            writeln!(
                out,
                "no plugin {:?} is configured; there is: {}",
                self.name,
                names.join(", ")
            )?;
        }
        Ok(found.map(|plugin| (config, plugin)))
    }
}

/// Checks `file` as the host will, then puts it in the place of the configured one.
///
/// # Errors
/// When the configuration cannot be used, or the file cannot be replaced.
pub async fn deploy(which: &Which, file: &Path, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let Some((config, plugin)) = which.find(out)? else {
        return Ok(ExitCode::from(super::USAGE));
    };
    let Some(wasm) = super::read(file, out)? else {
        return Ok(ExitCode::from(super::USAGE));
    };
    let digest = Digest::of(&wasm);
    let folder = Folder::new(&config.deploy.folder, &plugin.name);
    if folder.barred().contains_key(&digest) {
        writeln!(out, "version {} is barred: release the plugin first", digest.short())?;
        return Ok(ExitCode::FAILURE);
    }
    let serving = std::fs::read(&plugin.file).unwrap_or_default();
    let asks = Manifest::read(&serving).ok().flatten().map(|manifest| manifest.permissions);
    let around = Surroundings { folder: config.deploy.folder.clone(), ..Surroundings::default() };
    let options = spec(&plugin, &around).options;
    let engine = Engine::serving(Setup::serving(None)).context("starting the engine")?;
    let asks = asks.unwrap_or_default();
    let before = Before { digest: Digest::of(&serving), asks: &asks };
    let prepared =
        prepare(&engine, &plugin.name, &options, wasm.clone(), Some(before), now()).await;
    match prepared {
        Ok(prepared) => put(&plugin, &wasm, prepared.named.as_deref(), out),
        Err(refusal) => {
            writeln!(out, "not deployed: {}", refusal.words())?;
            Ok(ExitCode::FAILURE)
        }
    }
}

/// Puts the version that served before in the place of the configured file.
///
/// # Errors
/// As [`deploy`].
pub fn rollback(which: &Which, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let Some((config, plugin)) = which.find(out)? else {
        return Ok(ExitCode::from(super::USAGE));
    };
    let folder = Folder::new(&config.deploy.folder, &plugin.name);
    let (record, barred) = (folder.record(), folder.barred());
    let there = Digest::of(&std::fs::read(&plugin.file).unwrap_or_default());
    // What serves though the file is another one, else the newest before it.
    let serving = record.current.as_deref().and_then(Digest::parse);
    let kept = record.versions.iter().rev().filter_map(|kept| Digest::parse(&kept.digest));
    let candidates = serving.into_iter().chain(kept);
    let mut candidates =
        candidates.filter(|digest| *digest != there && !barred.contains_key(digest));
    let found = candidates.find_map(|digest| folder.version(digest));
    let Some(wasm) = found else {
        writeln!(out, "no version before this one is kept in {}", folder.path().display())?;
        return Ok(ExitCode::FAILURE);
    };
    put(&plugin, &wasm, None, out)
}

/// Asks whoever serves to call a quarantined version again.
///
/// # Errors
/// As [`deploy`].
pub fn release(which: &Which, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let Some((config, plugin)) = which.find(out)? else {
        return Ok(ExitCode::from(super::USAGE));
    };
    let folder = Folder::new(&config.deploy.folder, &plugin.name);
    let barred = folder.barred();
    for (digest, bar) in &barred {
        writeln!(out, "{}: {}", digest.short(), json!(bar.why))?;
    }
    if barred.is_empty() {
        writeln!(out, "no version of {} is barred; a breaker that is open is closed", plugin.name)?;
    }
    folder.ask_release().context("writing the wish")?;
    writeln!(out, "{} is released as soon as its host looks", plugin.name)?;
    Ok(ExitCode::SUCCESS)
}

/// What is kept, what serves, and what must not.
///
/// # Errors
/// When the configuration cannot be used or `out` cannot be written.
pub fn status(all: &All, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let config = check::load(&all.config)?;
    let found: Vec<Value> = config.plugins.iter().map(|plugin| one(&config, plugin)).collect();
    if all.json {
        writeln!(out, "{:#}", Value::from(found))?;
        return Ok(ExitCode::SUCCESS);
    }
    for status in &found {
        print(status, out)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn one(config: &Config, plugin: &Plugin) -> Value {
    let folder = Folder::new(&config.deploy.folder, &plugin.name);
    let bytes = std::fs::read(folder.path().join("status.json")).unwrap_or_default();
    let status: Value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
    let barred: Vec<Value> = folder
        .barred()
        .into_iter()
        .map(|(digest, bar)| json!({ "digest": digest.to_string(), "why": bar.why, "since_ms": bar.since_ms }))
        .collect();
    json!({
        "plugin": plugin.name,
        "file": plugin.file.display().to_string(),
        "record": folder.record(),
        "barred": barred,
        "capsules": folder.capsules(),
        "host": status,
    })
}

fn print(status: &Value, out: &mut dyn Write) -> std::io::Result<()> {
    let text = |value: &Value| value.as_str().unwrap_or("unknown").to_owned();
    let short = |value: &Value| text(value).chars().take(12).collect::<String>();
    let time = |value: &Value| Timestamp::from_millis(value.as_i64().unwrap_or(0)).to_string();
    let host = &status["host"];
    writeln!(out, "{}", text(&status["plugin"]))?;
    if host.is_null() {
        writeln!(out, "  no host has served it yet")?;
    } else {
        let (serving, since) = (short(&host["serving"]), time(&host["since_ms"]));
        writeln!(out, "  serves    {serving} since {since}, breaker {}", text(&host["breaker"]))?;
    }
    for trial in ["canary", "shadow"] {
        if host[trial].is_string() {
            writeln!(out, "  {trial:<9} {}", short(&host[trial]))?;
        }
    }
    let refused = &host["refused"];
    if !refused.is_null() {
        writeln!(out, "  refused   {}: {}", short(&refused["digest"]), text(&refused["why"]))?;
        if refused["reason"].is_string() {
            writeln!(out, "            {}", text(&refused["reason"]))?;
        }
    }
    for kept in status["record"]["versions"].as_array().into_iter().flatten() {
        let (digest, since) = (short(&kept["digest"]), time(&kept["since_ms"]));
        writeln!(out, "  kept      {digest} since {since}, {} bytes", kept["bytes"])?;
    }
    for bar in status["barred"].as_array().into_iter().flatten() {
        writeln!(out, "  barred    {}: {}", short(&bar["digest"]), text(&bar["why"]))?;
    }
    writeln!(out, "  capsules  {}", status["capsules"])
}

fn put(
    plugin: &Plugin,
    wasm: &Bytes,
    named: Option<&str>,
    out: &mut dyn Write,
) -> anyhow::Result<ExitCode> {
    let file = plugin.file.display();
    replace(&plugin.file, wasm, MODE).with_context(|| format!("replacing {file}"))?;
    let (digest, named) = (Digest::of(wasm).short(), named.unwrap_or("no version named"));
    writeln!(out, "{file} is {digest} ({named}); a host that watches it serves it soon")?;
    Ok(ExitCode::SUCCESS)
}
