use super::*;
use crate::plugin::Fault;
use crate::plugin::limits::{CPU_PURE_MS, MEMORY_BYTES};
use crate::plugin::manifest::Manifest;
use crate::plugin::permission::StateAccess;
use crate::plugin::tests::component;
use std::path::Path;

const TEXT: &str = r#"
schema = 1
name = "redact"
version = "0.1.0"
[permissions]
state = "rw"
livekit = ["get-room"]
[limits]
memory_bytes = 1048576
cpu_pure_ms = 20
[config]
type = "object"
additionalProperties = false
[config.properties.replace]
type = "string"
default = "-"
[config.properties.token]
type = "string"
secret = true
maxLength = 3
"#;

fn with_manifest() -> Vec<u8> {
    let manifest = Manifest::parse(TEXT, Path::new(".")).unwrap();
    manifest.embed(&component("redact")).unwrap()
}

fn settle(config: &'static str, limits: Limits) -> Result<Terms, Error> {
    Terms::settle(&with_manifest(), Bytes::from_static(config.as_bytes()), limits)
}

#[test]
fn a_limit_is_the_operators_else_the_manifests() {
    let terms = settle("", Limits::default()).unwrap();
    assert_eq!(terms.limits.get(MEMORY_BYTES), 1_048_576);
    let default = Limits::default().with(MEMORY_BYTES, MEMORY_BYTES.default).unwrap();
    let terms = settle("", default).unwrap();
    assert_eq!(terms.limits.get(MEMORY_BYTES), MEMORY_BYTES.default);
    assert_eq!(terms.limits.get(CPU_PURE_MS), 20);
}

#[test]
fn a_component_without_a_manifest_says_nothing_of_what_it_wants() {
    let terms = settle("", Limits::default()).unwrap();
    assert_eq!(terms.permissions.unwrap().state, StateAccess::Write);
    let bare = &component("redact")[..8];
    let terms = Terms::settle(bare, Bytes::new(), Limits::default()).unwrap();
    assert_eq!((terms.permissions, terms.manifest), (None, None));
}

#[test]
fn a_configuration_is_filled_in_and_judged_before_the_plugin_sees_it() {
    let terms = settle("{\"token\":\"abc\"}", Limits::default()).unwrap();
    assert_eq!(terms.config.value["replace"], "-");
    assert_eq!(*terms.config.bytes, *br#"{"token":"abc","replace":"-"}"#);
    let error = settle("{\"token\":\"abcd\",\"x\":1}", Limits::default());
    let error = error.unwrap_err().to_string();
    assert!(error.contains("config.token") && error.contains("'x' was unexpected"), "{error}");
    assert!(!error.contains("abcd"), "{error}");
}

#[test]
fn a_component_for_a_later_gateway_is_refused_in_words() {
    let mut manifest = Manifest::parse(TEXT, Path::new(".")).unwrap();
    manifest.min_gateway = Some("99.1.0-rc.1".to_owned());
    let wasm = manifest.embed(&component("redact")).unwrap();
    let error = Terms::settle(&wasm, Bytes::new(), Limits::default()).unwrap_err();
    let words = crate::causes::line(&error);
    assert!(words.contains("needs livekit-webhook 99.1.0-rc.1 or later"), "{words}");
}

#[tokio::test]
async fn a_plugin_runs_on_the_terms_of_its_manifest() {
    use crate::plugin::engine::Engine;
    use crate::plugin::registry::{Options, Plugin};
    let engine = Engine::new().unwrap();
    // Less than one page: it does not even start.
    let text = TEXT.replace("1048576", "1000");
    let manifest = Manifest::parse(&text, Path::new(".")).unwrap();
    let wasm = Bytes::from(manifest.embed(&component("redact")).unwrap());
    let error = Plugin::load(&engine, "small", wasm, Options::default()).await.unwrap_err();
    assert!(
        matches!(error, Error::Start(Fault::MemoryExceeded { .. } | Fault::Trap(_))),
        "{error:?}"
    );
    let wasm = Bytes::from(with_manifest());
    let limits = crate::plugin::tests::generous();
    let options = Options { limits, ..Options::default() };
    let error = Plugin::load(
        &engine,
        "redact",
        wasm.clone(),
        Options { config: Bytes::from_static(b"{\"felds\":1}"), ..options },
    )
    .await;
    assert!(matches!(error.unwrap_err(), Error::ConfigRefused(_)));
}
