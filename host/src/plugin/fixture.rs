//! Runs a manifest's fixtures: real engine, real limits, and a world beyond the sandbox that is
//! played from the fixture.
//!
//! Guarantee: the same component and fixture give the same answer and burn the same fuel, because
//! nothing real is reached. Time limits and that of the file are the caps, so that a slow machine
//! fails no fixture; all others are those of production. What a fixture asks permission for is
//! granted, so that it shows what the plugin does when the operator agrees; each secret has the text
//! `test-secret-NAME`.

pub mod played;
mod words;

use super::engine::Engine;
use super::gate::Secret;
use super::limits::{self, Limits};
use super::load;
use super::manifest::expect::{self, Expect};
use super::manifest::{Fixture, Manifest};
use super::registry::{OnError, Options, Plugin};
use super::{Input, Usage};
use bytes::Bytes;
use played::Played;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Where a room's name may stand in a body.
const ROOMS: [&str; 4] =
    ["/room/name", "/egressInfo/roomName", "/ingressInfo/roomName", "/job/room/name"];
/// Where a participant's identity may stand.
const PARTICIPANTS: [&str; 2] = ["/participant/identity", "/job/participant/identity"];
/// `createdAt` is in seconds.
const MILLIS: u64 = 1000;

/// What came of one fixture.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// The fixture's.
    pub name: String,
    /// What was expected, in the shape of [`expect`].
    pub expected: Value,
    /// What came, in the same shape: equal when that holds.
    pub got: Value,
    /// Everything that came, as a fixture could expect it.
    pub all: Value,
    /// What is wrong besides: requests that were not foreseen, fuel.
    pub problems: Vec<String>,
    /// Fuel it burned, on a metered engine.
    pub fuel: Option<u64>,
}

/// Fixtures of one component. A configuration is compiled for once.
pub struct Bench<'a> {
    engine: &'a Engine,
    wasm: Bytes,
    manifest: &'a Manifest,
    limits: Limits,
    loaded: Option<(Bytes, Arc<Plugin>, Arc<Played>)>,
}

// === impl Bench ===

impl<'a> Bench<'a> {
    /// For `wasm` under `manifest`, which need not be the one in it.
    ///
    /// # Errors
    /// When the manifest cannot be put into it.
    pub fn new(
        engine: &'a Engine,
        wasm: &[u8],
        manifest: &'a Manifest,
    ) -> Result<Self, super::manifest::Error> {
        let wasm = Bytes::from(manifest.embed(wasm)?);
        Ok(Self { engine, wasm, manifest, limits: patient(), loaded: None })
    }

    /// The same, where compiling may take as long as `limits` say.
    #[must_use]
    pub fn compiled_within(mut self, limits: &Limits) -> Self {
        let compile_ms = limits.get(limits::COMPILE_MS);
        self.limits =
            self.limits.clone().with(limits::COMPILE_MS, compile_ms).unwrap_or(self.limits);
        self
    }

    /// Runs one fixture.
    ///
    /// # Errors
    /// When the plugin does not load with the fixture's configuration. A fixture that fails is a
    /// [`Verdict`].
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn run(&mut self, fixture: &Fixture) -> Result<Verdict, load::Error> {
        let config = fixture.config.as_ref().map_or_else(Bytes::new, |c| c.to_string().into());
        let (plugin, played) = self.load(config).await?;
        played.begin(fixture);
        let input = input(&fixture.event, &fixture.attributes);
        let (result, Usage { fuel, .. }) = plugin.measure(input.clone()).await;
        let mut problems = played.problems();
        let all = expect::shape(&result, played.state());
        if let (Some(max), Some(fuel)) = (fixture.fuel_max, fuel)
            && fuel > max
        {
            problems.push(format!("fuel_max: it burned {fuel}, at most {max} is allowed"));
        }
        let (expected, got) = match Expect::parse(&fixture.expect) {
            Ok(expect) => expect.compare(&input, &all),
            Err(texts) => {
                problems.extend(texts);
                (fixture.expect.clone(), json!({}))
            }
        };
        Ok(Verdict { name: fixture.name.clone(), expected, got, all, problems, fuel })
    }

    async fn load(&mut self, config: Bytes) -> Result<(Arc<Plugin>, Arc<Played>), load::Error> {
        if let Some((loaded, plugin, played)) = &self.loaded
            && *loaded == config
        {
            return Ok((plugin.clone(), played.clone()));
        }
        let played = Arc::new(Played::default());
        let names = self.manifest.permissions.http.iter().flat_map(|rule| &rule.secrets);
        let secret =
            |name: &String| (name.clone(), Secret::new(format!("test-secret-{name}").as_bytes()));
        let options = Options {
            config: config.clone(),
            limits: self.limits.clone(),
            on_error: Some(OnError::Fail),
            grant: self.manifest.permissions.clone(),
            secrets: names.map(secret).collect(),
            outside: Some(played.clone().outside()),
            ..Options::default()
        };
        let plugin =
            Plugin::load(self.engine, &self.manifest.name, self.wasm.clone(), options).await?;
        self.loaded = Some((config, plugin.clone(), played.clone()));
        Ok((plugin, played))
    }
}

// === impl Verdict ===

impl Verdict {
    /// Whether everything is as expected.
    pub fn holds(&self) -> bool {
        self.problems.is_empty() && self.expected == self.got
    }
}

/// The limits of production, with as much time as there may be, and room for the largest file.
pub fn patient() -> Limits {
    let rows = [
        limits::COMPONENT_BYTES,
        limits::COMPILE_MS,
        limits::CPU_PURE_MS,
        limits::CPU_IO_MS,
        limits::CPU_INIT_MS,
        limits::WALL_PURE_MS,
        limits::WALL_IO_MS,
    ];
    let set =
        |limits: Limits, row: limits::Row| limits.clone().with(row, row.cap).unwrap_or(limits);
    rows.into_iter().fold(Limits::default(), set)
}

/// A webhook body as a plugin is shown it.
pub fn input(event: &Value, attributes: &BTreeMap<String, String>) -> Input {
    let text = |pointers: &[&str]| {
        let found = pointers.iter().find_map(|pointer| event.pointer(pointer)?.as_str());
        found.filter(|text| !text.is_empty()).map(str::to_owned)
    };
    // protojson writes 64-bit numbers as texts.
    let created_at = event.get("createdAt");
    let created_at_s = created_at.and_then(|at| at.as_u64().or_else(|| at.as_str()?.parse().ok()));
    Input {
        id: text(&["/id"]).unwrap_or_else(|| "EV_fixture".to_owned()),
        kind: text(&["/event"]).unwrap_or_default(),
        source: "fixture".to_owned(),
        created_at_ms: created_at_s.unwrap_or_default().saturating_mul(MILLIS),
        attempt: 1,
        room_name: text(&ROOMS),
        participant_identity: text(&PARTICIPANTS),
        attributes: attributes.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
        body: Bytes::from(event.to_string()),
    }
}

#[cfg(test)]
mod tests;
