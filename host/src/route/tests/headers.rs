//! What an endpoint gets of the attributes that plugins add.

use super::plugins::{ground, loaded};
use super::*;
use crate::plugin::registry::{OnError, Options};
use livekit_webhook_core::delivery::DeadReason;

/// To `endpoint`, which may get these attributes as headers, through plugins, each with its
/// configuration.
async fn allowed(endpoint: &str, patterns: &[&str], plugins: &[(&str, &str)]) -> Subscriber {
    let mut subscriber = subscriber(endpoint, &[], &[]);
    for pattern in patterns {
        subscriber.attribute_headers.allow(pattern).unwrap();
    }
    for (name, config) in plugins {
        let config = bytes::Bytes::copy_from_slice(config.as_bytes());
        let options = Options { config, on_error: Some(OnError::Pass), ..Options::default() };
        subscriber.chain.push(loaded(name, options, &ground()).await);
    }
    subscriber
}

const BINARY: &str = r#"{"mode":"binary","source":"/test"}"#;

fn in_room(number: u32, room: &str) -> NewEvent {
    let body = format!(r#"{{"event":"room_started","id":"EV_1","room":{{"name":"{room}"}}}}"#);
    NewEvent { room: Some(room.to_owned()), body: body.into(), ..event(number) }
}

/// The deliveries that `number` is planned to.
async fn planned(stage: &Stage, number: u32) -> Vec<crate::store::NewDelivery> {
    let stored = stage.store.event(event(number).id).await.unwrap().unwrap();
    match stage.router.plan(&stored).await {
        PlanNext::Planned { deliveries, .. } => deliveries,
        PlanNext::Again { note, .. } => panic!("planned again: {note}"),
    }
}

#[tokio::test]
async fn an_endpoint_gets_the_attributes_it_may_have() {
    let plugins = [("cloudevents", BINARY)];
    let stage = stage(vec![
        allowed("all", &["ce-*"], &plugins).await,
        allowed("none", &[], &plugins).await,
        allowed("some", &["ce-id", "ce-t*"], &plugins).await,
        allowed("without", &["ce-*"], &[]).await,
    ]);
    stage.append(in_room(1, "a b")).await;
    stage.round().await.unwrap();
    let found = stage.deliveries(1).await;
    let headers: Vec<Vec<String>> = found.iter().map(|one| one.headers.lines().collect()).collect();
    let time = "ce-time: 2023-11-14T22:13:20Z";
    let all = [
        "ce-id: EV_1",
        "ce-source: /test",
        "ce-specversion: 1.0",
        "ce-subject: a%20b",
        time,
        "ce-type: io.livekit.room_started",
    ];
    assert_eq!(headers[0], all);
    assert_eq!(headers[1], [""; 0]);
    assert_eq!(headers[2], ["ce-id: EV_1", time, "ce-type: io.livekit.room_started"]);
    assert_eq!(headers[3], [""; 0]);
    assert!(found.iter().all(|one| one.state == State::Pending), "{found:?}");
}

#[tokio::test]
async fn a_plugin_later_in_the_chain_has_the_last_word() {
    let second = r#"{"mode":"binary","source":"/second"}"#;
    let chain = [("cloudevents", BINARY), ("cloudevents", second)];
    let stage = stage(vec![allowed("a", &["ce-source"], &chain).await]);
    stage.append(in_room(1, "r")).await;
    stage.round().await.unwrap();
    let found = stage.deliveries(1).await;
    assert_eq!(found[0].headers.lines().collect::<Vec<_>>(), ["ce-source: /second"]);
}

/// The policy is for what a plugin fails at, and this one did not fail: `pass` would send half.
#[tokio::test]
async fn what_cannot_be_a_header_is_a_dead_letter_that_says_so() {
    for (number, room, words) in [
        (1, "evil:header", "the attribute x-evil cannot be a header: its value has other than"),
        (2, "evil:headers", "64 attributes would be headers, at most 48 are allowed"),
    ] {
        let stage = stage(vec![allowed("billing", &["x-*"], &[("evil", "")]).await]);
        stage.append(in_room(number, room)).await;
        stage.round().await.unwrap();
        let found = stage.deliveries(number).await;
        assert_eq!(found.len(), 1, "{room}");
        assert_eq!(found[0].state, State::Dead(DeadReason::Plugin));
        let note = found[0].note.as_deref().unwrap();
        assert!(note.starts_with(words), "{note}");
        assert!(found[0].headers.is_empty());
    }
    // Where it is not allowed it is nobody's business.
    let stage = stage(vec![allowed("billing", &["y-*"], &[("evil", "")]).await]);
    stage.append(in_room(1, "evil:header")).await;
    stage.round().await.unwrap();
    assert_eq!(stage.deliveries(1).await[0].state, State::Pending);
}

#[tokio::test]
async fn a_body_that_a_plugin_leaves_as_it_was_is_not_kept_again() {
    let structured = r#"{"source":"/test"}"#;
    let stage = stage(vec![
        allowed("binary", &["ce-*"], &[("cloudevents", BINARY)]).await,
        allowed("structured", &[], &[("cloudevents", structured)]).await,
        allowed("then-binary", &[], &[("cloudevents", structured), ("cloudevents", BINARY)]).await,
    ]);
    stage.append(in_room(1, "r")).await;
    let bodies = planned(&stage, 1).await.into_iter().map(|new| (new.endpoint, new.body.is_some()));
    let own = |name: &str, is_own| (name.to_owned(), is_own);
    let expect = [own("binary", false), own("structured", true), own("then-binary", true)];
    assert_eq!(bodies.collect::<Vec<_>>(), expect);
}
