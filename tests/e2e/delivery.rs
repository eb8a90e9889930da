//! Stories of events that are well: through Envoy and the host to their receivers, each once.

use anyhow::{Context as _, Result, ensure};
use livekit_api::access_token::TokenVerifier;
use livekit_api::webhooks::WebhookReceiver;
use livekit_webhook::store::PlanState;
use livekit_webhook_tests::envoy::{self, Envoy};
use livekit_webhook_tests::exchange::{API_KEY, BOUND, SECRET, event, now_s, post, post_as};
use livekit_webhook_tests::gateway::setup::{STANDARD_SECRET, component};
use livekit_webhook_tests::gateway::{Gateway, Setup};
use livekit_webhook_tests::livekit::{Fate, Sender};
use livekit_webhook_tests::receiver::{Receiver, Seen};
use livekit_webhook_wire::sign;
use serde_json::Value;

const SDK_KEY: &str = "APIreceiver";
const SDK_SECRET: &str = "the-receivers-own-secret";
/// Signs in LiveKit's way, under a key that the receiver shares with the gateway only.
const SDK: &str = r#"signing = ["livekit"]
livekit = { api_key = "APIreceiver", secret = "the-receivers-own-secret" }"#;

/// Limits at which a busy machine does not stop a plugin that is well.
const PATIENT: &str = "limits = { cpu_pure_ms = 1000, wall_pure_ms = 5000 }";

pub(super) fn with_source() -> Setup {
    Setup::new().source("prod", API_KEY, SECRET, "")
}

pub(super) fn edge_of(gateway: &Gateway) -> Result<Envoy> {
    Envoy::start(&envoy::Setup::with_keys(&format!("{API_KEY}: {SECRET}")), gateway.address())
}

fn json(seen: &Seen) -> Result<Value> {
    Ok(serde_json::from_slice(&seen.body)?)
}

#[tokio::test]
async fn an_event_goes_through_envoy_host_and_plugins_to_every_receiver() -> Result<()> {
    let (billing, sdk, chat) =
        (Receiver::start().await?, Receiver::start().await?, Receiver::start().await?);
    let password_only = format!("config = {{ fields = [\"room.turnPassword\"] }}\n{PATIENT}");
    let setup = with_source()
        .plugin("redact", &component("redact")?, &password_only)
        .plugin("slack", &component("slack")?, PATIENT)
        .endpoint("billing", &billing.url("/livekit"), "")
        .endpoint("sdk", &sdk.url("/webhook"), SDK)
        .endpoint("chat", &chat.url("/services/T0"), "signing = []")
        .subscription("billing", r#"plugins = ["redact"]"#)
        .subscription("sdk", "")
        .subscription("chat", r#"plugins = ["slack"]"#);
    let gateway = Gateway::start(&setup, BOUND).await?;
    let edge = edge_of(&gateway)?;
    let url = format!("http://{}/webhook", edge.listener());
    let sender = Sender::new(&[&url], API_KEY, SECRET, 0.01)?;
    let sent = event("participant_joined", "prod-7", "EV_happy");
    sender.notify(sent.clone());
    let reports = sender.wait_for(1, BOUND).await?;
    ensure!(reports[0].fate == Fate::Delivered && reports[0].attempts.len() == 1, "{reports:?}");

    let at_sdk = sdk.wait_for(1, BOUND).await?.remove(0);
    ensure!(at_sdk.body == sent, "no plugin is between: the bytes are LiveKit's");
    ensure!(at_sdk.header("content-type")? == "application/webhook+json");
    at_sdk.verify_livekit(SDK_KEY, SDK_SECRET, now_s())?;
    let official = WebhookReceiver::new(TokenVerifier::with_api_key(SDK_KEY, SDK_SECRET));
    let read = official.receive(&sent, at_sdk.header("authorization")?)?;
    ensure!(read.id == "EV_happy" && read.event == "participant_joined");

    let at_billing = billing.wait_for(1, BOUND).await?.remove(0);
    at_billing.verify_standard(STANDARD_SECRET, now_s())?;
    ensure!((at_billing.method.as_str(), at_billing.path.as_str()) == ("POST", "/livekit"));
    let mut expected: Value = serde_json::from_str(&sent)?;
    let password = expected["room"]["turnPassword"].as_str().context("a password")?.to_owned();
    expected["room"]["turnPassword"] = "[redacted]".into();
    ensure!(json(&at_billing)? == expected, "only the password is another");
    let text = std::str::from_utf8(&at_billing.body)?;
    ensure!(text == sent.replace(&password, "[redacted]"), "every other byte is LiveKit's");

    let at_chat = chat.wait_for(1, BOUND).await?.remove(0);
    let post = json(&at_chat)?;
    ensure!(post["text"] == ":wave: *alice* joined *prod-7*", "{post}");
    ensure!(!at_chat.headers.contains_key("webhook-signature"), "signing = []");
    ensure!(!at_chat.headers.contains_key("authorization"), "LiveKit's own token stays here");

    let id = at_billing.header("webhook-id")?;
    for seen in [&at_sdk, &at_chat, &at_billing] {
        ensure!(seen.header("webhook-id")? == id, "one event, one id");
        ensure!(seen.header("webhook-attempt")? == "1");
        ensure!(!seen.headers.contains_key("x-livekit-event"), "Envoy's headers stay here");
    }
    let ledger = gateway.ledger()?;
    for (endpoint, receiver) in [("billing", &billing), ("sdk", &sdk), ("chat", &chat)] {
        ledger.wait_ended(endpoint, 1, BOUND).await?;
        ensure!(receiver.seen().len() == 1, "{endpoint} got it more than once");
    }
    Ok(())
}

#[tokio::test]
async fn all_kinds_of_events_arrive_as_they_were_sent() -> Result<()> {
    let receiver = Receiver::start().await?;
    let both = r#"signing = ["standard", "hmac"]
secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
hmac = { header = "X-Signature", secret = "plain" }"#;
    let setup = with_source().endpoint("all", &receiver.url("/"), both).subscription("all", "");
    let gateway = Gateway::start(&setup, BOUND).await?;
    let edge = edge_of(&gateway)?;
    let kinds = livekit_webhook_wire::event_type::ALL;
    let mut sent = Vec::new();
    for kind in kinds {
        let body = event(kind, "r", &format!("EV_{kind}"));
        ensure!(post(edge.listener(), &body).await?.status == 200, "{kind}");
        sent.push(body);
    }
    let mut came = Vec::new();
    for seen in receiver.wait_for(kinds.len(), BOUND).await? {
        seen.verify_standard(STANDARD_SECRET, now_s())?;
        ensure!(seen.header("x-signature")?.len() == 64, "hex of a SHA-256");
        came.push(String::from_utf8(seen.body.to_vec())?);
    }
    sent.sort();
    came.sort();
    ensure!(sent == came);
    Ok(())
}

#[tokio::test]
async fn what_the_edge_filters_never_reaches_the_host() -> Result<()> {
    let receiver = Receiver::start().await?;
    let setup = with_source().endpoint("all", &receiver.url("/"), "").subscription("all", "");
    let gateway = Gateway::start(&setup, BOUND).await?;
    let filter = r#"{"events": {"include": ["room_*"], "on_filtered": "ack"}}"#;
    let keys = envoy::Setup::with_keys(&format!("{API_KEY}: {SECRET}"));
    let edge = Envoy::start(&keys.filter(filter), gateway.address())?;
    let unwanted = post(edge.listener(), &event("track_published", "r", "EV_1")).await?;
    ensure!(unwanted.status == 200, "LiveKit has done its part: {unwanted:?}");
    ensure!(edge.stat("cluster.host.upstream_rq_total")? == 0);
    ensure!(post(edge.listener(), &event("room_started", "r", "EV_2")).await?.status == 200);
    receiver.wait_for(1, BOUND).await?;
    let events = gateway.ledger()?.events().await?;
    ensure!(events.len() == 1 && events[0].event.kind == "room_started", "{events:?}");
    Ok(())
}

#[tokio::test]
async fn what_the_source_filters_is_answered_and_not_kept() -> Result<()> {
    let receiver = Receiver::start().await?;
    let setup = Setup::new()
        .source("prod", API_KEY, SECRET, r#"events = ["room_*"]"#)
        .endpoint("all", &receiver.url("/"), "")
        .subscription("all", "");
    let gateway = Gateway::start(&setup, BOUND).await?;
    let unwanted = post(gateway.address(), &event("track_published", "r", "EV_1")).await?;
    ensure!(unwanted.status == 200 && unwanted.header("webhook-filtered") == Some("true"));
    let wanted = post(gateway.address(), &event("room_started", "r", "EV_2")).await?;
    ensure!(wanted.status == 200 && wanted.header("webhook-filtered").is_none());
    receiver.wait_for(1, BOUND).await?;
    ensure!(gateway.ledger()?.events().await?.len() == 1, "the filtered one is not kept");
    ensure!(gateway.metric(r#"ingest_answers_total{answer="filtered"}"#).await? == 1.0);
    Ok(())
}

#[tokio::test]
async fn what_no_subscription_wants_is_kept_with_a_note() -> Result<()> {
    let receiver = Receiver::start().await?;
    let wants = r#"events = ["room_*"]
rooms = ["prod-*"]"#;
    let setup = with_source().endpoint("all", &receiver.url("/"), "").subscription("all", wants);
    let gateway = Gateway::start(&setup, BOUND).await?;
    for (kind, room, id) in [
        ("track_published", "prod-1", "EV_kind"),
        ("room_started", "test-1", "EV_room"),
        ("room_started", "prod-1", "EV_wanted"),
    ] {
        ensure!(post(gateway.address(), &event(kind, room, id)).await?.status == 200, "{id}");
    }
    let seen = receiver.wait_for(1, BOUND).await?;
    ensure!(json(&seen[0])?["id"] == "EV_wanted");
    // Events are planned in the order in which they came, so the other two have their plans.
    let events = gateway.ledger()?.events().await?;
    for stored in events.iter().filter(|stored| stored.event.dedupe_key != "EV_wanted") {
        ensure!(stored.plan == PlanState::Planned, "{stored:?}");
        ensure!(stored.note.as_deref() == Some("no subscription matches"), "{stored:?}");
    }
    ensure!(events.len() == 3 && receiver.seen().len() == 1);
    Ok(())
}

#[tokio::test]
async fn a_source_feeds_only_the_subscriptions_that_name_it() -> Result<()> {
    let (first, second) = (Receiver::start().await?, Receiver::start().await?);
    let setup = with_source()
        .source("other", "APIother", "another-secret", "")
        .endpoint("first", &first.url("/"), "")
        .endpoint("second", &second.url("/"), "")
        .subscription("first", r#"sources = ["prod"]"#)
        .subscription("second", r#"sources = ["other"]"#);
    let gateway = Gateway::start(&setup, BOUND).await?;
    let body = event("room_started", "r", "EV_other");
    let token = sign::authorization("APIother", b"another-secret", body.as_bytes(), now_s());
    ensure!(post_as(gateway.address(), &token, &body).await?.status == 200);
    second.wait_for(1, BOUND).await?;
    // The same id from another project is another event.
    ensure!(post(gateway.address(), &body).await?.header("webhook-duplicate").is_none());
    first.wait_for(1, BOUND).await?;
    let ledger = gateway.ledger()?;
    ensure!(ledger.wait_ended("first", 1, BOUND).await?.len() == 1);
    ensure!(ledger.wait_ended("second", 1, BOUND).await?.len() == 1);
    Ok(())
}

#[tokio::test]
async fn a_duplicate_is_answered_and_a_conflict_is_kept() -> Result<()> {
    let receiver = Receiver::start().await?;
    let setup = with_source().endpoint("all", &receiver.url("/"), "").subscription("all", "");
    let gateway = Gateway::start(&setup, BOUND).await?;
    let first = event("room_started", "r", "EV_1");
    let other = event("room_finished", "r", "EV_1");
    let nameless = r#"{"event":"room_started","room":{"name":"r"}}"#;
    for (body, duplicate) in [
        (first.as_str(), None),
        (&first, Some("true")),
        (&other, None),
        (nameless, None),
        (nameless, Some("true")),
    ] {
        let reply = post(gateway.address(), body).await?;
        ensure!(reply.status == 200 && reply.header("webhook-duplicate") == duplicate, "{body}");
    }
    let ledger = gateway.ledger()?;
    let rows = ledger.wait_ended("all", 2, BOUND).await?;
    ensure!(rows.len() == 2, "{rows:?}");
    let bodies: Vec<_> = receiver.seen().into_iter().map(|seen| seen.body).collect();
    ensure!(bodies.len() == 2 && bodies.iter().any(|b| *b == first), "{bodies:?}");
    ensure!(bodies.iter().any(|b| b == nameless), "an event without an id is one by its bytes");
    let events = ledger.events().await?;
    let kept = events.iter().find(|stored| stored.event.body == other);
    ensure!(kept.context("the conflict is kept")?.plan == PlanState::Conflict);
    let nameless = events.iter().find(|stored| stored.event.body == nameless);
    ensure!(nameless.context("it is kept")?.event.dedupe_key.starts_with("sha256:"));
    Ok(())
}
