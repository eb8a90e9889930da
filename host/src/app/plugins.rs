//! Plugins, from the configuration to the slots of chains.
//!
//! The configured file serves, unless it is barred or cannot be loaded while a version that served
//! before is kept: a host that starts again after a bad upload serves what it served.

use crate::config::{self, Config};
use crate::metrics::Metrics;
use crate::plugin::compile::Setup;
use crate::plugin::deploy::folder::{Folder, Why};
use crate::plugin::deploy::upgrade::{Before, Prepared, Refusal, prepare};
use crate::plugin::deploy::watch::{Watched, Watcher, Wishes};
use crate::plugin::deploy::{Digest, Ground, Slot, Spec, Version};
use crate::plugin::engine::{self, Engine};
use crate::plugin::gate::Secret;
use crate::plugin::learn::Learner;
use crate::plugin::outside::Outside;
use crate::plugin::registry::Options;
use crate::plugin::warm::Instances;
use bytes::Bytes;
use livekit_webhook_core::time::Timestamp;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use tracing::{error, info, warn};

/// Below the folder of plugins: compiled code.
const CODE: &str = "code";

/// Why a plugin cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It does not load.
    #[error("plugin {name}: cannot load {file}")]
    Load {
        /// Configured.
        name: String,
        /// Configured.
        file: String,
        /// What to do about it.
        source: Refusal,
    },
    /// Its file cannot be read.
    #[error("plugin {name}: cannot read {file}")]
    File {
        /// Configured.
        name: String,
        /// Configured.
        file: String,
        /// The system's error.
        source: std::io::Error,
    },
    /// The engine does not start.
    #[error("cannot start the plugin engine")]
    Engine(#[source] engine::Error),
}

/// What there is beside the configuration.
#[derive(Clone, Default)]
pub struct Surroundings {
    /// What plugins may reach, as far as they are granted it.
    pub outside: Option<Outside>,
    /// Where plugins keep things on disk.
    pub folder: PathBuf,
    /// The time of the start. `None`: nothing that was kept before is looked at.
    pub starts: Option<Timestamp>,
    /// Where numbers of plugins are shown.
    pub metrics: Option<Arc<Metrics>>,
}

/// Plugins that are loaded and serve nobody yet.
pub struct Loaded {
    engine: Option<Engine>,
    plugins: Vec<One>,
}

struct One {
    spec: Spec,
    version: Version,
    serving: (Bytes, Option<String>),
}

/// Loads every configured plugin, with what it may reach when it is granted it.
///
/// # Errors
/// The first that cannot be had.
pub async fn load(config: &Config, around: &Surroundings) -> Result<Loaded, Error> {
    if config.plugins.is_empty() {
        return Ok(Loaded { engine: None, plugins: Vec::new() });
    }
    // Who only checks a configuration makes no folder.
    let code = around.starts.map(|_| config.deploy.folder.join(CODE));
    let engine = Engine::serving(Setup::serving(code.as_deref())).map_err(Error::Engine)?;
    let mut plugins = Vec::with_capacity(config.plugins.len());
    for configured in &config.plugins {
        let spec = spec(configured, around);
        let one = match around.starts {
            None => first(&engine, spec, Timestamp::default()).await?,
            Some(now) => {
                let folder = Folder::new(&config.deploy.folder, &spec.name);
                start(&engine, spec, &folder, now).await?
            }
        };
        let (plugin, file) = (&one.spec.name, one.spec.file.display().to_string());
        info!(plugin, file, digest = one.version.digest().short(), "plugin loaded");
        plugins.push(one);
    }
    Ok(Loaded { engine: Some(engine), plugins })
}

/// The configured file, as if it were the first.
async fn first(engine: &Engine, spec: Spec, now: Timestamp) -> Result<One, Error> {
    let wasm = read(&spec).await?;
    let (name, options) = (&spec.name, &spec.options);
    match prepare(engine, name, options, wasm.clone(), None, now).await {
        Ok(prepared) => Ok(One::new(spec, prepared, wasm)),
        Err(source) => Err(not_loaded(&spec, source)),
    }
}

/// The configured file, or what served before it.
async fn start(engine: &Engine, spec: Spec, folder: &Folder, now: Timestamp) -> Result<One, Error> {
    if folder.take_release() {
        folder.unbar();
    }
    let (record, barred) = (folder.record(), folder.barred());
    let served = record.current.as_deref().and_then(Digest::parse);
    let since = record.versions.iter().find(|kept| Some(&kept.digest) == record.current.as_ref());
    let since = since.map_or(now, |kept| Timestamp::from_millis(kept.since_ms));
    let wasm = read(&spec).await;
    let digest = wasm.as_ref().ok().map(|wasm| Digest::of(wasm));
    // What is configured serves if it is what served, unless it had made way for another; or if
    // nothing else can.
    let made_way = |it: Digest| barred.get(&it).is_some_and(|bar| bar.why == Why::RolledBack);
    let is_usual = digest.is_some_and(|it| served == Some(it) && !made_way(it));
    let mut ways_back = record.ways_back(digest, &barred);
    let kept = if is_usual { None } else { ways_back.find_map(|kept| folder.version(kept)) };
    let Some(kept) = kept else {
        let since = if served == digest { since } else { now };
        let mut one = first(engine, spec, since).await?;
        if barred.contains_key(&one.version.digest()) {
            warn!(
                plugin = one.spec.name,
                "plugin quarantined: it is not called until it is released"
            );
            one.version = one.version.quarantined();
        }
        return Ok(one);
    };
    let (name, options) = (&spec.name, &spec.options);
    let before = prepare(engine, name, options, kept.clone(), None, since).await;
    let is_barred = digest.is_some_and(|digest| barred.contains_key(&digest));
    let why = match (wasm, &before) {
        (Ok(_), _) if is_barred => "barred".to_owned(),
        (Ok(wasm), before) => {
            let before_it = before.as_ref().ok().map(|before| &before.version);
            let before_it = before_it.map(|it| Before { digest: it.digest(), asks: it.asks() });
            match prepare(engine, name, options, wasm.clone(), before_it, now).await {
                Ok(prepared) => return Ok(One::new(spec, prepared, wasm)),
                Err(refusal) if before.is_err() => return Err(not_loaded(&spec, refusal)),
                Err(refusal) => refusal.words(),
            }
        }
        (Err(error), Err(_)) => return Err(error),
        (Err(error), Ok(_)) => error.to_string(),
    };
    let before = before.map_err(|refusal| not_loaded(&spec, refusal))?;
    error!(plugin = spec.name, why, "the configured file does not serve, the version before does");
    Ok(One::new(spec, before, kept))
}

async fn read(spec: &Spec) -> Result<Bytes, Error> {
    let unread = |source| {
        let (name, file) = (spec.name.clone(), spec.file.display().to_string());
        Error::File { name, file, source }
    };
    tokio::fs::read(&spec.file).await.map(Bytes::from).map_err(unread)
}

fn not_loaded(spec: &Spec, source: Refusal) -> Error {
    Error::Load { name: spec.name.clone(), file: spec.file.display().to_string(), source }
}

/// What the configuration asks for, in the words of the plugin host.
pub fn spec(configured: &config::Plugin, around: &Surroundings) -> Spec {
    let secret = |(name, bytes): (&String, &config::SecretBytes)| {
        (name.clone(), Secret::new(bytes.reveal()))
    };
    let learned = || around.folder.join(&configured.name).join("grant.toml");
    let options = Options {
        config: configured.config.clone().into(),
        limits: configured.limits.clone(),
        on_error: configured.on_error,
        grant: configured.grant.clone(),
        secrets: configured.secrets.iter().map(secret).collect(),
        outside: around.outside.clone(),
        instances: match configured.instances {
            config::Instances::Fresh => Instances::Fresh,
            config::Instances::Warm => Instances::warm(),
        },
        learn: configured.learn.then(|| Arc::new(Learner::new(learned()))),
        own: around
            .metrics
            .as_ref()
            .map(|all| all.plugins.own(&configured.name))
            .unwrap_or_default(),
    };
    Spec {
        name: configured.name.clone(),
        file: configured.file.clone(),
        options,
        canary: configured.canary.as_ref().map(|canary| (canary.file.clone(), canary.percent)),
        shadow: configured.shadow.clone(),
    }
}

// === impl Loaded ===

impl Loaded {
    /// A slot for each, by name, and who watches them.
    pub fn serve(
        self,
        config: &Config,
        ground: &Ground,
        wishes: Wishes,
    ) -> (HashMap<String, Arc<Slot>>, Option<Watcher>) {
        let (mut slots, mut watched) = (HashMap::new(), Vec::new());
        for One { spec, version, serving } in self.plugins {
            let name = spec.name.clone();
            let slot = Arc::new(Slot::new(&name, Arc::new(version), ground.clone()));
            let folder = Folder::new(&config.deploy.folder, &name);
            watched.push(Watched::new(slot.clone(), spec, folder, serving));
            slots.insert(name, slot);
        }
        let watcher = self.engine.map(|engine| Watcher {
            engine,
            ground: ground.clone(),
            watch: config.deploy.watch,
            wishes,
            plugins: watched,
        });
        (slots, watcher)
    }
}

// === impl One ===

impl One {
    fn new(spec: Spec, prepared: Prepared, wasm: Bytes) -> Self {
        let Prepared { version, named, lacks } = prepared;
        if !lacks.is_empty() {
            let lacks = lacks.join("; ");
            warn!(plugin = spec.name, lacks, "the plugin asks for more than it is granted");
        }
        Self { spec, version, serving: (wasm, named) }
    }
}
