//! One plugin under watch, looked at by hand, over the real engine and a folder.

use super::*;
use crate::clock::{Clock as _, ManualClock};
use crate::metrics::Metrics;
use crate::plugin::Input;
use crate::plugin::deploy::tests::another;
use crate::plugin::learn::Learner;
use crate::plugin::registry::{OnError, Options};
use crate::plugin::tests::{ENGINE, component, generous};
use crate::tasks::{Bell, Tasks};
use livekit_webhook_core::plugin::{CALLS_MIN, PERIODS_MS};
use livekit_webhook_core::time::Timestamp;

struct Scene {
    base: tempfile::TempDir,
    clock: ManualClock,
    ground: Ground,
    watched: Watched,
    number: u32,
}

fn options(config: &'static str) -> Options {
    let config = Bytes::from_static(config.as_bytes());
    Options { limits: generous(), on_error: Some(OnError::Fail), config, ..Options::default() }
}

impl Scene {
    /// `evil` serves.
    async fn new() -> Self {
        let base = tempfile::tempdir().unwrap();
        let (file, wasm) = (base.path().join("evil.wasm"), component("evil"));
        std::fs::write(&file, &wasm).unwrap();
        let clock = ManualClock::at(Timestamp::from_millis(1_800_000_000_000));
        let ground = Ground {
            clock: Arc::new(clock.clone()),
            metrics: Arc::new(Metrics::new()),
            tasks: Tasks::new(),
            bell: Bell::new(),
            folder: base.path().join("kept"),
        };
        let options = options("{}");
        let prepared = prepare(&ENGINE, "evil", &options, wasm.clone(), None, clock.now());
        let version = prepared.await.unwrap().into_version();
        let slot = Arc::new(Slot::new("evil", version, ground.clone()));
        let spec = Spec { name: "evil".to_owned(), file, options, canary: None, shadow: None };
        let folder = Folder::new(&ground.folder, "evil");
        let watched = Watched::new(slot, spec, folder, (wasm, None));
        let mut scene = Self { base, clock, ground, watched, number: 0 };
        scene.look(None).await;
        scene
    }

    async fn look(&mut self, asked: Option<Spec>) {
        self.watched.turn(&ENGINE, &self.ground, asked, true).await;
    }

    async fn ask(&mut self, options: Options) {
        let spec = Spec { options, ..self.watched.spec.clone() };
        self.look(Some(spec)).await;
    }

    fn stable(&self) -> Arc<Version> {
        self.watched.slot.serving().stable
    }

    async fn faults(&mut self, count: u32) {
        for _ in 0..count {
            self.number += 1;
            let input = Input {
                id: format!("ev_{}", self.number),
                attempt: 1,
                room_name: Some("evil:trap".to_owned()),
                ..Input::default()
            };
            self.watched.slot.call(&input).await.unwrap_err();
        }
    }

    async fn quarantine(&mut self) {
        self.faults(CALLS_MIN).await;
        for period_ms in PERIODS_MS {
            self.clock.advance(period_ms);
            self.faults(1).await;
        }
        assert_eq!(self.stable().state(), State::Quarantined);
    }
}

#[tokio::test]
async fn another_configuration_makes_a_version_neither_younger_nor_well() {
    let mut scene = Scene::new().await;
    let before = scene.stable();
    scene.clock.advance(YOUNG_MS);
    scene.ask(options("{ }")).await;
    let after = scene.stable();
    assert!(after.is_loaded_with(&options("{ }")) && !Arc::ptr_eq(&before, &after));
    assert_eq!(after.since(), before.since());
    assert!(after.is_well());

    scene.quarantine().await;
    scene.ask(options("{  }")).await;
    assert!(scene.stable().is_loaded_with(&options("{  }")));
    assert_eq!(scene.stable().state(), State::Quarantined);
    scene.watched.folder.ask_release().unwrap();
    scene.look(None).await;
    assert!(scene.stable().is_well());
    assert!(scene.watched.folder.barred().is_empty());
}

#[tokio::test]
async fn what_is_asked_again_and_is_the_same_is_left_alone() {
    let mut scene = Scene::new().await;
    let trial = scene.base.path().join("trial.wasm");
    std::fs::write(&trial, another("evil", "trial")).unwrap();
    let stable = scene.stable();
    let mut seen = None;
    for percent in [10, 20] {
        let canary = Some((trial.clone(), percent));
        let spec = Spec { canary, shadow: Some(trial.clone()), ..scene.watched.spec.clone() };
        scene.look(Some(spec)).await;
        let serving = scene.watched.slot.serving();
        let ((canary, now), shadow) = (serving.canary.unwrap(), serving.shadow.unwrap());
        assert_eq!(now, percent);
        assert!(Arc::ptr_eq(&serving.stable, &stable));
        if let Some((first, other)) = seen.replace((canary.clone(), shadow.clone())) {
            assert!(Arc::ptr_eq(&first, &canary) && Arc::ptr_eq(&other, &shadow));
        }
    }
}

#[tokio::test]
async fn a_reload_goes_on_learning_where_it_was() {
    let mut scene = Scene::new().await;
    let file = scene.base.path().join("grant.toml");
    let learner = || Some(Arc::new(Learner::new(file.clone())));
    scene.ask(Options { learn: learner(), ..options("{}") }).await;
    let first = scene.watched.spec.options.learn.clone().unwrap();
    scene.ask(Options { learn: learner(), ..options("{ }") }).await;
    let second = scene.stable().options().learn.clone().unwrap();
    assert!(Arc::ptr_eq(&first, &second));
}

#[tokio::test]
async fn a_version_that_is_barred_meanwhile_is_told_and_does_not_serve() {
    let mut scene = Scene::new().await;
    let old = scene.stable().digest();
    let new = another("evil", "new");
    std::fs::write(scene.base.path().join("evil.wasm"), &new).unwrap();
    scene.ask(options("{}")).await;
    assert_eq!(scene.stable().digest(), Digest::of(&new));
    scene.faults(CALLS_MIN).await;
    assert_eq!(scene.stable().digest(), old, "it made way");
    scene.ask(options("{}")).await;
    assert_eq!(scene.stable().digest(), old);
    assert_eq!(scene.watched.refused.as_ref().unwrap()["why"], "rolled-back");
    let record = scene.watched.folder.record();
    assert_eq!(record.current, Some(old.to_string()), "a start finds the way back too");
    // With the file of before and another configuration it is loaded anew.
    std::fs::write(scene.base.path().join("evil.wasm"), component("evil")).unwrap();
    scene.ask(options("{ }")).await;
    assert!(scene.stable().is_loaded_with(&options("{ }")) && scene.watched.refused.is_none());
}
