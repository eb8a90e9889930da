//! What plugins reach through a gateway that runs: LiveKit, state that outlives it, and the grant
//! that is learned of it.

use anyhow::{Context as _, Result, ensure};
use livekit_protocol as proto;
use livekit_webhook::plugin::manifest::Manifest;
use livekit_webhook_tests::exchange::{API_KEY, BOUND, SECRET, event, post};
use livekit_webhook_tests::gateway::setup::component;
use livekit_webhook_tests::gateway::{Gateway, Setup};
use livekit_webhook_tests::livekit::api::{Api, Known};
use livekit_webhook_tests::receiver::Receiver;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Busy machines compile and call slowly.
const LIMITS: &str = "limits = { cpu_pure_ms = 500, wall_pure_ms = 5000 }";
/// The times and the length of a session.
const SESSION: &str = r#"config = { content = "text", template = "{{ event }} {{ attributes.session.joined_at }} {{ attributes.session.left_at }} {{ attributes.session.duration_s }}" }"#;

fn source(server: &str) -> Setup {
    Setup::new().source("prod", API_KEY, SECRET, server)
}

fn manifest() -> Result<Manifest> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/session");
    let text = std::fs::read_to_string(folder.join("plugin.toml"))?;
    Ok(Manifest::parse(&text, &folder)?)
}

/// The session plugin with its manifest in it.
fn session(folder: &Path) -> Result<PathBuf> {
    let wasm = std::fs::read(component("session")?)?;
    let file = folder.join("session.wasm");
    std::fs::write(&file, manifest()?.embed(&wasm)?)?;
    Ok(file)
}

/// A participant's event at so many seconds, whose session says nothing of its begin.
fn of_session(kind: &str, id: &str, created_s: i64) -> String {
    let (joined, room) = (json!({ "sid": "PA_1", "identity": "alice" }), json!({ "name": "demo" }));
    let created = created_s.to_string();
    json!({ "event": kind, "id": id, "createdAt": created, "room": room, "participant": joined })
        .to_string()
}

#[tokio::test]
async fn an_event_is_enriched_with_what_livekit_says_of_its_room() -> Result<()> {
    let room = proto::Room {
        name: "demo".to_owned(),
        metadata: "of the server".to_owned(),
        turn_password: "FAKE0turn".to_owned(),
        ..Default::default()
    };
    let known = Known { rooms: vec![room], ..Known::default() };
    let api = Api::start(API_KEY, SECRET, known).await?;
    let receiver = Receiver::start().await?;
    let asks = r#"["get-room", "list-participants", "get-participant"]"#;
    let tell = r#"config = { content = "text", template = "{{ attributes.told }}" }"#;
    let setup = source(&format!("server = {:?}", api.url()))
        .plugin(
            "asks",
            &component("evil-io")?,
            &format!("on_error = \"fail\"\ngrant = {{ livekit = {asks} }}\n{LIMITS}"),
        )
        .plugin("tells", &component("template")?, &format!("{tell}\n{LIMITS}"))
        .endpoint("crm", &receiver.url("/"), "")
        .subscription("crm", "plugins = [\"asks\", \"tells\"]");
    let gateway = Gateway::start(&setup, BOUND).await?;
    for id in ["EV_1", "EV_2"] {
        let body = event("room_started", "evil:livekit", id);
        ensure!(post(gateway.address(), &body).await?.status == 200);
    }
    for seen in receiver.wait_for(2, BOUND).await? {
        let text = String::from_utf8_lossy(seen.body.as_ref()).into_owned();
        ensure!(text.contains("of the server") && text.contains("list-egress"), "{text}");
        ensure!(!text.contains("FAKE0turn"), "{text}");
    }
    ensure!(api.asked().iter().all(|asked| asked != "Egress/ListEgress"), "{:?}", api.asked());
    let log = gateway.log().join("\n");
    ensure!(!log.contains(SECRET) && !log.contains("Bearer "), "{log}");
    Ok(())
}

#[tokio::test]
async fn a_session_is_remembered_over_the_death_of_the_gateway() -> Result<()> {
    let receiver = Receiver::start().await?;
    let folder = tempfile::tempdir()?;
    let setup = source("")
        .plugin(
            "session",
            &session(folder.path())?,
            &format!("grant = {{ state = \"rw\" }}\n{LIMITS}"),
        )
        .plugin("payload", &component("template")?, &format!("{SESSION}\n{LIMITS}"))
        .endpoint("billing", &receiver.url("/"), "")
        .subscription("billing", "plugins = [\"session\", \"payload\"]");
    let mut gateway = Gateway::start(&setup, BOUND).await?;
    let joined = of_session("participant_joined", "EV_1", 1_795_435_100);
    ensure!(post(gateway.address(), &joined).await?.status == 200);
    // What was delivered and is not on record yet would be delivered again.
    gateway.ledger()?.wait_ended("billing", 1, BOUND).await?;
    gateway.kill_9().await?;
    gateway.start_again(BOUND).await?;
    let left = of_session("participant_left", "EV_2", 1_795_435_183);
    ensure!(post(gateway.address(), &left).await?.status == 200);
    let seen = receiver.wait_for(2, BOUND).await?;
    let text = String::from_utf8_lossy(seen[1].body.as_ref()).into_owned();
    ensure!(text == "participant_left 1795435100 1795435183 83", "{text}");
    Ok(())
}

#[tokio::test]
async fn what_a_plugin_needs_is_learned_from_what_it_does() -> Result<()> {
    let receiver = Receiver::start().await?;
    let folder = tempfile::tempdir()?;
    let setup = source("")
        .plugin("session", &session(folder.path())?, &format!("learn = true\n{LIMITS}"))
        .plugin("payload", &component("template")?, &format!("{SESSION}\n{LIMITS}"))
        .endpoint("billing", &receiver.url("/"), "")
        .subscription("billing", "plugins = [\"session\", \"payload\"]");
    let gateway = Gateway::start(&setup, BOUND).await?;
    let joined = of_session("participant_joined", "EV_1", 1_795_435_100);
    ensure!(post(gateway.address(), &joined).await?.status == 200);
    receiver.wait_for(1, BOUND).await?;
    let file = gateway.folder().join("livekit-webhook-plugins/session/grant.toml");
    let text = std::fs::read_to_string(&file).context("the grant")?;
    ensure!(text.ends_with("[plugin.grant]\nstate = \"rw\"\n"), "{text}");
    // As it is, below the plugin, it is enough.
    let grant = text.replace("[plugin.grant]", "").replace('\n', " ");
    let grant = grant.split("state").nth(1).context("state")?;
    let granted = source("")
        .plugin(
            "session",
            &folder.path().join("session.wasm"),
            &format!("grant = {{ state{grant} }}\n{LIMITS}"),
        )
        .plugin("payload", &component("template")?, &format!("{SESSION}\n{LIMITS}"))
        .endpoint("billing", &receiver.url("/"), "")
        .subscription("billing", "plugins = [\"session\", \"payload\"]");
    let gateway = Gateway::start(&granted, BOUND).await?;
    ensure!(post(gateway.address(), &joined).await?.status == 200);
    let seen = receiver.wait_for(2, BOUND).await?;
    let body: &[u8] = seen[1].body.as_ref();
    ensure!(body.starts_with(b"participant_joined"), "{:?}", String::from_utf8_lossy(body));
    Ok(())
}

#[test]
fn the_manifest_of_session_asks_for_state_only() -> Result<()> {
    let manifest = manifest()?;
    let asks = serde_json::to_value(&manifest.permissions)?;
    ensure!(asks == json!({ "state": "rw" }), "{asks}");
    ensure!(manifest.fixtures.iter().all(|fixture| fixture.event != Value::Null));
    Ok(())
}
