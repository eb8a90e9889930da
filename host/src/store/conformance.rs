//! What every adapter must do, as one suite over `&dyn Store`.
//!
//! Each function takes an empty store. Time is an argument, so the suite never waits. What only one
//! adapter can show (files, locks, kills) is tested beside that adapter.

use super::*;
use bytes::Bytes;
use livekit_webhook_core::attempt::Outcome;
use livekit_webhook_core::delivery::{DeadReason, Next, State};

mod append;
mod claim;
mod reads;
mod record;

/// The time of the first event of a test.
pub const START: Timestamp = Timestamp::from_millis(1_700_000_000_000);
/// The lease most tests take, in milliseconds.
pub const LEASE_MS: i64 = 30_000;
/// The dedupe window the suite expects the store to be opened with, in milliseconds.
pub const WINDOW_MS: i64 = 24 * 60 * 60 * 1_000;

/// A story: its name, for the message when it fails, and what happens.
type Story<'a> = (&'static str, std::pin::Pin<Box<dyn Future<Output = ()> + Send + 'a>>);

/// All stories, each on a store of its own.
pub async fn run<S: Store>(mut open: impl FnMut() -> S) {
    let stores: Vec<S> = (0..stories(&open()).len()).map(|_| open()).collect();
    for (index, store) in stores.iter().enumerate() {
        let Some((name, story)) = stories(store).into_iter().nth(index) else {
            return;
        };
        println!("{name}");
        story.await;
        store.close().await.unwrap();
    }
}

fn stories(store: &dyn Store) -> Vec<Story<'_>> {
    macro_rules! list {
        ($($module:ident :: $story:ident),* $(,)?) => {
            vec![$((stringify!($module::$story), Box::pin($module::$story(store)))),*]
        };
    }
    list![
        append::new_duplicate_and_conflict,
        append::the_window_ends,
        append::sources_are_apart,
        append::many_at_once,
        append::quarantine,
        claim::unplanned_oldest_first,
        claim::a_lease_ends,
        claim::released,
        claim::due_by_quota_in_order,
        claim::a_claim_steps_over_the_leased,
        claim::bodies_of_one_claim_have_a_limit,
        reads::pending_by_endpoint,
        record::a_plan_is_whole,
        record::plan_again,
        record::a_stale_plan_changes_nothing,
        record::delivered_after_retries,
        record::dead,
        record::a_stale_record_changes_nothing,
        record::a_late_record_counts,
        record::without_an_attempt,
        reads::events_by_page,
        reads::deliveries_by_filter,
        reads::depth_follows,
        reads::closed,
    ]
}

/// Event number `number`, one millisecond after the one before it.
pub fn event(number: u32) -> NewEvent {
    let received_at = START.plus_millis(number.into());
    let body = Bytes::from(format!("{{\"event\":\"room_started\",\"number\":{number}}}"));
    NewEvent {
        id: EventId::new(received_at.as_millis(), number.into()),
        source: "prod".to_owned(),
        dedupe_key: format!("EV_{number}"),
        kind: "room_started".to_owned(),
        room: Some(format!("room-{number}")),
        lane: None,
        created_at: Some(START),
        received_at,
        api_key: "APIabc".to_owned(),
        body_sha256: fake_hash(&body),
        body,
    }
}

/// Any function of the body will do: the store compares, it does not compute.
pub fn fake_hash(body: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    body.iter()
        .enumerate()
        .for_each(|(index, byte)| hash[index % 32] ^= byte.rotate_left(index as u32 / 32));
    hash
}

/// Delivery number `number` to `endpoint`, due as soon as it is planned.
pub fn delivery(number: u32, endpoint: &str) -> NewDelivery {
    NewDelivery {
        lane: None,
        id: DeliveryId::new(START.as_millis() + i64::from(number), number.into()),
        endpoint: endpoint.to_owned(),
        webhook_id: format!("wh_{number}"),
        kind: "room_started".to_owned(),
        body: None,
        due_at: START,
        state: State::Pending,
        note: None,
    }
}

/// Appends an event and gives it these deliveries.
pub async fn planned(store: &dyn Store, number: u32, deliveries: Vec<NewDelivery>) {
    assert_eq!(store.append(event(number)).await.unwrap(), Appended::Stored);
    let claim = claim_event(store).await;
    let plan = plan(&claim, deliveries);
    assert_eq!(store.record_plans(START, vec![plan]).await.unwrap(), [Recorded::Done]);
}

/// The one event that waits.
pub async fn claim_event(store: &dyn Store) -> Claim<StoredEvent> {
    let mut claims = store.claim_unplanned(later(60_000), LEASE_MS, 10).await.unwrap();
    assert_eq!(claims.len(), 1);
    claims.remove(0)
}

/// A plan for a claimed event.
pub fn plan(claim: &Claim<StoredEvent>, deliveries: Vec<NewDelivery>) -> Plan {
    let next = PlanNext::Planned { deliveries, note: None };
    Plan { event: claim.item.event.id, fence: claim.fence, next }
}

/// Up to `slots` deliveries of `endpoint` that are due at `now`.
pub async fn claim_due(
    store: &dyn Store,
    now: Timestamp,
    endpoint: &str,
    slots: usize,
) -> Vec<Claim<DueDelivery>> {
    store.claim_due(now, LEASE_MS, vec![quota(endpoint, slots)]).await.unwrap().claims
}

/// The result of a claimed delivery's attempt, answered with `status`.
pub fn result(claim: &Claim<DueDelivery>, status: u16, next: Next) -> AttemptResult {
    let number = claim.item.delivery.attempts + 1;
    let outcome = Outcome::Answered { status, retry_after_ms: None };
    AttemptResult {
        delivery: claim.item.delivery.id,
        fence: claim.fence,
        batch: None,
        leaves_lane: false,
        attempt: Some(AttemptRecord {
            timings: crate::store::Timings::default(),
            host: None,
            request_headers: String::new(),
            response_headers: String::new(),
            number,
            started_at: START,
            duration_ms: 12,
            outcome,
            address: Some("192.0.2.1:443".to_owned()),
            response_start: Bytes::from_static(b"ok"),
            error: None,
        }),
        next,
        note: None,
    }
}

/// Records one result.
pub async fn record(store: &dyn Store, now: Timestamp, result: AttemptResult) -> Recorded {
    let recorded = store.record_attempts(now, vec![result]).await.unwrap();
    assert_eq!(recorded.len(), 1);
    recorded[0]
}

/// The delivery as stored.
pub async fn stored(store: &dyn Store, id: DeliveryId) -> StoredDelivery {
    let filter = DeliveryFilter { limit: 1_000, ..DeliveryFilter::default() };
    let all = store.deliveries(filter).await.unwrap();
    all.into_iter().find(|delivery| delivery.id == id).unwrap()
}

/// `millis` after the start.
pub fn later(millis: i64) -> Timestamp {
    START.plus_millis(millis)
}

/// A reason to be dead.
pub const DEAD: Next = Next::Dead(DeadReason::Exhausted);

/// Places for `slots` requests, nothing else limited.
pub fn quota(endpoint: &str, slots: usize) -> Quota {
    let endpoint = endpoint.to_owned();
    Quota { endpoint, slots, in_flight_max: 1_000, rate: None, batching: None }
}
