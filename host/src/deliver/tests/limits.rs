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
    stage.deliverer.in_flight.bytes.store(IN_FLIGHT_BYTES_MAX, Ordering::SeqCst);
    stage.owe(1, "a", 0).await;
    stage.run();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(stage.sent_ms("a"), [0; 0]);
    stage.deliverer.in_flight.bytes.store(0, Ordering::SeqCst);
    stage.until_state(1, State::Delivered).await;
    stage.settled().await;
    // Taken and given back.
    stage.told("a", holds(1));
    stage.owe(2, "a", 0).await;
    stage.until("held", || stage.active("a") == 1).await;
    let bytes = crate::store::conformance::event(2).body.len();
    assert_eq!(stage.deliverer.in_flight.bytes.load(Ordering::SeqCst), bytes);
    stage.script.gate.add_permits(1);
    stage.until_state(2, State::Delivered).await;
    stage.settled().await;
    assert_eq!(stage.deliverer.in_flight.bytes.load(Ordering::SeqCst), 0);
}

/// One of ten hangs with all its places taken and more due: the others are served to the moment.
#[tokio::test(start_paused = true)]
async fn one_hanging_endpoint_of_ten_delays_no_other() {
    let names: Vec<String> = (0..10).map(|number| format!("e{number}")).collect();
    let store = Arc::new(MemoryStore::new(3_600_000));
    let endpoints = names.iter().map(|name| endpoint(name)).collect();
    let mut stage = stage_over(store, endpoints, 64);
    stage.told("e0", holds(200));
    let mut number = 0;
    for round in 0..10_i64 {
        for name in &names {
            number += 1;
            stage.owe(number, name, round * 500).await;
        }
        for _ in 0..10 {
            number += 1;
            stage.owe(number, "e0", 0).await;
        }
    }
    stage.run();
    stage.until("e0 hangs", || stage.active("e0") > 9).await;
    for (number, name) in
        (1..=number).zip((0..10).flat_map(|_| names.iter().chain([&names[0]; 10])))
    {
        if name != "e0" {
            stage.until_state(number, State::Delivered).await;
        }
    }
    for name in &names[1..] {
        let at = stage.sent_ms(name);
        assert_eq!(at.len(), 10);
        for (round, sent_ms) in (0..).zip(&at) {
            assert!((round * 500..round * 500 + 20).contains(sent_ms), "{name}: {at:?}");
        }
    }
    assert!(stage.active("e0") <= 32, "an endpoint has its places and no more");
    stage.script.gate.add_permits(200);
}

/// Fewer places than endpoints: those with nothing to send do not stand in the way.
#[tokio::test(start_paused = true)]
async fn everybody_has_a_turn() {
    let names: Vec<String> = (0..20).map(|number| format!("e{number}")).collect();
    let endpoints = names.iter().map(|name| endpoint(name)).collect();
    let mut stage = stage_over(Arc::new(MemoryStore::new(3_600_000)), endpoints, 2);
    stage.run();
    for (number, name) in (1..).zip(&names) {
        let due_ms = i64::from(number) * 1_000;
        stage.owe(number, name, due_ms).await;
    }
    for (number, name) in (1..).zip(&names) {
        stage.until_state(number, State::Delivered).await;
        let (at, due_ms) = (stage.sent_ms(name), i64::from(number) * 1_000);
        assert!((due_ms..due_ms + 20).contains(&at[0]), "{name} was due at {due_ms}: {at:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_gets_no_more_requests_than_its_rate() {
    let mut slow = endpoint("a");
    slow.traffic.rate = Some(livekit_webhook_core::rate::Rate::new(2.0, 3).unwrap());
    let mut stage = stage(vec![slow]);
    for number in 1..=11 {
        stage.owe(number, "a", 0).await;
    }
    stage.run();
    for number in 1..=11 {
        stage.until_state(number, State::Delivered).await;
    }
    let at = stage.sent_ms("a");
    assert!(at[2] < 20, "the burst goes at once: {at:?}");
    for (more, sent_ms) in (1..).zip(&at[3..]) {
        assert!((more * 500..more * 500 + 20).contains(sent_ms), "{at:?}");
    }
}
