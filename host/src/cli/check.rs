//! `livekit-webhook check`

use crate::app;
use crate::app::plugins::Surroundings;
use crate::config::{self, Config, Environment, Instances, Plugin};
use crate::plugin::manifest::{self, Manifest};
use anyhow::Context as _;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Options of `check`.
#[derive(clap::Args)]
#[command(
    after_help = "Exit codes: 0 all is well, 64 something is wrong with the configuration or a plugin, 1 the file cannot be read."
)]
pub struct Options {
    /// The configuration file
    #[arg(long, value_name = "FILE", env = "LIVEKIT_WEBHOOK_CONFIG")]
    config: PathBuf,
    /// Print the effective values, defaults included, secrets redacted
    #[arg(long)]
    dump: bool,
}

/// Reads the configuration.
///
/// # Errors
/// What is wrong with it is marked for the operator to mend. A file that cannot be read is not:
/// nothing in it is wrong.
pub fn load(path: &Path) -> anyhow::Result<Config> {
    Config::load(path, &Environment::process()).map_err(|error| match error {
        config::Error::Read { .. } => error.into(),
        config::Error::Problems { .. } => anyhow::Error::from(error).context(Mend),
    })
}

/// Marks `error` as the operator's to mend.
///
/// # Errors
/// Always.
pub fn refuse(error: anyhow::Error) -> anyhow::Result<ExitCode> {
    Err(error.context(Mend))
}

/// The mark, carried as context and recognised by type.
#[derive(Debug)]
pub struct Mend;

impl std::fmt::Display for Mend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the configuration cannot be used")
    }
}

/// Reads the configuration, loads every plugin, opens no port and no store.
///
/// # Errors
/// All problems of the file, or the first plugin that does not load.
pub async fn run(options: Options, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let config = load(&options.config)?;
    if let Err(error) = app::plugins::load(&config, &Surroundings::default()).await {
        return refuse(error.into());
    }
    if options.dump {
        write!(out, "{}", without_secrets(config)?.dump())?;
        return Ok(ExitCode::SUCCESS);
    }
    let (file, sources) = (options.config.display(), config.sources.len());
    let (endpoints, subscriptions) = (config.endpoints.len(), config.subscriptions.len());
    let plugins = config.plugins.len();
    writeln!(out, "{file}: all is well")?;
    writeln!(
        out,
        "sources: {sources}, plugins: {plugins}, endpoints: {endpoints}, subscriptions: {subscriptions}"
    )?;
    for endpoint in &config.endpoints {
        if !config.subscriptions.iter().any(|one| *one.endpoint() == endpoint.name) {
            writeln!(out, "note: no subscription sends anything to endpoint {}", endpoint.name)?;
        }
    }
    for plugin in &config.plugins {
        let is_warm = |manifest: &Manifest| manifest.instances == Some(manifest::Instances::Warm);
        if plugin.instances == Instances::Fresh && manifests(plugin)?.iter().any(is_warm) {
            let name = &plugin.name;
            writeln!(
                out,
                "note: plugin {name} suggests instances = \"warm\"; that is yours to give"
            )?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The configuration without what the manifests of its plugins call secret.
fn without_secrets(mut config: Config) -> anyhow::Result<Config> {
    for plugin in &mut config.plugins {
        let mut value = serde_json::from_str(&plugin.config)?;
        for manifest in manifests(plugin)? {
            manifest.redact(&mut value);
        }
        plugin.config = value.to_string();
    }
    Ok(config)
}

/// Those of all the files of a plugin. What is wrong with one is said by whoever loads it.
fn manifests(plugin: &Plugin) -> anyhow::Result<Vec<Manifest>> {
    let canary = plugin.canary.as_ref().map(|canary| &canary.file);
    let files = [Some(&plugin.file), canary, plugin.shadow.as_ref()].into_iter().flatten();
    let mut found = Vec::new();
    for file in files {
        let wasm = std::fs::read(file).with_context(|| file.display().to_string())?;
        found.extend(Manifest::read(&wasm).ok().flatten());
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
