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
    let (ok, text) =
        run_in(Command::Pack { module: component, output: None, manifest: None }).await;
    assert!(!ok && text.contains("a component already"), "{text}");
    let (_folder, bare) = scratch("m.wasm", b"\0asm\x01\0\0\0");
    let (ok, text) =
        run_in(Command::Pack { module: bare.clone(), output: None, manifest: None }).await;
    assert!(!ok && text.contains("no description of its world"), "{text}");
    assert!(!bare.with_extension("component.wasm").exists());
}

/// The shipped redact, with a manifest that asks for much.
fn asking_file() -> (tempfile::TempDir, PathBuf) {
    let text = "schema = 1\nname = \"asks\"\nversion = \"1.2.3\"\nlicense = \"MIT\"\n\
        min_gateway = \"0.1.0\"\non_error = \"drop\"\ninstances = \"warm\"\n\
        [permissions]\nstate = \"ro\"\nlivekit = [\"get-room\"]\nclock = \"real\"\n\
        [[permissions.http]]\nhost = \"a.com\"\nmethods = [\"POST\"]\nsecrets = [\"token\"]\n\
        [limits]\ndrafts = 2\n\
        [config]\ntype = \"object\"\nrequired = [\"key\"]\n\
        properties = { key = { type = \"string\", secret = true }, replace = { default = \"-\" } }\n\
        [[fixture]]\nname = \"one\"\nevent = { event = \"room_started\" }\nconfig = { key = \"k\" }\n\
        expect = { accept = true }\n";
    let manifest = Manifest::parse(text, Path::new(".")).unwrap();
    scratch(
        "asks.wasm",
        &manifest.embed(&std::fs::read(component_path("redact")).unwrap()).unwrap(),
    )
}

fn inspect(file: PathBuf, json: bool) -> Command {
    Command::Inspect(inspect::Options { file, json })
}

#[tokio::test]
async fn inspect_tells_what_a_plugin_asks_for_without_running_it() {
    let (_folder, file) = asking_file();
    let (ok, text) = run_in(inspect(file.clone(), false)).await;
    assert!(ok, "{text}");
    for words in [
        "name         asks 1.2.3",
        "send requests: POST https://a.com:443/ with secrets token",
        "read its state",
        "ask LiveKit: get-room",
        "see the machine's clock",
        "gateway      0.1.0",
        "on_error     drop, unless the operator says otherwise",
        "suggests     instances = \"warm\", which only the operator can give",
        "drafts = 2 (default 32)",
        "key: string, required, secret",
        "replace, default \"-\"",
        "fixtures     one",
    ] {
        assert!(text.contains(words), "{words:?} is not in {text}");
    }
    let (_, json) = run_in(inspect(file, true)).await;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["manifest"]["permissions"]["state"], "ro");
    assert_eq!(json["secret_fields"][0], "key");
    assert_eq!(json["sha256"].as_str().map(str::len), Some(64));
}

#[tokio::test]
async fn inspect_refuses_what_is_no_component() {
    let (_folder, core) = scratch("core.wasm", b"\0asm\x01\0\0\0");
    let (ok, text) = run_in(inspect(core, false)).await;
    assert!(!ok && text.contains("plugin pack"), "{text}");
    let (_folder, other) = scratch("text.wasm", b"hello");
    let (ok, text) = run_in(inspect(other, true)).await;
    assert!(!ok && text.contains("no WebAssembly"), "{text}");
}

#[tokio::test]
async fn new_refuses_a_name_that_no_plugin_may_have() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["", "../x", "Upper", "a b", "1st"] {
        let options = new::Options {
            name: name.to_owned(),
            language: crate::plugin::manifest::Language::Rust,
            kind: crate::plugin::Interface::Filter,
            folder: Some(folder.path().join("x")),
            sdk: None,
            json: false,
        };
        let mut out = Vec::new();
        assert_eq!(new::run(&options, &mut out).unwrap(), ExitCode::from(USAGE), "{name:?}");
    }
    assert!(!folder.path().join("x").exists());
}

#[tokio::test]
async fn every_template_has_a_manifest_that_can_be_read() {
    use crate::plugin::Interface;
    use crate::plugin::manifest::Language;
    let folder = tempfile::tempdir().unwrap();
    for (language, at) in Language::ALL {
        for kind in Interface::ALL {
            let name = format!("{language}-{}", kind.as_str());
            let place = folder.path().join(&name);
            let options = new::Options {
                name: name.clone(),
                language: at,
                kind,
                folder: Some(place.clone()),
                sdk: None,
                json: true,
            };
            let mut out = Vec::new();
            assert_eq!(new::run(&options, &mut out).unwrap(), ExitCode::SUCCESS);
            let said: serde_json::Value = serde_json::from_slice(&out).unwrap();
            assert_eq!(said["name"], name);
            for file in said["files"].as_array().unwrap() {
                assert!(Path::new(file.as_str().unwrap()).is_file(), "{file}");
            }
            let mut out = Vec::new();
            assert_eq!(new::run(&options, &mut out).unwrap(), ExitCode::from(1));
            let said: serde_json::Value = serde_json::from_slice(&out).unwrap();
            assert!(said["problem"].as_str().unwrap().contains("exists already"), "{said}");
            let manifest = read_manifest(&place).unwrap();
            assert_eq!((manifest.fixtures.len(), manifest.name.as_str()), (2, name.as_str()));
            for entry in ["README.md", "plugin.toml"] {
                let text = std::fs::read_to_string(place.join(entry)).unwrap();
                assert!(!text.contains("{{"), "{name}/{entry} has an empty place");
            }
        }
    }
}
