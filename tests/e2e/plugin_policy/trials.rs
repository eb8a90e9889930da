//! Versions on trial: beside what serves, or for some rooms.

use super::*;
use std::collections::BTreeMap;

/// Rooms of a canary's story, each with two events.
const ROOMS: usize = 24;

fn shadows(result: &str) -> String {
    format!(r#"plugin_shadow_calls_total{{plugin="mine",result="{result}"}}"#)
}

#[tokio::test]
async fn a_shadow_is_compared_and_never_delivered() -> Result<()> {
    let shadow = component("slack")?;
    let more = format!("shadow = {{ file = {:?} }}", shadow.to_string_lossy());
    let scene = Scene::start(&wasm("redact")?, &more).await?;
    let line = |line: &str| line.contains("plugin version on trial").then_some(());
    scene.gateway.wait_log(BOUND, line).await?;
    for count in 1..=3 {
        ensure!(!is_slack(&scene.arrives("a", &format!("EV_{count}"), count).await?));
    }
    scene.gateway.wait_metric(&shadows("different"), 3.0, BOUND).await?;
    let line = |line: &str| line.contains("the shadow says something else").then_some(());
    scene.gateway.wait_log(BOUND, line).await?;
    ensure!(scene.gateway.metric(&shadows("same")).await? == 0.0);
    ensure!(scene.receiver.seen().len() == 3, "a shadow's answer was delivered");

    let same = scene.folder.path().join("same.wasm");
    std::fs::write(&same, marked(&wasm("redact")?, 1))?;
    let more = format!("shadow = {{ file = {:?} }}", same.to_string_lossy());
    scene.gateway.reload(&scene.with(&more)).await?;
    let mut count = 3;
    while scene.gateway.metric(&shadows("same")).await? == 0.0 {
        count += 1;
        ensure!(count < 1_000, "the shadow is never the same");
        scene.arrives("a", &format!("EV_{count}"), count).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_canary_serves_some_rooms_and_each_room_sees_one_version() -> Result<()> {
    let canary = component("slack")?;
    let more = format!("canary = {{ file = {:?}, percent = 50 }}", canary.to_string_lossy());
    let scene = Scene::start(&wasm("redact")?, &more).await?;
    let line = |line: &str| line.contains("plugin version on trial").then_some(());
    scene.gateway.wait_log(BOUND, line).await?;
    // The line is written a moment before the place is taken.
    let canary_calls = r#"plugin_calls_total{plugin="mine",outcome="ok",role="canary"}"#;
    let mut warm = 0;
    while scene.gateway.metric(canary_calls).await? == 0.0 {
        warm += 1;
        ensure!(warm < 1_000, "no room is the canary's");
        scene.arrives(&format!("warm-{warm}"), &format!("EV_warm_{warm}"), warm).await?;
    }
    let mut count = warm;
    let mut by_room: BTreeMap<usize, Vec<bool>> = BTreeMap::new();
    for round in 0..2 {
        for room in 0..ROOMS {
            count += 1;
            let id = format!("EV_{room}_{round}");
            let seen = scene.arrives(&format!("room-{room}"), &id, count).await?;
            by_room.entry(room).or_default().push(is_slack(&seen));
        }
    }
    for (room, versions) in &by_room {
        ensure!(versions[0] == versions[1], "room {room} saw both versions");
    }
    let by_canary = by_room.values().filter(|versions| versions[0]).count();
    ensure!((1..ROOMS).contains(&by_canary), "{by_canary} of {ROOMS} rooms");
    Ok(())
}
