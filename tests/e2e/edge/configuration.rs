//! A wrong set-up is named, and nothing passes because of it.

use anyhow::{Result, ensure};
use livekit_webhook_tests::envoy::{Envoy, Setup};
use livekit_webhook_tests::upstream::Upstream;

use super::client::{http1, post};
use super::{Edge, KEYS, event, token};

/// Envoy must refuse to start and its log must hold each of `words`.
#[track_caller]
fn check_refused(setup: &Setup, words: &[&str]) -> Result<()> {
    let host = Upstream::start()?;
    let Err(error) = Envoy::start(setup, host.address()) else {
        anyhow::bail!("started with {setup:?}");
    };
    let text = error.to_string();
    for word in words {
        ensure!(text.contains(word), "no `{word}` in: {text}");
    }
    ensure!(!text.contains("edge-test-secret"), "a secret in the log");
    Ok(())
}

#[test]
fn every_problem_of_a_configuration_is_named_at_once() -> Result<()> {
    let json = r#"{"mode": "observe", "leeway_s": 301, "evnts": {},
        "events": {"include": [], "on_filtered": "drop"}}"#;
    check_refused(
        &Setup::with_keys(KEYS).filter(&json.replace('\n', " ")),
        &[
            "mode: must be \"enforce\" or \"shadow\"",
            "leeway_s: must be a whole number, 0 to 300",
            "evnts: is not a known field",
            "events.include: must be a list of 1 to 64 non-empty strings",
            "events.on_filtered: must be \"ack\" or \"pass\"",
        ],
    )
}

#[test]
fn keys_that_cannot_be_read_are_named_by_variable_and_line() -> Result<()> {
    let keys = "APIedge: edge-test-secret\nedge-test-secret";
    check_refused(&Setup::with_keys(keys), &["$LIVEKIT_KEYS: line 2"])
}

#[test]
fn without_keys_every_request_is_answered_503() -> Result<()> {
    let edge = Edge::start(&Setup::default())?;
    let body = event("room_started");
    let reply = http1(edge.envoy.listener(), &post(&token(&body), &body, ""))?;
    ensure!(reply.status == 503 && reply.code() == "no_keys", "{reply:?}");
    ensure!(reply.header("retry-after") == Some("1"));
    edge.assert_untouched()?;
    ensure!(edge.envoy.log().contains("no keys in LIVEKIT_KEYS"));
    Ok(())
}

#[test]
fn keys_stay_out_of_the_configuration_dump() -> Result<()> {
    let edge = Edge::shipped()?;
    let dump = edge.envoy.admin("/config_dump")?;
    ensure!(dump.contains("LIVEKIT_KEYS"));
    ensure!(!dump.contains("edge-test-secret"));
    Ok(())
}

#[test]
fn a_missing_stop_iteration_flag_is_found_and_named() -> Result<()> {
    let flag = "allow_on_headers_stop_iteration: true";
    let edge = Edge::start(&Setup::with_keys(KEYS).edit(flag, ""))?;
    let body = event("room_started");
    let reply = http1(edge.envoy.listener(), &post(&token(&body), &body, ""))?;
    ensure!(reply.status == 503 && reply.code() == "unavailable", "{reply:?}");
    ensure!(edge.envoy.log().contains(flag), "{}", edge.envoy.log());
    edge.expect("rejected.not_held", 1)?;
    edge.assert_untouched()
}

#[test]
fn headers_that_are_not_held_still_keep_a_forged_body_from_the_host() -> Result<()> {
    let json = r#"{"hold_headers": false}"#;
    let flag = "allow_on_headers_stop_iteration: true";
    let edge = Edge::start(&Setup::with_keys(KEYS).filter(json).edit(flag, ""))?;
    let (body, forged) = (event("room_started"), event("room_finished"));
    let spoofed = "x-livekit-event: fake\r\n";
    ensure!(http1(edge.envoy.listener(), &post(&token(&body), &body, spoofed))?.status == 200);
    let received = edge.host.wait_for(1)?.remove(0);
    ensure!(received.body == body);
    // Nothing can be written on a head that has left; nothing false may stand on it either.
    ensure!(received.header("x-livekit-event").is_empty());
    let reply = http1(edge.envoy.listener(), &post(&token(&body), &forged, ""))?;
    ensure!(reply.status == 401 && reply.code() == "body_mismatch", "{reply:?}");
    ensure!(!String::from_utf8_lossy(&edge.host.bytes()).contains("room_finished"));
    Ok(())
}
