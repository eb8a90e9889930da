//! The plugins we ship, end to end, and what a component with several interfaces gives.

use super::*;
use crate::metrics::own::Value;
use crate::plugin::Interface;

const SIP: &str = include_str!("../../../../plugins/redact/fixtures/participant_joined-sip.json");
const SIP_REDACTED: &str =
    include_str!("../../../../plugins/redact/fixtures/participant_joined-sip.redacted.json");

#[tokio::test]
async fn redact_removes_secrets_and_keeps_every_other_byte() {
    let plugin = plugin("redact", "", generous()).await;
    let draft = one_draft(plugin.call(with_body("participant_joined", SIP)).await);
    assert_eq!(std::str::from_utf8(&draft.body).unwrap(), SIP_REDACTED);
    assert_eq!((draft.kind, draft.attributes), (None, Vec::new()));
    let numbers = plugin.own().snapshot();
    assert_eq!(numbers[0].0.name, "removed");
    assert_eq!(numbers[0].1, Value::Count(3));
}

#[tokio::test]
async fn redact_follows_its_configuration() {
    let config = r#"{"fields":["participant.name"],"replace":"x"}"#;
    let plugin = plugin("redact", config, generous()).await;
    let draft = one_draft(plugin.call(with_body("participant_joined", SIP)).await);
    assert!(std::str::from_utf8(&draft.body).unwrap().contains(r#""name":"x","version""#));
}

#[tokio::test]
async fn redact_rejects_what_it_cannot_read() {
    let plugin = plugin("redact", "", generous()).await;
    match plugin.call(with_body("room_started", "{\"room\":")).await {
        Err(Fault::Rejected(reason)) => assert!(reason.contains("not JSON"), "{reason}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn slack_makes_a_post_of_an_event_and_drops_what_was_not_chosen() {
    let plugin = plugin("slack", r##"{"channel":"#calls"}"##, generous()).await;
    let joined = include_str!("../../../../plugins/slack/fixtures/participant_joined.json");
    let draft = one_draft(plugin.call(with_body("participant_joined", joined)).await);
    let post: serde_json::Value = serde_json::from_slice(&draft.body).unwrap();
    assert_eq!(post["channel"], "#calls");
    assert!(post["text"].as_str().unwrap().contains("joined"), "{post}");
    assert_eq!(post["blocks"][0]["type"], "section");
    let track = include_str!("../../../../plugins/slack/fixtures/track_published-audio.json");
    let outputs = plugin.call(with_body("track_published", track)).await;
    assert_eq!(outputs, Ok(vec![Output::Drafts(Vec::new())]));
}

#[tokio::test]
async fn several_interfaces_are_called_in_order_until_a_filter_refuses() {
    let plugin = plugin("evil", "", generous()).await;
    let interfaces = plugin.interfaces();
    assert_eq!(interfaces, [Interface::Filter, Interface::Transform, Interface::Route]);
    let outputs = plugin.call(in_room("evil:route")).await.unwrap();
    match outputs.as_slice() {
        [Output::Accept(true), Output::Drafts(drafts), Output::Destinations(names)] => {
            // One instance served all three.
            assert_eq!(drafts[0].body.as_ref(), br#"{"calls":1}"#);
            assert_eq!(names, &["billing"]);
        }
        other => panic!("{other:?}"),
    }
    let refused = plugin.call(in_room("evil:refused")).await;
    assert_eq!(refused, Ok(vec![Output::Accept(false)]));
}
