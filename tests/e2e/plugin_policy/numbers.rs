//! What a plugin counts itself, on the page that operators look at.

use super::*;

/// An event with two values that `redact` removes.
fn with_secrets(id: &str) -> String {
    let room = serde_json::json!({ "name": "a", "turnPassword": "p" });
    let ingress = serde_json::json!({ "streamKey": "k" });
    serde_json::json!({ "event": "room_started", "id": id, "room": room, "ingressInfo": ingress })
        .to_string()
}

#[tokio::test]
async fn what_a_plugin_counts_is_shown_and_a_new_version_goes_on_counting() -> Result<()> {
    let scene = Scene::start(&wasm("redact")?, "").await?;
    let removed = r#"plugin_counted_removed_total{plugin="mine"}"#;
    for (number, version) in [(1, None), (2, Some(b'2')), (3, Some(b'3'))] {
        if let Some(version) = version {
            scene.upload(&marked(&wasm("redact")?, version))?;
            scene.reloads("done", number - 1).await?;
        }
        let body = with_secrets(&format!("EV_{number}"));
        let token = token_at(&body, scene.gateway.now_s());
        ensure!(post_as(scene.gateway.address(), &token, &body).await?.status == 200);
        scene.gateway.wait_metric(removed, f64::from(2 * number), BOUND).await?;
        ensure!(scene.gateway.metric(removed).await? == f64::from(2 * number));
    }
    Ok(())
}

#[tokio::test]
async fn what_a_plugin_asks_from_outside_is_counted() -> Result<()> {
    let scene =
        Scene::start(&wasm("evil-io")?, "on_error = \"fail\"\ngrant = { state = \"rw\" }").await?;
    scene.send("evil:state", "EV_1").await?;
    let requests = |interface: &str, outcome: &str| {
        format!(
            r#"plugin_requests_total{{plugin="mine",interface="{interface}",outcome="{outcome}"}}"#
        )
    };
    scene.gateway.wait_metric(&requests("state", "ok"), 5.0, BOUND).await?;
    scene.send("evil:livekit", "EV_2").await?;
    scene.gateway.wait_metric(&requests("livekit", "denied"), 1.0, BOUND).await
}
