use super::*;
use crate::plugin::tests::component;

/// A configuration with a plugin whose schema calls `fields` secret and lets `lines` be said of it.
fn gateway(lines: &str) -> (tempfile::TempDir, Options) {
    let folder = tempfile::tempdir().unwrap();
    let manifest = "schema = 1\nname = \"keeps\"\nversion = \"0.1.0\"\ninstances = \"warm\"\n\
        [config]\ntype = \"object\"\n\
        properties = { fields = { type = \"array\", maxItems = 1, items = { type = \"string\", secret = true } } }\n";
    let manifest = Manifest::parse(manifest, Path::new(".")).unwrap();
    let wasm = manifest.embed(&component("redact")).unwrap();
    std::fs::write(folder.path().join("keeps.wasm"), wasm).unwrap();
    let text = format!(
        "[[source]]\nname = \"prod\"\nkeys = [{{ api_key = \"APIx\", secret = \"hush hush\" }}]\n\
         [[plugin]]\nname = \"keeps\"\nfile = \"keeps.wasm\"\n{lines}\n"
    );
    let config = folder.path().join("gateway.toml");
    std::fs::write(&config, text).unwrap();
    (folder, Options { config, dump: true })
}

async fn said(options: Options) -> Result<String, String> {
    let mut out = Vec::new();
    let ran = run(options, &mut out).await;
    let text = String::from_utf8(out).unwrap();
    ran.map(|_| text).map_err(|error| format!("{error:#}"))
}

#[tokio::test]
async fn what_a_manifest_calls_secret_is_in_no_dump_and_no_error() {
    let (_folder, options) = gateway("config = { fields = [\"room.hushed\"], replace = \"-\" }");
    let dump = said(options).await.unwrap();
    assert!(!dump.contains("hush"), "{dump}");
    let line = r#"config = { "fields" = ["[redacted]"], "replace" = "-" }"#;
    assert!(dump.contains(line), "{dump}");
    // What the plugin says of it, and what the schema does.
    for (fields, words) in [
        ("[\"room..hushed\"]", "the plugin refuses its config: fields: \"[redacted]\""),
        ("[\"hushed\", \"hushed-too\"]", "the config is not what the plugin's schema asks for"),
        ("\"hushed\"", "the config is not what the plugin's schema asks for"),
    ] {
        let (_folder, options) = gateway(&format!("config = {{ fields = {fields} }}"));
        let error = said(options).await.unwrap_err();
        assert!(error.contains(words) && !error.contains("hush"), "{error}");
    }
}

#[tokio::test]
async fn a_suggestion_of_the_author_is_passed_on() {
    for (lines, is_told) in [("", true), ("instances = \"warm\"", false)] {
        let (_folder, options) = gateway(lines);
        let text = said(Options { dump: false, ..options }).await.unwrap();
        let note = "note: plugin keeps suggests instances = \"warm\"";
        assert_eq!(text.contains(note), is_told, "{text}");
    }
}
