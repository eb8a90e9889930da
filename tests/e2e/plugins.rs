//! Stories of plugins that misbehave, and of what else goes on meanwhile.

use super::delivery::with_source;
use anyhow::{Result, ensure};
use livekit_webhook_core::delivery::{DeadReason, State};
use livekit_webhook_tests::exchange::{BOUND, event, post};
use livekit_webhook_tests::gateway::setup::component;
use livekit_webhook_tests::gateway::{self, Gateway, Setup};
use livekit_webhook_tests::receiver::Receiver;
use std::path::Path;

/// So much CPU that a busy machine does not stop what does not loop, and little memory, so that it
/// is soon used up.
const LIMITS: &str = "limits = { cpu_pure_ms = 500, wall_pure_ms = 5000, memory_bytes = 8388608 }";

/// One gateway with the evil plugin under all three policies, and a subscription without it.
struct Scene {
    gateway: Gateway,
    failing: Receiver,
    passing: Receiver,
    dropping: Receiver,
    plain: Receiver,
}

impl Scene {
    async fn start() -> Result<Self> {
        let (failing, passing) = (Receiver::start().await?, Receiver::start().await?);
        let (dropping, plain) = (Receiver::start().await?, Receiver::start().await?);
        let evil = component("evil")?;
        let mut setup = with_source().endpoint("plain", &plain.url("/"), "");
        for (name, receiver, policy) in [
            ("failing", &failing, "fail"),
            ("passing", &passing, "pass"),
            ("dropping", &dropping, "drop"),
        ] {
            setup = setup
                .plugin(name, &evil, &format!("on_error = \"{policy}\"\n{LIMITS}"))
                .endpoint(name, &receiver.url("/"), "")
                .subscription(name, &format!("plugins = [\"{name}\"]"));
        }
        let setup = setup.subscription("plain", "");
        let gateway = Gateway::start(&setup, BOUND).await?;
        Ok(Self { gateway, failing, passing, dropping, plain })
    }
}

#[tokio::test]
async fn a_plugin_that_fails_harms_its_own_event_as_its_policy_says() -> Result<()> {
    let scene = Scene::start().await?;
    let ledger = scene.gateway.ledger()?;
    // Each attack, the word of the metric, and what the operator reads in the dead letter.
    let attacks = [
        ("trap", "trap", "failing: the plugin trapped: "),
        ("panic", "trap", "room is on fire"),
        ("loop", "cpu_exceeded", "of CPU"),
        ("memory", "memory_exceeded", "bytes of memory"),
        ("reject", "rejected", "failing: the plugin rejects the event: never again"),
    ];
    for (number, (attack, outcome, words)) in attacks.into_iter().enumerate() {
        let done = number + 1;
        let body = event("room_started", &format!("evil:{attack}"), &format!("EV_{attack}"));
        ensure!(post(scene.gateway.address(), &body).await?.status == 200, "{attack}");
        let rows = ledger.wait_ended("failing", done, BOUND).await?;
        let dead = State::Dead(DeadReason::Plugin);
        ensure!(rows[0].state == dead && rows[0].attempts == 0, "{attack}: {rows:?}");
        let note = rows[0].note.as_deref().unwrap_or_default();
        ensure!(note.contains(words), "{attack}: {note:?} does not say {words:?}");
        for receiver in [&scene.passing, &scene.plain] {
            let seen = receiver.wait_for(done, BOUND).await?;
            ensure!(seen[number].body == body, "{attack}: not the event's own bytes");
        }
        let note = ledger.events().await?.remove(0).note.unwrap_or_default();
        // A fault is planned again, and the note is of what was planned last.
        let last = if attack == "reject" { "dropping: dropping: " } else { "failing: failing: " };
        ensure!(note.contains(last), "{attack}: {last:?} is not in the note {note:?}");
        for plugin in ["failing", "passing", "dropping"] {
            let name = format!(
                r#"plugin_calls_total{{plugin="{plugin}",outcome="{outcome}",role="stable"}}"#
            );
            ensure!(scene.gateway.metric(&name).await? >= 1.0, "{attack}: {name}");
        }
    }
    ensure!(scene.failing.seen().is_empty() && scene.dropping.seen().is_empty());
    ensure!(ledger.deliveries("dropping").await?.is_empty());
    Ok(())
}

/// What `check` and `serve` say of a plugin, both with 64.
async fn refused(file: &Path, more: &str) -> Result<String> {
    let folder = tempfile::tempdir()?;
    let setup: Setup = with_source().plugin("mine", file, more);
    std::fs::write(folder.path().join("gateway.toml"), setup.to_toml())?;
    let mut said = String::new();
    for verb in ["check", "serve"] {
        let arguments = [verb, "--config", "gateway.toml"];
        let ended = gateway::run(folder.path(), &arguments, setup.environment(), BOUND).await?;
        ensure!(ended.code == Some(64), "{verb}: {ended:?}");
        ensure!(ended.stderr.contains("plugin mine: cannot load"), "{verb}: {ended:?}");
        // What plugins keep is in the store, so `serve` opens it before it loads them.
        let stored = folder.path().join("livekit-webhook.db").exists();
        ensure!(verb == "serve" || !stored, "{verb} made a store");
        said = ended.stderr;
    }
    Ok(said)
}

#[tokio::test]
async fn a_plugin_that_does_not_load_is_refused_with_words() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let text = folder.path().join("text.wasm");
    std::fs::write(&text, "no WebAssembly at all")?;
    let core = component("core/redact")?;
    let (evil, redact) = (component("evil")?, component("redact")?);
    let refuse = "on_error = \"fail\"\nconfig = { at_load = \"refuse\" }";
    let panic = "on_error = \"fail\"\nconfig = { at_load = \"panic\" }";
    for (file, more, words) in [
        (&text, "", "this is not WebAssembly"),
        (&core, "", "livekit-webhook plugin pack"),
        (&evil, "", "on_error"),
        (&evil, refuse, "this plugin refuses"),
        (&evil, panic, "room is on fire"),
        (&redact, r#"config = { fields = ["room."] }"#, "the plugin refuses its config"),
        (&redact, "config = { felds = [] }", "felds"),
    ] {
        let said = refused(file, more).await?;
        ensure!(said.contains(words), "{words:?} is not in {said:?}");
    }
    Ok(())
}

#[tokio::test]
async fn the_default_chain_is_for_every_subscription_that_names_none() -> Result<()> {
    let (usual, own) = (Receiver::start().await?, Receiver::start().await?);
    let setup = with_source()
        .plugins("chain = [\"redact\"]")
        .plugin("redact", &component("redact")?, LIMITS)
        .endpoint("usual", &usual.url("/"), "")
        .endpoint("own", &own.url("/"), "")
        .subscription("usual", "")
        .subscription("own", "plugins = []");
    let gateway = Gateway::start(&setup, BOUND).await?;
    let body = r#"{"event":"room_started","id":"EV_chain","room":{"name":"prod-7","turnPassword":"hush"}}"#;
    ensure!(post(gateway.address(), body).await?.status == 200);
    let seen = usual.wait_for(1, BOUND).await?.remove(0);
    let seen = String::from_utf8(seen.body.to_vec())?;
    ensure!(seen.contains("prod-7") && !seen.contains("hush"), "{seen}");
    let seen = own.wait_for(1, BOUND).await?.remove(0);
    ensure!(
        seen.body[..] == *body.as_bytes(),
        "one that names none at all is left alone: {seen:?}"
    );
    Ok(())
}
