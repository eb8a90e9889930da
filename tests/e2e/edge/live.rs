//! The filter's file changes while Envoy runs: nothing is drained, and what is broken is refused.

use anyhow::{Result, ensure};
use livekit_webhook::clock::{Clock as _, SystemClock};
use livekit_webhook_tests::envoy::Setup;
use livekit_webhook_wire::sign;

use super::client::{Http1, Reply, post};
use super::{Edge, KEYS, event, token, wait_until};

const ECDS: &str = "edge-ecds.yaml";
/// Envoy's counters for the filter's file.
const RELOADED: &str = "extension_config_discovery.http_filter.livekit-webhook.update_success";
const REFUSED: &str = "extension_config_discovery.http_filter.livekit-webhook.update_rejected";
const NEW_SECRET: &str = "edge-new-secret";

fn setup() -> Setup {
    Setup::with_keys(KEYS)
        .file(ECDS)
        .variable("LIVEKIT_KEYS_NEXT", &format!("APIedge: {NEW_SECRET}"))
}

/// One more request on the same connection.
fn send(connection: &mut Http1, token: &str, name: &str) -> Result<Reply> {
    connection.send(&post(token, &event(name), ""));
    connection.receive()
}

fn new_token(name: &str) -> String {
    let now_s = SystemClock.now().as_secs();
    sign::authorization("APIedge", NEW_SECRET.as_bytes(), &event(name), now_s)
}

/// Changes the filter and waits until Envoy has taken or refused it.
fn change(edge: &Edge, stat: &str, from: &str, to: &str) -> Result<()> {
    let before = edge.envoy.stat(stat)?;
    edge.envoy.change_filter(from, to)?;
    wait_until(stat, || Ok(edge.envoy.stat(stat)? > before))
}

#[test]
fn a_key_is_rotated_with_overlap_on_a_connection_that_stays() -> Result<()> {
    let edge = Edge::start(&setup())?;
    let mut connection = Http1::connect(edge.envoy.listener())?;
    let old = token(&event("room_started"));
    let new = new_token("room_started");
    let mut both = |old_status: u16, new_status: u16| -> Result<()> {
        // Each worker takes the change up when it next has time; ask until this one has.
        wait_until("the keys count", || {
            let old_reply = send(&mut connection, &old, "room_started")?;
            if old_reply.status == 401 {
                // A refusal of the head closes the connection: this one is done with its work.
                connection = Http1::connect(edge.envoy.listener())?;
            }
            let new_reply = send(&mut connection, &new, "room_started")?;
            if new_reply.status == 401 {
                connection = Http1::connect(edge.envoy.listener())?;
            }
            Ok((old_reply.status, new_reply.status) == (old_status, new_status))
        })
    };
    both(200, 401)?;
    let json = r#""body_bytes_max": 8388608,"#;
    let overlap = format!(r#"{json} "keys": {{"env": ["LIVEKIT_KEYS", "LIVEKIT_KEYS_NEXT"]}},"#);
    change(&edge, RELOADED, json, &overlap)?;
    both(200, 200)?;
    let counted = || Ok(edge.envoy.counter("verified.APIedge.1")? > 0);
    wait_until("the new secret is counted", counted)?;
    change(&edge, RELOADED, r#""LIVEKIT_KEYS", "LIVEKIT_KEYS_NEXT"]"#, r#""LIVEKIT_KEYS_NEXT"]"#)?;
    both(401, 200)?;
    Ok(())
}

#[test]
fn events_change_on_a_kept_alive_connection_and_nothing_is_drained() -> Result<()> {
    let edge = Edge::start(&setup())?;
    let mut connection = Http1::connect(edge.envoy.listener())?;
    let signed = token(&event("track_published"));
    let opened = |edge: &Edge| edge.envoy.stat("http.edge.downstream_cx_total");
    ensure!(send(&mut connection, &signed, "track_published")?.status == 200);
    let (before, received) = (opened(&edge)?, edge.host.wait_for(1)?.len());
    change(&edge, RELOADED, r#""exclude": []"#, r#""exclude": ["track_*"]"#)?;
    wait_until("the event is filtered", || {
        let reply = send(&mut connection, &signed, "track_published")?;
        ensure!(reply.status == 200, "{reply:?}");
        Ok(reply.header("x-livekit-webhook-result") == Some("filtered"))
    })?;
    ensure!(edge.host.requests().len() >= received);
    ensure!(opened(&edge)? == before, "another connection");
    for stat in ["downstream_cx_drain_close", "downstream_cx_destroy_local"] {
        ensure!(edge.envoy.stat(&format!("http.edge.{stat}"))? == 0, "{stat}");
    }
    Ok(())
}

#[test]
fn a_broken_configuration_is_refused_by_name_and_the_old_one_serves_on() -> Result<()> {
    let edge = Edge::start(&setup())?;
    let mut connection = Http1::connect(edge.envoy.listener())?;
    let signed = token(&event("room_started"));
    ensure!(send(&mut connection, &signed, "room_started")?.status == 200);
    for (from, to, words) in [
        (
            r#""hold_headers": true"#,
            r#""hold_header": true"#,
            "livekit-webhook: hold_header: is not a known field",
        ),
        (
            r#""hold_header": true"#,
            r#""keys": {"env": ["PATH"]}"#,
            "livekit-webhook: $PATH: line 1: expected `key: secret`",
        ),
    ] {
        // The first mends nothing, so that both are wrong.
        let named = if to.contains("PATH") { "host_env_keys: [LIVEKIT_KEYS, " } else { from };
        if to.contains("PATH") {
            edge.envoy.change_filter(named, "host_env_keys: [PATH, LIVEKIT_KEYS, ")?;
        }
        change(&edge, REFUSED, from, to)?;
        wait_until(words, || Ok(edge.envoy.log().contains(words)))?;
        let reply = send(&mut connection, &signed, "room_started")?;
        ensure!(reply.status == 200, "the old one serves: {reply:?}");
    }
    change(&edge, RELOADED, r#""keys": {"env": ["PATH"]}"#, r#""hold_headers": true"#)?;
    ensure!(send(&mut connection, &signed, "room_started")?.status == 200);
    Ok(())
}

#[test]
fn a_key_that_envoy_was_not_started_with_can_come_with_the_file() -> Result<()> {
    let edge = Edge::start(&Setup::with_keys(KEYS).file(ECDS))?;
    let mut connection = Http1::connect(edge.envoy.listener())?;
    let new = new_token("room_started");
    ensure!(send(&mut connection, &new, "room_started")?.status == 401);
    let variables = "host_env_keys: [LIVEKIT_KEYS, LIVEKIT_KEYS_NEXT]";
    let inline = format!(
        "host_env_keys: [LIVEKIT_KEYS]\n            \
         key_values: {{ LIVEKIT_KEYS_NEXT: \"APIedge: {NEW_SECRET}\" }}"
    );
    edge.envoy.change_filter(variables, &inline)?;
    let json = r#""body_bytes_max": 8388608,"#;
    let both = format!(r#"{json} "keys": {{"env": ["LIVEKIT_KEYS", "LIVEKIT_KEYS_NEXT"]}},"#);
    change(&edge, RELOADED, json, &both)?;
    wait_until("the new key counts", || {
        let mut connection = Http1::connect(edge.envoy.listener())?;
        Ok(send(&mut connection, &new, "room_started")?.status == 200)
    })?;
    // The price that the file's comment names.
    ensure!(edge.envoy.admin("/config_dump?resource=ecds_filters")?.contains(NEW_SECRET));
    Ok(())
}
