use super::*;
use crate::plugin::manifest::Manifest;
use crate::plugin::outside::{
    Fetch as _, FetchRequest, FetchResponse, KeyValue as _, LiveKit as _, Question, Space,
};
use crate::plugin::permission::{HttpRule, LiveKitFunction, Scheme, StateAccess};
use crate::plugin::tests::component;
use std::path::Path;

async fn tortured(name: &str, as_json: bool) -> (bool, String) {
    let report = report(component(name), Bytes::new(), None, 40).await.unwrap().unwrap();
    let mut out = Vec::new();
    let code = report.print(as_json, &mut out).unwrap();
    (code == ExitCode::SUCCESS, String::from_utf8(out).unwrap())
}

#[tokio::test]
async fn a_plugin_that_returns_errors_survives() {
    let (survived, text) = tortured("redact", true).await;
    let report: serde_json::Value = serde_json::from_str(&text).unwrap();
    // A slow machine may stop the largest events; nothing else may go wrong.
    let faults: Vec<_> = report["faults"].as_array().unwrap().iter().collect();
    assert!(faults.iter().all(|fault| fault["fault"].as_str().unwrap().contains("ms")), "{text}");
    assert_eq!(survived, faults.is_empty());
    let rows = report["rows"].as_array().unwrap();
    assert_eq!(rows[0]["events"], "samples");
    assert_eq!(rows[0]["calls"], 14);
    assert!(rows[0]["peak_memory_bytes"].as_u64().unwrap() >= 1 << 16);
    assert!(rows.iter().any(|row| row["events"] == "little memory"), "{text}");
}

#[tokio::test]
async fn a_plugin_that_traps_does_not_and_its_text_is_shown() {
    let hand = crate::plugin::tests::hand::Hand::default().component();
    let report = report(hand, Bytes::new(), None, 1).await.unwrap().unwrap();
    let mut out = Vec::new();
    assert_eq!(report.print(false, &mut out).unwrap(), ExitCode::from(1));
    let text = String::from_utf8(out).unwrap();
    assert!(text.contains("the plugin trapped: wasm `unreachable`"), "{text}");
    assert!(text.contains("not survived"), "{text}");
}

#[tokio::test]
async fn one_that_does_not_load_says_why() {
    let hello = Bytes::from_static(b"hello");
    let error = report(hello, Bytes::new(), None, 1).await.unwrap().unwrap_err();
    assert!(error.to_string().contains("not WebAssembly"), "{error:#}");
}

/// What happened in the group of this name.
fn row<'a>(report: &'a Report, name: &str) -> &'a Row {
    report.rows.iter().find(|row| row.name == name).unwrap()
}

#[tokio::test]
async fn what_a_plugin_reaches_misbehaves_and_a_good_one_survives_it() {
    let report = report(component("session"), Bytes::new(), None, 1).await.unwrap().unwrap();
    assert!(report.seen.iter().all(|(_, fault)| fault.contains("ms")), "{:?}", report.seen);
    let errors = row(&report, "state: errors");
    assert_eq!(errors.calls, 3 * (14 + 4), "the samples and the fixtures, in three ways");
    assert_eq!(report.unmet, [""; 0]);
    assert!(errors.declined > 0, "nobody noticed that there is no state: {errors:?}");
    assert!(row(&report, "state: odd values").answered > 0);
    assert!(report.rows.iter().all(|row| !row.name.starts_with("http")), "it asks for no HTTP");
}

#[tokio::test]
async fn what_is_hostile_stays_within_what_a_gate_lets_through() {
    let hostile = Hostile::new();
    let request = FetchRequest {
        pool: String::new(),
        scheme: Scheme::Https,
        host: "a.com".to_owned(),
        port: 443,
        method: "GET".to_owned(),
        path: "/".to_owned(),
        headers: Vec::new(),
        body: Bytes::new(),
        timeout: Duration::from_secs(1),
        response_bytes_max: 1 << 20,
        header_bytes_max: 1000,
    };
    let space = Space { plugin: String::new(), source: String::new() };
    let everything = Permissions {
        http: vec![HttpRule {
            scheme: Scheme::Https,
            host: "a.com".to_owned(),
            port: None,
            methods: Vec::new(),
            path_prefix: None,
            secrets: Vec::new(),
        }],
        state: StateAccess::Write,
        livekit: vec![LiveKitFunction::GetRoom],
        ..Permissions::default()
    };
    let moods = Mood::of(&everything);
    assert_eq!(moods.len(), 9);
    let well = hostile.fetch(request.clone()).await;
    for mood in moods {
        let mut told = Vec::new();
        for way in 0..mood.ways() {
            hostile.be(mood, way);
            let answer = hostile.fetch(request.clone()).await;
            if let Ok(FetchResponse { headers, body, .. }) = &answer {
                let bytes: usize =
                    headers.iter().map(|(name, value)| name.len() + value.len()).sum();
                assert!(body.len() <= 1 << 20 && bytes <= 1000, "{mood:?} {way}: {bytes}");
            }
            let value = hostile.get(&space, "key").await;
            let room = hostile.ask("prod", Question::Room("a".to_owned())).await;
            told.push(format!("{answer:?} {value:?} {room:?}"));
            let is_http = mood.name().starts_with("http");
            assert!(is_http || answer == well, "{mood:?} is not about HTTP");
        }
        told.sort();
        told.dedup();
        assert_eq!(told.len(), mood.ways(), "{mood:?} says the same twice");
    }
}

/// Asks for everything, and sends a request in every call of `enrich`.
fn asking(manifest: &str, config: &str) -> (Bytes, Bytes) {
    let manifest = Manifest::parse(manifest, Path::new(".")).unwrap();
    let wasm = manifest.embed(&component("evil-io")).unwrap();
    (Bytes::from(wasm), Bytes::from(config.to_owned()))
}

#[tokio::test]
async fn every_door_is_shown_to_a_plugin_that_asks_for_it() {
    let manifest = "schema = 1\nname = \"asks\"\nversion = \"0.1.0\"\n[permissions]\nstate = \"rw\"\n\
        livekit = [\"get-room\"]\nhttp = [{ host = \"a.com\", secrets = [\"token\"] }]\n\
        [[fixture]]\nname = \"sends\"\nevent = { event = \"room_started\", room = { name = \"evil:send\" } }\n\
        expect = { attributes = {} }\n";
    let (wasm, config) = asking(manifest, "{\"method\":\"GET\",\"url\":\"https://a.com/\"}");
    let all = report(wasm.clone(), config.clone(), None, 0).await.unwrap().unwrap();
    // It reaches only in rooms of a certain name, and only one fixture has such a room.
    assert_eq!(all.unmet, ["state", "livekit"]);
    for name in [
        "http: errors",
        "http: bodies",
        "http: headers",
        "http: huge",
        "http: slow",
        "state: errors",
        "state: odd values",
        "livekit: errors",
        "livekit: odd",
    ] {
        assert!(row(&all, name).calls >= 2 * 14, "{name}");
    }
    let grant = Permissions { state: StateAccess::Read, ..Permissions::default() };
    let less = report(wasm, config, Some(grant), 0).await.unwrap().unwrap();
    assert!(less.rows.iter().all(|row| !row.name.starts_with("http")));
    row(&less, "state: errors");
}
