//! One named test for each attack of `plugins/evil`, and that nobody else notices.

use super::*;
use std::sync::Mutex;

/// What is logged on this thread while the guard lives.
pub fn capture_log() -> (tracing::subscriber::DefaultGuard, impl Fn() -> String) {
    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);
    impl std::io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let sink = Sink::default();
    let writer = sink.clone();
    let subscriber =
        tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    let text = move || String::from_utf8(sink.0.lock().unwrap().clone()).unwrap();
    (tracing::subscriber::set_default(subscriber), text)
}

pub async fn attack(what: &str, limits: Limits) -> Result<Vec<Output>, Fault> {
    plugin("evil", "", limits).await.call(in_room(&format!("evil:{what}"))).await
}

#[track_caller]
pub fn check_exceeded(outputs: Result<Vec<Output>, Fault>, expect: &str, expect_max: u64) {
    match outputs {
        Err(Fault::OutputExceeded { what, value, max }) => {
            assert!(what.contains(expect), "{what}");
            assert!(value > max);
            assert_eq!(max, expect_max);
        }
        other => panic!("{expect}: {other:?}"),
    }
}

#[tokio::test]
async fn every_event_gets_a_fresh_instance() {
    let plugin = plugin("evil", "", generous()).await;
    for _ in 0..3 {
        let draft = one_draft(plugin.call(in_room("evil:nothing")).await);
        assert_eq!(draft.body.as_ref(), br#"{"calls":1}"#);
    }
}

#[tokio::test]
async fn an_endless_loop_is_stopped_by_its_cpu_budget() {
    let limits = generous().with(limits::CPU_PURE_MS, 20).unwrap();
    assert_eq!(attack("loop", limits).await, Err(Fault::CpuExceeded { limit_ms: 20 }));
}

#[tokio::test]
async fn an_endless_loop_is_stopped_by_the_wall_clock_too() {
    let limits = generous().with(limits::WALL_PURE_MS, 30).unwrap();
    assert_eq!(attack("loop", limits).await, Err(Fault::DeadlineExceeded { limit_ms: 30 }));
}

#[tokio::test]
async fn a_trap_says_what_and_where() {
    match attack("trap", generous()).await {
        Err(Fault::Trap(text)) => {
            assert!(text.contains("unreachable"), "{text}");
            assert!(text.contains("transform"), "{text}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_panic_leaves_its_text_in_the_fault() {
    match attack("panic", generous()).await {
        Err(Fault::Trap(text)) => {
            assert!(text.contains("room is on fire"), "{text}");
            assert!(text.contains("src/lib.rs"), "{text}");
            assert!(!text.contains('\n'), "{text}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_memory_hog_is_refused_memory_and_dies_of_it() {
    let limits = generous().with(limits::MEMORY_BYTES, 8 << 20).unwrap();
    let expect = Err(Fault::MemoryExceeded { limit_bytes: 8 << 20 });
    assert_eq!(attack("memory", limits).await, expect);
}

#[tokio::test]
async fn a_guest_that_copes_with_refused_memory_goes_on() {
    one_draft(attack("memory-coping", generous()).await);
}

#[tokio::test]
async fn deep_recursion_ends_at_the_guests_own_stack() {
    assert!(matches!(attack("recursion", generous()).await, Err(Fault::Trap(_))));
}

#[tokio::test]
async fn too_much_output_is_named_with_its_limit() {
    let at_most = |row: limits::Row| row.default;
    let output = attack("output", generous()).await;
    check_exceeded(output, "bytes to the host", at_most(limits::CROSSING_BYTES));
    let limits = generous().with(limits::CROSSING_BYTES, limits::CROSSING_BYTES.cap).unwrap();
    check_exceeded(attack("output", limits).await, "a body", at_most(limits::BODY_BYTES));
    check_exceeded(attack("drafts", generous()).await, "drafts", at_most(limits::DRAFTS));
    let destinations = attack("destinations", generous()).await;
    check_exceeded(destinations, "destinations", at_most(limits::DESTINATIONS));
    let attributes = attack("attributes", generous()).await;
    check_exceeded(attributes, "a number of attributes", at_most(limits::ATTRIBUTES));
    let attribute = attack("attribute", generous()).await;
    check_exceeded(attribute, "an attribute", at_most(limits::ATTRIBUTE_BYTES));
}

#[tokio::test]
async fn a_flooded_log_is_cut_and_the_event_goes_on() {
    let plugin = plugin("evil", "", generous()).await;
    let (_guard, text) = capture_log();
    one_draft(plugin.call(in_room("evil:log-flood")).await);
    let log = text();
    assert_eq!(log.matches("plugin log").count(), 100, "{log}");
    assert!(log.contains("plugin=\"evil\" event=\"ev_1\" line=\"line 99\""), "{log}");
    assert!(log.contains("dropped=9900"), "{log}");
    one_draft(plugin.call(in_room("evil:log-line")).await);
    let line = text().len() - log.len();
    assert!(line > 4096 && line < 4096 + 200, "{line}");
}

#[tokio::test]
async fn a_guest_cannot_forge_a_line_of_the_log() {
    let plugin = plugin("evil", "", generous()).await;
    let (_guard, text) = capture_log();
    one_draft(plugin.call(in_room("evil:log-forge")).await);
    let log = text();
    assert_eq!(log.lines().count(), 1, "{log}");
    assert!(!log.contains('\u{1b}'), "{log}");
}

#[tokio::test]
async fn a_log_line_over_the_crossing_ends_the_call() {
    let output = attack("log-crossing", generous()).await;
    check_exceeded(output, "bytes to the host", limits::CROSSING_BYTES.default);
}

#[tokio::test]
async fn a_flood_of_metrics_fills_its_places_and_no_more() {
    let plugin = plugin("evil", "", generous()).await;
    one_draft(plugin.call(in_room("evil:metrics-flood")).await);
    let series = crate::metrics::own::SERIES_MAX;
    assert_eq!(plugin.own().snapshot().len(), series);
    assert_eq!(plugin.own().values_dropped.get(), 10_000 - series as u64);
}

#[tokio::test]
async fn what_the_guest_says_of_its_failure_is_kept_apart() {
    let rejected = Fault::Rejected("never again".to_owned());
    assert_eq!(attack("reject", generous()).await, Err(rejected));
    let retry = Fault::Retry { after_ms: Some(1500) };
    assert_eq!(attack("retry", generous()).await, Err(retry));
    match attack("other", generous()).await {
        Err(Fault::Failed(text)) => assert_eq!(text.len(), limits::ERROR_BYTES_MAX),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn other_plugins_and_the_next_event_do_not_notice() {
    let limits = generous().with(limits::CPU_PURE_MS, 20).unwrap();
    let evil = plugin("evil", "", limits).await;
    let redact = plugin("redact", "", generous()).await;
    for what in ["loop", "panic", "trap", "recursion", "output"] {
        let (attacked, other) = tokio::join!(
            evil.call(in_room(&format!("evil:{what}"))),
            redact.call(in_room("demo-room")),
        );
        assert!(attacked.is_err(), "{what}");
        one_draft(other);
    }
    let good = plugin("evil", "", generous()).await;
    one_draft(good.call(in_room("evil:nothing")).await);
}

#[tokio::test]
async fn a_thousand_attacks_leave_every_place_free() {
    let evil = plugin("evil", "", generous()).await;
    for _ in 0..1000 {
        assert!(evil.call(in_room("evil:trap")).await.is_err());
    }
    one_draft(evil.call(in_room("evil:nothing")).await);
    assert_eq!(evil.waiting(), 0);
}
