//! Versions on trial: their files, beside the one that serves.

use super::upgrade::{Before, prepare};
use super::watch::Watched;
use super::{Digest, Ground, Version};
use crate::plugin::engine::Engine;
use crate::plugin::registry::Options;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;
use tracing::{error, info};

// === impl Watched ===

impl Watched {
    /// Canary and shadow: a file that cannot be one is told and leaves the place empty.
    pub(super) async fn renew_trials(
        &mut self,
        engine: &Engine,
        ground: &Ground,
        is_asked: bool,
        watch: bool,
    ) {
        let (canary, shadow) = (self.spec.canary.clone(), self.spec.shadow.clone());
        self.canary.point(canary.as_ref().map_or(Path::new(""), |(file, _)| file));
        self.shadow.point(shadow.as_deref().unwrap_or(Path::new("")));
        if self.canary.is_due(is_asked, watch, Instant::now()) {
            let now = self.slot.serving().canary.map(|(version, _)| version);
            let (file, options) = (self.canary.file(), &self.spec.options);
            let version = self.trial(engine, ground, (file, now), options).await;
            let percent = canary.as_ref().map_or(0, |(_, percent)| *percent);
            self.slot.set_canary(version.map(|version| (version, percent)));
        }
        if self.shadow.is_due(is_asked, watch, Instant::now()) {
            // What it counts is no number of the plugin: each event would be in it twice.
            let options = Options { own: Arc::default(), ..self.spec.options.clone() };
            let (file, now) = (self.shadow.file(), self.slot.serving().shadow);
            let version = self.trial(engine, ground, (file, now), &options).await;
            self.slot.set_shadow(version);
        }
    }

    /// What is to be on trial, where `now` is. One that already is stays, with its breaker.
    async fn trial(
        &self,
        engine: &Engine,
        ground: &Ground,
        (file, now): (&Path, Option<Arc<Version>>),
        options: &Options,
    ) -> Option<Arc<Version>> {
        if file.as_os_str().is_empty() {
            return None;
        }
        let (name, wasm) = (&self.spec.name, self.read(file)?);
        let (digest, serving) = (Digest::of(&wasm), self.slot.serving().stable);
        if digest == serving.digest() || self.folder.barred().contains_key(&digest) {
            return None;
        }
        if let Some(now) = now.filter(|now| now.digest() == digest && now.is_loaded_with(options)) {
            return Some(now);
        }
        let before = Some(Before { digest: serving.digest(), asks: serving.asks() });
        match prepare(engine, name, options, wasm, before, ground.clock.now()).await {
            Ok(prepared) => {
                info!(plugin = name, digest = digest.short(), "plugin version on trial");
                Some(prepared.into_version())
            }
            Err(refusal) => {
                let reason = refusal.words();
                self.slot.count_reload("refused");
                error!(plugin = name, digest = digest.short(), reason, "no trial: file refused");
                None
            }
        }
    }
}
