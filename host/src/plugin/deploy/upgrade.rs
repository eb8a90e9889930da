//! From a file's bytes to a version that may serve: digest, manifest, permissions, compilation,
//! link, configuration, fixtures. Any step may refuse, and then what served before goes on.

use super::prove::{self, prove};
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
    /// It is not what its own fixtures say.
    #[error(transparent)]
    Fixtures(#[from] prove::Failure),
}

/// What a new version would take the place of.
#[derive(Clone, Copy)]
pub struct Before<'a> {
    /// Of its file.
    pub digest: Digest,
    /// What its manifest asks for.
    pub asks: &'a Permissions,
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

/// Loads `wasm`. With a version before it must not ask for more than that one or the grant, and if
/// it is another component, its fixtures must hold; without, it runs with what it is granted. It
/// serves `since`.
///
/// # Errors
/// [`Refusal`].
pub async fn prepare(
    engine: &Engine,
    name: &str,
    options: &Options,
    wasm: Bytes,
    before: Option<Before<'_>>,
    since: Timestamp,
) -> Result<Prepared, Refusal> {
    let digest = Digest::of(&wasm);
    let manifest = Manifest::read(&wasm);
    let manifest = match manifest {
        Ok(manifest) => manifest,
        Err(manifest::Error::NotWasm) => None,
        Err(error) => return Err(Refusal::Manifest(error)),
    };
    let asks = manifest.as_ref().map(|manifest| manifest.permissions.clone()).unwrap_or_default();
    // Whoever learns what it needs gives it all that it asks for.
    let granted = if options.learn.is_some() { &asks } else { &options.grant };
    let lacks = asks.beyond(granted);
    if let Some(before) = before {
        let known = before.asks.beyond(&options.grant);
        let more: Vec<_> = lacks.iter().filter(|line| !known.contains(line)).cloned().collect();
        if !more.is_empty() {
            return Err(Refusal::Held(more));
        }
    }
    let plugin = Plugin::load(engine, name, wasm.clone(), options.clone()).await?;
    if let (Some(before), Some(manifest)) = (before, &manifest)
        && before.digest != digest
    {
        prove(engine, &wasm, manifest, &options.limits).await?;
    }
    let named = manifest.map(|manifest| manifest.version);
    let version = Version::new(plugin, digest, asks, options.clone(), since);
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
