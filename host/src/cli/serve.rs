//! `livekit-webhook serve`

use crate::app::{self, App};
#[cfg(debug_assertions)]
use crate::clock::MovedClock;
use crate::clock::{Clock, SystemClock};
use crate::log;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{error, info, warn};

/// Options of `serve`.
#[derive(clap::Args)]
pub struct Options {
    /// The configuration file
    #[arg(long, value_name = "FILE", env = "LIVEKIT_WEBHOOK_CONFIG")]
    config: PathBuf,
    /// Log filter, for example info or info,livekit_webhook::deliver=debug
    #[arg(long, value_name = "FILTER", default_value = "info", env = "LIVEKIT_WEBHOOK_LOG")]
    log: String,
    /// Form of the log
    #[arg(long, value_enum, default_value = "auto")]
    log_format: log::Format,
    /// Moves the clock by the milliseconds that stand in this file, for tests
    #[cfg(debug_assertions)]
    #[arg(long, value_name = "FILE", hide = true, env = "LIVEKIT_WEBHOOK_CLOCK")]
    clock: Option<PathBuf>,
}

/// Runs until SIGTERM or SIGINT, then stops in order. A second signal ends it at once. SIGHUP reads
/// the configuration again and takes its sources and keys; one that is wrong changes nothing.
///
/// # Errors
/// When the configuration is wrong or something cannot be had at the start.
pub async fn run(options: Options) -> anyhow::Result<ExitCode> {
    log::init(options.log_format, &options.log)?;
    let config = super::check::load(&options.config)?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let app = match App::start(config, options.clock()).await {
        Ok(app) => app,
        // What the configuration names cannot be used: the operator has to mend it.
        Err(error @ app::Error::Plugin(_)) => {
            return super::check::refuse(error.into());
        }
        Err(error) => return Err(error.into()),
    };
    info!(server = "ingest", address = %app.ingest_address, "listening");
    if let Some(address) = app.admin_address {
        info!(server = "admin", %address, "listening");
    }
    let failed = loop {
        tokio::select! {
            _ = terminate.recv() => break false,
            _ = interrupt.recv() => break false,
            () = app.failed() => break true,
            _ = hang_up.recv() => reload(&app, &options.config),
        }
    };
    let cut_off = tokio::select! {
        () = app.shutdown() => false,
        _ = terminate.recv() => true,
        _ = interrupt.recv() => true,
    };
    if cut_off {
        warn!("second signal, not waiting; what was under way is done again at the next start");
    }
    if failed {
        error!("the host stopped because a part of it ended");
    }
    Ok(if cut_off || failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn reload(app: &App, path: &Path) {
    match super::check::load(path) {
        Ok(config) => app.reload(&config),
        Err(error) => {
            app.refuse_reload();
            // The whole chain: every problem of the file is in it.
            let error = format!("{error:#}");
            error!(error, "the configuration was not reloaded, the one before goes on");
        }
    }
}

// === impl Options ===

impl Options {
    fn clock(&self) -> Arc<dyn Clock> {
        #[cfg(debug_assertions)]
        if let Some(file) = &self.clock {
            warn!(file = %file.display(), "the clock is moved by a file");
            return Arc::new(MovedClock(file.clone()));
        }
        Arc::new(SystemClock)
    }
}
