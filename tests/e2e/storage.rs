//! Stories of a store that cannot take any more.
//!
//! A full disk is played by the kernel's limit on the size of files (`RLIMIT_FSIZE`), which needs
//! no privileges and no file system of its own: a write past it fails, as one to a full disk does,
//! with another word.

use super::delivery::with_source;
use anyhow::{Result, ensure};
use livekit_webhook_core::delivery::State;
use livekit_webhook_tests::exchange::{BOUND, event, post};
use livekit_webhook_tests::gateway::{self, Gateway};
use livekit_webhook_tests::receiver::Receiver;

/// Events tried before the limit must have been met.
const TRIES_MAX: usize = 200;

#[tokio::test]
async fn a_store_that_cannot_be_opened_is_named_with_its_reason() -> Result<()> {
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("text.db"), "This is no database, it is text.")?;
    std::fs::create_dir(folder.path().join("folder.db"))?;
    for (name, words) in [
        ("text.db", "file is not a database"),
        ("folder.db", "unable to open database file"),
        ("absent/new.db", "No such file or directory"),
    ] {
        let path = folder.path().join(name);
        let setup = with_source().database(&path);
        std::fs::write(folder.path().join("gateway.toml"), setup.to_toml())?;
        let serve = ["serve", "--config", "gateway.toml"];
        let ended = gateway::run(folder.path(), &serve, setup.environment(), BOUND).await?;
        ensure!(ended.code == Some(1), "{name}: {ended:?}");
        let first = format!("cannot open the store {}", path.display());
        ensure!(ended.stderr.contains(&first) && ended.stderr.contains(words), "{ended:?}");
    }
    let kept = std::fs::read_to_string(folder.path().join("text.db"))?;
    ensure!(kept == "This is no database, it is text.", "somebody's file was written to");
    Ok(())
}

#[tokio::test]
async fn a_full_disk_is_answered_503_and_costs_no_acknowledged_event() -> Result<()> {
    let receiver = Receiver::start().await?;
    let setup = with_source().endpoint("all", &receiver.url("/"), "").subscription("all", "");
    let mut gateway = Gateway::start(&setup, BOUND).await?;
    ensure!(post(gateway.address(), &event("room_started", "r", "EV_first")).await?.status == 200);
    gateway.limit_files(Some(256 * 1024)).await?;
    let mut acknowledged = 1;
    let mut refused = None;
    for number in 0..TRIES_MAX {
        let body = event("room_started", "r", &format!("EV_{number}"));
        let reply = post(gateway.address(), &body).await?;
        match reply.status {
            200 => acknowledged += 1,
            _ => {
                refused = Some((body, reply));
                break;
            }
        }
    }
    let Some((body, reply)) = refused else { anyhow::bail!("the limit was never met") };
    ensure!((reply.status, reply.code().as_deref()) == (503, Some("unavailable")), "{reply:?}");
    // With one, LiveKit's queue for the room would freeze for as long as it says.
    ensure!(reply.header("retry-after").is_none(), "{reply:?}");
    ensure!(gateway.metric("store_errors_total").await? >= 1.0);

    // There is room again: LiveKit's next attempt is taken, and the host goes on by itself.
    gateway.limit_files(None).await?;
    ensure!(post(gateway.address(), &body).await?.status == 200);
    acknowledged += 1;
    let rows = gateway.ledger()?.wait_ended("all", acknowledged, BOUND).await?;
    ensure!(rows.iter().all(|row| row.state == State::Delivered), "{rows:#?}");
    // After a restart, too, all is there.
    ensure!(gateway.terminate(BOUND).await?.code() == Some(0));
    gateway.start_again(BOUND).await?;
    let ledger = gateway.ledger()?;
    ensure!(ledger.events().await?.len() == acknowledged);
    Ok(())
}
