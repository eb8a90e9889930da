//! The story of a real `livekit-server`, where one is on PATH.

use super::delivery::{edge_of, with_source};
use anyhow::{Result, ensure};
use livekit_webhook_tests::exchange::{API_KEY, SECRET, now_s};
use livekit_webhook_tests::gateway::Gateway;
use livekit_webhook_tests::gateway::setup::STANDARD_SECRET;
use livekit_webhook_tests::livekit::server::{Server, on_path};
use livekit_webhook_tests::receiver::Receiver;
use serde_json::Value;
use std::time::Duration;

/// A participant that vanished is given up after a minute at the latest.
const PATIENCE: Duration = Duration::from_secs(90);

#[tokio::test]
async fn the_real_servers_events_arrive() -> Result<()> {
    let Some(binary) = on_path() else {
        println!("skipped: no livekit-server on PATH");
        return Ok(());
    };
    let receiver = Receiver::start().await?;
    let setup = with_source().endpoint("all", &receiver.url("/"), "").subscription("all", "");
    let gateway = Gateway::start(&setup, PATIENCE).await?;
    let edge = edge_of(&gateway)?;
    let url = format!("http://{}/webhook", edge.listener());
    let server = Server::start(&binary, &url, API_KEY, SECRET).await?;
    server.room_service("CreateRoom", r#"{"name":"real"}"#).await?;
    wait_kind(&receiver, "room_started").await?;
    server.join_and_vanish("real", "ghost").await?;
    wait_kind(&receiver, "participant_connection_aborted").await?;
    server.room_service("DeleteRoom", r#"{"room":"real"}"#).await?;
    wait_kind(&receiver, "room_finished").await?;
    for seen in receiver.seen() {
        seen.verify_standard(STANDARD_SECRET, now_s())?;
    }
    ensure!(edge.counters(&["accepted"], 3)? >= 3, "the filter let fewer pass");
    Ok(())
}

/// Waits for an event of this type.
async fn wait_kind(receiver: &Receiver, kind: &str) -> Result<()> {
    let mut looked_at = 0;
    loop {
        let seen = receiver.wait_for(looked_at + 1, PATIENCE).await?;
        for seen in &seen {
            let event: Value = serde_json::from_slice(&seen.body)?;
            if event["event"] == kind && event["room"]["name"] == "real" {
                return Ok(());
            }
        }
        looked_at = seen.len();
    }
}
