use super::*;
use crate::plugin::permission::StateAccess;
use crate::plugin::tests::component;

const GOOD: &str = r#"
schema = 1
name = "notify"
version = "0.1.0-rc.1+build.5"
language = "rust"
exports = ["enrich", "lifecycle"]
description = "Tells somebody"

[permissions]
state = "rw"
livekit = ["get-room"]
[[permissions.http]]
host = "*.example.com"
methods = ["POST"]
path_prefix = "/v1"
secrets = ["token"]

[limits]
memory_bytes = 8388608

[config]
type = "object"
required = ["token"]
[config.properties.token]
type = "string"
secret = true
[config.properties.times]
type = "integer"
default = 3

[[fixture]]
name = "from a file"
event = "room.json"
config = { token = "x" }
http = [{ request = "POST https://a.example.com/v1", status = 200, answer = { ok = true } }]
expect = { attributes = { plan = "gold" } }
fuel_max = 100000

[[fixture]]
name = "in place"
event = { event = "room_started", room = { name = "a" } }
config = { token = "x" }
expect = { fault = "rejected", text = "no plan" }
"#;

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let event = r#"{"event":"room_started","room":{"name":"demo"}}"#;
    std::fs::write(folder.path().join("room.json"), event).unwrap();
    std::fs::write(folder.path().join("text.json"), "no JSON").unwrap();
    folder
}

#[test]
fn a_manifest_is_embedded_and_read_without_running_anything() {
    let manifest = Manifest::parse(GOOD, folder().path()).unwrap();
    assert_eq!(manifest.fixtures[0].event["room"]["name"], "demo");
    assert_eq!(manifest.permissions.state, StateAccess::Write);
    assert_eq!(manifest.secret_fields(), ["token"]);
    let bare = component("redact");
    let bare = section_free(&bare);
    assert_eq!(Manifest::read(&bare).unwrap(), None);
    let once = manifest.embed(&bare).unwrap();
    assert_eq!(Manifest::read(&once).unwrap(), Some(manifest.clone()));
    let other = Manifest { version: "0.2.0".to_owned(), ..manifest };
    let twice = other.embed(&once).unwrap();
    assert_eq!(Manifest::read(&twice).unwrap(), Some(other));
    assert_eq!(section_free(&twice), bare);
}

/// The file without our section, if it has one at its end.
fn section_free(wasm: &[u8]) -> Vec<u8> {
    let at = wasm.windows(SECTION.len()).rposition(|window| window == SECTION.as_bytes());
    let Some(at) = at else {
        return wasm.to_vec();
    };
    // The header before the name: id, size and length, of which the size has 1 to 5 bytes.
    let start = (at.saturating_sub(7)..at).find(|start| {
        wasm[*start] == 0
            && section::find(&[&wasm[..8], &wasm[*start..]].concat()).is_ok_and(|f| f.is_some())
    });
    wasm[..start.unwrap()].to_vec()
}

#[track_caller]
fn refused(from: &str, to: &str, words: &str) {
    assert!(GOOD.contains(from), "{from:?} is not in the sample");
    let text = GOOD.replacen(from, to, 1);
    let error = Manifest::parse(&text, folder().path()).unwrap_err().to_string();
    assert!(error.contains(words), "{words:?} is not in {error}");
}

#[test]
fn what_is_wrong_is_refused_with_its_key_and_what_would_be_right() {
    for (from, to, words) in [
        ("schema = 1", "schema = 2", "schema: must be 1"),
        ("schema = 1", "", "schema: must be 1"),
        ("name = \"notify\"", "name = \"No Tify\"", "name: \"No Tify\" must be 1 to 64 of"),
        ("version = \"0.1.0-rc.1+build.5\"", "version = \"1.0\"", "no SemVer such as 0.1.0"),
        ("version = \"0.1.0-rc.1+build.5\"", "version = \"01.0.0\"", "no SemVer"),
        ("version = \"0.1.0-rc.1+build.5\"", "", "version: is missing"),
        ("language = \"rust\"", "language = \"cobol\"", "must be one of \"rust\""),
        (
            "language = \"rust\"",
            "langage = \"rust\"",
            "langage: unknown key; did you mean `language`?",
        ),
        ("[\"enrich\", \"lifecycle\"]", "[\"enrich\", \"enrich\"]", "exports[1]: is there already"),
        (
            "exports = ",
            "world = \"action\"\nexports = ",
            "world: \"action\" stands for exports = [\"action\"]: leave one of them out",
        ),
        (
            "exports = ",
            "world = \"enrich-plugin\"\n# ",
            "world: \"enrich-plugin\" must be one of \"filter\"",
        ),
        ("exports = ", "min_gateway = \"1.0\"\nexports = ", "min_gateway: \"1.0\" is no SemVer"),
        ("exports = ", "on_error = \"ignore\"\nexports = ", "on_error: \"ignore\" must be one of"),
        ("exports = ", "instances = \"hot\"\nexports = ", "instances: \"hot\" must be one of"),
        (
            "exports = ",
            "min_gateway = \"99.0.0\"\nsomething_new = 1\nexports = ",
            "needs livekit-webhook 99.0.0 or later (min_gateway), and this is ",
        ),
        ("state = \"rw\"", "state = true", "permissions.state: expected a text"),
        ("\"get-room\"", "\"kick\"", "permissions.livekit[0]: \"kick\" must be one of get-room"),
        ("*.example.com", "*.com", "permissions.http[0].host: \"*.com\" must be a name"),
        ("*.example.com", "https://a.com", "without scheme, port and path"),
        ("*.example.com", "A.com", "in lower case"),
        ("*.example.com", "2130706433", "or an IP address"),
        ("*.example.com", "a.com:443", "without scheme, port"),
        ("*.example.com", "a.*.com", "permissions.http[0].host"),
        ("[\"POST\"]", "[\"post\"]", "must be in upper case"),
        ("\"/v1\"", "\"/v1/../admin\"", "permissions.http[0].path_prefix"),
        ("8388608", "67108865", "limits.memory_bytes: 67108865 is over the default of 67108864"),
        ("memory_bytes = 8388608", "memory = 1", "memory: no such limit; there are"),
        ("memory_bytes = 8388608", "memory_bytes = 0", "must be 1 to"),
        ("\"room.json\"", "\"../room.json\"", "must be within the plugin's folder"),
        ("\"room.json\"", "\"gone.json\"", "fixture[0].event: gone.json:"),
        ("\"room.json\"", "\"text.json\"", "is no JSON"),
        (
            "{ token = \"x\" }",
            "{ times = 1 }",
            "fixture[0]: config: \"token\" is a required property",
        ),
        ("status = 200", "status = 20", "fixture[0].http[0].status: must be 100 to 599"),
        ("POST https://a", "https://a", "must be a method and a URL"),
        (
            "attributes = { plan = \"gold\" }",
            "atributes = {}",
            "expect: atributes: unknown key; did you mean `attributes`?",
        ),
        ("attributes = { plan = \"gold\" }", "", "fixture[0].expect: says nothing"),
        ("fault = \"rejected\", ", "", "text: goes with `fault`"),
        ("name = \"in place\"", "name = \"from a file\"", "is there already"),
        ("event = { event = \"room_started\", ", "event = { ", "must be a webhook body"),
    ] {
        refused(from, to, words);
    }
}

#[test]
fn terms_of_the_author_are_read_and_embedded() {
    let more = "world = \"enrich\"\nmin_gateway = \"0.0.9\"\non_error = \"pass\"\ninstances = \"warm\"\n# ";
    let text = GOOD.replacen("exports = ", more, 1);
    let manifest = Manifest::parse(&text, folder().path()).unwrap();
    assert_eq!(manifest.exports, [Export::Called(Interface::Enrich)]);
    assert_eq!(manifest.on_error, Some(OnError::Pass));
    assert_eq!(manifest.instances, Some(Instances::Warm));
    let wasm = manifest.embed(&component("redact")).unwrap();
    assert_eq!(Manifest::read(&wasm).unwrap(), Some(manifest.clone()));
    assert_eq!(manifest.contradicts(&["enrich", "lifecycle"]), None);
    for exported in [&["action"][..], &["enrich", "action"], &[]] {
        let text = manifest.contradicts(exported).unwrap();
        assert!(text.contains("plugin.toml says world = \"enrich\", and the component"), "{text}");
    }
    // This very version will do.
    let this = text.replacen("0.0.9", GATEWAY, 1);
    Manifest::parse(&this, folder().path()).unwrap();
}

#[test]
fn every_problem_is_told_at_once() {
    let text = "schema = 1\nname = \"X\"\nversion = \"1\"\nwhat = 1\n";
    let error = Manifest::parse(text, Path::new(".")).unwrap_err();
    assert!(matches!(&error, Error::Invalid(problems) if problems.len() == 3), "{error}");
}

#[test]
fn a_hostile_section_is_refused_and_not_believed() {
    let empty = b"\0asm\x0d\0\x01\0".to_vec();
    for (bytes, words) in [
        (&b"{"[..], "cannot be read"),
        (b"[]", "must be a JSON object"),
        (br#"{"schema":1,"name":"a","version":"1.0.0","more":1}"#, "more: unknown key"),
        (br#"{"schema":9,"name":"a","version":"1.0.0"}"#, "schema: must be 1"),
        (
            br#"{"schema":1,"name":"a","version":"1.0.0","limits":{"cpu_pure_ms":999}}"#,
            "may only ask for less",
        ),
        (
            br#"{"schema":1,"name":"a","version":"1.0.0","fixture":[{"name":"x","event":"/etc/hosts","expect":{"accept":true}}]}"#,
            "must be a webhook body",
        ),
    ] {
        let wasm = section::put(&empty, bytes).unwrap();
        let error = Manifest::read(&wasm).unwrap_err().to_string();
        assert!(error.contains(words), "{words:?} is not in {error}");
    }
    let one = section::put(&empty, b"{}").unwrap();
    let two = [&one[..], &one[8..]].concat();
    assert!(matches!(Manifest::read(&two), Err(Error::Twice)));
    assert!(matches!(Manifest::read(&one[..one.len() - 1]), Err(Error::Cut(_))));
    assert!(matches!(Manifest::read(b"hello"), Err(Error::NotWasm)));
    let large = vec![b' '; MANIFEST_BYTES_MAX + 1];
    assert!(matches!(section::put(&empty, &large), Err(Error::TooLarge { .. })));
}

#[test]
fn any_bytes_are_read_without_panic() {
    proptest::proptest!(|(bytes: Vec<u8>)| {
        let _ = Manifest::read(&[b"\0asm\x0d\0\x01\0", &bytes[..]].concat());
        if let Ok(text) = std::str::from_utf8(&bytes) {
            let _ = Manifest::parse(text, Path::new("."));
        }
    });
}
