//! A trap capsule: everything needed to see an event's fault again, in one file.
//!
//! It is written when an event is given up. It holds the event's body and the plugin's
//! configuration, so it is readable for its owner only. Values of `[[plugin.secret]]` are not in it,
//! nor what the manifest calls secret of the configuration: there it has a mark, with which it is
//! replayed, unless somebody brings the configuration again.
//! [`Capsule::replay`] runs a component on it in the same engine, answering what it asks from
//! outside from the tape.
//!
//! Every plugin keeps at most [`CAPSULES_MAX`] of at most [`CAPSULE_BYTES_MAX`]. A full folder keeps
//! what it has: the first of a kind tells most.

use super::folder::Folder;
use super::{Digest, Version, follow, shadow};
use crate::plugin::engine::Engine;
use crate::plugin::gate::Secret;
use crate::plugin::limits::{self, Limits};
use crate::plugin::load;
use crate::plugin::permission::Permissions;
use crate::plugin::registry::{OnError, Options, Plugin};
use crate::plugin::tape::{self, Entry, Tape};
use crate::plugin::witness::Seen;
use crate::plugin::{Fault, Input, Output, Usage};
use bytes::Bytes;
use livekit_webhook_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::PoisonError;

/// The only form there is.
pub const SCHEMA: u32 = 1;
/// Capsules of one plugin.
pub const CAPSULES_MAX: usize = 100;
/// Size of one, in bytes.
pub const CAPSULE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// One poison event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Capsule {
    /// [`SCHEMA`].
    pub schema: u32,
    /// As configured.
    pub plugin: String,
    /// Of the component.
    pub digest: String,
    /// When, in milliseconds since the epoch.
    pub written_ms: i64,
    /// What happened.
    pub fault: Broken,
    /// The event.
    pub event: Event,
    /// The plugin's configuration, without its secrets.
    pub config: Value,
    /// Where those may stand, when there were any: `token`, `servers[].token`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub config_hidden: Vec<String>,
    /// SHA-256 of its text, as it is here when something of it is not.
    pub config_digest: String,
    /// What it might use.
    pub limits: BTreeMap<String, u64>,
    /// What it might reach.
    pub grant: Permissions,
    /// What it was told from outside.
    pub outside: Vec<Entry>,
}

/// How the last call ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Broken {
    /// As in the metrics.
    pub kind: String,
    /// In words.
    pub text: String,
    /// What the guest said last.
    pub last_words: Option<String>,
    /// Its functions, innermost first.
    pub frames: Vec<String>,
    /// The last lines of its log.
    pub log: Vec<String>,
    /// CPU, in microseconds.
    pub cpu_us: u64,
    /// Memory at the end, in bytes.
    pub memory_bytes: u64,
}

/// An [`Input`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    id: String,
    kind: String,
    source: String,
    created_at_ms: u64,
    attempt: u32,
    room_name: Option<String>,
    participant_identity: Option<String>,
    attributes: Vec<(String, String)>,
    body: Value,
}

/// What a component made of a capsule.
pub struct Replayed {
    /// Its answer.
    pub result: Result<Vec<Output>, Fault>,
    /// What it took.
    pub usage: Usage,
}

// === impl Capsule ===

impl Capsule {
    /// Of a call that `version` ended with `fault`. Limits and grant are those that held, whoever
    /// said so.
    pub fn new(
        version: &Version,
        input: &Input,
        fault: &Fault,
        (seen, usage): (&Seen, Usage),
        now: Timestamp,
    ) -> Self {
        let (plugin, options) = (version.plugin(), version.options());
        let limits = plugin.limits().rows().filter(|(_, value)| *value > 0);
        let is_all_granted = options.learn.is_some() && plugin.manifest().is_some();
        let grant = if is_all_granted { version.asks() } else { &options.grant };
        let hidden = &plugin.hidden;
        let mut config = serde_json::from_slice(&options.config).unwrap_or(Value::Null);
        let mut config_digest = Digest::of(&options.config);
        let mut config_hidden = Vec::new();
        if let Some(manifest) = plugin.manifest().filter(|m| m.redact(&mut config)) {
            // A digest of a short secret is the secret, for whoever can count.
            config_digest = Digest::of(config.to_string().as_bytes());
            config_hidden = manifest.secret_fields();
        }
        let last_words = seen.last_words.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut outside = seen.tape.entries();
        for entry in &mut outside {
            entry.asked = hidden.hide(&entry.asked);
            hidden.hide_in(&mut entry.answer);
        }
        Self {
            schema: SCHEMA,
            plugin: plugin.name().to_owned(),
            digest: version.digest().to_string(),
            written_ms: now.as_millis(),
            fault: Broken {
                kind: follow::label(fault).to_owned(),
                text: hidden.hide(&fault.to_string()),
                last_words: last_words.map(|words| hidden.hide(&words)),
                frames: seen.frames.lock().unwrap_or_else(PoisonError::into_inner).clone(),
                log: seen.tail.lines().iter().map(|line| hidden.hide(line)).collect(),
                cpu_us: u64::try_from(usage.cpu.as_micros()).unwrap_or(u64::MAX),
                memory_bytes: usage.memory_bytes,
            },
            event: Event::of(input),
            config,
            config_hidden,
            config_digest: config_digest.to_string(),
            limits: limits.map(|(row, value)| (row.name.to_owned(), value)).collect(),
            grant: grant.clone(),
            outside,
        }
    }

    /// Writes it. `Ok(None)` when the folder is full.
    ///
    /// # Errors
    /// The system's, and when it is too large.
    pub fn write(&self, folder: &Folder) -> io::Result<Option<PathBuf>> {
        let digest = self.digest.get(..12).unwrap_or_default();
        let name = format!("capsules/{}-{digest}.json", self.event.id);
        let path = folder.path().join(&name);
        if !path.exists() && folder.capsules() >= CAPSULES_MAX {
            return Ok(None);
        }
        let mut bytes = serde_json::to_vec_pretty(self)?;
        if bytes.len() > CAPSULE_BYTES_MAX {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "the capsule is too large"));
        }
        bytes.push(b'\n');
        folder.write(&name, &bytes)?;
        Ok(Some(path))
    }

    /// Runs `wasm` on it. Secrets have their marks for values, as on the tape.
    ///
    /// # Errors
    /// When it does not load.
    pub async fn replay(&self, engine: &Engine, wasm: Bytes) -> Result<Replayed, load::Error> {
        self.run(engine, wasm, self.limits()).await
    }

    /// Fuel that `wasm` burns on it, on an engine that counts fuel: the same on every machine, which
    /// no time is. `None` where time ended it even so, since that is later on a faster machine.
    ///
    /// # Errors
    /// When it does not load.
    pub async fn fuel(&self, metered: &Engine, wasm: Bytes) -> Result<Option<u64>, load::Error> {
        let mut limits = self.limits();
        // Counting takes time, which must not end a call that ends by itself.
        for row in [
            limits::CPU_PURE_MS,
            limits::CPU_IO_MS,
            limits::CPU_INIT_MS,
            limits::WALL_PURE_MS,
            limits::WALL_IO_MS,
        ] {
            let _ = limits.set(row.name, row.cap);
        }
        let Replayed { result, usage } = self.run(metered, wasm, limits).await?;
        let is_timed = matches!(
            result,
            Err(Fault::CpuExceeded { .. } | Fault::DeadlineExceeded { .. } | Fault::Unavailable)
        );
        Ok(usage.fuel.filter(|_| !is_timed))
    }

    fn limits(&self) -> Limits {
        let mut limits = Limits::default();
        for (name, value) in &self.limits {
            // A limit of another release is left at its default.
            let _ = limits.set(name, *value);
        }
        limits
    }

    async fn run(
        &self,
        engine: &Engine,
        wasm: Bytes,
        limits: Limits,
    ) -> Result<Replayed, load::Error> {
        let names = self.grant.http.iter().flat_map(|rule| &rule.secrets);
        let secret = |name: &String| (name.clone(), Secret::new(tape::mark(name).as_bytes()));
        let secrets = names.map(secret).collect();
        let options = Options {
            config: self.config.to_string().into(),
            limits,
            on_error: Some(OnError::Fail),
            grant: self.grant.clone(),
            outside: Some(Tape::of(self.outside.clone()).play(&secrets)),
            secrets,
            ..Options::default()
        };
        let plugin = Plugin::load(engine, &self.plugin, wasm, options).await?;
        let (result, usage) = plugin.measure(self.event.to_input()).await;
        Ok(Replayed { result, usage })
    }
}

// === impl Replayed ===

impl Replayed {
    /// `ok`, or the kind of fault.
    pub fn kind(&self) -> &'static str {
        self.result.as_ref().map_or_else(follow::label, |_| "ok")
    }

    /// What it said, in lines.
    pub fn lines(&self) -> String {
        shadow::lines(&self.result)
    }
}

// === impl Event ===

impl Event {
    fn of(input: &Input) -> Self {
        Self {
            id: input.id.clone(),
            kind: input.kind.clone(),
            source: input.source.clone(),
            created_at_ms: input.created_at_ms,
            attempt: input.attempt,
            room_name: input.room_name.clone(),
            participant_identity: input.participant_identity.clone(),
            attributes: input.attributes.clone(),
            body: tape::bytes(&input.body),
        }
    }

    fn to_input(&self) -> Input {
        Input {
            id: self.id.clone(),
            kind: self.kind.clone(),
            source: self.source.clone(),
            created_at_ms: self.created_at_ms,
            attempt: self.attempt,
            room_name: self.room_name.clone(),
            participant_identity: self.participant_identity.clone(),
            attributes: self.attributes.clone(),
            body: tape::to_bytes(&self.body),
        }
    }
}
