//! From one store to another.

use super::states::set;
use super::*;
use limits::CLAIM_MAX;
use livekit_webhook_core::health::{Breaker, Health};

/// All that is stored, in the order of the export.
pub async fn exported(store: &dyn Store) -> Vec<Record> {
    let mut all = Vec::new();
    let mut after = None;
    for _ in 0..1_000 {
        let (page, next) = store.export(after).await.unwrap();
        assert!(page.len() <= CLAIM_MAX, "{} rows", page.len());
        all.extend(page);
        after = next;
        if after.is_none() {
            return all;
        }
    }
    assert_eq!(after, None, "the pages have no end");
    all
}

/// The same rows, in whatever order.
pub async fn assert_same(store: &dyn Store, other: &dyn Store) {
    let words = |records: Vec<Record>| -> Vec<String> {
        let mut words: Vec<_> = records.iter().map(|record| format!("{record:?}")).collect();
        words.sort_unstable();
        words
    };
    let (one, two) = (words(exported(store).await), words(exported(other).await));
    let only = |one: &[String], two: &[String]| -> Vec<String> {
        one.iter().filter(|word| two.binary_search(word).is_err()).cloned().collect()
    };
    assert_eq!(only(&one, &two), only(&two, &one), "left: only here, right: only there");
    assert_eq!(one.len(), two.len());
}

/// Something of everything, in every state.
async fn fill(store: &dyn Store) {
    for number in 1..=4 {
        store.append(laned(number, "r")).await.unwrap();
    }
    let claims = store.claim_unplanned(later(9), 1, 9).await.unwrap();
    let own = NewDelivery {
        body: Some(Bytes::from_static(b"the plugin's")),
        state: State::Dead(DeadReason::Plugin),
        note: Some("trapped".to_owned()),
        headers: headers(),
        ..delivery(2, "b")
    };
    let deliveries = vec![in_lane(1, "a", "r"), own];
    let again = PlanNext::Again {
        at: later(500),
        note: "busy".to_owned(),
        deliveries: vec![in_lane(3, "a", "r")],
        settled: vec!["a".to_owned(), "c".to_owned()],
    };
    let again = Plan { event: claims[1].item.event.id, fence: claims[1].fence, next: again };
    let third = plan(&claims[2], vec![in_lane(4, "a", "r"), delivery(5, "c")]);
    let plans = vec![plan(&claims[0], deliveries), again, third];
    store.record_plans(later(10), plans).await.unwrap();
    let of_a = claim_due(store, later(11), "a", 9).await;
    let failed = result(&of_a[0], 503, Next::RetryAt(later(40)));
    record(store, later(12), AttemptResult { note: Some("busy".to_owned()), ..failed }).await;
    let of_a = claim_due(store, later(40), "a", 9).await;
    record(store, later(41), result(&of_a[0], 200, Next::Delivered)).await;
    let of_c = claim_due(store, later(41), "c", 9).await;
    let batch = Some(livekit_webhook_core::batch::BatchId([7; 16]));
    let bound = AttemptResult { batch, ..result(&of_c[0], 500, Next::RetryAt(later(90))) };
    record(store, later(42), bound).await;
    let body = Bytes::from_static(b"another");
    let conflict =
        NewEvent { id: event(6).id, body_sha256: fake_hash(&body), body, ..laned(1, "r") };
    store.append(conflict).await.unwrap();
    super::replay::created(store, 1).await;
    let step = super::replay::step(1, vec![super::replay::again(11, 2, "b")]);
    store.record_replay(later(50), step).await.unwrap();
    let item = Quarantined {
        id: event(7).id,
        source: Some("prod".to_owned()),
        reason: "body_too_large".to_owned(),
        received_at: later(7),
        body: Bytes::from_static(b"{"),
    };
    store.quarantine(item).await.unwrap();
    let breaker = Breaker::Open { until: later(60), periods: 2, successes: 1 };
    let health = Health { breaker, ..Health::default() };
    for version in 0..3 {
        let (endpoint, health) = ("a".to_owned(), health.clone());
        store.record_health(EndpointHealth { endpoint, health, version }).await.unwrap();
    }
    let secret = SealedSecret {
        id: SecretId::new(START.as_millis(), 1),
        endpoint: "a".to_owned(),
        key_id: "k1".to_owned(),
        sealed: Bytes::from_static(b"\x00\xff"),
        created_at: later(1),
        expires_at: Some(later(2)),
    };
    store.put_secret(secret).await.unwrap();
    super::states::fill(store).await;
}

pub async fn an_empty_store_has_nothing_to_copy(store: &dyn Store) {
    assert_eq!(store.export(None).await.unwrap(), (Vec::new(), None));
    assert_eq!(store.import(Vec::new()).await.unwrap(), 0);
}

pub async fn a_whole_store_has_no_findings(store: &dyn Store) {
    assert_eq!(store.check().await.unwrap(), []);
    fill(store).await;
    assert_eq!(store.check().await.unwrap(), []);
    let before = exported(store).await;
    store.vacuum().await.unwrap();
    assert_eq!(exported(store).await, before);
}

pub async fn a_copy_has_the_same_rows(store: &dyn Store, other: &dyn Store) {
    fill(store).await;
    let records = exported(store).await;
    assert_eq!(other.import(records.clone()).await.unwrap(), records.len() as u64);
    assert_same(store, other).await;
    assert_eq!(store.depth().await.unwrap(), other.depth().await.unwrap());
    let filter = DeliveryFilter { limit: 99, ..DeliveryFilter::default() };
    let deliveries = store.deliveries(filter.clone()).await.unwrap();
    assert_eq!(other.deliveries(filter).await.unwrap(), deliveries);
    for delivery in deliveries {
        let attempts = store.attempts(delivery.id).await.unwrap();
        assert_eq!(other.attempts(delivery.id).await.unwrap(), attempts);
    }
    assert_eq!(other.healths().await.unwrap(), store.healths().await.unwrap());
    assert_eq!(other.replays(9).await.unwrap(), store.replays(9).await.unwrap());
    assert_eq!(other.secrets().await.unwrap(), store.secrets().await.unwrap());
    assert_eq!(other.quarantined(9).await.unwrap(), store.quarantined(9).await.unwrap());
}

/// A copy that was broken off is begun again; what is here is left as it is.
pub async fn a_copy_can_be_begun_again(store: &dyn Store, other: &dyn Store) {
    fill(store).await;
    let records = exported(store).await;
    let half = records.len() / 2;
    assert_eq!(other.import(records[..half].to_vec()).await.unwrap(), half as u64);
    let rest = (records.len() - half) as u64;
    assert_eq!(other.import(records.clone()).await.unwrap(), rest);
    assert_eq!(other.import(records.clone()).await.unwrap(), 0);
    assert_same(store, other).await;
    // What went on here is not put back.
    let claims = claim_due(other, later(900), "c", 9).await;
    record(other, later(901), result(&claims[0], 200, Next::Delivered)).await;
    assert_eq!(other.import(records).await.unwrap(), 0);
    let id = claims[0].item.delivery.id;
    assert_eq!(stored(other, id).await.state, State::Delivered);
    assert_eq!(other.attempts(id).await.unwrap().len(), 2);
}

/// What was under way there goes on here.
pub async fn a_copy_goes_on(store: &dyn Store, other: &dyn Store) {
    fill(store).await;
    other.import(exported(store).await).await.unwrap();
    // A known event is known, a lane counts on.
    let again = NewEvent { id: event(21).id, ..laned(1, "r") };
    assert_eq!(other.append(again).await.unwrap(), Appended::Duplicate { of: event(1).id });
    other.append(laned(22, "r")).await.unwrap();
    assert_eq!(other.event(event(22).id).await.unwrap().unwrap().sequence, Some(5));
    let unplanned = other.claim_unplanned(later(600), LEASE_MS, 9).await.unwrap();
    let ids: Vec<_> = unplanned.iter().map(|claim| claim.item.event.id).collect();
    assert_eq!(ids, [4, 22, 2].map(|number| event(number).id));
    assert_eq!(unplanned[2].item.settled, ["a", "c"]);
    let of_a = claim_due(other, later(600), "a", 9).await;
    assert_eq!(numbers(&of_a), [3]);
    record(other, later(601), result(&of_a[0], 200, Next::Delivered)).await;
    assert_eq!(numbers(&claim_due(other, later(601), "a", 9).await), [4]);
    let of_b = claim_due(other, later(601), "b", 9).await;
    assert_eq!(of_b[0].item.body, Bytes::from_static(b"the plugin's"));
    let health = EndpointHealth { version: 3, ..other.healths().await.unwrap().remove(0) };
    assert_eq!(other.record_health(health).await.unwrap(), Recorded::Done);
}

pub async fn versions_go_on(store: &dyn Store, other: &dyn Store) {
    for number in 0..5 {
        store.change_plugin_state(START, set("k", &[number])).await.unwrap();
    }
    other.change_plugin_state(START, set("other", b"")).await.unwrap();
    other.import(exported(store).await).await.unwrap();
    let changed = other.change_plugin_state(START, set("new", b"")).await.unwrap();
    assert_eq!(changed, plugin_state::Changed::Set(6));
}

pub async fn pages_have_a_limit(store: &dyn Store, other: &dyn Store) {
    let count = CLAIM_MAX as u32 + 9;
    let deliveries = (1..=count).map(|number| delivery(number, "a"));
    planned(store, 1, deliveries.collect()).await;
    let mut after = None;
    let mut pages = 0;
    loop {
        let (page, next) = store.export(after).await.unwrap();
        other.import(page).await.unwrap();
        after = next;
        pages += 1;
        if after.is_none() {
            break;
        }
    }
    assert!(pages > 1);
    assert_eq!(other.depth().await.unwrap().pending, u64::from(count));
    assert_same(store, other).await;
}

/// A page of large bodies is short.
pub async fn bytes_of_a_page_have_a_limit(store: &dyn Store) {
    let large = |number: u32| {
        let body = Bytes::from(vec![b' '; limits::CLAIM_BYTES_MAX / 2]);
        NewEvent { body_sha256: [number as u8; 32], body, ..event(number) }
    };
    for number in 1..=3 {
        store.append(large(number)).await.unwrap();
    }
    let (page, next) = store.export(None).await.unwrap();
    assert_eq!(page.len(), 2);
    let (page, _) = store.export(next).await.unwrap();
    assert_eq!(page.len(), 1);
}
