//! Stories of an operator who looks, repairs and moves, by the real binary beside a running host.

mod golden;
mod looking;
mod moving;

use super::delivery::with_source;
use anyhow::{Context as _, Result, ensure};
use livekit_webhook_tests::exchange::{BOUND, event, post};
use livekit_webhook_tests::gateway::{self, Ended, Gateway, Setup};
use livekit_webhook_tests::receiver::{Answer, Receiver};
use serde_json::Value;
use std::time::Duration;
use tokio::time::timeout;

/// Between two looks of a verb.
const POLL: Duration = Duration::from_millis(50);
/// One attempt, then a dead letter.
pub(super) const ONCE: &str = r#"retry = ["0s"]"#;

/// Runs a verb on the gateway's store.
pub(super) async fn verb(gateway: &Gateway, arguments: &[&str]) -> Result<Ended> {
    let arguments = [arguments, &["--config", "gateway.toml"]].concat();
    let environment = gateway.setup().environment();
    gateway::run(gateway.folder(), &arguments, environment, BOUND).await
}

/// The same, which must end well; what it printed.
pub(super) async fn told(gateway: &Gateway, arguments: &[&str]) -> Result<String> {
    let ended = verb(gateway, arguments).await?;
    ensure!(ended.code == Some(0), "{arguments:?}: {ended:?}");
    Ok(ended.stdout)
}

/// The objects that it printed with `--json`.
pub(super) async fn json(gateway: &Gateway, arguments: &[&str]) -> Result<Vec<Value>> {
    let text = told(gateway, &[arguments, &["--json"]].concat()).await?;
    let values = text.lines().map(serde_json::from_str);
    values.collect::<Result<_, _>>().with_context(|| format!("{arguments:?} is no JSON: {text}"))
}

/// The one object that it printed.
pub(super) async fn one(gateway: &Gateway, arguments: &[&str]) -> Result<Value> {
    let mut values = json(gateway, arguments).await?;
    ensure!(values.len() == 1, "{arguments:?}: {values:?}");
    Ok(values.remove(0))
}

/// Asks again and again until an answer is as wanted.
pub(super) async fn until(
    gateway: &Gateway,
    arguments: &[&str],
    wanted: impl Fn(&Value) -> bool,
) -> Result<Value> {
    let asked = async {
        loop {
            let value = one(gateway, arguments).await?;
            if wanted(&value) {
                return anyhow::Ok(value);
            }
            tokio::time::sleep(POLL).await;
        }
    };
    match timeout(BOUND, asked).await {
        Ok(value) => value,
        Err(_) => anyhow::bail!("{arguments:?}: {}", one(gateway, arguments).await?),
    }
}

/// A gateway with one endpoint, `one`.
pub(super) async fn gateway_to(receiver: &Receiver, more: &str) -> Result<Gateway> {
    let setup = with_source().endpoint("one", &receiver.url("/"), more).subscription("one", "");
    Gateway::start(&setup, BOUND).await
}

pub(super) async fn send(gateway: &Gateway, numbers: std::ops::Range<usize>) -> Result<()> {
    for number in numbers {
        let body = event("room_started", &format!("room-{number}"), &format!("EV_{number}"));
        ensure!(post(gateway.address(), &body).await?.status == 200);
    }
    Ok(())
}

pub(super) fn text<'v>(value: &'v Value, member: &str) -> Result<&'v str> {
    value[member].as_str().with_context(|| format!("{member} of {value}"))
}

#[tokio::test]
async fn an_endpoint_that_was_gone_is_enabled_again() -> Result<()> {
    let receiver = Receiver::start().await?;
    receiver.script([Answer::status(410)?]);
    let gateway = gateway_to(&receiver, "").await?;
    send(&gateway, 0..1).await?;
    let show = ["endpoint", "show", "one"];
    let shown = until(&gateway, &show, |shown| shown["state"] == "disabled").await?;
    ensure!(shown["disabled_reason"] == "gone", "{shown}");
    let table = told(&gateway, &["endpoint", "list"]).await?;
    ensure!(table.contains("disabled") && table.contains("gone"), "{table}");
    let enabled = one(&gateway, &["endpoint", "enable", "one"]).await?;
    ensure!(enabled["state"] == "ok", "{enabled}");
    // The host may not have looked yet; what it gives up until then is a dead letter.
    let came = async {
        for number in 1.. {
            send(&gateway, number..number + 1).await?;
            if receiver.wait_for(2, Duration::from_millis(500)).await.is_ok() {
                break;
            }
        }
        anyhow::Ok(())
    };
    timeout(BOUND, came).await.context("nothing is sent to an endpoint that was enabled")?
}

#[tokio::test]
async fn a_paused_endpoint_keeps_what_it_is_owed_and_goes_on() -> Result<()> {
    let receiver = Receiver::start().await?;
    let gateway = gateway_to(&receiver, "").await?;
    let paused = one(&gateway, &["endpoint", "pause", "one", "--for", "2h"]).await?;
    ensure!(paused["state"] == "paused", "{paused}");
    send(&gateway, 0..3).await?;
    let show = ["endpoint", "show", "one"];
    until(&gateway, &show, |shown| shown["pending"] == 3).await?;
    ensure!(receiver.seen().is_empty(), "it was sent something");
    one(&gateway, &["endpoint", "resume", "one"]).await?;
    receiver.wait_for(3, BOUND).await?;
    Ok(())
}

#[tokio::test]
async fn a_disabled_endpoint_is_sent_nothing() -> Result<()> {
    let receiver = Receiver::start().await?;
    let gateway = gateway_to(&receiver, "").await?;
    let disabled = one(&gateway, &["endpoint", "disable", "one"]).await?;
    ensure!(disabled["state"] == "disabled" && disabled["disabled_reason"] == "operator");
    send(&gateway, 0..2).await?;
    let planned = async {
        while json(&gateway, &["deliveries"]).await?.len() < 2 {
            tokio::time::sleep(POLL).await;
        }
        anyhow::Ok(())
    };
    timeout(BOUND, planned).await.context("nothing was planned")??;
    ensure!(receiver.seen().is_empty(), "it was sent something");
    Ok(())
}

#[tokio::test]
async fn what_is_wrong_is_said_with_what_to_do() -> Result<()> {
    let receiver = Receiver::start().await?;
    let gateway = gateway_to(&receiver, "").await?;
    let id = "00000000000000000000000000";
    let (event, delivery, replay) = (format!("evt_{id}"), format!("dlv_{id}"), format!("rpl_{id}"));
    for (arguments, code, words) in [
        (vec!["events", &event], 1, "there is no event"),
        (vec!["deliveries", &delivery], 1, "there is no delivery"),
        (vec!["attempts", &delivery], 1, "there is no delivery"),
        (vec!["attempts", &event], 64, "expected `dlv_` and 26 characters"),
        (vec!["events", "--since", "yesterday"], 64, "expected a span such as 15m"),
        (vec!["events", "--limit", "0"], 64, "must be 1 to 1000"),
        (vec!["deliveries", "--status", "lost"], 64, "expected pending, delivered or dead"),
        (vec!["deliveries", "--reason", "bored"], 64, "expected one of exhausted, gone"),
        (vec!["replay"], 1, "nothing is selected"),
        (vec!["replay", "--since", "1h"], 1, "nothing to send again"),
        (vec!["replay", "--since", "1h", "--rate", "0"], 64, "must be 0.01 to 10000"),
        (vec!["replay", "one"], 1, "expected evt_… or dlv_…"),
        (vec!["replay", "pause", &replay], 1, "`livekit-webhook replay list` shows"),
        (vec!["endpoint", "enable", "two"], 1, "there is no endpoint two; there is: one"),
        (vec!["endpoint", "pause", "one", "--for", "99d"], 1, "must be 1 ms to 30 days"),
        (vec!["secret", "rotate", "one"], 1, "has its secret in the configuration"),
        (vec!["secret", "rotate", "one", "--overlap", "8d"], 64, "must be 0s to 7d"),
        (vec!["store", "vacuum"], 1, "a host serves from"),
        (vec!["store", "import", "nothing.jsonl"], 1, "a host serves from"),
        (vec!["store", "import"], 64, "required"),
    ] {
        let ended = verb(&gateway, &arguments).await?;
        ensure!(ended.code == Some(code), "{arguments:?}: {ended:?}");
        ensure!(ended.stderr.contains(words), "{arguments:?}: {ended:?}");
    }
    let nowhere = ["events", "--store", "sqlite:nowhere.db"];
    let ended = gateway::run(gateway.folder(), &nowhere, &[], BOUND).await?;
    ensure!(ended.code == Some(1) && ended.stderr.contains("there is no store sqlite:nowhere.db"));
    let unsaid = gateway::run(gateway.folder(), &["events"], &[], BOUND).await?;
    ensure!(unsaid.code == Some(64) && unsaid.stderr.contains("--config"), "{unsaid:?}");
    Ok(())
}

/// A store that nobody serves from.
pub(super) fn apart(setup: &Setup) -> Result<tempfile::TempDir> {
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("gateway.toml"), setup.to_toml())?;
    Ok(folder)
}
