//! What serves, and what is remembered of it.

use super::*;
use crate::plugin::limits;
use crate::plugin::manifest::Manifest;
use crate::plugin::witness::Witness;
use std::path::Path;

/// A version with this configuration.
async fn configured(wasm: Bytes, options: Options) -> Arc<Version> {
    let digest = Digest::of(&wasm);
    let engine = &crate::plugin::tests::ENGINE;
    let plugin = Plugin::load(engine, "evil", wasm, options.clone()).await.unwrap();
    Arc::new(Version::new(plugin, digest, Permissions::default(), options, start()))
}

fn with_config(config: &'static str) -> Options {
    let on_error = Some(OnError::Fail);
    let config = Bytes::from_static(config.as_bytes());
    Options { limits: generous(), on_error, config, ..Options::default() }
}

#[tokio::test]
async fn who_serves_again_is_known_by_the_options_it_was_loaded_with() {
    let scene = Scene::new(OnError::Fail).await;
    let (old, new) = (with_config("{}"), with_config("{ }"));
    scene.slot.swap(configured(component("evil"), old.clone()).await);
    scene.slot.swap(configured(another("evil", "new"), new.clone()).await);
    assert!(scene.slot.serving().stable.is_loaded_with(&new));
    scene.events(CALLS_MIN, "evil:trap").await;
    let serving = scene.slot.serving().stable;
    assert!(serving.is_loaded_with(&old) && !serving.is_loaded_with(&new));
}

#[tokio::test]
async fn a_canary_that_made_way_is_not_put_back() {
    let scene = Scene::new(OnError::Fail).await;
    let canary = version(another("evil", "new"), OnError::Fail, start()).await;
    scene.slot.set_canary(Some((canary.clone(), 100)));
    scene.events(CALLS_MIN, "evil:trap").await;
    assert!(scene.slot.serving().canary.is_none() && canary.is_rolled_back());
    let fallen = scene.slot.take_fallen();
    assert_eq!(fallen, [(canary.digest(), Why::RolledBack)]);
    scene.slot.set_canary(Some((canary.clone(), 100)));
    assert!(scene.slot.serving().canary.is_none());
    canary.release();
    scene.slot.set_canary(Some((canary, 100)));
    assert!(scene.slot.serving().canary.is_some());
}

/// Of a component that asks for state and for less CPU, under options that leave both open.
#[tokio::test]
async fn a_capsule_has_the_limits_and_the_grant_that_held() {
    let text = "schema = 1\nname = \"evil\"\nversion = \"1.0.0\"\n\
                limits = { drafts = 3 }\n[permissions]\nstate = \"rw\"\n";
    let manifest = Manifest::parse(text, Path::new(".")).unwrap();
    let wasm = Bytes::from(manifest.embed(&component("evil")).unwrap());
    for learns in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let learner = crate::plugin::learn::Learner::new(folder.path().join("grant.toml"));
        let learn = learns.then(|| Arc::new(learner));
        let options = Options { learn, ..with_config("{}") };
        let plugin = crate::plugin::deploy::upgrade::prepare(
            &crate::plugin::tests::ENGINE,
            "evil",
            &options,
            wasm.clone(),
            None,
            start(),
        );
        let version = plugin.await.unwrap().into_version();
        let (input, witness) = (Input::default(), Witness::looking());
        let (fault, usage) = (Fault::Trap("x".to_owned()), Usage::default());
        let seen = (witness.seen().unwrap(), usage);
        let capsule = Capsule::new(&version, &input, &fault, seen, start());
        assert_eq!(capsule.limits[limits::DRAFTS.name], 3);
        assert_eq!(capsule.grant.is_none(), !learns);
    }
}

#[tokio::test]
async fn a_shadow_is_not_compared_with_a_call_that_was_not_made() {
    let scene = Scene::new(OnError::Fail).await;
    let shadow = version(another("evil", "new"), OnError::Fail, start()).await;
    let witness = Witness::looking();
    let input = scene.input("ev_1", 1, "a-room");
    scene.slot.shadow(&shadow, &input, &Err(Fault::Unavailable), &witness);
    scene.says(r#"plugin_shadow_calls_total{plugin="evil",result="skipped"} 1"#);
    scene.slot.shadow(&shadow, &input, &shadow.plugin().call(input.clone()).await, &witness);
    let same = r#"plugin_shadow_calls_total{plugin="evil",result="same"} 1"#;
    while !scene.metrics.text().contains(same) {
        tokio::task::yield_now().await;
    }
}
