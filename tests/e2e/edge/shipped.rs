//! Every configuration that is shipped starts as it stands, and does what it says.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use livekit_webhook_tests::envoy::{Envoy, Setup, binary, root};
use livekit_webhook_tests::upstream::Upstream;

use super::client::{http1, post};
use super::{Edge, KEYS, event, token, wait_until};

/// Configurations of an edge; the other `.yaml` of the folder is the egress.
const EDGES: [&str; 3] = ["edge.yaml", "edge-ecds.yaml", "edge-routed.yaml"];

#[test]
fn envoy_finds_every_shipped_configuration_valid() -> Result<()> {
    for name in EDGES.into_iter().chain(["egress.yaml"]) {
        let output = Command::new(binary()?)
            .current_dir(root())
            .args(["--mode", "validate", "--use-dynamic-base-id", "-c"])
            .arg(format!("envoy/{name}"))
            .env("LIVEKIT_KEYS", KEYS)
            .output()?;
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.success(), "{name}: {text}");
        for word in ["deprecated", "unknown field"] {
            ensure!(!text.to_lowercase().contains(word), "{name}: {text}");
        }
    }
    Ok(())
}

#[test]
fn every_shipped_configuration_lets_a_signed_event_through_and_a_forged_one_not() -> Result<()> {
    for name in EDGES {
        let edge = Edge::start(&Setup::with_keys(KEYS).file(name))?;
        let (at, body) = (edge.envoy.listener(), event("room_started"));
        let reply = http1(at, &post(&token(b"another"), &body, ""))?;
        ensure!(reply.status == 401, "{name}: {reply:?}");
        edge.assert_untouched().context(name)?;
        let reply = http1(at, &post(&token(&body), &body, ""))?;
        ensure!(reply.status == 200, "{name}: {reply:?}");
        let received = edge.host.wait_for(1)?.remove(0);
        ensure!(received.only("x-livekit-room").as_deref() == Some("prod-7"), "{name}");
    }
    Ok(())
}

#[test]
fn routes_and_limits_of_envoy_see_only_what_is_verified() -> Result<()> {
    let (recordings, bucket) = (Upstream::start()?, "max_tokens: 100, tokens_per_fill: 100");
    let setup = Setup::with_keys(KEYS)
        .file("edge-routed.yaml")
        .edit("port_value: 8081", &format!("port_value: {}", recordings.address().port()))
        .edit(bucket, "max_tokens: 3, tokens_per_fill: 1")
        .edit(
            "fill_interval: 1s }\n                  - name",
            "fill_interval: 3600s }\n                  - name",
        );
    let edge = Edge::start(&setup)?;
    let at = edge.envoy.listener();
    let egress = event("egress_ended");
    // Its own word counts for nothing: only what is signed chooses the route.
    let spoofed = "x-livekit-event: egress_ended\r\nx-livekit-room: other\r\n";
    let room = event("room_started");
    ensure!(http1(at, &post(&token(&room), &room, spoofed))?.status == 200);
    ensure!(edge.host.wait_for(1)?.len() == 1 && recordings.bytes().is_empty());
    ensure!(
        http1(at, &post(&token(&egress), &egress, "x-livekit-event: room_started\r\n"))?.status
            == 200
    );
    ensure!(recordings.wait_for(1)?.remove(0).body == egress);
    // The third is the last of this key and room, whatever room a stranger names.
    let mut statuses = Vec::new();
    for name in ["room_finished", "participant_joined", "participant_left"] {
        let body = event(name);
        statuses.push(http1(at, &post(&token(&body), &body, spoofed))?.status);
    }
    ensure!(statuses == [200, 429, 429], "{statuses:?}");
    // LiveKit tries a 429 again: the shield must have let go of it.
    edge.expect("dedupe_released", 2)?;
    ensure!(edge.host.requests().len() == 2);
    Ok(())
}

#[test]
fn metrics_have_labels_and_the_access_log_its_fields() -> Result<()> {
    let json =
        r#"{"events": {"exclude": ["track_*"]}, "routes": [{"path": "/try", "mode": "shadow"}]}"#;
    let edge = Edge::start(&Setup::with_keys(KEYS).filter(json))?;
    let at = edge.envoy.listener();
    let (body, track) = (event("room_started"), event("track_published"));
    ensure!(http1(at, &post(&token(&body), &body, ""))?.status == 200);
    ensure!(http1(at, &post(&token(b"another"), &body, ""))?.status == 401);
    ensure!(http1(at, &post(&token(&track), &track, ""))?.status == 200);
    let tried = b"POST /try HTTP/1.1\r\nhost: edge\r\ncontent-length: 1\r\n\r\nx";
    ensure!(http1(at, tried)?.status == 200);
    let wanted = [
        r#"livekit_webhook_rejected{livekit_webhook_code="sha_mismatch"} 1"#,
        r#"livekit_webhook_shadow_rejected{livekit_webhook_code="no_token"} 1"#,
        r#"livekit_webhook_verified{livekit_webhook_key="APIedge",livekit_webhook_secret="0"} 2"#,
        "livekit_webhook_accepted{} 1",
        "livekit_webhook_filtered{} 1",
        "livekit_webhook_keys{} 1",
    ];
    wait_until("every metric has its labels", || {
        let page = edge.envoy.admin("/stats/prometheus")?;
        let histograms = ["body_bytes", "token_age_s", "event_age_s"];
        let count = |name: &&str| page.contains(&format!("livekit_webhook_{name}_count{{}} "));
        Ok(wanted.iter().all(|line| page.contains(line)) && histograms.iter().all(|h| count(&h)))
    })
    .with_context(|| edge.envoy.admin("/stats/prometheus?filter=livekit").unwrap_or_default())?;
    let lines = [
        r#""event":"room_started","event_id":"EV_1","key":"APIedge""#,
        r#""verdict":"sha_mismatch""#,
        r#""verdict":"filtered""#,
        r#""event":"track_published""#,
        r#""shadow":"no_token""#,
        r#""details":"livekit_webhook{sha_mismatch}""#,
    ];
    let log = || edge.envoy.access_log();
    wait_until("the access log", || Ok(lines.iter().all(|line| log().contains(line))))
        .with_context(log)
}

#[test]
fn paths_are_read_one_way_and_a_route_can_be_left_out() -> Result<()> {
    let json = r#"{"routes": [{"path": "/prod", "keys": ["APIprod"]}]}"#;
    let open = r#"routes:
                        - match: { prefix: "/health" }
                          route: { cluster: host }
                          typed_per_filter_config:
                            livekit-webhook:
                              "@type": type.googleapis.com/envoy.config.route.v3.FilterConfig
                              disabled: true"#;
    let keys = "APIprod: prod\nAPIedge: edge-test-secret";
    let edge = Edge::start(&Setup::with_keys(keys).filter(json).edit("routes:", open))?;
    let (at, body) = (edge.envoy.listener(), event("room_started"));
    // The key does not count on this path, however the path is written.
    for path in
        ["/prod", "/%70rod", "//prod", "/x/../prod", "/prod%2fx", "/prod%5cx", "/x/%2e%2e/prod"]
    {
        let request = post(&token(&body), &body, "");
        let text = String::from_utf8_lossy(&request).replacen("/webhook", path, 1);
        let status = http1(at, text.as_bytes())?.status;
        ensure!(matches!(status, 400 | 401), "{path}: {status}");
    }
    edge.assert_untouched()?;
    ensure!(http1(at, &post(&token(&body), &body, ""))?.status == 200);
    ensure!(http1(at, b"GET /health HTTP/1.1\r\nhost: edge\r\n\r\n")?.status == 200);
    Ok(())
}

#[test]
fn what_envoy_cannot_do_for_this_filter_is_refused_at_start() -> Result<()> {
    let host = Upstream::start()?;
    let per_route = r#"routes:
                        - match: { prefix: "/x" }
                          route: { cluster: host }
                          typed_per_filter_config:
                            livekit-webhook:
                              "@type": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm"#;
    let structure = "\"@type\": type.googleapis.com/google.protobuf.StringValue\n                          value: |";
    let instead =
        "\"@type\": type.googleapis.com/google.protobuf.Struct\n                          value:";
    for (from, to, words) in [
        ("routes:", per_route, "doesn't support virtual host or route specific configurations"),
        (structure, instead, "livekit-webhook: configuration: must be JSON in a StringValue"),
    ] {
        let setup = Setup::with_keys(KEYS).edit(from, to);
        let Err(error) = Envoy::start(&setup, host.address()) else {
            anyhow::bail!("started with {to}");
        };
        ensure!(error.to_string().contains(words), "{error:#}");
    }
    Ok(())
}
