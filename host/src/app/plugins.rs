//! Plugins, from the configuration to the slots of chains.

use crate::config::{self, Config};
use crate::plugin::deploy::{Digest, Ground, Slot, Spec, Version};
use crate::plugin::engine::{self, Engine};
use crate::plugin::gate::Secret;
use crate::plugin::learn::Learner;
use crate::plugin::load;
use crate::plugin::outside::Outside;
use crate::plugin::permission::Permissions;
use crate::plugin::registry::{Options, Plugin};
use std::collections::HashMap;
use std::sync::Arc;
use tracing::info;

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
        source: load::Error,
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

/// Plugins that are loaded and serve nobody yet.
#[derive(Default)]
pub struct Loaded(Vec<(Spec, Digest, Arc<Plugin>)>);

/// Loads every configured plugin, with what it may reach when it is granted it.
///
/// # Errors
/// The first that cannot be had.
pub async fn load(config: &Config, outside: Option<&Outside>) -> Result<Loaded, Error> {
    if config.plugins.is_empty() {
        return Ok(Loaded::default());
    }
    let engine = Engine::new().map_err(Error::Engine)?;
    let mut loaded = Vec::with_capacity(config.plugins.len());
    for configured in &config.plugins {
        let spec = spec(configured, config, outside);
        let (name, file) = (spec.name.clone(), spec.file.display().to_string());
        let wasm = match tokio::fs::read(&spec.file).await {
            Ok(wasm) => wasm,
            Err(source) => return Err(Error::File { name, file, source }),
        };
        let digest = Digest::of(&wasm);
        let plugin = match Plugin::load(&engine, &name, wasm.into(), spec.options.clone()).await {
            Ok(plugin) => plugin,
            Err(source) => return Err(Error::Load { name, file, source }),
        };
        info!(plugin = name, file, digest = digest.short(), "plugin loaded");
        loaded.push((spec, digest, plugin));
    }
    Ok(Loaded(loaded))
}

/// Writes below the plugin's own folder.
fn learner(config: &Config, name: &str) -> Arc<Learner> {
    Arc::new(Learner::new(config.deploy.folder.join(name).join("grant.toml")))
}

/// What the configuration asks for, in the words of the plugin host.
pub fn spec(configured: &config::Plugin, config: &Config, outside: Option<&Outside>) -> Spec {
    let secret = |(name, bytes): (&String, &config::SecretBytes)| {
        (name.clone(), Secret::new(bytes.reveal()))
    };
    let options = Options {
        config: configured.config.clone().into(),
        limits: configured.limits.clone(),
        on_error: configured.on_error,
        grant: configured.grant.clone(),
        secrets: configured.secrets.iter().map(secret).collect(),
        outside: outside.cloned(),
        learn: configured.learn.then(|| learner(config, &configured.name)),
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
    /// A slot for each, by name.
    pub fn slots(self, ground: &Ground) -> HashMap<String, Arc<Slot>> {
        let now = ground.clock.now();
        let slot = |(spec, digest, plugin): (Spec, Digest, Arc<Plugin>)| {
            let version = Version::new(plugin, digest, Permissions::default(), now);
            let slot = Slot::new(&spec.name, Arc::new(version), ground.clone());
            (spec.name, Arc::new(slot))
        };
        self.0.into_iter().map(slot).collect()
    }
}
