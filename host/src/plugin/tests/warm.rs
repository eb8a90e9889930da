//! Instances that are used again: what survives, for whom, and when it ends.

use super::*;
use crate::plugin::warm::Instances;

async fn warm(calls_max: u32, idle_ms: u64) -> Arc<Plugin> {
    let instances = Instances::Warm { calls_max, idle_ms };
    let limits = generous().with(limits::CPU_PURE_MS, 200).unwrap();
    let options = Options { instances, ..options("", limits) };
    Plugin::load(&ENGINE, "evil", component("evil"), options).await.unwrap()
}

fn from(source: &str, room: &str) -> Input {
    Input { source: source.to_owned(), ..in_room(room) }
}

/// How often the instance that was called has been called.
async fn calls(plugin: &Plugin, source: &str) -> u64 {
    let draft = one_draft(plugin.call(from(source, "evil:nothing")).await);
    let value: serde_json::Value = serde_json::from_slice(&draft.body).unwrap();
    value["calls"].as_u64().unwrap()
}

const LONG_MS: u64 = 3_600_000;

#[tokio::test]
async fn a_warm_instance_is_used_again_and_retired_after_its_calls() {
    let plugin = warm(3, LONG_MS).await;
    let mut seen = Vec::new();
    for _ in 0..5 {
        seen.push(calls(&plugin, "a").await);
    }
    assert_eq!(seen, [1, 2, 3, 1, 2]);
}

#[tokio::test]
async fn an_instance_never_sees_another_source() {
    let plugin = warm(100, LONG_MS).await;
    assert_eq!(calls(&plugin, "a").await, 1);
    assert_eq!(calls(&plugin, "b").await, 1);
    assert_eq!(calls(&plugin, "a").await, 2);
    assert_eq!(calls(&plugin, "b").await, 2);
}

#[tokio::test]
async fn a_fault_ends_the_instance_and_a_declared_failure_does_not() {
    let plugin = warm(100, LONG_MS).await;
    assert_eq!(calls(&plugin, "a").await, 1);
    assert!(matches!(plugin.call(from("a", "evil:reject")).await, Err(Fault::Rejected(_))));
    assert_eq!(calls(&plugin, "a").await, 3);
    for fault in ["trap", "loop", "output", "recursion"] {
        assert!(plugin.call(from("a", &format!("evil:{fault}"))).await.is_err());
        assert_eq!(plugin.kept(), 0, "{fault}");
        assert_eq!(calls(&plugin, "a").await, 1, "{fault}");
    }
}

#[tokio::test]
async fn an_instance_that_grew_is_not_used_again() {
    let plugin = warm(100, LONG_MS).await;
    assert_eq!(calls(&plugin, "a").await, 1);
    one_draft(plugin.call(from("a", "evil:grow")).await);
    assert_eq!(calls(&plugin, "a").await, 1);
}

#[tokio::test]
async fn limits_are_renewed_for_each_call() {
    let plugin = warm(100, LONG_MS).await;
    let (_guard, text) = super::attacks::capture_log();
    for _ in 0..2 {
        one_draft(plugin.call(from("a", "evil:log-flood")).await);
    }
    assert_eq!(text().matches("plugin log").count(), 200);
    assert_eq!(text().matches("dropped=9900").count(), 2);
}

#[tokio::test]
async fn an_idle_instance_is_thrown_away_though_nobody_calls() {
    let plugin = warm(100, 20).await;
    assert_eq!(calls(&plugin, "a").await, 1);
    let gone = async {
        while plugin.kept() > 0 {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), gone).await.unwrap();
    assert_eq!(calls(&plugin, "a").await, 1);
}
