//! What all hosts know of an endpoint, and what it means for claims.

use super::*;
use livekit_webhook_core::health::{Breaker, Disabled, DisabledReason, Failing, Health};

fn endpoint_health(endpoint: &str, health: Health, version: u64) -> EndpointHealth {
    EndpointHealth { endpoint: endpoint.to_owned(), health, version }
}

fn open_until(millis: i64) -> Health {
    let breaker = Breaker::Open { until: later(millis), periods: 1, successes: 0 };
    Health { breaker, ..Health::default() }
}

async fn write(store: &dyn Store, health: Health, version: u64) {
    let recorded = store.record_health(endpoint_health("a", health, version)).await.unwrap();
    assert_eq!(recorded, Recorded::Done);
}

pub async fn compare_and_set(store: &dyn Store) {
    assert_eq!(store.healths().await.unwrap(), []);
    let full = Health {
        breaker: Breaker::Open { until: later(7), periods: 3, successes: 1 },
        paused_until: Some(later(8)),
        disabled: Some(Disabled { reason: DisabledReason::Failing, at: later(9) }),
        failing: Some(Failing { since: later(1), last: later(2), attempts: 21 }),
    };
    let ahead = endpoint_health("a", full.clone(), 1);
    assert_eq!(store.record_health(ahead).await.unwrap(), Recorded::Stale);
    write(store, full.clone(), 0).await;
    let again = endpoint_health("a", Health::default(), 0);
    assert_eq!(store.record_health(again).await.unwrap(), Recorded::Stale);
    let other = endpoint_health("b", Health::default(), 0);
    assert_eq!(store.record_health(other).await.unwrap(), Recorded::Done);
    let found = store.healths().await.unwrap();
    let expect = [endpoint_health("a", full, 1), endpoint_health("b", Health::default(), 1)];
    assert_eq!(found, expect);
    for (version, reason) in [(1, DisabledReason::Gone), (2, DisabledReason::Operator)] {
        let disabled = Some(Disabled { reason, at: later(9) });
        write(store, Health { disabled, ..Health::default() }, version).await;
    }
    assert_eq!(store.healths().await.unwrap()[0].version, 3);
}

pub async fn a_closed_gate_lets_nothing_through(store: &dyn Store) {
    planned(store, 1, vec![delivery(1, "a"), delivery(2, "b")]).await;
    let none_until = async |now, next_at| {
        let due = store.claim_due(now, LEASE_MS, vec![quota("a", 9)]).await.unwrap();
        assert_eq!(due, Due { claims: vec![], next_at });
    };
    write(store, open_until(5_000), 0).await;
    none_until(later(4_999), Some(later(5_000))).await;
    let paused = Health { paused_until: Some(later(8_000)), ..open_until(5_000) };
    write(store, paused, 1).await;
    none_until(later(6_000), Some(later(8_000))).await;
    let disabled = Some(Disabled { reason: DisabledReason::Operator, at: START });
    write(store, Health { disabled, ..Health::default() }, 2).await;
    none_until(later(999_999), None).await;
    // Others go on.
    assert_eq!(numbers(&claim_due(store, later(1), "b", 9).await), [2]);
    write(store, Health::default(), 3).await;
    assert_eq!(numbers(&claim_due(store, later(1), "a", 9).await), [1]);
}

/// Without anything owed there is nothing to look for when the pause ends; what falls due after it
/// decides.
pub async fn a_pause_is_only_part_of_next_at(store: &dyn Store) {
    write(store, Health { paused_until: Some(later(500)), ..Health::default() }, 0).await;
    let quotas = || vec![quota("a", 9)];
    let due = store.claim_due(later(0), LEASE_MS, quotas()).await.unwrap();
    assert_eq!(due, Due::default());
    planned(store, 1, vec![NewDelivery { due_at: later(900), ..delivery(1, "a") }]).await;
    let due = store.claim_due(later(0), LEASE_MS, quotas()).await.unwrap();
    assert_eq!(due.next_at, Some(later(900)));
}

pub async fn a_probe_is_one_at_a_time(store: &dyn Store) {
    planned(store, 1, (1..=5).map(|number| delivery(number, "a")).collect()).await;
    let under_way = claim_due(store, later(0), "a", 1).await;
    assert_eq!(numbers(&under_way), [1]);
    write(store, open_until(1_000), 0).await;
    // What is under way counts.
    let due = store.claim_due(later(1_000), LEASE_MS, vec![quota("a", 9)]).await.unwrap();
    assert_eq!(due, Due::default());
    record(store, later(1_000), result(&under_way[0], 200, Next::Delivered)).await;
    let probe = claim_due(store, later(1_000), "a", 9).await;
    assert_eq!(numbers(&probe), [2]);
    assert_eq!(claim_due(store, later(1_001), "a", 9).await, []);
    record(store, later(1_002), result(&probe[0], 200, Next::Delivered)).await;
    write(store, Health::default(), 1).await;
    assert_eq!(numbers(&claim_due(store, later(1_002), "a", 9).await), [3, 4, 5]);
}
