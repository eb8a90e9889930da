//! The shipped plugins, compiled and in the real engine: what they make is what their own tests
//! say, and what the services they write for take.

mod cloudevents;

use super::delivery::with_source;
use anyhow::{Context as _, Result, anyhow, bail, ensure};
use bytes::Bytes;
use livekit_webhook::plugin::engine::Engine;
use livekit_webhook::plugin::limits::{self, Limits};
use livekit_webhook::plugin::manifest::Manifest;
use livekit_webhook::plugin::manifest::expect::{self, Expect};
use livekit_webhook::plugin::registry::{OnError, Options, Plugin};
use livekit_webhook::plugin::{Input, Output};
use livekit_webhook_tests::envoy::root;
use livekit_webhook_tests::exchange::{BOUND, post};
use livekit_webhook_tests::gateway::Gateway;
use livekit_webhook_tests::gateway::setup::component;
use livekit_webhook_tests::receiver::Receiver;
use livekit_webhook_wire::event::Event;
use livekit_webhook_wire::event_type;
use livekit_webhook_wire::sample::{self, Sample};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// The same story as the SDK's `native::sample` tells.
const STORY: Sample<'static> = Sample {
    room: "demo-room",
    identity: "alice",
    event_id: "EV_8sTzLqWmPbXy",
    now_s: 1_767_225_600,
    seed: 1,
};
/// All that have a manifest.
const SHIPPED: [&str; 8] = [
    "redact",
    "normalize",
    "template",
    "route-by-metadata",
    "cloudevents",
    "slack",
    "discord",
    "pagerduty",
];
/// A PagerDuty integration key that is none.
const ROUTING_KEY: &str = "R0000000000000000000000000000000";
/// All texts of a Discord post together; Discord, "Embed Limits".
const DISCORD_CHARS_MAX: usize = 6000;

/// A shipped plugin as its tests configure it.
async fn plugin(engine: &Engine, name: &str, config: &Value) -> Result<Arc<Plugin>> {
    let bytes = Bytes::from(std::fs::read(component(name)?)?);
    let limits = Limits::default().with(limits::CPU_PURE_MS, limits::CPU_PURE_MS.cap)?;
    let limits = limits.with(limits::CPU_INIT_MS, limits::CPU_INIT_MS.cap)?;
    let limits = limits.with(limits::WALL_PURE_MS, limits::WALL_PURE_MS.cap)?;
    let options = Options {
        config: Bytes::from(config.to_string()),
        limits,
        on_error: Some(OnError::Fail),
        ..Options::default()
    };
    Ok(Plugin::load(engine, name, bytes, options).await?)
}

/// An event as the planner shows it.
fn input(body: &Value) -> Result<Input> {
    let event = Event::from_value(body.clone())?;
    let seconds = event.created_at_s().unwrap_or_default();
    Ok(Input {
        id: event.id().unwrap_or("ev_1").to_owned(),
        kind: event.event().to_owned(),
        source: "test".to_owned(),
        created_at_ms: u64::try_from(seconds)? * 1000,
        attempt: 1,
        room_name: event.room_name().map(str::to_owned),
        participant_identity: event.participant_identity().map(str::to_owned),
        attributes: vec![("tenant".to_owned(), "acme".to_owned())],
        body: Bytes::from(body.to_string()),
    })
}

/// What a transform makes of an event: a body, or nothing.
async fn made(plugin: &Plugin, body: &Value) -> Result<Option<Value>> {
    match plugin.call(input(body)?).await?.as_slice() {
        [Output::Drafts(drafts)] => match drafts.as_slice() {
            [] => Ok(None),
            [draft] => Ok(Some(serde_json::from_slice(&draft.body)?)),
            drafts => bail!("{} drafts of one event", drafts.len()),
        },
        outputs => bail!("not the answer of a transform: {outputs:?}"),
    }
}

fn sample_of(kind: &str) -> Result<Value> {
    let body = sample::body(kind, &STORY).context("no such sample")?;
    Ok(serde_json::from_str(&body)?)
}

/// The same event, with every text in it as bad as users can make it.
fn hostile(value: &Value) -> Value {
    let bad = "\"]}\\<!channel> @everyone <@1> &amp; [x](http://y) *_~`|\u{202E}\u{0}\n😀{{ x }}";
    match value {
        Value::String(text) if text.parse::<i64>().is_err() => bad.repeat(20).into(),
        Value::Array(items) => items.iter().map(hostile).collect(),
        Value::Object(members) => {
            let named = |(name, value): (&String, &Value)| {
                let kept = ["event", "status", "state", "roomEndReason"].contains(&name.as_str());
                let value = if kept && value.is_string() { value.clone() } else { hostile(value) };
                (name.clone(), value)
            };
            members.iter().map(named).collect::<Map<_, _>>().into()
        }
        other => other.clone(),
    }
}

/// What is troublesome to users, so that every plugin has something to say of it.
fn failures() -> Vec<Value> {
    let room = json!({ "name": "demo-room" });
    vec![
        json!({ "event": "egress_ended", "room": room,
            "egressInfo": { "status": "EGRESS_FAILED", "error": "Disk full" } }),
        json!({ "event": "ingress_ended", "room": room, "ingressInfo": { "ingressId": "IN_1",
            "state": { "status": "ENDPOINT_ERROR", "error": "x" } } }),
        json!({ "event": "agent_job_ended",
            "job": { "room": room, "state": { "status": "JS_FAILED" } } }),
        json!({ "event": "room_finished", "room": room, "roomEndReason": "ROOM_END_OPEN_FAILED" }),
        json!({ "event": "moon_landed", "room": room }),
        json!({ "event": "room_started" }),
    ]
}

/// The plugins that write for a service, with its schema and a configuration that posts all.
fn services() -> [(&'static str, &'static str, Value); 4] {
    let alerts = json!(["egress", "ingress", "agent", "room", "connection"]);
    [
        ("slack", "slack-message", json!({ "events": ["*"] })),
        ("discord", "discord-execute-webhook", json!({ "events": ["*"] })),
        (
            "pagerduty",
            "pagerduty-events-v2",
            json!({ "routing_key": ROUTING_KEY, "alerts": alerts, "acknowledge": true }),
        ),
        ("cloudevents", "cloudevents-1.0", json!({ "extensions": { "tenant": "tenant" } })),
    ]
}

#[tokio::test]
async fn what_plugins_make_is_what_the_services_take() -> Result<()> {
    let engine = Engine::new()?;
    for (name, schema, config) in services() {
        let validator = validator(schema)?;
        let plugin = plugin(&engine, name, &config).await?;
        let mut bodies = failures();
        for kind in event_type::ALL {
            bodies.push(sample_of(kind)?);
        }
        bodies.extend(bodies.clone().iter().map(hostile));
        let mut taken = 0;
        for body in &bodies {
            let Some(made) = made(&plugin, body).await? else { continue };
            taken += 1;
            let problems: Vec<String> = validator
                .iter_errors(&made)
                .map(|e| format!("{}: {e}", e.instance_path()))
                .collect();
            ensure!(problems.is_empty(), "{name} {}: {problems:?}", body["event"]);
            if name == "discord" {
                let chars = texts(&made["embeds"]);
                ensure!(chars <= DISCORD_CHARS_MAX, "{chars} characters");
            }
        }
        ensure!(taken >= 12, "{name} made only {taken}");
    }
    Ok(())
}

fn validator(schema: &str) -> Result<jsonschema::Validator> {
    let file = root().join(format!("tests/schemas/{schema}.json"));
    let document: Value = serde_json::from_slice(&std::fs::read(file)?)?;
    Ok(jsonschema::options().should_validate_formats(true).build(&document)?)
}

/// Characters of all texts.
fn texts(value: &Value) -> usize {
    match value {
        Value::String(text) => text.chars().count(),
        Value::Array(items) => items.iter().map(texts).sum(),
        Value::Object(members) => members.values().map(texts).sum(),
        _ => 0,
    }
}

/// The schemas would be worth nothing if they took anything.
#[test]
fn the_schemas_refuse_what_the_services_refuse() -> Result<()> {
    for (schema, wrong) in [
        (
            "slack-message",
            json!({ "text": "x", "blocks": [{ "type": "section",
            "text": { "type": "mrkdwn", "text": "x".repeat(3001) } }] }),
        ),
        (
            "slack-message",
            json!({ "text": "x", "blocks": [{ "type": "context", "elements": [] }] }),
        ),
        ("discord-execute-webhook", json!({ "embeds": [{ "title": "x".repeat(257) }] })),
        ("discord-execute-webhook", json!({ "embeds": [{ "title": "x", "timestamp": "now" }] })),
        ("discord-execute-webhook", json!({ "content": "x", "username": "Discord" })),
        ("pagerduty-events-v2", json!({ "routing_key": ROUTING_KEY, "event_action": "resolve" })),
        ("pagerduty-events-v2", json!({ "routing_key": ROUTING_KEY, "event_action": "trigger" })),
        ("cloudevents-1.0", json!({ "specversion": "1.0", "id": "", "source": "/a", "type": "t" })),
        (
            "cloudevents-1.0",
            json!({ "specversion": "1.0", "id": "1", "source": "/a", "type": "t", "Ext": 1 }),
        ),
        (
            "cloudevents-1.0",
            json!({ "specversion": "1.0", "id": "1", "source": "/a", "type": "t",
            "time": "yesterday" }),
        ),
    ] {
        ensure!(!validator(schema)?.is_valid(&wrong), "{schema} takes {wrong}");
    }
    Ok(())
}

#[tokio::test]
async fn compiled_plugins_make_what_their_own_tests_say() -> Result<()> {
    let engine = Engine::new()?;
    let [slack, discord, pagerduty, _] = services();
    let template =
        std::fs::read_to_string(root().join("plugins/template/fixtures/example.template.json"))?;
    for (name, config) in [
        ("slack", slack.2),
        ("discord", discord.2),
        ("pagerduty", pagerduty.2),
        ("cloudevents", json!({})),
        ("normalize", json!({})),
        ("template", json!({ "template": template })),
    ] {
        let plugin = plugin(&engine, name, &config).await?;
        let golden = root().join("plugins").join(name).join("fixtures/golden.json");
        let golden: Value = serde_json::from_slice(&std::fs::read(golden)?)?;
        for kind in event_type::ALL {
            let mut made = made(&plugin, &sample_of(kind)?).await?.unwrap_or_default();
            if name == "cloudevents" {
                ensure!(made["data"] == sample_of(kind)?, "{kind}: not the event's own data");
                made["data"] = "the event".into();
            }
            ensure!(made == golden[kind], "{name} {kind}: {made:#}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn the_examples_in_the_manifests_hold_in_the_real_engine() -> Result<()> {
    let engine = Engine::new()?;
    for name in SHIPPED {
        let folder = root().join("plugins").join(name);
        let text = std::fs::read_to_string(folder.join("plugin.toml"))?;
        let manifest = Manifest::parse(&text, &folder).with_context(|| name.to_owned())?;
        ensure!(manifest.name == name && !manifest.fixtures.is_empty(), "{name}");
        let schema = manifest.schema().map_err(|problems| anyhow!("{name}: {problems:?}"))?;
        let schema = schema.with_context(|| format!("{name} has no schema"))?;
        for fixture in &manifest.fixtures {
            let mut config = fixture.config.clone().unwrap_or_else(|| json!({}));
            schema.fill(&mut config);
            let plugin = plugin(&engine, name, &config).await?;
            let input = Input { source: "fixture".to_owned(), ..input(&fixture.event)? };
            let expect = Expect::parse(&fixture.expect);
            let expect = expect.map_err(|problems| anyhow!("{name}: {problems:?}"))?;
            let got = expect::shape(&plugin.call(input.clone()).await, None);
            let (expected, got) = expect.compare(&input, &got);
            ensure!(expected == got, "{name}, {}: {expected:#} is not {got:#}", fixture.name);
        }
    }
    Ok(())
}

#[tokio::test]
async fn events_of_two_tenants_reach_their_endpoints_as_a_template_says() -> Result<()> {
    let (acme, others) = (Receiver::start().await?, Receiver::start().await?);
    let tenants = "config = { tenant = [{ room_metadata = \"/tenant\" }], \
        endpoints = { acme = \"acme\" }, default = \"others\" }";
    let payload = "config = { template = '{\"room\":{{ room.name }},\"was\":\"{{ event }}\"}' }";
    let setup = with_source()
        .plugin("tenants", &component("route-by-metadata")?, tenants)
        .plugin("payload", &component("template")?, payload)
        .endpoint("acme", &acme.url("/"), "")
        .endpoint("others", &others.url("/"), "")
        .subscription("acme", "plugins = [\"tenants\", \"payload\"]")
        .subscription("others", "plugins = [\"tenants\", \"payload\"]");
    let gateway = Gateway::start(&setup, BOUND).await?;
    for (id, metadata) in
        [("EV_1", r#"{"tenant":"acme"}"#), ("EV_2", r#"{"tenant":"globex"}"#), ("EV_3", "")]
    {
        let body = json!({ "event": "room_started", "id": id, "createdAt": "1767225600",
            "room": { "name": format!("of {id}"), "metadata": metadata } });
        let body = body.to_string();
        ensure!(post(gateway.address(), &body).await?.status == 200, "{id}");
    }
    let seen = acme.wait_for(1, BOUND).await?;
    ensure!(seen[0].body == br#"{"room":"of EV_1","was":"room_started"}"#.as_slice());
    let seen = others.wait_for(2, BOUND).await?;
    let mut rooms: Vec<_> = seen.iter().map(|request| request.body.clone()).collect();
    rooms.sort();
    ensure!(rooms[0] == br#"{"room":"of EV_2","was":"room_started"}"#.as_slice());
    ensure!(rooms[1] == br#"{"room":"of EV_3","was":"room_started"}"#.as_slice());
    ensure!(acme.seen().len() == 1, "another tenant's event came");
    Ok(())
}
