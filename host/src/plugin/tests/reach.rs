//! Attacks of `plugins/evil-io` on what it may reach, with an outside that remembers everything.

use super::attacks::capture_log;
use super::doubles::{Memory, OneRoom, Script, says};
use super::*;
use crate::plugin::gate::Secret;
use crate::plugin::manifest::Manifest;
use crate::plugin::outside::{FetchResponse, Outside};
use serde_json::json;

const SECRET: &str = "s3cr3t/+value";

struct Reach {
    plugin: Arc<Plugin>,
    script: Arc<Script>,
    state: Arc<Memory>,
    livekit: Arc<OneRoom>,
}

fn io_limits() -> Limits {
    let limits = generous().with(limits::CPU_IO_MS, limits::CPU_IO_MS.cap).unwrap();
    limits.with(limits::WALL_IO_MS, limits::WALL_IO_MS.cap).unwrap()
}

fn io_options(config: &serde_json::Value, grant: serde_json::Value, outside: Outside) -> Options {
    let secret = Secret::new(SECRET.as_bytes());
    Options {
        config: config.to_string().into(),
        limits: io_limits(),
        on_error: Some(OnError::Fail),
        grant: serde_json::from_value(grant).unwrap(),
        secrets: [("token".to_owned(), secret)].into(),
        outside: Some(outside),
        ..Options::default()
    }
}

async fn reach(script: Script, config: serde_json::Value, grant: serde_json::Value) -> Reach {
    let (script, mut outside) = script.outside();
    let (state, livekit) = (Arc::new(Memory::default()), Arc::new(OneRoom::default()));
    outside.state = state.clone();
    outside.livekit = livekit.clone();
    let options = io_options(&config, grant, outside);
    let wasm = asking("evil-io", &options.grant);
    let plugin = Plugin::load(&ENGINE, "evil-io", wasm, options).await.unwrap();
    Reach { plugin, script, state, livekit }
}

/// Everything is granted, and the server says back what it was told.
async fn granted(url: &str) -> Reach {
    let echo = Script::new(|request| says(&format!("{} {:?}", request.path, request.headers)));
    let config = json!({
        "method": "POST",
        "url": url,
        "headers": [["authorization", "Bearer {token}"]],
        "body": "{token}",
    });
    let grant = json!({
        "http": [{ "host": "trusted.com", "secrets": ["token"] }, { "host": "other.com" }],
        "state": "rw",
        "livekit": ["get-room", "list-participants", "get-participant"],
    });
    reach(echo, config, grant).await
}

async fn told(reach: &Reach, attack: &str) -> String {
    let outputs = reach.plugin.call(in_room(&format!("evil:{attack}"))).await.unwrap();
    let told = outputs.iter().find_map(|output| match output {
        Output::Attributes(added) => added.iter().find(|(name, _)| name == "told"),
        _ => None,
    });
    told.unwrap_or_else(|| panic!("{outputs:?}")).1.clone()
}

#[tokio::test]
async fn a_secret_is_used_by_the_plugin_and_seen_by_nobody_else() {
    let (_guard, log) = capture_log();
    let reach = granted("https://trusted.com/{token}").await;
    let seen = [told(&reach, "send").await, told(&reach, "leak").await];
    let error = reach.plugin.call(in_room("evil:leak-error")).await.unwrap_err();
    let sent = reach.script.requests.lock().unwrap()[0].clone();
    assert_eq!(sent.body, SECRET);
    assert_eq!(sent.path, "/s3cr3t%2F%2Bvalue");
    let state = format!("{:?}", reach.state.0.lock().unwrap());
    let metrics = format!("{:?}", reach.plugin.own().snapshot());
    let everything = format!("{seen:?} {error} {error:?} {state} {metrics} {}", log());
    assert!(!everything.contains("s3cr3t"), "{everything}");
    assert!(everything.contains("secret-"), "its stand-in is everywhere: {everything}");
}

#[tokio::test]
async fn a_secret_does_not_go_to_another_host() {
    let reach = granted("https://other.com/").await;
    let told = told(&reach, "send").await;
    assert!(told.starts_with("denied: "), "{told}");
    assert!(reach.script.requests.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_host_that_is_not_granted_is_not_asked() {
    let reach = granted("https://third.com/").await;
    let told = told(&reach, "send").await;
    assert!(told.contains("POST https://third.com:443/ is not granted"), "{told}");
    assert!(reach.script.requests.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_filter_reaches_nothing_and_has_no_secret() {
    let reach = granted("https://trusted.com/").await;
    let (_guard, log) = capture_log();
    reach.plugin.call(in_room("evil:filter")).await.unwrap();
    let log = log();
    let shut = "filter may not reach outside: only enrich and action may";
    assert_eq!(log.matches(shut).count(), 3, "{log}");
    assert!(log.contains("secret: None"), "{log}");
    assert!(reach.script.requests.lock().unwrap().is_empty());
}

#[tokio::test]
async fn an_action_reaches_what_is_granted() {
    let reach = granted("https://trusted.com/").await;
    let outputs = reach.plugin.call(in_room("evil:action")).await.unwrap();
    match outputs.last() {
        Some(Output::Done(told)) => assert!(told.starts_with(b"200 "), "{told:?}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn nothing_is_reached_while_the_configuration_is_checked() {
    let (script, outside) = Script::new(|_| says("")).outside();
    let config = json!({ "method": "GET", "url": "https://a.com/", "at_load": true });
    let options = io_options(&config, json!({ "http": [{ "host": "a.com" }] }), outside);
    let refused = Plugin::load(&ENGINE, "evil-io", component("evil-io"), options).await;
    let text = refused.unwrap_err().to_string();
    assert!(text.contains("nothing outside can be reached at load"), "{text}");
    assert!(script.requests.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_flood_of_requests_ends_at_its_limit() {
    let reach = granted("https://trusted.com/").await;
    assert_eq!(told(&reach, "flood").await, r#"{"sent": 4, "too-many": 96}"#);
    assert_eq!(reach.script.requests.lock().unwrap().len(), 4);
    assert_eq!(told(&reach, "flood").await, r#"{"sent": 4, "too-many": 96}"#, "the next event");
}

#[tokio::test]
async fn a_flood_of_keys_and_of_questions_ends_at_its_limit() {
    let reach = granted("https://trusted.com/").await;
    assert_eq!(told(&reach, "state-flood").await, r#"{"refused": 9936, "set": 64}"#);
    assert_eq!(reach.state.0.lock().unwrap().len(), 64);
    assert_eq!(told(&reach, "livekit-flood").await, r#"{"answered": 8, "refused": 92}"#);
    assert_eq!(reach.livekit.0.lock().unwrap().len(), 8);
    let large = told(&reach, "state-large").await;
    let words =
        ["the key has 5000 bytes, at most 256", "the value has 100000 bytes, at most 65536"];
    assert!(words.iter().all(|words| large.contains(words)), "{large}");
}

#[tokio::test]
async fn state_and_livekit_answer_through_the_contract() {
    let reach = granted("https://trusted.com/").await;
    assert_eq!(told(&reach, "state").await, r#"None Some(1) 2 ["k", "n"] true"#);
    assert_eq!(told(&reach, "state").await, r#"None Some(1) 4 ["k", "n"] true"#);
    let spaces: Vec<_> = reach.state.0.lock().unwrap().keys().cloned().collect();
    assert_eq!(spaces, [("evil-io/".to_owned(), "n".to_owned())]);
    let told = told(&reach, "livekit").await;
    let denied = r#"[] None Err("denied: list-egress is not granted")"#;
    assert_eq!(told, format!(r#"{{"name":"demo"}} {denied}"#));
}

#[tokio::test]
async fn what_the_outside_says_becomes_what_follows() {
    let grant = json!({ "http": [{ "host": "a.com" }] });
    let config = json!({ "method": "GET", "url": "https://a.com/" });
    let status = |status: u16, after: &'static str| {
        Script::new(move |_| {
            let headers = vec![("retry-after".to_owned(), after.to_owned())];
            Ok(FetchResponse { status, headers, body: Bytes::new() })
        })
    };
    let fail = async |script: Script| {
        let reach = reach(script, config.clone(), grant.clone()).await;
        reach.plugin.call(in_room("evil:fail")).await
    };
    assert!(fail(status(204, "")).await.is_ok());
    assert_eq!(fail(status(503, "7")).await, Err(Fault::Retry { after_ms: Some(7000) }));
    assert!(matches!(fail(status(404, "")).await, Err(Fault::Rejected(_))));
}

async fn tell_wasi(reach: &Reach) -> String {
    told(reach, "wasi").await
}

#[tokio::test]
async fn wasis_http_goes_through_the_same_gate() {
    let reach = granted("https://trusted.com/x").await;
    let told = tell_wasi(&reach).await;
    assert!(told.starts_with("200 /x ") && told.contains("livekit-webhook-hop"), "{told}");
    assert_eq!(reach.script.requests.lock().unwrap().len(), 1);
    for elsewhere in ["https://third.com/", "http://trusted.com/", "https://trusted.com:8443/"] {
        let reach = granted(elsewhere).await;
        let told = tell_wasi(&reach).await;
        assert_eq!(told, "ErrorCode::HttpRequestDenied", "{elsewhere}");
        assert!(reach.script.requests.lock().unwrap().is_empty());
    }
}

#[tokio::test]
async fn what_the_manifest_does_not_ask_for_is_not_there_though_it_is_granted() {
    let asked = r#"
        schema = 1
        name = "evil-io"
        version = "0.1.0"
        [permissions]
        livekit = ["get-room"]
    "#;
    let manifest = Manifest::parse(asked, Path::new(".")).unwrap();
    let wasm = Bytes::from(manifest.embed(&component("evil-io")).unwrap());
    let (script, outside) = Script::new(|_| says("")).outside();
    let config = json!({ "method": "GET", "url": "https://a.com/" });
    let grant = json!({ "http": [{ "host": "a.com" }], "state": "rw", "livekit": ["get-room"] });
    let options = io_options(&config, grant, outside);
    let plugin = Plugin::load(&ENGINE, "evil-io", wasm, options).await.unwrap();
    let state = Arc::new(Memory::default());
    let reach = Reach { plugin, script, state, livekit: Arc::new(OneRoom::default()) };
    assert!(told(&reach, "send").await.contains("is not granted"));
    assert_eq!(told(&reach, "state-flood").await, r#"{"refused": 10000}"#);
    assert_eq!(told(&reach, "livekit-flood").await, r#"{"answered": 8, "refused": 92}"#);
    assert!(reach.script.requests.lock().unwrap().is_empty());
}
