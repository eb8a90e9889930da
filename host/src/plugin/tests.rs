//! The host against real components, built by `make guests`.
//!
//! What must succeed is given the largest CPU budget, since a machine that runs the whole suite may
//! be slow; what must be stopped is given a small one. Nothing here looks at how long anything
//! took.

pub(crate) mod attacks;
mod contracts;
pub(crate) mod doubles;
mod exhaustion;
pub(crate) mod hand;
mod host;
mod kinds;
mod loading;
mod queue;
mod reach;
mod shipped;
mod warm;
mod wasi;

use super::engine::Engine;
use super::limits::{self, Limits};
use super::manifest::Manifest;
use super::permission::Permissions;
use super::registry::{OnError, Options, Plugin};
use super::{Draft, Fault, Input, Output};
use bytes::Bytes;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

/// One engine for all tests, as there is one in a gateway.
pub(crate) static ENGINE: LazyLock<Engine> = LazyLock::new(|| Engine::new().unwrap());

pub(crate) fn component_path(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/wasm");
    folder.join(format!("{name}.wasm"))
}

#[track_caller]
pub(crate) fn component(name: &str) -> Bytes {
    let path = component_path(name);
    match std::fs::read(&path) {
        Ok(bytes) => Bytes::from(bytes),
        Err(error) => panic!("{}: {error}: run `make guests` first", path.display()),
    }
}

/// The component with a manifest that asks for all of `wish`.
pub(crate) fn asking(name: &str, wish: &Permissions) -> Bytes {
    let text = format!("schema = 1\nname = {name:?}\nversion = \"0.1.0\"\n");
    let manifest = Manifest::parse(&text, Path::new(".")).unwrap();
    let manifest = Manifest { permissions: wish.clone(), ..manifest };
    Bytes::from(manifest.embed(&component(name)).unwrap())
}

pub(crate) fn generous() -> Limits {
    let limits = Limits::default();
    let limits = limits.with(limits::CPU_PURE_MS, limits::CPU_PURE_MS.cap).unwrap();
    let limits = limits.with(limits::CPU_INIT_MS, limits::CPU_INIT_MS.cap).unwrap();
    limits.with(limits::WALL_PURE_MS, limits::WALL_PURE_MS.cap).unwrap()
}

fn options(config: &str, limits: Limits) -> Options {
    Options {
        config: Bytes::from(config.to_owned()),
        limits,
        on_error: Some(OnError::Fail),
        ..Options::default()
    }
}

async fn plugin(name: &str, config: &str, limits: Limits) -> Arc<Plugin> {
    Plugin::load(&ENGINE, name, component(name), options(config, limits)).await.unwrap()
}

/// An event whose room tells `evil` what to do.
fn in_room(room: &str) -> Input {
    Input {
        id: "ev_1".to_owned(),
        kind: "room_started".to_owned(),
        attempt: 1,
        room_name: Some(room.to_owned()),
        body: Bytes::from(format!(r#"{{"event":"room_started","room":{{"name":"{room}"}}}}"#)),
        ..Input::default()
    }
}

fn with_body(kind: &str, body: &'static str) -> Input {
    let body = Bytes::from_static(body.as_bytes());
    Input { kind: kind.to_owned(), body, ..in_room("demo-room") }
}

#[track_caller]
fn one_draft(outputs: Result<Vec<Output>, Fault>) -> Draft {
    let outputs = outputs.unwrap();
    let drafts = outputs.iter().find_map(|output| match output {
        Output::Drafts(drafts) => Some(drafts.as_slice()),
        _ => None,
    });
    match drafts {
        Some([draft]) => draft.clone(),
        _ => panic!("expected one draft, got {outputs:?}"),
    }
}
