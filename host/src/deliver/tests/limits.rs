//! How much is under way at once, and who waits for whom.

use super::*;

fn holds(count: usize) -> Vec<Act> {
    (0..count).map(|_| Act::Hold).collect()
}

fn narrow(name: &str, in_flight_max: usize) -> Endpoint {
    endpoint(name).with_limits(15_000, in_flight_max).unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_has_so_many_places() {
    let mut stage = stage(vec![narrow("a", 3)]);
    stage.told("a", holds(10));
    for number in 1..=10 {
        stage.owe(number, "a", 0).await;
    }
    stage.run();
    for left in (1..=10).rev() {
        stage.until("all places taken", || stage.active("a") == left.min(3)).await;
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!(stage.active("a"), left.min(3));
        stage.script.gate.add_permits(1);
    }
    for number in 1..=10 {
        stage.until_state(number, State::Delivered).await;
    }
    assert_eq!(stage.sent_ms("a").len(), 10);
}

#[tokio::test(start_paused = true)]
async fn the_hosts_places_are_shared_fairly() {
    let store = Arc::new(MemoryStore::new(3_600_000));
    let mut stage = stage_over(store, vec![endpoint("a"), endpoint("b")], 4);
    stage.told("a", holds(10));
    stage.told("b", holds(10));
    for number in 1..=10 {
        stage.owe(2 * number, "a", 0).await;
        stage.owe(2 * number + 1, "b", 0).await;
    }
    stage.run();
    stage.until("all places taken", || stage.active("a") + stage.active("b") == 4).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!((stage.active("a"), stage.active("b")), (2, 2));
    stage.script.gate.add_permits(20);
    for number in 2..=21 {
        stage.until_state(number, State::Delivered).await;
    }
}

/// `a` hangs and has more that is due; `b` must be served to the moment, and the worker must
/// neither sleep past it nor look without end.
#[tokio::test(start_paused = true)]
async fn a_hanging_endpoint_delays_nobody() {
    let mut stage = stage(vec![narrow("a", 1), endpoint("b")]);
    stage.told("a", holds(1));
    stage.owe(1, "a", 0).await;
    stage.owe(2, "a", 0).await;
    stage.owe(3, "b", 0).await;
    for (number, due_ms) in [(4, 1_250), (5, 2_700), (6, 2_750)] {
        stage.owe(number, "b", due_ms).await;
    }
    stage.run();
    stage.until("a hangs", || stage.active("a") == 1).await;
    let looks = stage.clock.looks.load(Ordering::SeqCst);
    for number in 3..=6 {
        stage.until_state(number, State::Delivered).await;
    }
    let at = stage.sent_ms("b");
    for (due_ms, sent_ms) in [0, 1_250, 2_700, 2_750].into_iter().zip(&at) {
        assert!((due_ms..due_ms + 20).contains(sent_ms), "{due_ms}: {at:?}");
    }
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(stage.sent_ms("a").len(), 1);
    let looks = stage.clock.looks.load(Ordering::SeqCst) - looks;
    assert!(looks < 150, "{looks} looks at the clock in some 14 s");
    stage.script.gate.add_permits(1);
    stage.until_state(2, State::Delivered).await;
}

#[tokio::test(start_paused = true)]
async fn bodies_in_flight_have_a_limit() {
    let mut stage = stage(vec![endpoint("a")]);
    stage.deliverer.in_flight_bytes.store(IN_FLIGHT_BYTES_MAX, Ordering::SeqCst);
    stage.owe(1, "a", 0).await;
    stage.run();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(stage.sent_ms("a"), [0; 0]);
    stage.deliverer.in_flight_bytes.store(0, Ordering::SeqCst);
    stage.until_state(1, State::Delivered).await;
    stage.settled().await;
    // Taken and given back.
    stage.told("a", holds(1));
    stage.owe(2, "a", 0).await;
    stage.until("held", || stage.active("a") == 1).await;
    let bytes = crate::store::conformance::event(2).body.len();
    assert_eq!(stage.deliverer.in_flight_bytes.load(Ordering::SeqCst), bytes);
    stage.script.gate.add_permits(1);
    stage.until_state(2, State::Delivered).await;
    stage.settled().await;
    assert_eq!(stage.deliverer.in_flight_bytes.load(Ordering::SeqCst), 0);
}
