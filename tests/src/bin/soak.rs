//! `make soak`: numbers from the environment to options, the verdict to an exit code.

use anyhow::Context as _;
use livekit_webhook_tests::soak::{self, Options};
use std::io::Write as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    match run() {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "\nsoak: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> anyhow::Result<usize> {
    let options = Options {
        rounds: number("SOAK_ROUNDS", 300)?,
        events: number("SOAK_EVENTS", 20_000)?,
        seed: number("SOAK_SEED", std::process::id() as usize)? as u64,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(soak::run(&options, &mut std::io::stdout()))
}

#[expect(clippy::disallowed_methods, reason = "make hands numbers over as variables")]
fn number(name: &str, unless_set: usize) -> anyhow::Result<usize> {
    match std::env::var(name) {
        Ok(text) if !text.is_empty() => {
            text.parse().with_context(|| format!("{name} = {text:?}: must be a number"))
        }
        _ => Ok(unless_set),
    }
}
