//! Hot reload: looks at the files of plugins, lets changed ones serve, and writes down what
//! changed.
//!
//! Mechanism: once a second, and when the configuration is read again, each file's length and time
//! of change are compared with those that were judged last. A change that has settled (two looks
//! saw the same) is read; another digest becomes another version ([`super::upgrade`]) and is
//! swapped in. Everything on disk goes through [`super::folder`], from here only.
//!
//! Guarantee: what serves goes on until the new version could be called. A file that is refused is
//! judged once, told once, and again when it or the configuration changes. Non-guarantee: a write
//! to the folder that fails is told and not repeated.

use super::folder::{Bar, Folder, Kept, Why};
use super::upgrade::{Before, Refusal, prepare};
use super::{Digest, Ground, Slot, Spec, Version};
use crate::plugin::engine::Engine;
use crate::plugin::registry::Options;
use crate::tasks::Stop;
use bytes::Bytes;
use livekit_webhook_core::plugin::YOUNG_MS;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};
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
    slot: Arc<Slot>,
    spec: Spec,
    folder: Folder,
    stable: Eye,
    canary: Eye,
    shadow: Eye,
    /// Serves since the start and is not kept yet.
    unkept: Option<(Bytes, Option<String>)>,
    refused: Option<Value>,
    status: Value,
}

/// A file that is looked at.
#[derive(Default)]
struct Eye {
    file: PathBuf,
    seen: Option<Stamp>,
    judged: Option<Stamp>,
}

type Stamp = (u64, SystemTime);

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
                plugin.turn(&self.engine, &self.ground, asked, self.watch).await;
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
        if let Some(spec) = asked {
            self.stable.point(&spec.file);
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
        if self.stable.is_due(is_asked, watch) {
            self.renew(engine, ground, is_asked).await;
        }
        self.renew_trials(engine, ground, is_asked, watch).await;
        self.tell_status();
    }

    /// Lets the configured file serve, if it is another one than the one that does.
    async fn renew(&mut self, engine: &Engine, ground: &Ground, is_asked: bool) {
        let Some(wasm) = self.read(&self.spec.file) else { return };
        let (digest, serving) = (Digest::of(&wasm), self.slot.serving().stable);
        let is_same = digest == serving.digest();
        if is_same && !(is_asked && self.slot.is_other(&self.spec.options)) {
            self.refused = None;
            return;
        }
        let name = self.spec.name.clone();
        let (from, to) = (serving.digest().short(), digest.short());
        if !is_same && let Some(bar) = self.folder.barred().get(&digest) {
            let why = format!("{:?}", bar.why);
            warn!(
                plugin = name,
                digest = to,
                why,
                "the file is a barred version and does not serve"
            );
            self.refused = Some(json!({ "digest": digest.to_string(), "why": bar.why }));
            return;
        }
        let before = Some(Before { digest: serving.digest(), asks: serving.asks() });
        let options = &self.spec.options;
        let now = ground.clock.now();
        match prepare(engine, &name, options, wasm.clone(), before, now).await {
            Ok(prepared) => {
                let named = prepared.named.clone();
                let more = prepared.version.asks().beyond(serving.asks()).join("; ");
                let version = prepared.into_version();
                self.slot.swap(version.clone(), options.clone());
                self.slot.count_reload("done");
                info!(plugin = name, from, to, version = named, more, "plugin version serves");
                self.keep(&version, &wasm, named);
                self.refused = None;
            }
            Err(refusal) => {
                let words = refusal.words();
                let is_held = matches!(refusal, Refusal::Held(_));
                self.slot.count_reload(if is_held { "held" } else { "refused" });
                error!(
                    plugin = name,
                    digest = to,
                    serving = from,
                    reason = words,
                    "plugin file refused, the version before serves"
                );
                let asks = if let Refusal::Held(asks) = refusal { asks } else { Vec::new() };
                self.refused = Some(json!({
                    "digest": digest.to_string(), "why": if is_held { "held" } else { "refused" },
                    "reason": words, "asks": asks,
                }));
            }
        }
    }

    /// Canary and shadow: a file that cannot be one is told and leaves the place empty.
    async fn renew_trials(
        &mut self,
        engine: &Engine,
        ground: &Ground,
        is_asked: bool,
        watch: bool,
    ) {
        let (canary, shadow) = (self.spec.canary.clone(), self.spec.shadow.clone());
        self.canary.point(canary.as_ref().map_or(Path::new(""), |(file, _)| file));
        self.shadow.point(shadow.as_deref().unwrap_or(Path::new("")));
        if self.canary.is_due(is_asked, watch) {
            let version = self.trial(engine, ground, &self.canary.file, &self.spec.options).await;
            let percent = canary.as_ref().map_or(0, |(_, percent)| *percent);
            self.slot.set_canary(version.map(|version| (version, percent)));
        }
        if self.shadow.is_due(is_asked, watch) {
            // What it counts is no number of the plugin: each event would be in it twice.
            let options = Options { own: Arc::default(), ..self.spec.options.clone() };
            let version = self.trial(engine, ground, &self.shadow.file, &options).await;
            self.slot.set_shadow(version);
        }
    }

    async fn trial(
        &self,
        engine: &Engine,
        ground: &Ground,
        file: &Path,
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

    /// After a start the version before is loaded again while a young one serves.
    async fn find_before(&self, engine: &Engine, ground: &Ground) {
        let (serving, record) = (self.slot.serving(), self.folder.record());
        let now = ground.clock.now();
        let is_young = now.millis_since(serving.stable.since()) < YOUNG_MS;
        let mut kept = record.versions.iter().rev().filter_map(|kept| Digest::parse(&kept.digest));
        let before = kept.find(|digest| *digest != serving.stable.digest());
        let Some(digest) = before.filter(|_| is_young && serving.before.is_none()) else { return };
        if self.folder.barred().contains_key(&digest) {
            return;
        }
        let Some(wasm) = self.folder.version(digest) else { return };
        let (name, options) = (&self.spec.name, &self.spec.options);
        if let Ok(prepared) = prepare(engine, name, options, wasm, None, now).await {
            self.slot.set_before(prepared.into_version());
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

    fn read(&self, file: &Path) -> Option<Bytes> {
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

// === impl Eye ===

impl Eye {
    /// On a file that has just been judged.
    fn new(file: &Path) -> Self {
        let stamp = stamp(file);
        Self { file: file.to_owned(), seen: stamp, judged: stamp }
    }

    /// On `file` from now on; another one has not been judged.
    fn point(&mut self, file: &Path) {
        if self.file != file {
            *self = Self { file: file.to_owned(), ..Self::default() };
            // One that is new here need not settle.
            self.seen = stamp(file);
        }
    }

    /// Whether the file is to be read. It is, then, judged.
    fn is_due(&mut self, is_asked: bool, watch: bool) -> bool {
        let stamp = stamp(&self.file);
        let is_settled = stamp == self.seen;
        self.seen = stamp;
        let is_new = stamp != self.judged && is_settled && (watch || self.judged.is_none());
        let is_due = is_new || is_asked;
        if is_due {
            self.judged = stamp;
        }
        is_due
    }
}

fn stamp(file: &Path) -> Option<Stamp> {
    let facts = std::fs::metadata(file).ok()?;
    Some((facts.len(), facts.modified().ok()?))
}
