//! The bench measures what it says; its numbers are nobody's business here.

use livekit_webhook_tests::bench::flow::load::Load;
use livekit_webhook_tests::bench::flow::sink::Sink;
use livekit_webhook_tests::bench::table::Table;
use livekit_webhook_tests::bench::{self, flow};
use livekit_webhook_tests::bench::{backlog, plugin, verify};
use livekit_webhook_tests::gateway::Gateway;
use livekit_webhook_tests::judge::guest;
use livekit_webhook_tests::receiver::{Answer, Receiver};
use std::time::Duration;

const BOUND: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn every_row_of_the_short_cases_is_there() {
    let mut out = Vec::new();
    let mut table = Table::new(&mut out);
    verify::run(1, &mut table).unwrap();
    plugin::run(&guest("redact.wasm"), 1, &mut table).await.unwrap();
    let little = plugin::rest::Plan { starts: 1, loaded: 3, loops: 1, attacks: 12 };
    plugin::rest::run(little, &mut table).await.unwrap();
    let text = String::from_utf8(out).unwrap();
    for row in [
        "ours, native",
        "ours, wasm in wasmtime",
        "livekit-api's receiver, native",
        "host, a fresh instance for each event",
        "host fresh / reused",
        "events/s on 2 threads / on 1",
        "host, a warm instance",
        "Rust, from the cache",
        "resident memory of all of them",
        "past its budget, the worst",
        "resident memory after / before",
    ] {
        assert!(text.contains(row), "no {row:?} in\n{text}");
    }
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_round_counts_every_event_on_its_whole_way() {
    let sink = Sink::start().await.unwrap();
    let gateway = Gateway::start(&flow::setup(sink.address(), 2), BOUND).await.unwrap();
    let mut load = Load::new(sink, 2);
    for pace in [None, Some(1_000.0)] {
        let measured = load.round(gateway.address(), 100, pace).await.unwrap();
        assert!(measured.delivered_a_s > 0.0, "{measured:?}");
        assert!(measured.lag_p99_ms > 0.0, "{measured:?}");
    }
    let events = gateway.metric(r#"events_total{source="bench",kind="participant_joined"}"#);
    assert_eq!(events.await.unwrap(), 200.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_hangs_is_measured_beside_nine() {
    let mut out = Vec::new();
    flow::hang::run(1, &mut Table::new(&mut out)).await.unwrap();
    let text = String::from_utf8(out).unwrap();
    assert!(text.contains("p99, one hangs / all well"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_is_claimed_from_and_delivered() {
    let mut out = Vec::new();
    backlog::run_over([100, 3_000], 1, &mut Table::new(&mut out)).await.unwrap();
    let text = String::from_utf8(out).unwrap();
    assert!(text.contains("3000 wait: start to first delivery"), "{text}");
}

#[test]
fn a_section_that_is_unknown_is_refused() {
    assert_eq!(bench::sections(&["flow"]), Some(vec![bench::Section::Flow]));
    assert_eq!(bench::sections(&["flow", "flaw"]), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_side_that_refuses_is_an_error_not_a_number() {
    let receiver = Receiver::start().await.unwrap();
    receiver.otherwise(Answer::status(503).unwrap());
    let mut load = Load::new(Sink::start().await.unwrap(), 1);
    let error = load.round(receiver.address(), 10, None).await.unwrap_err();
    assert!(error.to_string().contains("503"), "{error:#}");
}
