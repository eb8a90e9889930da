//! What every adapter must do, as one suite over [`Store`]. It is the port's specification: where a
//! doc comment of the port leaves room, a case here decides.
//!
//! Each case takes an empty store (two, when rows move from one to the other). Time is an argument,
//! so the suite never waits. What only one adapter can show (files, locks, kills) is tested beside
//! that adapter. Another crate runs the suite by [`run`] on stores it makes itself.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a suite of tests, which other crates can call because it is not under cfg(test)"
)]

use super::*;
use bytes::Bytes;
use livekit_webhook_core::attempt::Outcome;
use livekit_webhook_core::delivery::{Next, State};
use livekit_webhook_core::endpoint::DeliveryHeaders;
use livekit_webhook_core::rate::Rate;
use std::pin::Pin;
use std::sync::Arc;

mod append;
mod batches;
mod claim;
mod copy;
mod filters;
mod give_up;
mod health;
mod lanes;
mod model;
mod reads;
mod record;
mod replay;
mod retention;
mod secrets;
pub(crate) mod states;

/// The time of the first event of a test.
pub const START: Timestamp = Timestamp::from_millis(1_700_000_000_000);
/// The lease most tests take, in milliseconds.
pub const LEASE_MS: i64 = 30_000;
/// The dedupe window the suite expects the store to be opened with, in milliseconds.
pub const WINDOW_MS: i64 = 24 * 60 * 60 * 1_000;

/// A rule of the port.
pub struct Case {
    /// `module::function`.
    pub name: &'static str,
    story: Story,
}

type Told<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

enum Story {
    /// On an empty store.
    One(for<'a> fn(&'a dyn Store) -> Told<'a>),
    /// On two.
    Two(for<'a> fn(&'a dyn Store, &'a dyn Store) -> Told<'a>),
}

/// All cases, each on stores of its own, which `open` makes: empty, with a dedupe window of
/// [`WINDOW_MS`].
///
/// # Panics
/// When a store breaks a rule; the last name printed is the case.
pub async fn run(mut open: impl AsyncFnMut() -> Arc<dyn Store>) {
    for case in cases() {
        case.run(&mut open).await;
    }
}

// === impl Case ===

impl Case {
    /// This case alone.
    ///
    /// # Panics
    /// When the store breaks the rule.
    pub async fn run(&self, open: &mut impl AsyncFnMut() -> Arc<dyn Store>) {
        println!("{}", self.name);
        let store = open().await;
        match self.story {
            Story::One(story) => story(&*store).await,
            Story::Two(story) => {
                let other = open().await;
                story(&*store, &*other).await;
                is_whole(&*other).await;
                other.close().await.unwrap();
            }
        }
        is_whole(&*store).await;
        store.close().await.unwrap();
    }
}

/// Whatever a case did, the store agrees with itself. One that is closed, or cannot look, has a
/// case of its own.
async fn is_whole(store: &dyn Store) {
    if let Ok(findings) = store.check().await {
        assert_eq!(findings, []);
    }
}

/// All of them.
pub fn cases() -> Vec<Case> {
    macro_rules! one {
        ($($module:ident :: $story:ident),* $(,)?) => {
            vec![$(Case {
                name: stringify!($module::$story),
                story: Story::One(|store| Box::pin($module::$story(store))),
            }),*]
        };
    }
    macro_rules! two {
        ($($module:ident :: $story:ident),* $(,)?) => {
            [$(Case {
                name: stringify!($module::$story),
                story: Story::Two(|store, other| Box::pin($module::$story(store, other))),
            }),*]
        };
    }
    let mut cases = one![
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
        reads::oldest,
        append::sequences_count_in_each_lane,
        append::sequences_of_many_at_once,
        batches::without_batching_each_goes_alone,
        batches::a_batch_goes_when_its_oldest_is_due,
        batches::a_full_batch_does_not_wait,
        batches::only_those_near_fill_a_batch,
        batches::the_oldest_fill_a_batch,
        batches::a_batch_is_one_request,
        batches::a_batch_takes_one_of_the_rate,
        batches::the_bytes_of_a_batch_have_a_limit,
        batches::a_batch_is_tried_again_whole,
        batches::one_that_failed_alone_goes_when_it_is_due,
        batches::what_was_bound_goes_alone_without_batching,
        batches::a_batch_has_the_heads_of_lanes,
        batches::a_probe_may_be_a_batch,
        claim::in_flight_is_counted_over_all_claims,
        claim::rate_is_shared_by_all_claims,
        claim::a_rate_is_not_charged_for_nothing,
        claim::next_at,
        claim::next_at_with_no_place_in_flight,
        copy::an_empty_store_has_nothing_to_copy,
        copy::bytes_of_a_page_have_a_limit,
        copy::a_whole_store_has_no_findings,
        filters::of_events,
        filters::of_deliveries,
        filters::pages_have_limits,
        give_up::of_an_endpoint,
        give_up::of_a_replay,
        give_up::of_one,
        give_up::a_late_record_does_not_bring_it_back,
        give_up::lanes_go_on,
        health::compare_and_set,
        health::a_closed_gate_lets_nothing_through,
        health::a_pause_is_only_part_of_next_at,
        health::a_probe_is_one_at_a_time,
        lanes::only_the_head_goes,
        lanes::lanes_do_not_wait_for_each_other,
        lanes::sources_have_lanes_of_their_own,
        lanes::the_first_is_waited_for,
        lanes::parts_of_an_event_go_by_id,
        lanes::an_event_without_a_plan_holds_its_lane,
        lanes::without_a_lane_nothing_waits,
        lanes::a_lane_goes_on_without_what_leaves_it,
        model::seed_1,
        model::seed_2,
        model::seed_3,
        states::set_get_and_delete,
        states::every_change_makes_another_version,
        states::a_swap_needs_what_it_expects,
        states::of_concurrent_swaps_one_wins,
        states::no_version_comes_twice,
        states::add_counts_what_many_add,
        states::add_keeps_the_time_of_a_key,
        states::only_numbers_are_added_to,
        states::what_is_over_is_gone,
        states::what_is_over_frees_its_room,
        states::a_full_space_is_refused,
        states::lengths_have_limits,
        states::spaces_are_apart,
        states::keys_in_the_order_of_their_bytes,
        states::keys_by_page,
        states::values_are_any_bytes,
        states::retention_removes_what_is_over,
        replay::kept_as_created,
        replay::a_step_plans_and_moves_on,
        replay::a_step_leaves_out_what_is_gone,
        replay::only_what_runs_goes_on,
        replay::a_replay_has_lanes_of_its_own,
        replay::candidates_in_order_of_arrival,
        replay::one_that_comes_late_to_its_lane_waits,
        retention::each_kind_has_its_age,
        retention::an_event_goes_after_its_deliveries,
        retention::steps_have_a_limit,
        retention::sequences_are_never_used_twice,
        retention::a_lane_that_is_not_used_begins_again,
        retention::size_follows_what_is_stored,
        retention::size_has_a_limit,
        secrets::newest_first,
        secrets::replaced_and_removed,
    ];
    cases.extend(two![
        copy::a_copy_has_the_same_rows,
        copy::a_copy_can_be_begun_again,
        copy::a_copy_goes_on,
        copy::versions_go_on,
        copy::pages_have_a_limit,
    ]);
    cases
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

/// Event number `number` in lane `key`.
pub fn laned(number: u32, key: &str) -> NewEvent {
    NewEvent { lane: Some(key.to_owned()), ..event(number) }
}

/// Delivery number `number` in the lane of events of lane `key`.
pub fn in_lane(number: u32, endpoint: &str, key: &str) -> NewDelivery {
    NewDelivery { lane: Some(lane(None, "prod", key)), ..delivery(number, endpoint) }
}

/// The number of a delivery of [`delivery`].
pub fn number(id: DeliveryId) -> u32 {
    let [.., a, b, c, d] = id.to_bytes();
    u32::from_be_bytes([a, b, c, d])
}

/// The numbers of what was claimed, as it came.
pub fn numbers(claims: &[Claim<DueDelivery>]) -> Vec<u32> {
    claims.iter().map(|claim| number(claim.item.delivery.id)).collect()
}

/// The numbers of what was claimed, where the order does not matter.
pub fn sorted(claims: &[Claim<DueDelivery>]) -> Vec<u32> {
    let mut numbers = numbers(claims);
    numbers.sort_unstable();
    numbers
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
        headers: DeliveryHeaders::default(),
        due_at: START,
        state: State::Pending,
        note: None,
    }
}

/// What attributes may have made of a delivery's head.
pub fn headers() -> DeliveryHeaders {
    "ce-id: EV_1\nce-type: a: \\x'\"%2C".parse().unwrap()
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
            timings: Timings::default(),
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
