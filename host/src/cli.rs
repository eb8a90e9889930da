//! The command line: one verb a file.

pub mod attempts;
pub mod check;
mod credentials;
pub mod deliveries;
pub mod endpoint;
pub mod events;
mod page;
mod place;
pub mod plugin;
mod print;
pub mod quarantine;
pub mod replay;
pub mod secret;
pub mod send;
pub mod serve;
pub mod store;
pub mod verify;

use crate::clock::{Clock as _, SystemClock};
use livekit_webhook_core::time::Timestamp;
use std::io::Write;
use std::process::ExitCode;

/// What `main` returns for bad usage and bad configuration (BSD `sysexits`: EX_USAGE).
pub const EXIT_USAGE: u8 = 64;

const EXAMPLES: &str = "\
Examples:
  livekit-webhook check --config gateway.toml
  livekit-webhook serve --config gateway.toml
  livekit-webhook send participant_joined --room prod-7 --to http://127.0.0.1:8080/webhook
  livekit-webhook verify --request captured.http --api-key APIabc --secret-file livekit.secret
  livekit-webhook dead-letters --config gateway.toml --summary
  livekit-webhook replay --config gateway.toml --endpoint billing --since 09:00 --dry-run";

/// A durable webhook gateway for LiveKit.
#[derive(clap::Parser)]
#[command(name = "livekit-webhook", version, about, after_help = EXAMPLES)]
#[command(arg_required_else_help = true, max_term_width = 100)]
pub struct Cli {
    /// Die at this point, for tests
    #[cfg(debug_assertions)]
    #[arg(long, hide = true, global = true, env = "LIVEKIT_WEBHOOK_CRASH_AT")]
    crash_at: Option<String>,
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Run the gateway
    Serve(serve::Options),
    /// Check a configuration and its plugins, start nothing
    Check(check::Options),
    /// Make, sign and send an event as LiveKit would
    Send(send::Options),
    /// Explain whether a captured request is authentic, and if not, why
    Verify(verify::Options),
    /// List events, or show one with its deliveries
    Events(events::Options),
    /// List deliveries, or show one with its attempts
    Deliveries(deliveries::Options),
    /// List dead letters: deliveries that were given up
    DeadLetters(deliveries::DeadOptions),
    /// Show all attempts of a delivery with all that is known of them
    Attempts(attempts::Options),
    /// List what was kept though it could not become an event
    Quarantine(quarantine::Options),
    /// Send stored events again
    Replay(Box<replay::Options>),
    /// See, enable, disable, pause and resume endpoints
    Endpoint(endpoint::Options),
    /// Make, list, revoke and reseal signing secrets
    Secret(secret::Options),
    /// Migrate, check, vacuum, export and import a store
    Store(store::Options),
    /// Work on plugins
    #[command(subcommand)]
    Plugin(plugin::Command),
}

// === impl Cli ===

impl Cli {
    /// Runs the verb. Output goes to `out`, the log to standard error.
    ///
    /// # Errors
    /// With the whole chain of causes, for `main` to print.
    pub async fn run(self, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
        #[cfg(debug_assertions)]
        if let Some(point) = &self.crash_at {
            crate::crash::arm(point)?;
        }
        match self.command {
            Command::Serve(options) => serve::run(options).await,
            Command::Check(options) => check::run(options, out).await,
            Command::Send(options) => send::run(options, out).await,
            Command::Verify(options) => verify::run(options, out).await,
            Command::Events(options) => events::run(options, out).await,
            Command::Deliveries(options) => deliveries::run(options, out).await,
            Command::DeadLetters(options) => deliveries::run_dead(options, out).await,
            Command::Attempts(options) => attempts::run(options, out).await,
            Command::Quarantine(options) => quarantine::run(options, out).await,
            Command::Replay(options) => replay::run(*options, out).await,
            Command::Endpoint(options) => endpoint::run(options, out).await,
            Command::Secret(options) => secret::run(options, out).await,
            Command::Store(options) => store::run(options, out).await,
            Command::Plugin(command) => plugin::run(command, out).await,
        }
    }
}

/// What time it is for this command.
fn now() -> Timestamp {
    SystemClock.now()
}
