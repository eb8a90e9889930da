//! `livekit-webhook plugin …`: make a component of a module, and say what is wrong with one before
//! it is deployed.
//!
//! `check` uses the engine, the linker and the limits of `serve`, so what passes here loads there.

mod check;
mod pack;
mod versions;

use anyhow::Context as _;
use bytes::Bytes;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Exit code when a file or an option cannot be used at all, as for a bad configuration.
const USAGE: u8 = 64;

/// What can be done with a plugin.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Make a component of a core module that was built with the SDK.
    Pack {
        /// The module, as cargo leaves it in target/wasm32-unknown-unknown/.
        module: PathBuf,
        /// Where to write the component [default: beside the module, as NAME.component.wasm].
        #[arg(long, short)]
        output: Option<PathBuf>,
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
        Command::Pack { module, output } => {
            let Some(bytes) = read(&module, out)? else {
                return Ok(ExitCode::from(USAGE));
            };
            let output = output.unwrap_or_else(|| module.with_extension("component.wasm"));
            pack::run(&bytes, &output, out)
        }
        Command::Deploy { which, file } => versions::deploy(&which, &file, out).await,
        Command::Rollback(which) => versions::rollback(&which, out),
        Command::Release(which) => versions::release(&which, out),
        Command::Status(all) => versions::status(&all, out),
        Command::Check { file, config, json } => {
            let Some(bytes) = read(&file, out)? else {
                return Ok(ExitCode::from(USAGE));
            };
            let config = match config.strip_prefix('@') {
                None => Bytes::from(config),
                Some(path) => match read(Path::new(path), out)? {
                    Some(bytes) => bytes,
                    None => return Ok(ExitCode::from(USAGE)),
                },
            };
            if let Err(error) = serde_json::from_slice::<serde::de::IgnoredAny>(&config) {
                writeln!(out, "--config is not JSON: {error}")?;
                return Ok(ExitCode::from(USAGE));
            }
            let report = check::report(bytes, config).await.context("starting the engine")?;
            report.print(json, out)
        }
    }
}

/// The bytes of a file, or `None` after saying why not.
fn read(path: &Path, out: &mut dyn Write) -> anyhow::Result<Option<Bytes>> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(Bytes::from(bytes))),
        Err(error) => {
            writeln!(out, "{}: {error}", path.display())?;
            Ok(None)
        }
    }
}

#[cfg(test)]
mod tests;
