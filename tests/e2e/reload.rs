//! Stories of keys that change while the host runs.

use anyhow::{Context as _, Result, ensure};
use livekit_webhook_tests::exchange::{BOUND, event, now_s, post_as};
use livekit_webhook_tests::gateway::{Gateway, Setup};
use livekit_webhook_wire::sign;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::task::JoinSet;

const KEY: &str = "APIkey";
const OLD: &str = "the-old-secret";
const NEW: &str = "the-new-secret";
/// Events that are sent after the last change.
const AFTER: usize = 50;

fn with_secrets(secrets: &[&str]) -> Setup {
    let key = |secret| format!(r#"{{ api_key = "{KEY}", secret = "{secret}" }}"#);
    let keys: Vec<String> = secrets.iter().map(key).collect();
    Setup::new().source_with_keys("prod", &keys.join(", "))
}

fn signed(secret: &str, body: &str) -> String {
    sign::authorization(KEY, secret.as_bytes(), body.as_bytes(), now_s())
}

async fn wait_reloads(gateway: &Gateway, count: u32) -> Result<()> {
    let name = r#"config_reloads_total{result="done"}"#;
    gateway.wait_metric(name, f64::from(count), BOUND).await
}

/// Both secrets are sent all the time that both are right, each for as long as it is.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_rotated_under_load_and_no_event_is_refused() -> Result<()> {
    let both = with_secrets(&[NEW, OLD]);
    let gateway = Arc::new(Gateway::start(&both, BOUND).await?);
    let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let mut senders = JoinSet::new();
    for (sender, secret) in [(0, NEW), (1, NEW), (2, OLD)] {
        let (gateway, stop, sent) = (gateway.clone(), stop.clone(), sent.clone());
        senders.spawn(async move {
            let mut number = 0;
            while !stop.load(Ordering::SeqCst) {
                number += 1;
                let body = event("room_started", "r", &format!("EV_{sender}_{number}"));
                let reply = post_as(gateway.address(), &signed(secret, &body), &body).await?;
                ensure!(reply.status == 200, "{secret}: {reply:?}");
                sent.fetch_add(1, Ordering::SeqCst);
            }
            anyhow::Ok(())
        });
    }
    for count in 1..=20 {
        gateway.reload(&both).await?;
        wait_reloads(&gateway, count).await?;
    }
    let least = sent.load(Ordering::SeqCst) + AFTER;
    let arrived = r#"events_total{source="prod",kind="room_started"}"#;
    gateway.wait_metric(arrived, least as f64, BOUND).await?;
    stop.store(true, Ordering::SeqCst);
    while let Some(ended) = senders.join_next().await {
        ended??;
    }

    gateway.reload(&with_secrets(&[NEW])).await?;
    wait_reloads(&gateway, 21).await?;
    let body = event("room_started", "r", "EV_last");
    let old = post_as(gateway.address(), &signed(OLD, &body), &body).await?;
    ensure!(old.status == 401, "the old secret after its end: {old:?}");
    let new = post_as(gateway.address(), &signed(NEW, &body), &body).await?;
    ensure!(new.status == 200, "the new secret: {new:?}");
    Ok(())
}

#[tokio::test]
async fn a_configuration_that_is_wrong_changes_nothing_and_is_told() -> Result<()> {
    let gateway = Gateway::start(&with_secrets(&[OLD]), BOUND).await?;
    gateway.reload(&with_secrets(&[NEW]).ingest("body_bytes_max = -1")).await?;
    let line =
        gateway.wait_log(BOUND, |line| line.contains("was not reloaded").then(|| line.to_owned()));
    let line = line.await?;
    ensure!(line.contains("ingest.body_bytes_max"), "no key in {line}");
    let body = event("room_started", "r", "EV_1");
    let old = post_as(gateway.address(), &signed(OLD, &body), &body).await?;
    ensure!(old.status == 200, "the secret in use: {old:?}");

    // What a reload does not take is told.
    gateway.reload(&with_secrets(&[OLD]).ingest("body_bytes_max = 4096")).await?;
    let told = |line: &str| line.contains("read at the next start").then(|| line.to_owned());
    let line = gateway.wait_log(BOUND, told).await.context("no word about other settings")?;
    ensure!(line.contains(r#""keys":"ingest.body_bytes_max""#), "{line}");
    Ok(())
}
