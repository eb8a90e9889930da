//! `livekit-webhook plugin …`: everything an author does with a plugin, from an empty folder to a
//! component that holds its own tests.
//!
//! `check`, `test` and `run` use the engine and the linker of `serve`. `check` has its limits too, so
//! what passes there loads with the defaults; `test` and `run` give as much time, and room for as
//! large a file, as an operator can. `inspect` runs nothing.

mod build;
mod check;
mod compile;
mod inspect;
mod new;
mod pack;
mod replay;
mod run;
mod template;
mod test;
mod torture;
mod versions;

use crate::plugin::manifest::{FILE, Manifest};
use crate::plugin::permission::Permissions;

use anyhow::Context as _;
use bytes::Bytes;
use serde_json::json;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Exit code when a file or an option cannot be used at all, as for a bad configuration.
const USAGE: u8 = 64;

/// What can be done with a plugin.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    #[expect(missing_docs, reason = "a text here would replace the command's description")]
    New(new::Options),
    #[expect(missing_docs, reason = "a text here would replace the command's description")]
    Build(build::Options),
    #[expect(missing_docs, reason = "a text here would replace the command's description")]
    Test(test::Options),
    #[expect(missing_docs, reason = "a text here would replace the command's description")]
    Run(run::Options),
    #[expect(missing_docs, reason = "a text here would replace the command's description")]
    Inspect(inspect::Options),
    /// Make a component of a core module that was built with the SDK.
    Pack {
        /// The module, as cargo leaves it in target/wasm32-unknown-unknown/.
        module: PathBuf,
        /// Where to write the component [default: beside the module, as NAME.component.wasm].
        #[arg(long, short)]
        output: Option<PathBuf>,
        /// The plugin.toml to put into it.
        #[arg(long, value_name = "FILE")]
        manifest: Option<PathBuf>,
    },
    /// Say what a component needs and gives, whether it starts, and whether it accepts a
    /// configuration.
    Check {
        /// The component.
        file: PathBuf,
        /// Its configuration: JSON, or @ and the name of a file with JSON.
        #[arg(long, default_value = "{}")]
        config: String,
        /// Print one JSON object instead of text.
        #[arg(long)]
        json: bool,
    },
    /// Show a plugin every event it should survive, and say what became of it.
    Torture(torture::Options),
    /// Compile a component from the input to the output, within limits. For the gateway itself
    #[command(hide = true)]
    Compile(compile::Options),
    /// Check a component and put it in the place of a plugin's configured file
    Deploy {
        /// Which plugin.
        #[command(flatten)]
        which: versions::Which,
        /// The component.
        file: PathBuf,
    },
    /// Put the version that served before in the place of a plugin's configured file
    Rollback(versions::Which),
    /// Let a quarantined plugin be called again
    Release(versions::Which),
    /// See the fault of a poison event again, from its capsule
    Replay(replay::Options),
    /// Show versions, quarantines and refused files of all plugins
    Status(versions::All),
}

/// Runs one of them, writing to `out`. The exit code is 0 when all is well, 1 when the plugin has
/// problems, 64 when a file cannot be read or an option cannot be used.
///
/// # Errors
/// When `out` or the output file cannot be written, or the engine does not start.
pub async fn run(command: Command, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    match command {
        Command::New(options) => new::run(&options, out),
        Command::Build(options) => build::run(&options, out).await,
        Command::Test(options) => test::run(&options, out).await,
        Command::Run(options) => run::run(&options, out).await,
        Command::Inspect(options) => inspect::run(&options, out),
        Command::Pack { module, output, manifest } => {
            let Some(bytes) = read(&module, out)? else {
                return Ok(ExitCode::from(USAGE));
            };
            let manifest = match manifest.map(|file| read_manifest_file(&file)).transpose() {
                Ok(manifest) => manifest,
                Err(problem) => {
                    writeln!(out, "{problem}")?;
                    return Ok(ExitCode::from(USAGE));
                }
            };
            let output = output.unwrap_or_else(|| module.with_extension("component.wasm"));
            pack::run(&bytes, manifest, &output, out)
        }
        Command::Deploy { which, file } => versions::deploy(&which, &file, out).await,
        Command::Rollback(which) => versions::rollback(&which, out),
        Command::Release(which) => versions::release(&which, out),
        Command::Replay(options) => replay::run(&options, out).await,
        Command::Status(all) => versions::status(&all, out),
        Command::Check { file, config, json } => {
            let Some(bytes) = read(&file, out)? else {
                return Ok(ExitCode::from(USAGE));
            };
            let config = match given_config(&config) {
                Ok(config) => config,
                Err(problem) => return fail(json, &problem, USAGE, out),
            };
            let report = check::report(bytes, config).await.context("starting the engine")?;
            report.print(json, out)
        }
        Command::Torture(options) => torture::run(options, out).await,
        Command::Compile(options) => compile::run(options, out),
    }
}

/// The bytes of a component, or `None` after saying why not.
fn read(path: &Path, out: &mut dyn Write) -> anyhow::Result<Option<Bytes>> {
    match component_of(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(problem) => {
            writeln!(out, "{problem}")?;
            Ok(None)
        }
    }
}

/// Says why nothing was done.
fn fail(as_json: bool, problem: &str, code: u8, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    if as_json {
        writeln!(out, "{:#}", json!({ "ok": false, "problem": problem }))?;
    } else {
        writeln!(out, "{problem}")?;
    }
    Ok(ExitCode::from(code))
}

/// `--config`: JSON, or the file that `@` names.
fn given_config(text: &str) -> Result<Bytes, String> {
    let (config, from) = match text.strip_prefix('@') {
        None => (Bytes::from(text.to_owned()), "--config"),
        Some(path) => (bytes_of(Path::new(path))?, path),
    };
    let json = serde_json::from_slice::<serde::de::IgnoredAny>(&config);
    json.map_err(|error| {
        format!("{from} is not JSON: {error}; for example --config '{{\"note\":\"hi\"}}' or --config @config.json")
    })?;
    Ok(config)
}

/// `--grant`: a TOML file.
fn given_grant(file: &Path) -> Result<Permissions, String> {
    let text = bytes_of(file)?;
    Manifest::parse_grant(&String::from_utf8_lossy(&text))
        .map_err(|error| format!("{}: {error}", file.display()))
}

/// The bytes of a component: of the file, or of what `plugin build` made in a plugin's folder.
fn component_of(path: &Path) -> Result<Bytes, String> {
    if !path.is_dir() {
        return bytes_of(path);
    }
    let file = build::default_output(path, &read_manifest(path)?);
    bytes_of(&file)
        .map_err(|problem| format!("{problem}: run `livekit-webhook plugin build` first"))
}

/// The bytes of a file, or why not, with its name.
fn bytes_of(path: &Path) -> Result<Bytes, String> {
    let bytes = std::fs::read(path);
    bytes.map(Bytes::from).map_err(|error| format!("{}: {error}", path.display()))
}

/// The manifest in a plugin's folder.
fn read_manifest(folder: &Path) -> Result<Manifest, String> {
    read_manifest_file(&folder.join(FILE))
}

/// The manifest in a file. Paths in it are of the file's folder.
fn read_manifest_file(file: &Path) -> Result<Manifest, String> {
    let text = std::fs::read_to_string(file).map_err(|error| {
        format!(
            "{}: {error}: a plugin's folder has a {FILE}; `livekit-webhook plugin new` makes one",
            file.display()
        )
    })?;
    let folder = file.parent().unwrap_or(Path::new("."));
    Manifest::parse(&text, folder).map_err(|error| format!("{}: {error}", file.display()))
}

/// A path for a shell.
fn words(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+".contains(c);
    if text.chars().all(is_plain) { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

#[cfg(test)]
mod tests;
