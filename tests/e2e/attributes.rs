//! Attributes of plugins that arrive as headers: CloudEvents in binary mode.

use super::delivery::with_source;
use super::operator::{ONCE, one, text, told};
use anyhow::{Result, ensure};
use livekit_webhook_tests::exchange::{BOUND, event, post};
use livekit_webhook_tests::gateway::Gateway;
use livekit_webhook_tests::gateway::setup::component;
use livekit_webhook_tests::receiver::{Answer, Receiver, Seen};
use serde_json::json;

/// A busy machine does not stop the plugin.
const BINARY: &str = r#"config = { mode = "binary", source = "https://live.example.com/eu" }
limits = { cpu_pure_ms = 1000, wall_pure_ms = 5000 }"#;
const THROUGH: &str = r#"plugins = ["cloudevents"]"#;

/// `name: value` of all that CloudEvents names, sorted.
fn context(seen: &Seen) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    for (name, value) in &seen.headers {
        if name.as_str().starts_with("ce-") {
            lines.push(format!("{name}: {}", value.to_str()?));
        }
    }
    lines.sort();
    Ok(lines)
}

#[tokio::test]
async fn a_cloudevent_in_headers_is_the_same_on_every_attempt_and_replay() -> Result<()> {
    let (broker, bare, copy) =
        (Receiver::start().await?, Receiver::start().await?, Receiver::start().await?);
    broker.script([Answer::status(503)?]);
    let again = "attribute_headers = [\"ce-*\"]\nretry = [\"0s\", \"100ms\"]";
    let setup = with_source()
        .plugin("cloudevents", &component("cloudevents")?, BINARY)
        .endpoint("broker", &broker.url("/"), again)
        .endpoint("bare", &bare.url("/"), "attribute_headers = [\"ce-id\", \"x-*\"]")
        .endpoint("none", &bare.url("/"), "")
        .endpoint("copy", &copy.url("/"), ONCE)
        .subscription("broker", THROUGH)
        .subscription("bare", THROUGH)
        .subscription("none", THROUGH);
    let mut gateway = Gateway::start(&setup, BOUND).await?;
    let sent = event("participant_joined", "Größe \"7\" 100%", "EV_1");
    ensure!(post(gateway.address(), &sent).await?.status == 200);
    let expect = [
        "ce-id: EV_1",
        "ce-source: https://live.example.com/eu",
        "ce-specversion: 1.0",
        "ce-subject: Gr%C3%B6%C3%9Fe%20%227%22%20100%25/alice",
        "ce-type: io.livekit.participant_joined",
    ];
    let whole = |seen: &Seen| -> Result<()> {
        let (times, others): (Vec<_>, Vec<_>) =
            context(seen)?.into_iter().partition(|line| line.starts_with("ce-time: 20"));
        ensure!(others == expect && times.len() == 1, "{others:?} {times:?}");
        ensure!(seen.header("content-type")? == "application/json");
        ensure!(seen.body == sent, "the data is LiveKit's own bytes");
        Ok(())
    };
    let attempts = broker.wait_for(2, BOUND).await?;
    attempts.iter().try_for_each(whole)?;
    ensure!(attempts[1].header("webhook-attempt")? == "2");
    let rows = gateway.ledger()?.wait_ended("broker", 1, BOUND).await?;

    // What is not allowed stays here.
    for seen in bare.wait_for(2, BOUND).await? {
        let lines = context(&seen)?;
        ensure!(lines.is_empty() || lines == ["ce-id: EV_1"], "{lines:?}");
        ensure!(seen.body == sent);
    }
    gateway.ledger()?.wait_ended("bare", 1, BOUND).await?;
    gateway.ledger()?.wait_ended("none", 1, BOUND).await?;

    // Kept with the delivery: a restart and a replay, also to another endpoint, change nothing.
    gateway.kill_9().await?;
    gateway.start_again(BOUND).await?;
    let id = rows[0].id.to_string();
    one(&gateway, &["replay", &id, "--include-succeeded"]).await?;
    let seen = broker.wait_for(3, BOUND).await?.remove(2);
    whole(&seen)?;
    ensure!(seen.header("webhook-replay").is_ok() && context(&seen)? == context(&attempts[0])?);
    one(&gateway, &["replay", &id, "--to", "copy"]).await?;
    whole(&copy.wait_for(1, BOUND).await?[0])?;
    let shown = one(&gateway, &["deliveries", &id]).await?;
    ensure!(shown["headers"] == json!(context(&attempts[0])?), "{shown}");
    let page = told(&gateway, &["deliveries", &id]).await?;
    ensure!(page.contains(&context(&attempts[0])?.join("; ")), "{page}");
    Ok(())
}

#[tokio::test]
async fn an_attribute_that_no_header_can_have_is_a_dead_letter_that_says_so() -> Result<()> {
    let receiver = Receiver::start().await?;
    let fails = "on_error = \"pass\"\nlimits = { cpu_pure_ms = 1000, wall_pure_ms = 5000 }";
    let setup = with_source()
        .plugin("evil", &component("evil")?, fails)
        .endpoint("billing", &receiver.url("/"), "attribute_headers = [\"x-*\"]")
        .subscription("billing", r#"plugins = ["evil"]"#);
    let gateway = Gateway::start(&setup, BOUND).await?;
    let body = event("room_started", "evil:header", "EV_1");
    ensure!(post(gateway.address(), &body).await?.status == 200);
    let (dead, _) = gateway.ledger()?.wait_dead("billing", BOUND).await?;
    let letter = one(&gateway, &["dead-letters"]).await?;
    ensure!(letter["reason"] == "plugin" && letter["id"] == dead.id.to_string(), "{letter}");
    ensure!(text(&letter, "note")?.starts_with("the attribute x-evil cannot be a header"));
    ensure!(receiver.seen().is_empty(), "half of it was sent");
    Ok(())
}
