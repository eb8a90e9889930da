use super::*;
use crate::plugin::tests::component_path;

async fn run_in(command: Command) -> (bool, String) {
    let mut out = Vec::new();
    let code = run(command, &mut out).await.unwrap();
    (code == ExitCode::SUCCESS, String::from_utf8(out).unwrap())
}

async fn check(file: PathBuf, config: &str, json: bool) -> (bool, String) {
    run_in(Command::Check { file, config: config.to_owned(), json }).await
}

fn scratch(name: &str, bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    (folder, path)
}

#[tokio::test]
async fn check_says_what_a_good_component_needs_and_gives() {
    let (ok, text) = check(component_path("redact"), "{}", false).await;
    assert!(ok, "{text}");
    for words in ["called for  transform", "config      accepted", "starts      yes"] {
        assert!(text.contains(words), "{words:?} in {text}");
    }
}

#[tokio::test]
async fn check_prints_one_json_object_on_request() {
    let (ok, text) = check(component_path("redact"), "{}", true).await;
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert!(ok);
    assert_eq!(value["ok"], true);
    assert_eq!(value["interfaces"][0], "transform");
    assert!(value["memory_bytes"].as_u64().unwrap() >= 1 << 16);
}

#[tokio::test]
async fn check_reads_a_configuration_from_a_file_and_tells_what_the_plugin_says_to_it() {
    let (_folder, config) = scratch("config.json", br#"{"fields":["room..x"]}"#);
    let (ok, text) =
        check(component_path("redact"), &format!("@{}", config.display()), false).await;
    assert!(!ok);
    assert!(text.contains("the plugin refuses its config: fields: \"room..x\""), "{text}");
    assert!(text.contains("README"), "{text}");
}

#[tokio::test]
async fn check_refuses_what_is_not_a_component_with_the_next_step() {
    let (_folder, module) = scratch("core.wasm", b"\0asm\x01\0\0\0");
    let (ok, text) = check(module, "{}", false).await;
    assert!(!ok);
    assert!(text.contains("plugin pack"), "{text}");
    let (_folder, other) = scratch("text.wasm", b"hello");
    let (ok, text) = check(other, "{}", false).await;
    assert!(!ok && text.contains("this is not WebAssembly"), "{text}");
}

#[tokio::test]
async fn a_file_or_an_option_that_cannot_be_used_is_a_usage_error() {
    let mut out = Vec::new();
    let missing = Command::Check {
        file: PathBuf::from("/does/not/exist.wasm"),
        config: "{}".to_owned(),
        json: false,
    };
    assert_eq!(run(missing, &mut out).await.unwrap(), ExitCode::from(USAGE));
    let broken =
        Command::Check { file: component_path("redact"), config: "{".to_owned(), json: false };
    assert_eq!(run(broken, &mut out).await.unwrap(), ExitCode::from(USAGE));
    assert!(String::from_utf8(out).unwrap().contains("--config is not JSON"));
}

#[tokio::test]
async fn pack_refuses_what_it_cannot_make_a_component_of() {
    let (_folder, component) = scratch("c.wasm", b"\0asm\x0d\0\x01\0");
    let (ok, text) = run_in(Command::Pack { module: component, output: None }).await;
    assert!(!ok && text.contains("a component already"), "{text}");
    let (_folder, bare) = scratch("m.wasm", b"\0asm\x01\0\0\0");
    let (ok, text) = run_in(Command::Pack { module: bare.clone(), output: None }).await;
    assert!(!ok && text.contains("no description of its world"), "{text}");
    assert!(!bare.with_extension("component.wasm").exists());
}
