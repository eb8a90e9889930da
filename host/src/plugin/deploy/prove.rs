//! A version's own fixtures, run before it takes another one's place.
//!
//! What a manifest's fixtures promise, `plugin test` shows to the author; here the host sees it for
//! itself, on an engine that counts fuel and compiles as the serving one does. A fixture plays its
//! own outside and has its own configuration, its own numbers and no log, so running it has no effect
//! and counts nowhere.
//!
//! Not done at a first start, nor for another configuration of the same component: there is nothing
//! that could serve instead, or nothing new.

use crate::plugin::engine::{self, Engine};
use crate::plugin::fixture::Bench;
use crate::plugin::limits::{COMPILE_MS, Limits};
use crate::plugin::load;
use crate::plugin::manifest::{self, Manifest};
use std::future::Future;
use std::time::Duration;
use tracing::Dispatch;
use tracing::instrument::WithSubscriber as _;

/// All fixtures of a version together, in milliseconds, beside the time that compiling it may take.
pub const FIXTURES_MS_MAX: u64 = 60_000;

/// Why a version is not what its fixtures say.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// There is no engine to run them.
    #[error("no engine could be started for its fixtures")]
    Engine(#[source] engine::Error),
    /// They cannot be put beside it.
    #[error("its fixtures cannot be run")]
    Manifest(#[source] manifest::Error),
    /// It does not load with the fixture's configuration.
    #[error("its fixture {name:?} cannot be run")]
    Load {
        /// The fixture's.
        name: String,
        /// Why not.
        source: load::Error,
    },
    /// Something else came of it.
    #[error("its fixture {name:?} does not hold: {words}")]
    Differs {
        /// The fixture's.
        name: String,
        /// What was expected, and what came.
        words: String,
    },
    /// They take too long.
    #[error(
        "its fixtures are not done after {limit_ms} ms: give it fewer, or cheaper ones; `plugin test` \
         shows what each costs"
    )]
    TooSlow {
        /// The limit.
        limit_ms: u64,
    },
}

/// Runs the fixtures of `manifest` on `wasm`, up to the first that fails.
///
/// # Errors
/// [`Failure`].
///
/// # Cancel safety
/// Safe.
pub async fn prove(
    serving: &Engine,
    wasm: &[u8],
    manifest: &Manifest,
    limits: &Limits,
) -> Result<(), Failure> {
    if manifest.fixtures.is_empty() {
        return Ok(());
    }
    let limit_ms = FIXTURES_MS_MAX.saturating_add(limits.get(COMPILE_MS));
    within(limit_ms, all(serving, wasm, manifest, limits)).await
}

/// No longer than that, and without a word in the log.
async fn within(
    limit_ms: u64,
    proving: impl Future<Output = Result<(), Failure>>,
) -> Result<(), Failure> {
    let quiet = proving.with_subscriber(Dispatch::none());
    let ended = tokio::time::timeout(Duration::from_millis(limit_ms), quiet).await;
    ended.unwrap_or(Err(Failure::TooSlow { limit_ms }))
}

async fn all(
    serving: &Engine,
    wasm: &[u8],
    manifest: &Manifest,
    limits: &Limits,
) -> Result<(), Failure> {
    let engine = serving.metered_beside().map_err(Failure::Engine)?;
    let bench = Bench::new(&engine, wasm, manifest).map_err(Failure::Manifest)?;
    let mut bench = bench.compiled_within(limits);
    for fixture in &manifest.fixtures {
        let name = || fixture.name.clone();
        let verdict = bench.run(fixture).await;
        let verdict = verdict.map_err(|source| Failure::Load { name: name(), source })?;
        if !verdict.holds() {
            return Err(Failure::Differs { name: name(), words: verdict.words() });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
