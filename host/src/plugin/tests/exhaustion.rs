//! Attacks on time, on the engine's own tables and on the host's work: one named test each.

use super::attacks::{attack, capture_log, check_exceeded};
use super::hand::{FOR_EVER, Hand, TABLE_UNTIL_REFUSED};
use super::*;
use crate::plugin::load;

async fn by_hand(hand: &Hand, limits: Limits) -> Result<Arc<Plugin>, load::Error> {
    Plugin::load(&ENGINE, "hand", hand.component(), options("", limits)).await
}

#[track_caller]
fn check_not_started(loaded: Result<Arc<Plugin>, load::Error>, words: &str) {
    let error = loaded.unwrap_err();
    let source = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
    let text = format!("{error}: {source}");
    assert!(text.contains(words), "{words:?} in {text:?}");
}

async fn stopped_by_cpu(what: &str) {
    let limits = generous().with(limits::CPU_PURE_MS, 20).unwrap();
    let limits = limits.with(limits::LOG_LINES, 1).unwrap();
    assert_eq!(attack(what, limits).await, Err(Fault::CpuExceeded { limit_ms: 20 }), "{what}");
}

#[tokio::test]
async fn a_hand_made_component_traps_where_it_says() {
    let plugin = by_hand(&Hand::default(), generous()).await.unwrap();
    assert!(matches!(plugin.call(in_room("any")).await, Err(Fault::Trap(_))));
}

#[tokio::test]
async fn a_million_getters_are_charged() {
    stopped_by_cpu("getters").await;
    stopped_by_cpu("lookups").await;
}

#[tokio::test]
async fn a_million_lines_are_charged() {
    stopped_by_cpu("lines").await;
}

#[tokio::test]
async fn a_thrashed_allocator_is_charged() {
    stopped_by_cpu("thrash").await;
}

#[tokio::test]
async fn long_instructions_one_after_the_other_are_charged() {
    stopped_by_cpu("fill").await;
}

#[tokio::test]
async fn a_huge_string_ends_the_call_and_a_long_one_names_nothing() {
    one_draft(attack("long-name", generous()).await);
    let huge = attack("huge-name", generous()).await;
    check_exceeded(huge, "bytes to the host", limits::CROSSING_BYTES.default);
}

#[tokio::test]
async fn a_table_grows_to_its_limit_and_no_further() {
    let hand = Hand { tables: 1, body: TABLE_UNTIL_REFUSED.to_vec(), ..Hand::default() };
    let plugin = by_hand(&hand, generous()).await.unwrap();
    match plugin.call(in_room("any")).await {
        Err(Fault::Trap(text)) => assert!(text.contains("unreachable"), "{text}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn more_memories_than_an_instance_has_are_refused() {
    let within = usize::try_from(limits::MEMORIES_MAX).unwrap();
    by_hand(&Hand { memories: vec![1; within], ..Hand::default() }, generous()).await.unwrap();
    let hand = Hand { memories: vec![1; within + 1], ..Hand::default() };
    check_not_started(by_hand(&hand, generous()).await, "memory does not fit");
}

#[tokio::test]
async fn memories_are_summed_over_an_instance() {
    let hand = Hand { memories: vec![100; 4], ..Hand::default() };
    by_hand(&hand, generous()).await.unwrap();
    let limits = generous().with(limits::MEMORY_BYTES, 300 << 16).unwrap();
    check_not_started(by_hand(&hand, limits).await, "wanted more than 19660800 bytes of memory");
}

#[tokio::test]
async fn more_tables_than_an_instance_has_are_refused() {
    let hand = Hand { tables: limits::TABLES_MAX + 1, ..Hand::default() };
    check_not_started(by_hand(&hand, generous()).await, "table does not fit");
}

#[tokio::test]
async fn a_start_function_that_loops_is_stopped_at_load() {
    let hand = Hand { start: Some(FOR_EVER.to_vec()), ..Hand::default() };
    let limits = generous().with(limits::CPU_INIT_MS, 20).unwrap();
    check_not_started(by_hand(&hand, limits).await, "more than 20 ms of CPU");
}

#[tokio::test]
async fn a_component_larger_than_allowed_is_not_parsed() {
    let max = usize::try_from(limits::COMPONENT_BYTES.default).unwrap();
    let wasm = Bytes::from(vec![0; max + 1]);
    let loaded = Plugin::load(&ENGINE, "large", wasm, options("", generous())).await;
    check_not_started(loaded, "at most 8388608 are allowed (component_bytes)");
}

#[tokio::test]
async fn a_plugins_log_is_bounded_over_its_events() {
    let limits = generous().with(limits::LOG_LINES, limits::LOG_LINES.cap).unwrap();
    let limits = limits.with(limits::LOG_BYTES, limits::LOG_BYTES.cap).unwrap();
    let limits = limits.with(limits::LOG_MINUTE_BYTES, 10_000).unwrap();
    let plugin = plugin("evil", "", limits).await;
    let (_guard, text) = capture_log();
    for _ in 0..5 {
        one_draft(plugin.call(in_room("evil:log-flood")).await);
    }
    let log = text();
    let lines = log.matches("plugin log").count();
    assert!((1000..2000).contains(&lines), "{lines}");
    assert!(log.contains("dropped="), "{log}");
}
