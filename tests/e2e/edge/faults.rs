//! What goes wrong in Envoy or in the filter lets nothing unverified through.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use livekit_webhook_tests::edge::trap::trapping;
use livekit_webhook_tests::envoy::{Setup, root};
use tempfile::TempDir;

use super::client::{End, http1, http2, post, post_chunked};
use super::{Edge, KEYS, event, token, wait_until};

const FILTER: &str = "target/wasm/filter.wasm";

/// The filter with a fault: it traps when trailers come.
fn faulty() -> Result<(TempDir, PathBuf)> {
    let folder = TempDir::new()?;
    let path = folder.path().join("faulty.wasm");
    let wasm = std::fs::read(root().join(FILTER))?;
    std::fs::write(&path, trapping(&wasm, "proxy_on_request_trailers")?)?;
    Ok((folder, path))
}

#[test]
fn a_trap_passes_nothing_and_the_worker_heals() -> Result<()> {
    let (_folder, path) = faulty()?;
    let shield = r#"{"dedupe": {"mode": "ack"}}"#;
    let setup = Setup::with_keys(KEYS).edit(FILTER, &path.display().to_string()).filter(shield);
    let edge = Edge::start(&setup)?;
    let at = edge.envoy.listener();
    let (body, other) = (event("room_started"), event("room_finished"));
    ensure!(http1(at, &post(&token(&body), &body, ""))?.status == 200);
    ensure!(edge.host.wait_for(1)?.len() == 1);
    let before = edge.host.bytes().len();
    for _ in 0..8 {
        // True or forged, what meets the fault passes nowhere.
        for body in [&body, &other] {
            let reply = http2(at, &token(&other), &[body], End::Trailer("x-after", "1"));
            ensure!(reply.as_ref().map_or(true, |reply| reply.status >= 401), "{reply:?}");
        }
        let reply = http1(at, &post(&token(&other), &body, ""))?;
        ensure!(matches!(reply.status, 401 | 503), "{reply:?}");
        ensure!(edge.host.bytes().len() == before, "bytes reached the host");
    }
    wait_until("both workers serve again", || {
        let replies: Result<Vec<_>> =
            (0..8).map(|_| http1(at, &post(&token(&body), &body, ""))).collect();
        Ok(replies?.iter().all(|reply| reply.status == 200))
    })?;
    // What was delivered before the fault is still known: all of these were duplicates.
    ensure!(edge.host.requests().len() == 1, "the shield has forgotten");
    ensure!(edge.envoy.stat("wasm.livekit-webhook.vm_reload_success")? > 0, "nothing was reloaded");
    Ok(())
}

#[test]
fn fail_open_would_let_forged_requests_pass_and_is_in_no_shipped_configuration() -> Result<()> {
    for entry in std::fs::read_dir(root().join("envoy"))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            let text = std::fs::read_to_string(&path)?;
            ensure!(!text.contains("failure_policy: FAIL_OPEN"), "{path:?}");
            let wasm = text.contains("vm_config:");
            ensure!(!wasm || text.contains("failure_policy: FAIL_RELOAD"), "{path:?}");
        }
    }
    // The reason, on one worker: after the first fault everything passes.
    let (_folder, path) = faulty()?;
    let setup = Setup::with_keys(KEYS)
        .concurrency(1)
        .edit(FILTER, &path.display().to_string())
        .edit("failure_policy: FAIL_RELOAD", "failure_policy: FAIL_OPEN")
        .edit("reload_config:", "")
        .edit("backoff:", "")
        .edit("base_interval: 0.1s", "");
    let edge = Edge::start(&setup)?;
    let (at, body) = (edge.envoy.listener(), event("room_started"));
    let forged = || http1(at, &post("not a token", &body, ""));
    ensure!(forged()?.status == 401);
    let _ = http2(at, &token(&body), &[&body], End::Trailer("x-after", "1"));
    wait_until("Envoy lets everything pass", || Ok(forged()?.status == 200))
}

/// Capabilities that the filter needs, but for callbacks.
const CALLS: [&str; 17] = [
    "proxy_log",
    "proxy_get_current_time_nanoseconds",
    "proxy_set_tick_period_milliseconds",
    "proxy_set_effective_context",
    "proxy_increment_metric",
    "proxy_record_metric",
    "proxy_define_metric",
    "proxy_get_buffer_bytes",
    "proxy_get_header_map_pairs",
    "proxy_get_header_map_value",
    "proxy_remove_header_map_value",
    "proxy_replace_header_map_value",
    "proxy_send_local_response",
    "proxy_get_property",
    "proxy_set_property",
    "environ_sizes_get",
    "environ_get",
];
const CALLBACKS: [&str; 9] = [
    "proxy_on_context_create",
    "proxy_on_vm_start",
    "proxy_on_configure",
    "proxy_on_tick",
    "proxy_on_request_headers",
    "proxy_on_request_body",
    "proxy_on_request_trailers",
    "proxy_on_response_headers",
    "proxy_on_delete",
];

/// A capability list with everything but `without`.
fn restricted(without: &str) -> Setup {
    let names = CALLS.iter().chain(&CALLBACKS).filter(|name| **name != without);
    let names: Vec<_> = names.map(|name| format!("{name}: {{}}")).collect();
    let list = format!(
        "capability_restriction_config: {{ allowed_capabilities: {{ {} }} }}\n\
         {:24}failure_policy: FAIL_RELOAD",
        names.join(", "),
        ""
    );
    Setup::with_keys(KEYS).concurrency(1).edit("failure_policy: FAIL_RELOAD", &list)
}

#[test]
fn a_capability_list_that_withholds_the_body_lets_nothing_through() -> Result<()> {
    let edge = Edge::start(&restricted("proxy_on_request_body"))?;
    let (at, body) = (edge.envoy.listener(), event("room_started"));
    let line = "`proxy_on_request_body: {}`";
    for body in [&body, &event("room_finished")] {
        let reply = http1(at, &post(&token(b"another"), body, ""))?;
        ensure!(reply.status != 200, "{reply:?}");
    }
    wait_until("the log names the line", || Ok(edge.envoy.log().contains(line)))?;
    let reply = http1(at, &post(&token(&body), &body, ""))?;
    ensure!(reply.status == 503 && reply.code() == "unavailable", "{reply:?}");
    wait_until("it is counted", || Ok(edge.envoy.counter("rejected.not_called")? > 0))?;
    edge.assert_untouched()
}

#[test]
fn a_capability_list_that_withholds_trailers_is_found_with_the_first_request() -> Result<()> {
    let edge = Edge::start(&restricted("proxy_on_request_trailers"))?;
    let (at, body) = (edge.envoy.listener(), event("room_started"));
    ensure!(http1(at, &post(&token(&body), &body, ""))?.status == 200);
    let received = edge.host.wait_for(1)?.len();
    let forged = |at| http2(at, &token(b"true"), &[b"forged"], End::Trailer("x-after", "1"));
    // Envoy asks nobody about this one; what is left is that it is the last.
    let reply = forged(at)?;
    ensure!(reply.status == 503 && reply.code() == "unavailable", "{reply:?}");
    ensure!(edge.envoy.log().contains("`proxy_on_request_trailers: {}`"), "{}", edge.envoy.log());
    edge.expect("bypassed", 1)?;
    let seen = edge.host.requests().len();
    ensure!(seen <= received + 1);
    ensure!(forged(at)?.status == 503);
    ensure!(http1(at, &post(&token(&body), &body, ""))?.status == 503);
    ensure!(edge.host.requests().len() == seen, "another one got through");
    Ok(())
}

#[test]
fn a_capability_list_with_everything_changes_nothing() -> Result<()> {
    let edge = Edge::start(&restricted("nothing"))?;
    let (at, body) = (edge.envoy.listener(), event("room_started"));
    let (first, rest) = body.split_at(5);
    ensure!(http1(at, &post_chunked(&token(&body), &[first, rest], ""))?.status == 200);
    let trailer = End::Trailer("x-after", "1");
    ensure!(http2(at, &token(&body), &[first, rest], trailer)?.status == 200);
    ensure!(http1(at, &post(&token(b""), &body, ""))?.status == 401);
    ensure!(edge.host.wait_for(2)?.len() == 2);
    Ok(())
}
