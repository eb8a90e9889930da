//! What is refused at load, and in which words.

use super::*;
use crate::causes;
use crate::plugin::Interface;

async fn refusal(wasm: Bytes, options: Options) -> String {
    causes::line(&Plugin::load(&ENGINE, "refused", wasm, options).await.unwrap_err())
}

async fn check_refused(wasm: Bytes, config: &str, expect: &str) {
    let text = refusal(wasm, options(config, generous())).await;
    assert!(text.contains(expect), "{expect:?} in {text:?}");
}

/// A component that imports `interface` with one function, written by hand: an instance type and
/// its import.
fn component_importing(interface: &str) -> Bytes {
    let mut wasm = b"\0asm\x0d\0\x01\0".to_vec();
    // One instance type of two declarations: a function type of nothing to nothing, and its export
    // as `f`.
    let instance_type = b"\x01\x42\x02\x01\x40\x00\x01\x00\x04\x00\x01f\x01\x00";
    wasm.extend([7, u8::try_from(instance_type.len()).unwrap()]);
    wasm.extend(instance_type);
    let mut import = vec![1, 0, u8::try_from(interface.len()).unwrap()];
    import.extend(interface.as_bytes());
    import.extend([5, 0]);
    wasm.extend([10, u8::try_from(import.len()).unwrap()]);
    wasm.extend(import);
    Bytes::from(wasm)
}

#[tokio::test]
async fn an_import_this_host_does_not_have_is_named() {
    let wasm = component_importing("wasi:nn/graph@0.2.0");
    let expect = "needs wasi:nn/graph@0.2.0; this host gives a plugin livekit-webhook:plugin/{types,log,config,metrics,http,secrets,state,livekit}@0.1.1 and WASI 0.2, and nothing else";
    check_refused(wasm, "", expect).await;
    let wasm = component_importing("livekit-webhook:plugin/files@0.1.0");
    check_refused(wasm, "", "needs livekit-webhook:plugin/files@0.1.0").await;
}

#[tokio::test]
async fn a_component_that_reaches_outside_exports_enrich_or_action() {
    for interface in ["http", "secrets", "state", "livekit"] {
        let import = format!("livekit-webhook:plugin/{interface}@0.1.1");
        let expect = format!("imports {import}, which only a plugin that exports enrich or action");
        check_refused(component_importing(&import), "", &expect).await;
    }
}

#[tokio::test]
async fn wasi_of_the_next_generation_is_refused_with_advice() {
    let wasm = component_importing("wasi:cli/stdout@0.3.0");
    check_refused(wasm, "", "needs wasi:cli/stdout@0.3.0; this host gives WASI 0.2: tell").await;
}

#[tokio::test]
async fn a_contract_newer_than_this_host_is_refused_with_both_versions() {
    let wasm = component_importing("livekit-webhook:plugin/log@0.1.9");
    let expect = "was built for livekit-webhook:plugin@0.1.9, and this host has 0.1.1: update";
    check_refused(wasm, "", expect).await;
    let wasm = component_importing("livekit-webhook:plugin/log@0.2.0");
    check_refused(wasm, "", "needs livekit-webhook:plugin/log@0.2.0").await;
}

#[tokio::test]
async fn an_import_of_our_name_and_another_shape_is_refused() {
    let wasm = component_importing("livekit-webhook:plugin/log@0.1.0");
    check_refused(wasm, "", "rebuild it with that version's SDK").await;
}

#[tokio::test]
async fn what_is_not_a_component_is_refused_with_the_next_step() {
    check_refused(Bytes::from_static(b"hello"), "", "this is not WebAssembly").await;
    let module = Bytes::from_static(b"\0asm\x01\0\0\0");
    check_refused(module, "", "run `livekit-webhook plugin pack`").await;
    let empty = Bytes::from_static(b"\0asm\x0d\0\x01\0");
    check_refused(empty, "", "it exports nothing").await;
    let broken = Bytes::from_static(b"\0asm\x0d\0\x01\0\xff");
    check_refused(broken, "", "not valid for this host").await;
}

#[tokio::test]
async fn a_file_over_the_limit_is_not_parsed() {
    let limits = generous().with(limits::COMPONENT_BYTES, 100).unwrap();
    let text = refusal(component("redact"), options("", limits)).await;
    assert!(text.contains("at most 100 are allowed (component_bytes)"), "{text}");
}

#[tokio::test]
async fn a_bad_configuration_is_refused_in_the_plugins_words() {
    let redact = component("redact");
    check_refused(redact.clone(), "{", "config is not JSON").await;
    check_refused(redact.clone(), r#"{"field":[]}"#, "not allowed ('field' was unexpected)").await;
    check_refused(redact, r#"{"fields":["a..b"]}"#, "has an empty name").await;
    let refused = r#"{"at_load":"refuse"}"#;
    check_refused(component("evil"), refused, "this plugin refuses").await;
}

#[tokio::test]
async fn a_plugin_that_breaks_while_it_is_checked_is_refused_with_the_reason() {
    let evil = component("evil");
    check_refused(evil.clone(), r#"{"at_load":"panic"}"#, "room is on fire").await;
    let limits = generous().with(limits::CPU_INIT_MS, 20).unwrap();
    let text = refusal(evil, options(r#"{"at_load":"loop"}"#, limits)).await;
    assert!(text.contains("more than 20 ms of CPU"), "{text}");
}

#[tokio::test]
async fn a_loaded_plugin_says_what_it_is() {
    let redact = plugin("redact", "", generous()).await;
    assert_eq!(redact.interfaces(), [Interface::Transform]);
    assert_eq!(redact.on_error(), OnError::Fail);
    assert!(redact.has_lifecycle());
}

#[tokio::test]
async fn an_engine_without_a_pool_runs_the_same() {
    let engine = Engine::on_demand().unwrap();
    assert!(!engine.pooled());
    let wasm = component("evil");
    let plugin = Plugin::load(&engine, "evil", wasm, options("", generous())).await.unwrap();
    one_draft(plugin.call(in_room("evil:nothing")).await);
}

/// The component with a manifest of these lines.
fn saying(name: &str, lines: &str) -> Bytes {
    let text = format!("schema = 1\nname = \"says\"\nversion = \"0.1.0\"\n{lines}\n");
    let manifest = Manifest::parse(&text, Path::new(".")).unwrap();
    Bytes::from(manifest.embed(&component(name)).unwrap())
}

#[tokio::test]
async fn a_manifest_that_is_not_true_is_refused() {
    for (lines, expect) in [
        (
            "world = \"filter\"",
            "plugin.toml says world = \"filter\", and the component exports transform",
        ),
        (
            "exports = [\"action\"]",
            "plugin.toml says exports = [… \"action\" …], and the component",
        ),
    ] {
        check_refused(saying("redact", lines), "", expect).await;
    }
    let redact = saying("redact", "world = \"transform\"");
    Plugin::load(&ENGINE, "redact", redact, options("", generous())).await.unwrap();
}

#[tokio::test]
async fn an_author_says_what_follows_a_fault_and_the_operator_decides() {
    let undecided = || Options { on_error: None, ..options("", generous()) };
    let passes = || saying("evil", "on_error = \"pass\"");
    let plugin = Plugin::load(&ENGINE, "evil", passes(), undecided()).await.unwrap();
    assert_eq!(plugin.on_error(), OnError::Pass);
    let decided = Options { on_error: Some(OnError::Drop), ..undecided() };
    let plugin = Plugin::load(&ENGINE, "evil", passes(), decided).await.unwrap();
    assert_eq!(plugin.on_error(), OnError::Drop);
    // Whatever its manifest suggests, instances are the operator's to give.
    let warm = saying("redact", "instances = \"warm\"");
    let plugin = Plugin::load(&ENGINE, "redact", warm, undecided()).await.unwrap();
    for _ in 0..2 {
        plugin.call(in_room("demo")).await.unwrap();
    }
    assert_eq!(plugin.kept(), 0);
}

#[tokio::test]
async fn a_filter_must_be_told_what_follows_its_faults() {
    let undecided = Options { on_error: None, ..options("", generous()) };
    let text = refusal(component("evil"), undecided.clone()).await;
    assert!(text.contains("say whether an event it could not judge"), "{text}");
    let redact = Plugin::load(&ENGINE, "redact", component("redact"), undecided).await.unwrap();
    assert_eq!(redact.on_error(), OnError::Fail);
}
