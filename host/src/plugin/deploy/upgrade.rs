//! From a file's bytes to a version that may serve: digest, manifest, permissions, compilation,
//! link, configuration. Any step may refuse, and then what served before goes on.

use super::{Digest, Version};
use crate::causes;
use crate::plugin::engine::Engine;
use crate::plugin::load;
use crate::plugin::manifest::{self, Manifest};
use crate::plugin::permission::Permissions;
use crate::plugin::registry::{Options, Plugin};
use bytes::Bytes;
use livekit_webhook_core::time::Timestamp;
use std::sync::Arc;

/// Why a file is not served.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// It asks for more than the version before, and more than is granted.
    #[error("it asks for more than it is granted: {}", .0.join("; "))]
    Held(Vec<String>),
    /// Its manifest cannot be read.
    #[error("its manifest cannot be read")]
    Manifest(#[source] manifest::Error),
    /// It does not load.
    #[error(transparent)]
    Load(#[from] load::Error),
}

/// A version that was loaded, with what was learnt on the way.
pub struct Prepared {
    /// Serves nobody yet.
    pub version: Version,
    /// As its manifest says.
    pub named: Option<String>,
    /// What it asks for and is not granted; it runs without.
    pub lacks: Vec<String>,
}

/// Loads `wasm`. With `before`, what the version before asks for, it must not ask for more than
/// that or the grant; without, it runs with what it is granted.
///
/// # Errors
/// [`Refusal`].
pub async fn prepare(
    engine: &Engine,
    name: &str,
    options: &Options,
    wasm: Bytes,
    before: Option<&Permissions>,
    now: Timestamp,
) -> Result<Prepared, Refusal> {
    let digest = Digest::of(&wasm);
    let manifest = Manifest::read(&wasm);
    let (asks, named) = match manifest {
        Ok(Some(manifest)) => (manifest.permissions, Some(manifest.version)),
        Ok(None) | Err(manifest::Error::NotWasm) => (Permissions::default(), None),
        Err(error) => return Err(Refusal::Manifest(error)),
    };
    // Whoever learns what it needs gives it all that it asks for.
    let granted = if options.learn.is_some() { &asks } else { &options.grant };
    let lacks = asks.beyond(granted);
    if let Some(before) = before {
        let known = before.beyond(&options.grant);
        let more: Vec<_> = lacks.iter().filter(|line| !known.contains(line)).cloned().collect();
        if !more.is_empty() {
            return Err(Refusal::Held(more));
        }
    }
    let plugin = Plugin::load(engine, name, wasm, options.clone()).await?;
    let version = Version::new(plugin, digest, asks, now);
    Ok(Prepared { version, named, lacks })
}

// === impl Refusal ===

impl Refusal {
    /// With every cause, in one line.
    pub fn words(&self) -> String {
        causes::line(self)
    }
}

// === impl Prepared ===

impl Prepared {
    /// To be put into a slot.
    pub fn into_version(self) -> Arc<Version> {
        Arc::new(self.version)
    }
}
