//! What is uploaded, refused, held and taken back.

use super::*;
use livekit_webhook::plugin::manifest::Manifest;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::task::JoinSet;

/// Swaps under load.
const SWAPS: u32 = 4;
/// Senders side by side.
const SENDERS: usize = 3;

#[tokio::test(flavor = "multi_thread")]
async fn versions_are_swapped_under_load_and_no_event_fails() -> Result<()> {
    let versions = [wasm("redact")?, wasm("slack")?];
    let scene = Arc::new(Scene::start(&versions[0], "").await?);
    let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let mut senders = JoinSet::new();
    for sender in 0..SENDERS {
        let (scene, stop, sent) = (scene.clone(), stop.clone(), sent.clone());
        senders.spawn(async move {
            let mut number = 0;
            while !stop.load(Ordering::SeqCst) {
                number += 1;
                scene.send("a-room", &format!("EV_{sender}_{number}")).await?;
                sent.fetch_add(1, Ordering::SeqCst);
            }
            anyhow::Ok(())
        });
    }
    for swap in 1..=SWAPS {
        scene.upload(&versions[swap as usize % 2])?;
        scene.reloads("done", swap).await?;
    }
    stop.store(true, Ordering::SeqCst);
    while let Some(ended) = senders.join_next().await {
        ended??;
    }
    let ledger = scene.gateway.ledger()?;
    ledger.wait_drained(BOUND).await?;
    let seen = scene.receiver.seen();
    ensure!(seen.len() == sent.load(Ordering::SeqCst), "{} of {sent:?}", seen.len());
    let by_slack: HashSet<bool> = seen.iter().map(is_slack).collect();
    ensure!(by_slack.len() == 2, "one version served all of {} events", seen.len());
    ensure!(ledger.depth().await?.dead == 0, "a dead letter");
    for result in ["refused", "held", "rolled_back"] {
        let name = format!(r#"plugin_reloads_total{{plugin="mine",result="{result}"}}"#);
        ensure!(scene.gateway.metric(&name).await? == 0.0, "{result}");
    }
    Ok(())
}

#[tokio::test]
async fn a_broken_upload_leaves_the_old_version_serving_even_after_a_restart() -> Result<()> {
    let mut scene = Scene::start(&wasm("slack")?, "").await?;
    ensure!(is_slack(&scene.arrives("a", "EV_1", 1).await?));
    scene.upload(b"no WebAssembly at all")?;
    scene.reloads("refused", 1).await?;
    let line = |line: &str| line.contains("plugin file refused").then(|| line.to_owned());
    let line = scene.gateway.wait_log(BOUND, line).await?;
    ensure!(line.contains("this is not WebAssembly"), "{line}");
    ensure!(is_slack(&scene.arrives("a", "EV_2", 2).await?));

    scene.gateway.terminate(BOUND).await?;
    scene.gateway.start_again(BOUND).await?;
    ensure!(is_slack(&scene.arrives("a", "EV_3", 3).await?));
    let status = scene.run("status", &[]).await?;
    ensure!(status.code == Some(0) && status.stdout.contains("serves"), "{status:?}");
    // A new file is taken as ever.
    scene.upload(&wasm("redact")?)?;
    scene.reloads("done", 1).await?;
    ensure!(!is_slack(&scene.arrives("a", "EV_4", 4).await?));
    Ok(())
}

const ASKING: &str = r#"
schema = 1
name = "mine"
version = "2.0.0"
[permissions]
state = "rw"
http = [{ host = "api.example.com", methods = ["POST"] }]
"#;

#[tokio::test]
async fn an_upgrade_that_asks_for_more_is_held_until_it_is_granted() -> Result<()> {
    let scene = Scene::start(&wasm("redact")?, "").await?;
    let asking = Manifest::parse(ASKING, scene.folder.path())?.embed(&wasm("slack")?)?;
    let new = scene.folder.path().join("asking.wasm");
    std::fs::write(&new, &asking)?;
    let refused = scene.run("deploy", &["mine", "asking.wasm"]).await?;
    ensure!(refused.code == Some(64), "a file that is not there: {refused:?}");
    let new = new.to_string_lossy().into_owned();
    let refused = scene.run("deploy", &["mine", &new]).await?;
    ensure!(refused.code == Some(1), "{refused:?}");
    ensure!(refused.stdout.contains("http: POST https://api.example.com:443/"), "{refused:?}");

    scene.upload(&asking)?;
    scene.reloads("held", 1).await?;
    let line = |line: &str| line.contains("plugin file refused").then(|| line.to_owned());
    let line = scene.gateway.wait_log(BOUND, line).await?;
    ensure!(line.contains("state: rw") && line.contains("api.example.com"), "{line}");
    ensure!(!is_slack(&scene.arrives("a", "EV_1", 1).await?));
    let status = scene.run("status", &["--json"]).await?;
    ensure!(status.stdout.contains(r#""why": "held""#), "{status:?}");

    let grant = r#"grant = { state = "rw", http = [{ host = "*.example.com" }] }"#;
    scene.gateway.reload(&scene.with(grant)).await?;
    scene.reloads("done", 1).await?;
    ensure!(is_slack(&scene.arrives("a", "EV_2", 2).await?));
    Ok(())
}

#[tokio::test]
async fn a_version_is_deployed_and_taken_back_by_commands() -> Result<()> {
    let scene = Scene::start(&wasm("redact")?, "").await?;
    let slack = component("slack")?.to_string_lossy().into_owned();
    let deployed = scene.run("deploy", &["mine", &slack]).await?;
    ensure!(deployed.code == Some(0), "{deployed:?}");
    scene.reloads("done", 1).await?;
    ensure!(is_slack(&scene.arrives("a", "EV_1", 1).await?));
    let back = scene.run("rollback", &["mine"]).await?;
    ensure!(back.code == Some(0), "{back:?}");
    scene.reloads("done", 2).await?;
    ensure!(!is_slack(&scene.arrives("a", "EV_2", 2).await?));
    let none = scene.run("rollback", &["nobody"]).await?;
    ensure!(none.code == Some(64) && none.stdout.contains("there is: mine"), "{none:?}");
    Ok(())
}

#[tokio::test]
async fn a_configuration_that_is_read_again_changes_a_plugin() -> Result<()> {
    let scene = Scene::start(&wasm("redact")?, "").await?;
    let fields = r#"config = { fields = ["room.name"], replace = "x" }"#;
    scene.gateway.reload(&scene.with(fields)).await?;
    scene.reloads("done", 1).await?;
    let seen = scene.arrives("a-room", "EV_1", 1).await?;
    let body = String::from_utf8_lossy(&seen.body).into_owned();
    ensure!(!body.contains("a-room"), "{body}");
    let fields = r#"config = { fields = ["room."] }"#;
    scene.gateway.reload(&scene.with(fields)).await?;
    scene.reloads("refused", 1).await?;
    let seen = scene.arrives("a-room", "EV_2", 2).await?;
    ensure!(!String::from_utf8_lossy(&seen.body).contains("a-room"), "the one before goes on");
    Ok(())
}

#[tokio::test]
async fn a_reload_takes_what_is_said_of_a_plugin_and_tells_what_it_leaves() -> Result<()> {
    let scene = Scene::start(&wasm("session")?, "learn = false").await?;
    for (count, more) in
        [(1, "learn = true"), (2, "instances = \"warm\""), (3, "on_error = \"drop\"")]
    {
        scene.gateway.reload(&scene.with(more)).await?;
        scene.reloads("done", count).await?;
    }
    let left = |line: &str| line.contains("read at the next start");
    ensure!(!scene.gateway.log().iter().any(|line| left(line)), "all of it was taken");
    let more = scene.with("").plugin("audit", &component("slack")?, PATIENT);
    scene.gateway.reload(&more).await?;
    let line = scene.gateway.wait_log(BOUND, |line| left(line).then(|| line.to_owned())).await?;
    ensure!(line.contains(r#""keys":"plugin.audit (new)""#), "{line}");
    Ok(())
}

const FIXTURES: &str = r#"
schema = 1
name = "mine"
version = "2.0.0"
[[fixture]]
name = "rooms are posted"
event = { event = "room_started", room = { name = "a" } }
expect = { drafts = [{ body = { text = "something else" } }] }
"#;

/// The version that breaks its promise is uploaded while events flow.
#[tokio::test]
async fn a_version_whose_fixture_does_not_hold_is_refused_under_traffic() -> Result<()> {
    let scene = Scene::start(&wasm("redact")?, "").await?;
    let broken = Manifest::parse(FIXTURES, scene.folder.path())?.embed(&wasm("slack")?)?;
    let new = scene.folder.path().join("broken.wasm");
    std::fs::write(&new, &broken)?;
    let refused = scene.run("deploy", &["mine", &new.to_string_lossy()]).await?;
    ensure!(refused.code == Some(1), "{refused:?}");
    let words = "its fixture \"rooms are posted\" does not hold: drafts[0].body.";
    ensure!(refused.stdout.contains(words), "{refused:?}");

    scene.upload(&broken)?;
    let refused = r#"plugin_reloads_total{plugin="mine",result="refused"}"#;
    let mut count = 0;
    while scene.gateway.metric(refused).await? == 0.0 {
        count += 1;
        ensure!(count < 10_000, "it is never refused");
        let seen = scene.arrives("a", &format!("EV_{count}"), count).await?;
        ensure!(!is_slack(&seen), "it served");
    }
    let line = |line: &str| line.contains("plugin file refused").then(|| line.to_owned());
    let line = scene.gateway.wait_log(BOUND, line).await?;
    ensure!(line.contains("rooms are posted") && line.contains("drafts[0].body."), "{line}");
    ensure!(!is_slack(&scene.arrives("a", "EV_last", count + 1).await?));
    // Only the plugin's own events were counted.
    let calls = r#"plugin_calls_total{plugin="mine",outcome="ok",role="stable"}"#;
    ensure!(scene.gateway.metric(calls).await? == f64::from(u32::try_from(count + 1)?));
    ensure!(!scene.gateway.log().iter().any(|line| line.contains("EV_fixture")));

    // What keeps its promise serves.
    scene.upload(&wasm("slack")?)?;
    scene.reloads("done", 1).await?;
    ensure!(is_slack(&scene.arrives("a", "EV_slack", count + 2).await?));
    Ok(())
}
