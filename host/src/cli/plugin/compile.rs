//! What the gateway starts to compile a plugin: component in, code out, within limits.

use crate::plugin::compile::{REFUSED, as_child, limit_this_process};
use crate::plugin::engine::Kind;
use crate::plugin::limits::COMPONENT_BYTES;
use anyhow::Context as _;
use std::io::{Read as _, Write};
use std::process::ExitCode;

/// What to compile for.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// The engine it is for.
    #[arg(long, value_parser = kind)]
    kind: Kind,
    /// Whether the code counts fuel.
    #[arg(long)]
    metered: bool,
    /// CPU seconds after which the system ends this process.
    #[arg(long)]
    cpu_seconds: u64,
    /// Let others go first.
    #[arg(long)]
    beside_serving: bool,
}

/// Writes the code to `out`. The exit code is [`REFUSED`] when the component is, with the reason on
/// standard error.
///
/// # Errors
/// When the process cannot limit itself, or its input or output break.
pub fn run(options: Options, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    limit_this_process(options.cpu_seconds, options.beside_serving)
        .context("limiting this process")?;
    let mut wasm = Vec::new();
    std::io::stdin().take(COMPONENT_BYTES.cap).read_to_end(&mut wasm)?;
    match as_child(options.kind, options.metered, &wasm) {
        Ok(code) => {
            out.write_all(&code)?;
            out.flush()?;
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            writeln!(std::io::stderr(), "{error:#}")?;
            Ok(ExitCode::from(REFUSED))
        }
    }
}

fn kind(name: &str) -> Result<Kind, String> {
    let known = Kind::ALL.into_iter().find(|kind| kind.as_str() == name);
    known.ok_or_else(|| "must be lean or full".to_owned())
}
