//! Hot reload: looks at the files of plugins, lets changed ones serve, and writes down what
//! changed.
//!
//! Mechanism: once a second, and when the configuration is read again, each file is looked at
//! ([`super::eye`]). A change that has settled is read; another digest becomes another version
//! ([`super::upgrade`]) and is swapped in, and so does the same with another configuration. But for
//! capsules, what is written to [`super::folder`] is written from here only.
//!
//! Guarantee: what serves goes on until the new version could be called. A file that is refused is
//! judged once, told once, and again when it or the configuration changes. Non-guarantee: a write
//! to the folder that fails is told and not repeated.

use super::eye::Eye;
use super::folder::{Bar, Folder, Kept, Why};
use super::upgrade::{Before, Prepared, Refusal, prepare};
use super::{Digest, Ground, Slot, Spec, Version};
use crate::plugin::engine::Engine;
use crate::tasks::Stop;
use bytes::Bytes;
use livekit_webhook_core::plugin::{State, YOUNG_MS};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tracing::{error, info, warn};

/// Between two looks.
const LOOK: Duration = Duration::from_secs(1);

/// What an operator wants since the last look.
#[derive(Clone, Default)]
pub struct Wishes(Arc<Mutex<Option<Vec<Spec>>>>);

/// The worker over all plugins of a host.
pub struct Watcher {
    /// Loads new versions.
    pub engine: Engine,
    /// Clock, counters, bell.
    pub ground: Ground,
    /// Whether files are looked at unasked.
    pub watch: bool,
    /// From the configuration, read again.
    pub wishes: Wishes,
    /// One a plugin.
    pub plugins: Vec<Watched>,
}

/// One plugin under watch.
pub struct Watched {
    pub(super) slot: Arc<Slot>,
    pub(super) spec: Spec,
    pub(super) folder: Folder,
    stable: Eye,
    pub(super) canary: Eye,
    pub(super) shadow: Eye,
    /// Serves since the start and is not kept yet.
    unkept: Option<(Bytes, Option<String>)>,
    refused: Option<Value>,
    status: Value,
}

// === impl Wishes ===

impl Wishes {
    /// These plugins, from now on.
    pub fn wish(&self, specs: Vec<Spec>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(specs);
    }

    fn take(&self) -> Option<Vec<Spec>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

// === impl Watcher ===

impl Watcher {
    /// Looks until `stop`.
    pub async fn run(mut self, mut stop: Stop) {
        while !stop.is_given() {
            let wishes = self.wishes.take();
            for plugin in &mut self.plugins {
                let name = plugin.spec.name.clone();
                let asked = wishes.iter().flatten().find(|spec| spec.name == name).cloned();
                tokio::select! {
                    () = plugin.turn(&self.engine, &self.ground, asked, self.watch) => {}
                    // Compiling and fixtures may take a minute, and nobody will call what comes.
                    () = stop.given() => return,
                }
            }
            tokio::select! {
                () = self.ground.bell.wait(LOOK) => {}
                () = stop.given() => {}
            }
        }
    }
}

// === impl Watched ===

impl Watched {
    /// `slot` serves `wasm`, or a kept version, as `spec` says.
    pub fn new(
        slot: Arc<Slot>,
        spec: Spec,
        folder: Folder,
        serving: (Bytes, Option<String>),
    ) -> Self {
        let stable = Eye::new(&spec.file);
        let (canary, shadow) = (Eye::default(), Eye::default());
        let unkept = Some(serving);
        let (refused, status) = (None, Value::Null);
        Self { slot, spec, folder, stable, canary, shadow, unkept, refused, status }
    }

    async fn turn(&mut self, engine: &Engine, ground: &Ground, asked: Option<Spec>, watch: bool) {
        let mut is_asked = asked.is_some();
        if let Some(mut spec) = asked {
            self.stable.point(&spec.file);
            // Two who learn would write over each other's file.
            if let (Some(learner), Some(other)) =
                (&self.spec.options.learn, &mut spec.options.learn)
            {
                *other = learner.clone();
            }
            self.spec = spec;
        }
        self.write_fallen(ground);
        if self.folder.take_release() {
            info!(plugin = self.spec.name, "plugin released");
            self.folder.unbar();
            self.slot.release();
            is_asked = true;
        }
        if let Some((wasm, named)) = self.unkept.take() {
            self.keep(&self.slot.serving().stable, &wasm, named);
            self.find_before(engine, ground).await;
        }
        if self.stable.is_due(is_asked, watch, Instant::now()) {
            self.renew(engine, ground).await;
        }
        self.renew_trials(engine, ground, is_asked, watch).await;
        self.slot.show();
        self.tell_status();
    }

    /// Lets the configured file serve as configured, if that is another one than the one that does.
    async fn renew(&mut self, engine: &Engine, ground: &Ground) {
        let Some(wasm) = self.read(&self.spec.file) else { return };
        let (digest, serving) = (Digest::of(&wasm), self.slot.serving().stable);
        let is_same = digest == serving.digest();
        if is_same && serving.is_loaded_with(&self.spec.options) {
            self.refused = None;
            return;
        }
        if !is_same && let Some(bar) = self.folder.barred().get(&digest) {
            self.tell_barred(digest, bar);
            return;
        }
        let (name, options) = (&self.spec.name, &self.spec.options);
        let before = Before { digest: serving.digest(), asks: serving.asks() };
        // With another configuration it is no younger.
        let since = if is_same { serving.since() } else { ground.clock.now() };
        match prepare(engine, name, options, wasm.clone(), Some(before), since).await {
            Ok(prepared) => self.serve(prepared, &wasm, &serving),
            Err(refusal) => self.tell_refused(digest, &serving, refusal),
        }
    }

    /// Swaps `prepared` in, which was loaded while `before` served.
    fn serve(&mut self, prepared: Prepared, wasm: &[u8], before: &Version) {
        let Prepared { mut version, named, .. } = prepared;
        let is_same = version.digest() == before.digest();
        let serving = self.slot.serving().stable;
        if is_same && serving.digest() != before.digest() {
            // It made way while it was loaded anew.
            return;
        }
        if is_same && serving.state() == State::Quarantined {
            // That ends by `plugin release` alone.
            version = version.quarantined();
        }
        let (from, to) = (before.digest().short(), version.digest().short());
        let more = version.asks().beyond(before.asks()).join("; ");
        let version = Arc::new(version);
        self.slot.swap(version.clone());
        self.slot.count_reload("done");
        let plugin = &self.spec.name;
        info!(plugin, from, to, version = named, more, "plugin version serves");
        self.keep(&version, wasm, named);
        self.refused = None;
    }

    fn tell_barred(&mut self, digest: Digest, bar: &Bar) {
        let (plugin, short, why) = (&self.spec.name, digest.short(), format!("{:?}", bar.why));
        warn!(plugin, digest = short, why, "the file is a barred version and does not serve");
        self.refused = Some(json!({ "digest": digest.to_string(), "why": bar.why }));
    }

    fn tell_refused(&mut self, digest: Digest, serving: &Version, refusal: Refusal) {
        let (plugin, reason) = (&self.spec.name, refusal.words());
        let why = if matches!(refusal, Refusal::Held(_)) { "held" } else { "refused" };
        self.slot.count_reload(why);
        let (short, serving) = (digest.short(), serving.digest().short());
        error!(
            plugin,
            digest = short,
            serving,
            reason,
            "plugin file refused, the version before serves"
        );
        let asks = if let Refusal::Held(asks) = refusal { asks } else { Vec::new() };
        let digest = digest.to_string();
        self.refused =
            Some(json!({ "digest": digest, "why": why, "reason": reason, "asks": asks }));
    }

    /// After a start the version before is loaded again while a young one serves.
    async fn find_before(&self, engine: &Engine, ground: &Ground) {
        let (serving, record) = (self.slot.serving(), self.folder.record());
        let now = ground.clock.now();
        let is_young = now.millis_since(serving.stable.since()) < YOUNG_MS;
        if !is_young || serving.before.is_some() {
            return;
        }
        let barred = self.folder.barred();
        let mut kept = record.ways_back(Some(serving.stable.digest()), &barred);
        let Some(wasm) = kept.find_map(|digest| self.folder.version(digest)) else { return };
        let (name, options) = (&self.spec.name, &self.spec.options);
        match prepare(engine, name, options, wasm, None, now).await {
            Ok(prepared) => self.slot.set_before(prepared.into_version()),
            Err(refusal) => {
                let reason = refusal.words();
                warn!(plugin = name, reason, "the version before does not load: no way back to it");
            }
        }
    }

    /// Bars what the slot does not let serve any more.
    fn write_fallen(&self, ground: &Ground) {
        for (digest, why) in self.slot.take_fallen() {
            let bar = Bar { since_ms: ground.clock.now().as_millis(), why };
            self.written(self.folder.bar(digest, &bar));
            let serving = self.slot.serving().stable;
            if why == Why::RolledBack && serving.digest() != digest {
                let wasm = self.folder.version(serving.digest());
                let mut kept = self.folder.record().versions.into_iter();
                let serves = serving.digest().to_string();
                if let (Some(kept), Some(wasm)) = (kept.find(|kept| kept.digest == serves), wasm) {
                    self.written(self.folder.keep(serving.digest(), &wasm, kept));
                }
            }
        }
    }

    fn keep(&self, version: &Version, wasm: &[u8], named: Option<String>) {
        let kept = Kept {
            digest: version.digest().to_string(),
            since_ms: version.since().as_millis(),
            bytes: u64::try_from(wasm.len()).unwrap_or(u64::MAX),
            version: named,
        };
        self.written(self.folder.keep(version.digest(), wasm, kept));
    }

    fn tell_status(&mut self) {
        let serving = self.slot.serving();
        let digest = |version: &Arc<Version>| version.digest().to_string();
        let status = json!({
            "plugin": self.spec.name,
            "file": self.spec.file.display().to_string(),
            "serving": digest(&serving.stable),
            "since_ms": serving.stable.since().as_millis(),
            "breaker": self.slot.breaker_word(),
            "canary": serving.canary.as_ref().map(|(version, _)| digest(version)),
            "shadow": serving.shadow.as_ref().map(digest),
            "refused": self.refused,
        });
        if status != self.status {
            self.written(self.folder.write_json("status.json", &status));
            self.status = status;
        }
    }

    pub(super) fn read(&self, file: &Path) -> Option<Bytes> {
        let (plugin, name) = (&self.spec.name, file.display().to_string());
        match std::fs::read(file) {
            Ok(wasm) => Some(wasm.into()),
            Err(error) => {
                error!(plugin, file = name, %error, "plugin file cannot be read");
                None
            }
        }
    }

    fn written(&self, result: std::io::Result<()>) {
        if let Err(error) = result {
            let (plugin, folder) = (&self.spec.name, self.folder.path().display().to_string());
            warn!(plugin, folder, %error, "the folder of plugins cannot be written");
        }
    }
}

#[cfg(test)]
mod tests;
