//! What a capsule tells, and what it keeps to itself.

use super::*;
use crate::plugin::deploy::capsule::{CAPSULE_BYTES_MAX, CAPSULES_MAX, Capsule};
use crate::plugin::deploy::folder::Folder;
use crate::plugin::load;
use crate::plugin::manifest::Manifest;
use crate::plugin::permission::StateAccess;
use crate::plugin::tests::ENGINE;
use crate::plugin::tests::doubles::Script;
use crate::plugin::witness::Witness;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// `evil-io` sends `body` when the room is called `evil:send`.
const MANIFEST: &str = r#"
schema = 1
name = "sends"
version = "0.1.0"
[permissions]
state = "rw"
http = [{ host = "a.com" }]
[config]
type = "object"
[config.properties.body]
type = "string"
secret = true
pattern = "PATTERN"
"#;

/// A capsule of a plugin whose configured secret comes back from outside, and its component.
async fn capsule(pattern: &str) -> (Capsule, Bytes, Options) {
    let manifest = MANIFEST.replace("PATTERN", pattern);
    let manifest = Manifest::parse(&manifest, Path::new(".")).unwrap();
    let wasm = Bytes::from(manifest.embed(&component("evil-io")).unwrap());
    let echo = Script::new(|request| {
        let body = request.body.clone();
        Ok(crate::plugin::outside::FetchResponse { status: 200, headers: Vec::new(), body })
    });
    let config = r#"{"method":"POST","url":"https://a.com/","body":"hush-hush"}"#;
    let mut options = Options {
        config: Bytes::from_static(config.as_bytes()),
        limits: generous(),
        on_error: Some(OnError::Fail),
        grant: manifest.permissions.clone(),
        outside: Some(echo.outside().1),
        ..Options::default()
    };
    options.grant.state = StateAccess::None;
    let plugin = Plugin::load(&ENGINE, "sends", wasm.clone(), options.clone()).await.unwrap();
    let asks = Permissions::default();
    let version = Version::new(plugin, Digest::of(&wasm), asks, options.clone(), start());
    let input = Input {
        id: "ev_1".to_owned(),
        kind: "room_started".to_owned(),
        room_name: Some("evil:send".to_owned()),
        body: Bytes::from_static(br#"{"room":{"name":"evil:send"}}"#),
        ..Input::default()
    };
    let witness = Witness::looking();
    let (result, usage) = version.plugin().watched(input.clone(), &witness).await;
    assert!(format!("{result:?}").contains("hush-hush"), "{result:?}");
    let seen = witness.seen().unwrap();
    seen.tail.push("it is hush-hush");
    *seen.last_words.lock().unwrap() = Some("hush-hush!".to_owned());
    let fault = crate::plugin::Fault::Trap("no hush-hush".to_owned());
    let capsule = Capsule::new(&version, &input, &fault, (seen, usage), start());
    (capsule, wasm, options)
}

#[tokio::test]
async fn what_a_manifest_calls_secret_is_in_no_capsule_and_it_replays_all_the_same() {
    let (capsule, wasm, options) = capsule("").await;
    let text = serde_json::to_string(&capsule).unwrap();
    assert!(!text.contains("hush"), "{text}");
    assert_eq!(capsule.config["body"], "[redacted]");
    assert_eq!(capsule.config_hidden, ["body"]);
    assert_eq!(capsule.fault.log, ["it is [redacted]"]);
    assert_ne!(capsule.config_digest, Digest::of(&options.config).to_string());
    let replayed = capsule.replay(&ENGINE, wasm).await.unwrap();
    assert!(replayed.lines().contains("200 [redacted]"), "{}", replayed.lines());
}

#[tokio::test]
async fn a_capsule_whose_mark_the_schema_refuses_replays_with_the_configuration() {
    let (mut capsule, wasm, options) = capsule("^hush").await;
    let refused = capsule.replay(&ENGINE, wasm.clone()).await.map(|_| ()).unwrap_err();
    assert!(matches!(refused, load::Error::ConfigRefused(_)), "{refused}");
    capsule.config = serde_json::from_slice(&options.config).unwrap();
    let replayed = capsule.replay(&ENGINE, wasm).await.unwrap();
    assert_eq!(replayed.kind(), "ok");
}

#[tokio::test]
async fn capsules_are_for_their_owner_and_have_limits_in_number_and_size() {
    let (mut capsule, _, _) = capsule("").await;
    let base = tempfile::tempdir().unwrap();
    let folder = Folder::new(base.path(), "sends");
    let path = capsule.write(&folder).unwrap().unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    for number in 1..CAPSULES_MAX {
        folder.write(&format!("capsules/{number}.json"), b"{}").unwrap();
    }
    assert_eq!(capsule.write(&folder).unwrap(), Some(path.clone()), "the same one again");
    std::fs::rename(&path, path.with_file_name("another.json")).unwrap();
    assert_eq!(capsule.write(&folder).unwrap(), None, "one too many");
    std::fs::remove_dir_all(path.parent().unwrap()).unwrap();
    capsule.config = serde_json::Value::String("x".repeat(CAPSULE_BYTES_MAX));
    let error = capsule.write(&folder).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::FileTooLarge);
    assert!(!path.exists());
}
