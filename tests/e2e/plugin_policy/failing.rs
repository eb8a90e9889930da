//! Versions that fail.

use super::*;

/// Calls that open a breaker, when all are faults.
const CALLS: usize = 10;
/// Longer than any period of a breaker, in seconds.
const PERIOD_S: i64 = 121;

impl Scene {
    async fn breaker(&self, state: f64) -> Result<()> {
        let name = r#"plugin_breaker{plugin="mine"}"#;
        let reached = async {
            while self.gateway.metric(name).await? != state {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
            anyhow::Ok(())
        };
        tokio::time::timeout(BOUND, reached).await.with_context(|| {
            format!("the breaker is not at {state}:\n{}", self.gateway.log().join("\n"))
        })?
    }
}

#[tokio::test]
async fn a_young_version_that_fails_makes_way_for_the_one_before() -> Result<()> {
    let mut scene = Scene::start(&wasm("evil")?, "on_error = \"fail\"").await?;
    scene.upload(&marked(&wasm("evil")?, 1))?;
    scene.reloads("done", 1).await?;
    for number in 0..CALLS {
        scene.send("evil:trap", &format!("EV_{number}")).await?;
    }
    scene.reloads("rolled_back", 1).await?;
    let line = |line: &str| line.contains("plugin rolled back").then_some(());
    scene.gateway.wait_log(BOUND, line).await?;
    scene.breaker(0.0).await?;
    // What failed is a dead letter in the end; what comes now is served.
    let ledger = scene.gateway.ledger()?;
    ledger.wait_ended("all", CALLS, BOUND).await?;
    let kept =
        || std::fs::read_dir(scene.kept().join("barred")).is_ok_and(|mut all| all.next().is_some());
    wait(kept).await?;
    // The file is still the bad one: it does not serve after a restart either.
    scene.gateway.terminate(BOUND).await?;
    scene.gateway.start_again(BOUND).await?;
    let line = |line: &str| line.contains("the version before does").then_some(());
    scene.gateway.wait_log(BOUND, line).await?;
    Ok(())
}

#[tokio::test]
async fn a_version_that_keeps_failing_is_quarantined_until_it_is_released() -> Result<()> {
    let mut scene = Scene::start(&wasm("evil")?, "on_error = \"drop\"").await?;
    for number in 0..CALLS {
        scene.send("evil:trap", &format!("EV_{number}")).await?;
    }
    scene.breaker(1.0).await?;
    for period in 1..=3_i64 {
        scene.gateway.set_clock(period * PERIOD_S)?;
        let changes = match period {
            3 => r#"plugin_breaker_changes_total{plugin="mine",to="quarantined"}"#,
            _ => r#"plugin_breaker_changes_total{plugin="mine",to="reopened"}"#,
        };
        let least = if period == 3 { 1.0 } else { period as f64 };
        scene.send("evil:trap", &format!("EV_period_{period}")).await?;
        scene.gateway.wait_metric(changes, least, BOUND).await?;
    }
    scene.breaker(2.0).await?;
    let kept =
        || std::fs::read_dir(scene.kept().join("barred")).is_ok_and(|mut all| all.next().is_some());
    wait(kept).await?;
    let status = scene.run("status", &[]).await?;
    ensure!(status.stdout.contains("quarantined"), "{status:?}");

    scene.gateway.terminate(BOUND).await?;
    scene.gateway.start_again(BOUND).await?;
    scene.breaker(2.0).await?;
    let released = scene.run("release", &["mine"]).await?;
    ensure!(released.code == Some(0), "{released:?}");
    scene.breaker(0.0).await?;
    // `evil` routes nothing anywhere unless told: a call that ends well shows in the metric.
    scene.send("a-room", "EV_last").await?;
    let ok = r#"plugin_calls_total{plugin="mine",outcome="ok",role="stable"}"#;
    scene.gateway.wait_metric(ok, 1.0, BOUND).await
}

#[tokio::test]
async fn a_poison_event_leaves_a_capsule_that_shows_the_same_fault() -> Result<()> {
    let scene = Scene::start(&wasm("evil")?, "on_error = \"fail\"").await?;
    scene.send("evil:panic", "EV_poison").await?;
    let rows = scene.gateway.ledger()?.wait_ended("all", 1, BOUND).await?;
    let note = rows[0].note.clone().unwrap_or_default();
    ensure!(note.contains("room is on fire"), "{note}");
    let (_, path) = note.split_once(" (see ").context("no capsule in the note")?;
    let path = path.trim_end_matches(')').to_owned();
    let faults = r#"plugin_calls_total{plugin="mine",outcome="trap",role="stable"}"#;
    ensure!(scene.gateway.metric(faults).await? == 3.0, "not three calls");

    let run = |more: Vec<String>| {
        let (folder, path) = (scene.gateway.folder().to_owned(), path.clone());
        async move {
            let mut arguments = vec!["plugin", "replay", &path];
            arguments.extend(more.iter().map(String::as_str));
            gateway::run(&folder, &arguments, &[], BOUND).await
        }
    };
    let again = run(Vec::new()).await?;
    ensure!(again.code == Some(0), "{again:?}");
    ensure!(again.stdout.matches("room is on fire").count() >= 2, "{again:?}");
    ensure!(again.stdout.contains("the fault is there again"), "{again:?}");
    // Another component makes something of it: what differs is told.
    let slack = component("slack")?.to_string_lossy().into_owned();
    let against = run(vec!["--against".to_owned(), slack]).await?;
    ensure!(against.code == Some(0), "{against:?}");
    ensure!(against.stdout.contains("against   ok"), "{against:?}");
    ensure!(against.stdout.contains("-trap: "), "{against:?}");
    ensure!(against.stdout.matches("fuel      ").count() == 2, "{against:?}");
    let mut fuel = Vec::new();
    for _ in 0..2 {
        let json = run(vec!["--json".to_owned()]).await?;
        let json: serde_json::Value = serde_json::from_str(&json.stdout)?;
        ensure!(json["is_same_fault"] == true && json["now"]["kind"] == "trap", "{json:#}");
        fuel.push(json["now"]["fuel"].as_u64().with_context(|| format!("no fuel: {json:#}"))?);
    }
    ensure!(fuel[0] > 0 && fuel[0] == fuel[1], "{fuel:?}");
    Ok(())
}

/// Waits until `done`.
async fn wait(done: impl Fn() -> bool) -> Result<()> {
    let reached = async {
        while !done() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(BOUND, reached).await.context("it does not come true")
}
