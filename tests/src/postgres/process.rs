//! Signals to processes that this program started, by their ids.

use anyhow::{Context as _, Result, ensure};
use std::process::{Child, Command};
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// Sends a signal, such as `KILL`. A process that is gone already is as good.
pub fn signal(name: &str, ids: &[u32]) -> Result<()> {
    if ids.is_empty() {
        return Ok(());
    }
    // The standard library sends no signal but SIGKILL to a child; the shell's own `kill` is on
    // every machine.
    let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
    let script = format!("kill -{name} {} 2>/dev/null || true", ids.join(" "));
    let sent = Command::new("sh").arg("-c").arg(script).status()?;
    ensure!(sent.success(), "cannot send SIG{name}");
    Ok(())
}

/// The processes that `id` started and that still run. PostgreSQL gives each of them a process
/// group of its own, so a group is no way to reach them.
pub fn children(id: u32) -> Result<Vec<u32>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").context("/proc")? {
        let name = entry?.file_name();
        let Some(child) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
        // One that ended meanwhile is none.
        let Ok(stat) = std::fs::read_to_string(format!("/proc/{child}/stat")) else { continue };
        // `PID (NAME) STATE PARENT …`, and a name may hold anything.
        let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        if after_name.split_whitespace().nth(1) == Some(&id.to_string()) {
            found.push(child);
        }
    }
    Ok(found)
}

/// Waits for the end of `child`.
pub async fn wait(child: &mut Child, bound: Duration) -> Result<()> {
    let ended = async {
        while child.try_wait()?.is_none() {
            sleep(super::POLL).await;
        }
        anyhow::Ok(())
    };
    let in_time = timeout(bound, ended).await;
    if in_time.is_err() {
        child.kill()?;
    }
    in_time.context("it does not end")?
}
