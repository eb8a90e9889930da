//! Ctrl-C, SIGTERM and SIGHUP as a future, so that a program can end in order what it started.

use tokio::signal::unix::{SignalKind, signal};

/// Resolves at the first of them from now on. None of them ends the process any more.
///
/// # Errors
/// When the system does not hand them out.
pub fn interrupted() -> std::io::Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hang_up.recv() => {}
        }
    })
}
