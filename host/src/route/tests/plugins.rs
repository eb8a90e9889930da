//! What plugins do to a plan: the shipped ones, and the evil one.

use super::plan::PLAN_ATTEMPTS_MAX;
use super::*;
use crate::plugin::deploy::{Digest, Ground, Slot, Version};
use crate::plugin::engine::Engine;
use crate::plugin::permission::Permissions;
use crate::plugin::registry::{OnError, Options, Plugin};
use crate::plugin::tests::{component, generous};
use livekit_webhook_core::delivery::DeadReason;
use std::sync::LazyLock;

static ENGINE: LazyLock<Engine> = LazyLock::new(|| Engine::new().unwrap());

const SIP: &str = include_str!("../../../../plugins/redact/fixtures/participant_joined-sip.json");
const SIP_REDACTED: &str =
    include_str!("../../../../plugins/redact/fixtures/participant_joined-sip.redacted.json");

async fn plugin(name: &str, on_error: OnError, stage: &Ground) -> Arc<Slot> {
    loaded(name, Options { on_error: Some(on_error), ..Options::default() }, stage).await
}

/// One with these options, and limits at which a busy machine does not stop it.
pub async fn loaded(name: &str, options: Options, stage: &Ground) -> Arc<Slot> {
    let options = Options { limits: generous(), ..options };
    let wasm = component(name);
    let digest = Digest::of(&wasm);
    let plugin = Plugin::load(&ENGINE, name, wasm, options.clone()).await.unwrap();
    let version = Version::new(plugin, digest, Permissions::default(), options, later(0));
    Arc::new(Slot::new(name, Arc::new(version), stage.clone()))
}

/// Of slots whose time stands still.
pub fn ground() -> Ground {
    Ground {
        clock: Arc::new(ManualClock::at(later(1_000))),
        metrics: Arc::new(Metrics::new()),
        tasks: Tasks::new(),
        bell: Bell::new(),
        folder: "/dev/null/none".into(),
    }
}

async fn through(endpoint: &str, plugins: &[(&str, OnError)]) -> Subscriber {
    let mut subscriber = subscriber(endpoint, &[], &[]);
    for (name, on_error) in plugins {
        subscriber.chain.push(plugin(name, *on_error, &ground()).await);
    }
    subscriber
}

/// An event whose room tells `evil` what to do.
fn in_room(number: u32, room: &str) -> NewEvent {
    let body = format!(r#"{{"event":"room_started","room":{{"name":"{room}"}}}}"#);
    NewEvent { room: Some(room.to_owned()), body: body.into(), ..event(number) }
}

#[tokio::test]
async fn a_changed_body_is_sent_to_whom_the_plugin_serves_only() {
    let redacted = through("a", &[("redact", OnError::Fail)]).await;
    let stage = stage(vec![redacted, subscriber("b", &[], &[])]);
    stage.append(NewEvent { body: SIP.into(), ..event(1) }).await;
    stage.round().await.unwrap();
    assert_eq!(stage.body("a").await, SIP_REDACTED);
    assert_eq!(stage.body("b").await, SIP);
    let stored = stage.store.event(event(1).id).await.unwrap().unwrap();
    assert_eq!(stored.event.body, SIP, "what was received stays as it is");
}

#[tokio::test]
async fn a_fault_follows_the_policy() {
    for (room, fault) in [("evil:reject", "rejects the event"), ("evil:trap", "trapped")] {
        let chains = [("fail", OnError::Fail), ("pass", OnError::Pass), ("drop", OnError::Drop)];
        let mut subscribers = vec![subscriber("beside", &[], &[])];
        for (endpoint, on_error) in chains {
            subscribers.push(through(endpoint, &[("evil", on_error)]).await);
        }
        let stage = stage(subscribers);
        stage.append(in_room(1, room)).await;
        assert_eq!(stage.round().await.unwrap(), 1);
        if room == "evil:trap" {
            // A fault may pass: the one endpoint is planned again, twice.
            assert_eq!(stage.endpoints(1).await, ["beside", "pass"]);
            for _ in 0..2 {
                stage.clock.advance(5_000);
                assert_eq!(stage.round().await.unwrap(), 1);
            }
        }
        let found = stage.deliveries(1).await;
        let states: Vec<_> = found.iter().map(|one| (one.endpoint.as_str(), one.state)).collect();
        let dead = State::Dead(DeadReason::Plugin);
        let expect = [("beside", State::Pending), ("fail", dead), ("pass", State::Pending)];
        assert_eq!(states, expect, "{room}");
        let note = found[1].note.as_deref().unwrap();
        assert!(note.starts_with("evil: ") && note.contains(fault), "{note}");
        assert_eq!(stage.body("pass").await, in_room(1, room).body);
        let (plan, note) = stage.plan(1).await;
        let note = note.unwrap();
        assert_eq!(plan, PlanState::Planned);
        assert!(note.contains("fail: evil: "), "{note}");
        assert!(room == "evil:trap" || note.contains("drop: evil: "), "{note}");
    }
}

#[tokio::test]
async fn a_filter_and_a_route_drop_with_a_note() {
    let stage = stage(vec![
        through("billing", &[("evil", OnError::Fail)]).await,
        through("elsewhere", &[("evil", OnError::Fail)]).await,
    ]);
    stage.append(in_room(1, "evil:refused")).await;
    stage.append(in_room(2, "evil:route")).await;
    stage.round().await.unwrap();
    assert_eq!(stage.deliveries(1).await, []);
    let note = stage.plan(1).await.1.unwrap();
    assert_eq!(note, "billing: evil filtered it out; elsewhere: evil filtered it out");
    assert_eq!(stage.endpoints(2).await, ["billing"]);
    assert_eq!(stage.plan(2).await.1.unwrap(), "elsewhere: evil routed it elsewhere");
    assert_eq!(stage.body("billing").await, r#"{"calls":1}"#);
}

#[tokio::test]
async fn a_plugin_may_ask_to_be_tried_again_so_many_times() {
    let stage =
        stage(vec![subscriber("beside", &[], &[]), through("a", &[("evil", OnError::Pass)]).await]);
    stage.append(in_room(1, "evil:retry")).await;
    for attempt in 1..PLAN_ATTEMPTS_MAX {
        assert_eq!(stage.round().await.unwrap(), 1, "{attempt}");
        let stored = stage.store.event(event(1).id).await.unwrap().unwrap();
        assert_eq!((stored.plan, stored.plan_attempts), (PlanState::Unplanned, attempt));
        // The endpoint beside is owed its delivery at once, and once.
        assert_eq!(stage.endpoints(1).await, ["beside"]);
        stage.clock.advance(1_499);
        assert_eq!(stage.round().await.unwrap(), 0, "not before it asked for");
        stage.clock.advance(1);
    }
    assert_eq!(stage.round().await.unwrap(), 1);
    let found = stage.deliveries(1).await;
    let [a, beside] = &found[..] else { panic!("{found:?}") };
    assert_eq!((a.endpoint.as_str(), a.state), ("a", State::Dead(DeadReason::Plugin)));
    assert!(a.note.as_deref().unwrap().contains("asks to be tried again"));
    assert_eq!((beside.endpoint.as_str(), beside.state), ("beside", State::Pending));
}

#[tokio::test]
async fn webhook_ids_are_the_same_when_planned_again() {
    let stage =
        stage(vec![through("a", &[("redact", OnError::Fail)]).await, subscriber("b", &[], &[])]);
    stage.append(NewEvent { body: SIP.into(), ..event(1) }).await;
    let stored = stage.store.event(event(1).id).await.unwrap().unwrap();
    let mut plans = Vec::new();
    for _ in 0..2 {
        let PlanNext::Planned { deliveries, .. } = stage.router.plan(&stored).await else {
            panic!("not planned");
        };
        let ids = deliveries.into_iter().map(|new| (new.endpoint, new.webhook_id, new.body));
        plans.push(ids.collect::<Vec<_>>());
        stage.clock.advance(60_000);
    }
    assert_eq!(plans[0], plans[1]);
    assert_eq!(plans[0][0].1, event(1).id.to_string());
}

#[tokio::test]
async fn too_many_events_of_one_are_a_fault() {
    let stage = stage(vec![through("a", &[("evil", OnError::Fail)]).await]);
    stage.append(in_room(1, "evil:drafts")).await;
    for _ in 0..3 {
        stage.round().await.unwrap();
        stage.clock.advance(5_000);
    }
    let found = stage.deliveries(1).await;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].state, State::Dead(DeadReason::Plugin));
    assert!(
        found[0].note.as_deref().unwrap().contains("a number of drafts"),
        "{:?}",
        found[0].note
    );
}

#[tokio::test]
async fn shares_side_by_side_lose_no_event() {
    let stage = stage(vec![through("a", &[("redact", OnError::Fail)]).await]);
    for number in 1..=9 {
        stage.append(in_room(number, &format!("room-{number}"))).await;
    }
    assert_eq!(stage.round().await.unwrap(), 9);
    for number in 1..=9 {
        let found = stage.deliveries(number).await;
        assert_eq!(found.len(), 1, "{number}");
        assert_eq!(found[0].webhook_id, event(number).id.to_string());
    }
}
