use super::*;
use crate::store::conformance::{DEAD, START, claim_due, delivery, later, planned, record, result};
use crate::store::memory::MemoryStore;

const NOW: Timestamp = START.plus_millis(60_000);

#[tokio::test]
async fn an_endpoint_is_disabled_paused_and_brought_back() {
    let store = MemoryStore::new(1_000);
    let after = async |what| change(&store, NOW, "a", what).await.unwrap();
    let disabled = after(Change::Disable).await.health;
    assert_eq!(state(&disabled, NOW), "disabled");
    assert_eq!(disabled.disabled.unwrap().reason, DisabledReason::Operator);
    let paused = after(Change::Pause(1_000)).await.health;
    assert_eq!(state(&paused, NOW), "disabled", "a pause does not enable");
    let enabled = after(Change::Enable).await.health;
    assert_eq!(state(&enabled, NOW), "paused");
    assert_eq!(state(&enabled, NOW.plus_millis(1_000)), "ok");
    assert_eq!(state(&after(Change::Resume).await.health, NOW), "ok");
    for wrong in [0, -1, PAUSE_MS_MAX + 1] {
        let refused = change(&store, NOW, "a", Change::Pause(wrong)).await;
        assert!(matches!(refused, Err(Error::Pause(_))), "{wrong}");
    }
}

#[tokio::test]
async fn to_enable_is_to_begin_anew() {
    let store = MemoryStore::new(1_000);
    let failing = livekit_webhook_core::health::Failing { since: later(0), last: NOW, attempts: 9 };
    let open = Breaker::Open { until: NOW.plus_millis(9_000), periods: 3, successes: 0 };
    let health = Health {
        breaker: open,
        paused_until: None,
        disabled: Some(Disabled { reason: DisabledReason::Gone, at: NOW }),
        failing: Some(failing),
    };
    let row = EndpointHealth { endpoint: "a".to_owned(), health, version: 0 };
    assert_eq!(store.record_health(row).await.unwrap(), Recorded::Done);
    let enabled = change(&store, NOW, "a", Change::Enable).await.unwrap();
    assert_eq!(enabled.health, Health::default());
    assert_eq!(store.healths().await.unwrap()[0].health, Health::default());
}

#[tokio::test]
async fn endpoints_are_those_of_the_configuration_and_of_the_store() {
    let store = MemoryStore::new(1_000);
    planned(&store, 1, vec![delivery(1, "old"), delivery(2, "old")]).await;
    change(&store, NOW, "sick", Change::Disable).await.unwrap();
    let configured = [("a".to_owned(), "https://a.example.com/".to_owned())];
    let all = endpoints(&store, &configured).await.unwrap();
    let found: Vec<_> =
        all.iter().map(|one| (one.name.as_str(), one.url.is_some(), one.pending)).collect();
    assert_eq!(found, [("a", true, 0), ("old", false, 2), ("sick", false, 0)]);
}

#[tokio::test]
async fn dead_letters_are_counted_by_endpoint_and_reason() {
    let store = MemoryStore::new(1_000);
    for number in 1..=3 {
        planned(&store, number, vec![delivery(number, if number < 3 { "a" } else { "b" })]).await;
    }
    for endpoint in ["a", "b"] {
        for claim in claim_due(&store, NOW, endpoint, 9).await {
            record(&store, NOW, result(&claim, 500, DEAD)).await;
        }
    }
    planned(&store, 9, vec![delivery(9, "a")]).await;
    let (groups, is_whole) = summary(&store, &DeliveryFilter::default()).await.unwrap();
    let counts: Vec<_> = groups.iter().map(|dead| (dead.endpoint.as_str(), dead.count)).collect();
    assert_eq!(counts, [("a", 2), ("b", 1)]);
    assert!(is_whole && groups[0].reason == DeadReason::Exhausted);
    let only = DeliveryFilter { endpoint: Some("b".to_owned()), ..DeliveryFilter::default() };
    assert_eq!(summary(&store, &only).await.unwrap().0.len(), 1);
}
