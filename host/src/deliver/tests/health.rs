//! Endpoints that are down, busy, or want no more.

use super::*;
use crate::metrics::{BreakerLabel, DeadLabel, DisabledLabel, EndpointLabel};
use crate::store::EndpointHealth;
use livekit_webhook_core::health::{
    Breaker, Disabled, DisabledReason, FAILING_MS_MAX, Failing, Health,
};

const DAY_MS: i64 = 24 * 3_600_000;

fn narrow(name: &str, steps_s: &[i64]) -> Endpoint {
    with_retry(name, steps_s, None).with_limits(15_000, 1).unwrap()
}

// === impl Stage ===

impl Stage {
    async fn stored_health(&self, endpoint: &str) -> EndpointHealth {
        let all = self.store.healths().await.unwrap();
        let found = all.into_iter().find(|health| health.endpoint == endpoint);
        found.unwrap_or_else(|| EndpointHealth {
            endpoint: endpoint.to_owned(),
            ..Default::default()
        })
    }

    /// What an operator's command does.
    async fn put_health(&self, endpoint: &str, health: Health) {
        let stored = self.stored_health(endpoint).await;
        let new = EndpointHealth { health, ..stored };
        assert_eq!(self.store.record_health(new).await.unwrap(), crate::store::Recorded::Done);
    }

    fn breaker_changes(&self, endpoint: &str, to: &'static str) -> u64 {
        let label = BreakerLabel { endpoint: endpoint.to_owned(), to };
        self.deliverer.metrics.breaker_changes.get_or_create(&label).get()
    }

    fn dead(&self, endpoint: &str, reason: DeadReason) -> u64 {
        let label = DeadLabel { endpoint: endpoint.to_owned(), reason: reason.as_str() };
        self.deliverer.metrics.dead.get_or_create(&label).get()
    }

    /// Numbers of the deliveries whose requests left after the first `skip`.
    fn sent_numbers(&self, skip: usize) -> Vec<u32> {
        let sent = self.script.sent.lock().unwrap();
        let number = |outgoing: &Outgoing| {
            let id = outgoing.headers["webhook-id"].to_str().unwrap();
            id.trim_start_matches("wh_").parse().unwrap()
        };
        sent.iter().skip(skip).map(|(_, outgoing)| number(outgoing)).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_asks_for_a_pause_gets_nothing_until_then() {
    let mut stage = stage(vec![narrow("a", &[0, 1, 1]), endpoint("b")]);
    stage.told("a", vec![Act::Later(429, "120")]);
    for number in 1..=5 {
        stage.owe(number, "a", 0).await;
    }
    stage.run();
    stage.until("asked", || stage.sent_ms("a").len() == 1).await;
    stage.owe(6, "b", 1_000).await;
    for number in 1..=6 {
        stage.until_state(number, State::Delivered).await;
    }
    let at = stage.sent_ms("a");
    assert_eq!(at.len(), 6);
    assert!(at[1] - at[0] >= 120_000, "{at:?}");
    assert!(stage.sent_ms("b")[0] < 2_000, "another endpoint is not paused");
    // Only the one that was answered has used an attempt.
    let mut attempts = Vec::new();
    for number in 1..=5 {
        attempts.push(stage.attempts(number).await.len());
    }
    attempts.sort_unstable();
    assert_eq!(attempts, [1, 1, 1, 1, 2]);
    let label = EndpointLabel { endpoint: "a".to_owned() };
    assert_eq!(stage.deliverer.metrics.pauses.get_or_create(&label).get(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_breaker_lets_one_probe_through_in_each_period_and_then_all_in_order() {
    let steps: Vec<i64> = std::iter::once(0).chain([5; 20]).collect();
    let mut stage = stage(vec![narrow("a", &steps)]);
    stage.told("a", (0..8).map(|_| Act::Fail(ErrorClass::Connect)).collect());
    for number in 1..=100 {
        stage.owe(number, "a", number.into()).await;
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    stage.run();
    for number in 1..=100 {
        stage.until_state(number, State::Delivered).await;
    }
    let at = stage.sent_ms("a");
    assert_eq!(at.len(), 108);
    // Five failures open it; three probes fail, each after a longer period; two successes close.
    assert!(at[4] - at[0] < 1_000, "{at:?}");
    for (probe, period_ms) in [(5, 30_000), (6, 60_000), (7, 120_000), (8, 240_000)] {
        let waited = at[probe] - at[probe - 1];
        let range = period_ms * 9 / 10..=period_ms + 100;
        assert!(range.contains(&waited), "probe {probe} came after {waited} ms");
    }
    let numbers = stage.sent_numbers(0);
    // Always the one due for the longest: those that never went, then those that failed.
    assert_eq!(numbers[..8], [1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(numbers[8..100], (9..=100).collect::<Vec<_>>());
    let mut again = numbers[100..].to_vec();
    again.sort_unstable();
    assert_eq!(again, [1, 2, 3, 4, 5, 6, 7, 8]);
    let changes = ["open", "reopened", "closed"].map(|to| stage.breaker_changes("a", to));
    assert_eq!(changes, [1, 3, 1]);
    for number in 9..=100 {
        assert_eq!(stage.attempts(number).await.len(), 1, "waiting costs no attempt");
    }
    assert_eq!(stage.stored_health("a").await.health, Health::default());
}

#[tokio::test(start_paused = true)]
async fn an_open_breaker_outlasts_a_restart() {
    let mut stage = stage(vec![narrow("a", &[0, 1, 1, 1, 1, 1, 1])]);
    stage.told("a", (0..5).map(|_| Act::Fail(ErrorClass::Tls)).collect());
    for number in 1..=6 {
        stage.owe(number, "a", 0).await;
    }
    stage.run();
    stage.until("open", || stage.breaker_changes("a", "open") == 1).await;
    stage.settled().await;
    stage.stopper.stop();
    let Breaker::Open { until, .. } = stage.stored_health("a").await.health.breaker else {
        panic!("the breaker is not in the store");
    };
    let wait_ms = until.millis_since(stage.clock.now());
    let mut next = stage_over(stage.store.clone(), vec![narrow("a", &[0, 1, 1, 1, 1, 1, 1])], 9);
    // Its clock begins anew: what was due then is due for it after as long as it has waited.
    next.run();
    next.until_state(6, State::Delivered).await;
    let first = next.sent_ms("a")[0];
    assert!(first >= wait_ms, "{first} is before {wait_ms}");
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_is_gone_gets_one_request_and_no_more() {
    let mut stage = stage(vec![endpoint("a"), endpoint("b")]);
    stage.told("a", vec![Act::Status(410)]);
    stage.owe(1, "a", 0).await;
    stage.owe(2, "a", 3_600_000).await;
    stage.run();
    stage.until_state(1, State::Dead(DeadReason::Gone)).await;
    // What is owed to it dies at once, also what falls due later and what is planned later.
    stage.until_state(2, State::Dead(DeadReason::EndpointDisabled)).await;
    stage.owe(3, "a", 0).await;
    stage.until_state(3, State::Dead(DeadReason::EndpointDisabled)).await;
    assert!(stage.clock.now() < later(60_000));
    assert_eq!(stage.sent_ms("a").len(), 1);
    assert_eq!(stage.attempts(3).await, []);
    let note = stage.delivery(3).await.note;
    assert_eq!(note.as_deref(), Some("the endpoint is disabled (gone)"));
    assert_eq!(stage.dead("a", DeadReason::EndpointDisabled), 2);
    let label = DisabledLabel { endpoint: "a".to_owned(), reason: "gone" };
    assert_eq!(stage.deliverer.metrics.disablings.get_or_create(&label).get(), 1);
    // Others are served.
    stage.owe(4, "b", 0).await;
    stage.until_state(4, State::Delivered).await;
    // A restart changes nothing, an operator does, without a restart.
    stage.stopper.stop();
    let mut next = stage_over(stage.store.clone(), vec![endpoint("a")], 9);
    next.run();
    next.owe(5, "a", 0).await;
    next.until_state(5, State::Dead(DeadReason::EndpointDisabled)).await;
    next.put_health("a", Health::default()).await;
    next.deliverer.hints.ring();
    let label = EndpointLabel { endpoint: "a".to_owned() };
    let gauge = || next.deliverer.metrics.disabled.get_or_create(&label).get();
    next.until("enabled", || gauge() == 0).await;
    next.owe(6, "a", 0).await;
    next.until_state(6, State::Delivered).await;
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_without_success_for_days_is_disabled() {
    let stage = stage(vec![endpoint("a"), endpoint("b")]);
    let since = START.plus_millis(-FAILING_MS_MAX);
    let failing = Failing { since, last: since.plus_millis(2 * DAY_MS), attempts: 20 };
    let mut lenient = endpoint("b");
    lenient.traffic.health.auto_disable = false;
    let mut two = stage_over(stage.store.clone(), vec![endpoint("a"), lenient], 9);
    for name in ["a", "b"] {
        let health = Health { failing: Some(failing), ..Health::default() };
        stage.put_health(name, health).await;
        two.told(name, vec![Act::Status(500)]);
    }
    stage.stopper.stop();
    two.owe(1, "a", 0).await;
    two.owe(2, "b", 0).await;
    two.run();
    two.until_state(1, State::Dead(DeadReason::EndpointDisabled)).await;
    two.until_state(2, State::Delivered).await;
    let disabled = two.stored_health("a").await.health.disabled;
    assert_eq!(disabled.map(|disabled| disabled.reason), Some(DisabledReason::Failing));
    assert_eq!(two.stored_health("b").await.health, Health::default());
}

#[tokio::test(start_paused = true)]
async fn what_is_too_old_expires_while_its_endpoint_is_paused() {
    let mut endpoint = with_retry("a", &[0, 1], Some(60));
    endpoint = endpoint.with_limits(15_000, 1).unwrap();
    let mut stage = stage(vec![endpoint]);
    stage.told("a", vec![Act::Later(503, "600")]);
    stage.owe(1, "a", 0).await;
    stage.owe(2, "a", 0).await;
    stage.run();
    stage.until("asked", || stage.sent_ms("a").len() == 1).await;
    let (asked, waits) = match stage.delivery(1).await.due_at > later(1_000) {
        true => (1, 2),
        false => (2, 1),
    };
    stage.until_state(waits, State::Dead(DeadReason::Expired)).await;
    let now = stage.clock.now();
    assert!((later(60_000)..later(120_000)).contains(&now), "{now:?}");
    assert_eq!(stage.attempts(waits).await, []);
    // It is not due before the pause is over, and too old then.
    stage.until_state(asked, State::Dead(DeadReason::Expired)).await;
    assert_eq!(stage.sent_ms("a").len(), 1);
    assert_eq!(stage.dead("a", DeadReason::Expired), 2);
}

#[tokio::test(start_paused = true)]
async fn what_another_host_wrote_is_kept() {
    let mut stage = stage(vec![endpoint("a")]);
    stage.told("a", vec![Act::Hold]);
    stage.owe(1, "a", 0).await;
    stage.run();
    stage.until("sent", || stage.active("a") == 1).await;
    let paused_until = Some(later(3_000_000));
    stage.put_health("a", Health { paused_until, ..Health::default() }).await;
    // Written between our read and our write: the write is refused, both changes are merged.
    stage.told("a", vec![Act::Status(410)]);
    let place = &stage.deliverer.endpoints["a"];
    let outcome =
        livekit_webhook_core::attempt::Outcome::Answered { status: 410, retry_after_ms: None };
    stage.deliverer.heed(place, &outcome).await;
    let health = stage.stored_health("a").await.health;
    assert_eq!(health.paused_until, paused_until);
    assert!(matches!(health.disabled, Some(Disabled { reason: DisabledReason::Gone, .. })));
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_written_is_written_later_and_heeded_at_once() {
    let mut stage = stage(vec![endpoint("a")]);
    stage.told("a", vec![Act::Hold]);
    stage.owe(1, "a", 0).await;
    stage.run();
    stage.until("sent", || stage.active("a") == 1).await;
    stage.store.fail_next(1);
    let outcome =
        livekit_webhook_core::attempt::Outcome::Answered { status: 410, retry_after_ms: None };
    stage.deliverer.heed(&stage.deliverer.endpoints["a"], &outcome).await;
    assert_eq!(stage.stored_health("a").await.version, 0);
    stage.owe(2, "a", 0).await;
    stage.until_state(2, State::Dead(DeadReason::EndpointDisabled)).await;
    assert!(stage.stored_health("a").await.health.disabled.is_some());
    assert_eq!(stage.sent_ms("a").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_a_closed_gate_is_counted() {
    let mut stage = stage(vec![narrow("a", &[0, 1, 1])]);
    stage.told("a", vec![Act::Later(503, "120")]);
    for number in 1..=7 {
        stage.owe(number, "a", 0).await;
    }
    stage.run();
    let label = EndpointLabel { endpoint: "a".to_owned() };
    let metrics = stage.deliverer.metrics.clone();
    stage.until("counted", || metrics.deferred.get_or_create(&label).get() == 7).await;
    assert_eq!(metrics.paused.get_or_create(&label).get(), 1);
    stage.until("grows old", || metrics.oldest_due_seconds.get() >= 15).await;
    for number in 1..=7 {
        stage.until_state(number, State::Delivered).await;
    }
    stage.until("counted again", || metrics.deferred.get_or_create(&label).get() == 0).await;
    stage.until("nothing is due", || metrics.oldest_due_seconds.get() == 0).await;
}
