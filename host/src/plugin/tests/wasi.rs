//! What a component sees of WASI: nothing it could use, and always the same.

use super::attacks::capture_log;
use super::*;
use crate::plugin::permission::{Clock, Permissions, Random};
use serde_json::{Value, json};

async fn probe(grant: Permissions) -> Arc<Plugin> {
    let wasm = asking("probe", &grant);
    let options = Options { grant, ..options("", generous()) };
    Plugin::load(&ENGINE, "probe", wasm, options).await.unwrap()
}

async fn found(plugin: &Plugin, what: &str, event: &str) -> Value {
    let input = in_room(&format!("probe:{what}"));
    let input = Input { id: event.to_owned(), created_at_ms: 1_700_000_000_123, ..input };
    serde_json::from_slice(&one_draft(plugin.call(input).await).body).unwrap()
}

async fn denied(what: &str) -> Value {
    found(&*probe(Permissions::default()).await, what, "ev_1").await
}

async fn fault(what: &str) -> Fault {
    let plugin = probe(Permissions::default()).await;
    plugin.call(in_room(&format!("probe:{what}"))).await.unwrap_err()
}

#[tokio::test]
async fn a_guest_has_no_environment_no_arguments_and_no_input() {
    let expect = json!({
        "environment": [],
        "arguments": [],
        "folder": null,
        "stdin": "Err(StreamError::Closed)",
    });
    assert_eq!(denied("environment").await, expect);
}

#[tokio::test]
async fn a_guest_has_no_folder_no_socket_and_no_names() {
    assert_eq!(denied("files").await, json!(0));
    assert_eq!(denied("names").await, json!({ "Err": "permanent-resolver-failure" }));
    assert_eq!(denied("sockets").await, json!({ "Err": "access-denied" }));
    assert_eq!(denied("fields").await, json!("made"));
}

#[tokio::test]
async fn the_clocks_stand_at_the_event() {
    let found = denied("clocks").await;
    assert_eq!(found, json!({ "wall_ms": 1_700_000_000_123_u64, "monotonic": [0, 1000] }));
}

#[tokio::test]
async fn the_machines_clock_has_to_be_granted() {
    let granted = Permissions { clock: Clock::Real, ..Permissions::default() };
    let found = found(&*probe(granted).await, "clocks", "ev_1").await;
    assert!(found["wall_ms"].as_u64().unwrap() > 1_700_000_000_123);
}

#[tokio::test]
async fn randomness_is_the_events_own_until_it_is_granted() {
    let seeded = probe(Permissions::default()).await;
    let first = found(&seeded, "random", "ev_1").await;
    assert_eq!(found(&seeded, "random", "ev_1").await, first, "a replay sees the same");
    assert_ne!(found(&seeded, "random", "ev_2").await, first);
    let granted = Permissions { random: Random::System, ..Permissions::default() };
    let system = probe(granted).await;
    assert_ne!(found(&system, "random", "ev_1").await, found(&system, "random", "ev_1").await);
}

#[tokio::test]
async fn what_a_guest_prints_is_in_its_log_line_by_line() {
    let plugin = probe(Permissions::default()).await;
    let (_guard, text) = capture_log();
    found(&plugin, "print", "ev_1").await;
    let log = text();
    let lines: Vec<_> = log.lines().collect();
    let [one, two, oh_no, three] = lines.as_slice() else {
        panic!("{log}");
    };
    assert!(one.contains("INFO") && one.contains("line=\"one\""), "{one}");
    assert!(two.contains("line=\"two\""), "{two}");
    assert!(oh_no.contains("WARN") && oh_no.contains("line=\"oh no\""), "{oh_no}");
    assert!(three.contains("three") && !three.contains('\u{1b}'), "{three}");
}

#[tokio::test]
async fn printing_is_within_the_limits_of_the_log() {
    let plugin = probe(Permissions::default()).await;
    let (_guard, text) = capture_log();
    found(&plugin, "print-flood", "ev_1").await;
    let log = text();
    assert_eq!(log.matches("plugin log").count(), 100);
    assert!(log.contains("dropped=9900"), "{log}");
}

#[tokio::test]
async fn an_exit_is_a_trap_with_what_was_printed_last() {
    let expect = "nothing more to do (it exited with status 0";
    match fault("exit").await {
        Fault::Trap(text) => assert!(text.starts_with(expect), "{text}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_wasi_would_make_in_the_host_is_bounded() {
    for what in ["much-random", "zeroes", "handles"] {
        assert!(matches!(fault(what).await, Fault::Trap(_)), "{what}");
    }
}

#[tokio::test]
async fn a_guest_that_sleeps_is_ended_by_its_deadline() {
    let limits = generous().with(limits::WALL_PURE_MS, 30).unwrap();
    let plugin = plugin("probe", "", limits).await;
    let slept = plugin.call(in_room("probe:sleep")).await;
    assert_eq!(slept, Err(Fault::DeadlineExceeded { limit_ms: 30 }));
}
