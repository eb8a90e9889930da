//! Slots over the real engine and the evil plugin, with time that stands still.

use super::*;
use crate::clock::ManualClock;
use crate::plugin::permission::Permissions;
use crate::plugin::registry::Plugin;
use crate::plugin::tests::{component, generous};
use bytes::Bytes;
use livekit_webhook_core::plugin::{CALLS_MIN, OPEN_MS, SUSPECT_MS, State, YOUNG_MS};

mod breaker;
mod capsule;
mod turns;

/// The moment at which everything begins.
fn start() -> Timestamp {
    Timestamp::from_millis(1_800_000_000_000)
}

/// `name` with a custom section more: another version that behaves the same.
pub(super) fn another(name: &str, mark: &str) -> Bytes {
    let mut wasm = component(name).to_vec();
    let payload = [&[u8::try_from(mark.len()).unwrap()], mark.as_bytes(), b"x"].concat();
    wasm.extend([0, u8::try_from(payload.len()).unwrap()]);
    wasm.extend(payload);
    wasm.into()
}

struct Scene {
    slot: Slot,
    clock: ManualClock,
    metrics: Arc<Metrics>,
    number: std::sync::atomic::AtomicU32,
}

async fn version(wasm: Bytes, on_error: OnError, since: Timestamp) -> Arc<Version> {
    let engine = &crate::plugin::tests::ENGINE;
    let options = Options { limits: generous(), on_error: Some(on_error), ..Options::default() };
    let digest = Digest::of(&wasm);
    let plugin = Plugin::load(engine, "evil", wasm, options.clone()).await.unwrap();
    Arc::new(Version::new(plugin, digest, Permissions::default(), options, since))
}

impl Scene {
    async fn new(on_error: OnError) -> Self {
        let (clock, metrics) = (ManualClock::at(start()), Arc::new(Metrics::new()));
        let ground = Ground {
            clock: Arc::new(clock.clone()),
            metrics: metrics.clone(),
            tasks: Tasks::new(),
            bell: Bell::new(),
            folder: "/dev/null/none".into(),
        };
        let version = version(component("evil"), on_error, start()).await;
        let slot = Slot::new("evil", version, ground);
        Self { slot, clock, metrics, number: std::sync::atomic::AtomicU32::new(0) }
    }

    fn input(&self, event: &str, attempt: u32, room: &str) -> Input {
        Input {
            id: event.to_owned(),
            kind: "room_started".to_owned(),
            attempt,
            room_name: Some(room.to_owned()),
            body: Bytes::from(format!(r#"{{"room":{{"name":"{room}"}}}}"#)),
            ..Input::default()
        }
    }

    /// A new event.
    async fn event(&self, room: &str) -> Result<Vec<Output>, Ended> {
        let number = self.number.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        self.slot.call(&self.input(&format!("ev_{number}"), 1, room)).await
    }

    async fn events(&self, count: u32, room: &str) {
        for _ in 0..count {
            let _ = self.event(room).await;
        }
    }

    fn state(&self) -> State {
        self.slot.serving().stable.state()
    }

    #[track_caller]
    fn says(&self, line: &str) {
        let text = self.metrics.text();
        assert!(text.contains(&format!("livekit_webhook_{line}\n")), "{line} is not in {text}");
    }
}
