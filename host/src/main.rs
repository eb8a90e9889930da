//! The binary: arguments to [`Cli`], errors to exit codes.

use clap::Parser;
use clap::error::ErrorKind;
use livekit_webhook::cli::{Cli, EXIT_USAGE, check::Mend};
use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return match error.kind() {
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => ExitCode::SUCCESS,
                _ => ExitCode::from(EXIT_USAGE),
            };
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&anyhow::Error::new(error).context("cannot start the runtime")),
    };
    let result = runtime.block_on(cli.run(&mut std::io::stdout()));
    // What still runs after an ordered stop is given up, not waited for.
    runtime.shutdown_background();
    result.unwrap_or_else(|error| fail(&error))
}

/// Prints the whole chain. A closed pipe is the reader's choice, not a failure to report.
fn fail(error: &anyhow::Error) -> ExitCode {
    let mut chain = String::new();
    for (depth, cause) in error.chain().enumerate() {
        let lead = if depth == 0 { "livekit-webhook: " } else { "\n  because: " };
        chain.push_str(&format!("{lead}{cause}"));
    }
    let _ = writeln!(std::io::stderr(), "{chain}");
    let usage = error.downcast_ref::<Mend>().is_some();
    if usage { ExitCode::from(EXIT_USAGE) } else { ExitCode::FAILURE }
}
