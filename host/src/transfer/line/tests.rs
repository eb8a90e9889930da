//! Every kind of row, with everything that may be in it, to a line and back.

use super::*;
use crate::store::plugin_state::{Entry, Space, Stored};
use crate::store::{
    AttemptRecord, EndpointHealth, NewEvent, PlanState, Quarantined, ReplayState, SealedSecret,
    StoredDelivery, StoredReplay, Timings,
};
use livekit_webhook_core::attempt::{ErrorClass, Outcome};
use livekit_webhook_core::batch::BatchId;
use livekit_webhook_core::delivery::{DeadReason, State};
use livekit_webhook_core::endpoint::DeliveryHeaders;
use livekit_webhook_core::health::{Breaker, Disabled, DisabledReason, Failing, Health};
use livekit_webhook_core::id::{DeliveryId, EventId, ReplayId, SecretId};
use livekit_webhook_core::replay::{ReplayStatus, Selection};
use livekit_webhook_core::time::Timestamp;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

#[track_caller]
fn check(record: &Record) {
    let text = serde_json::to_string(&line(record)).unwrap();
    assert!(!text.contains('\n'));
    let read: Line = serde_json::from_str(&text).unwrap();
    assert_eq!(super::record(read).unwrap().as_ref(), Some(record), "{text}");
}

fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[test]
fn events_and_quarantined_bodies() {
    for (plan, some) in
        [(PlanState::Unplanned, true), (PlanState::Planned, false), (PlanState::Conflict, true)]
    {
        check(&Record::Event {
            event: NewEvent {
                id: EventId::new(1, 2),
                source: "prod".to_owned(),
                dedupe_key: "EV_1".to_owned(),
                kind: "room_started".to_owned(),
                room: text("a \u{1b} \"room\"").filter(|_| some),
                lane: text("lane").filter(|_| some),
                created_at: Some(at(-5)).filter(|_| some),
                received_at: at(i64::MAX),
                api_key: "APIabc".to_owned(),
                body: Bytes::from_static(&[0, 1, 254, 255]),
                body_sha256: [9; 32],
            },
            sequence: Some(i64::MAX).filter(|_| some),
            plan,
            plan_at: at(7),
            plan_attempts: 3,
            settled: vec!["a".to_owned(), "b".to_owned()],
            note: text("why").filter(|_| some),
        });
    }
    check(&Record::Quarantined(Quarantined {
        id: EventId::new(3, 4),
        source: None,
        reason: "body_too_large".to_owned(),
        received_at: at(1),
        body: Bytes::new(),
    }));
}

#[test]
fn deliveries_and_attempts() {
    let states = DeadReason::ALL.map(State::Dead);
    let headers: DeliveryHeaders = "ce-id: EV_1\nce-type: a: b".parse().unwrap();
    for (index, state) in states.into_iter().chain([State::Pending, State::Delivered]).enumerate() {
        let some = index % 2 == 0;
        check(&Record::Delivery {
            delivery: StoredDelivery {
                id: DeliveryId::new(1, 2),
                event: EventId::new(1, 2),
                endpoint: "billing".to_owned(),
                webhook_id: "evt_1".to_owned(),
                kind: "room_started".to_owned(),
                headers: if some { headers.clone() } else { DeliveryHeaders::default() },
                state,
                due_at: at(3),
                attempts: 10,
                lane: text("prod/r").filter(|_| some),
                sequence: Some(4).filter(|_| some),
                batch: Some(BatchId([200; 16])).filter(|_| some),
                replay: Some(ReplayId::new(5, 6)).filter(|_| some),
                created_at: at(1),
                updated_at: at(2),
                note: text("status 500").filter(|_| some),
            },
            body: Some(Bytes::from_static(b"{}")).filter(|_| some),
        });
    }
    let outcomes = ErrorClass::ALL.map(Outcome::Failed).into_iter().chain([
        Outcome::Answered { status: 200, retry_after_ms: None },
        Outcome::Answered { status: 503, retry_after_ms: Some(2_000) },
    ]);
    for outcome in outcomes {
        let some = matches!(outcome, Outcome::Answered { .. });
        let ms = Some(7).filter(|_| some);
        check(&Record::Attempt {
            delivery: DeliveryId::new(1, 2),
            attempt: AttemptRecord {
                number: 2,
                started_at: at(1),
                duration_ms: 15,
                outcome,
                timings: Timings { dns_ms: ms, connect_ms: ms, tls_ms: None, first_byte_ms: ms },
                address: text("192.0.2.1:443").filter(|_| some),
                host: text("web-1").filter(|_| some),
                request_headers: "a: b\nc: d".to_owned(),
                response_headers: String::new(),
                response_start: Bytes::from_static(b"\xff\x00"),
                error: text("status 503").filter(|_| some),
            },
        });
    }
}

#[test]
fn replays() {
    let empty = Selection::default();
    let whole = Selection {
        events: vec![EventId::new(1, 1)],
        since: Some(at(1)),
        until: Some(at(2)),
        kinds: vec!["room_*".parse().unwrap()],
        rooms: vec!["a*b".parse().unwrap()],
        source: text("prod"),
        endpoint: text("a"),
        status: Some(ReplayStatus::Dead),
        reason: Some(DeadReason::Gone),
        to: text("b"),
        include_succeeded: true,
    };
    let delivered = Selection { status: Some(ReplayStatus::Delivered), ..Selection::default() };
    for selection in [empty, whole, delivered] {
        for state in ReplayState::ALL {
            check(&Record::Replay(StoredReplay {
                id: ReplayId::new(1, 1),
                selection: selection.clone(),
                rate_milli: 50_000,
                created_at: at(1),
                updated_at: at(2),
                state,
                cursor: selection.events.first().copied(),
                planned: 3,
                skipped: 4,
                note: selection.to.clone(),
            }));
        }
    }
}

#[test]
fn what_belongs_to_endpoints() {
    let open = Breaker::Open { until: at(9), periods: 2, successes: 1 };
    let failing = Failing { since: at(1), last: at(2), attempts: 3 };
    for reason in DisabledReason::ALL {
        let health = Health {
            breaker: open,
            paused_until: Some(at(4)),
            disabled: Some(Disabled { reason, at: at(5) }),
            failing: Some(failing),
        };
        check(&Record::Health(EndpointHealth { endpoint: "a".to_owned(), health, version: 6 }));
    }
    let well = Health::default();
    check(&Record::Health(EndpointHealth { endpoint: "a".to_owned(), health: well, version: 1 }));
    for expires_at in [None, Some(at(7))] {
        check(&Record::Secret(SealedSecret {
            id: SecretId::new(1, 1),
            endpoint: "a".to_owned(),
            key_id: "k1".to_owned(),
            sealed: Bytes::from_static(&[1, 0, 255]),
            created_at: at(1),
            expires_at,
        }));
    }
    let (source, key) = ("prod".to_owned(), "r".to_owned());
    check(&Record::Lane { source, key, sequence: 9, used_at: at(8) });
}

#[test]
fn keys_of_plugins() {
    for expires_at in [None, Some(at(-1))] {
        let entry = Entry { value: Bytes::from_static(&[0, 255, 10]), version: u64::MAX };
        let space = Space { plugin: "session".to_owned(), source: "prod".to_owned() };
        let stored = Stored { entry, expires_at };
        check(&Record::PluginState { space, key: "a\n\0é".to_owned(), stored });
    }
}

#[test]
fn words_that_are_not_known_are_named() {
    let attempt = r#"{"type":"attempt","delivery":"dlv_00000000000000000000000001","number":1,
        "started_at_ms":1,"duration_ms":1,"status":null,"retry_after_ms":null,
        "error_class":"gremlins","error":null,"dns_ms":null,"connect_ms":null,"tls_ms":null,
        "first_byte_ms":null,"address":null,"host":null,"request_headers":"",
        "response_headers":"","response_start":""}"#;
    let read: Line = serde_json::from_str(attempt).unwrap();
    let wrong = super::record(read).unwrap_err();
    assert_eq!(wrong, "error_class = \"gremlins\" is not known to this binary");
    let id = attempt.replace("dlv_0", "dlv-0").replace("gremlins", "dns");
    let read: Line = serde_json::from_str(&id).unwrap();
    assert!(super::record(read).unwrap_err().contains("dlv-0"));
}
