//! What is recorded is what is played, and no secret is on the tape.

use super::*;
use crate::plugin::outside::{FetchRequest, FetchResponse, Question, Space};
use crate::plugin::permission::Scheme;
use bytes::Bytes;
use serde_json::json;
use std::time::Duration;

fn request(path: &str) -> FetchRequest {
    FetchRequest {
        pool: String::new(),
        scheme: Scheme::Https,
        host: "api.example.com".to_owned(),
        port: 443,
        method: "GET".to_owned(),
        path: path.to_owned(),
        headers: Vec::new(),
        body: Bytes::new(),
        timeout: Duration::from_secs(1),
        response_bytes_max: 1,
        header_bytes_max: 1,
    }
}

/// An outside world that is a tape itself.
fn world() -> Outside {
    let entry = |port: &str, asked: &str, answer: Value| Entry {
        port: port.to_owned(),
        asked: asked.to_owned(),
        answer,
    };
    let answer = json!({ "status": 201, "headers": [["x", "hush"]], "body": "it is hush" });
    Tape::of(vec![
        entry("fetch", "GET https://api.example.com:443/?key=hush", answer),
        entry("state", "get visits", json!({ "ok": { "value": "7", "version": 3 } })),
        entry("state", "add 1 to visits", json!({ "error": "invalid", "text": "no number" })),
        entry("livekit", "get-room a of prod", json!({ "ok": "{}" })),
    ])
    .play(&BTreeMap::new())
}

fn token(value: &str) -> BTreeMap<String, Secret> {
    [("token".to_owned(), Secret::new(value.as_bytes()))].into()
}

async fn ask_all(outside: &Outside, path: &str) -> (FetchResponse, String) {
    let space = Space { plugin: "p".to_owned(), source: "prod".to_owned() };
    let fetched = outside.fetch.fetch(request(path)).await.unwrap();
    let got = outside.state.get(&space, "visits").await;
    let sum = outside.state.add(&space, "visits", 1, None).await;
    let room = outside.livekit.ask("prod", Question::Room("a".to_owned())).await;
    (fetched, format!("{got:?} {sum:?} {room:?}"))
}

#[tokio::test]
async fn what_is_recorded_is_played_without_its_secrets() {
    let secrets = token("hush");
    let tape = Tape::default();
    let (live, rest) = ask_all(&tape.record(&world(), &secrets), "/?key=hush").await;
    assert_eq!(live.body, "it is hush", "the plugin gets what there is");
    let entries = tape.entries();
    assert!(!serde_json::to_string(&entries).unwrap().contains("hush"), "{entries:?}");
    // Where it is played, the mark is the secret.
    let played = Tape::of(entries.clone()).play(&token("secret-token"));
    let (fetched, played_rest) = ask_all(&played, "/?key=secret-token").await;
    assert_eq!((fetched.status, &fetched.body[..]), (201, &b"it is secret-token"[..]));
    assert_eq!(played_rest, rest);
    let error = played.fetch.fetch(request("/")).await.unwrap_err().to_string();
    assert!(error.contains("the tape has ended"), "{error}");
    // Who has the secret itself, as a shadow has, asks with it and is told it.
    let shadow = Tape::of(entries).play(&secrets);
    let (fetched, _) = ask_all(&shadow, "/?key=hush").await;
    assert_eq!(fetched.body, "it is hush");
}

#[tokio::test]
async fn a_secret_is_not_on_the_tape_in_another_form_either() {
    let (raw, encoded) = ("s3cr3t/+value", "s3cr3t%2F%2Bvalue");
    let asked = format!("GET https://api.example.com:443/{encoded}");
    let body = r#"{"echo": "s3cr3t/+value", "basic": "YTpzM2NyM3QvK3ZhbHVl"}"#;
    let answer = json!({ "status": 200, "headers": [["location", asked]], "body": body });
    let entry = Entry { port: "fetch".to_owned(), asked, answer };
    let world = Tape::of(vec![entry]).play(&BTreeMap::new());
    let tape = Tape::default();
    let live = tape.record(&world, &token(raw));
    live.fetch.fetch(request(&format!("/{encoded}"))).await.unwrap();
    let kept = serde_json::to_string(&tape.entries()).unwrap();
    for form in ["s3cr3t", "M2NyM3QvK3Zhb"] {
        assert!(!kept.contains(form), "{form} in {kept}");
    }
    let played = tape.play(&token("secret-token"));
    played.fetch.fetch(request("/secret-token")).await.unwrap();
}

#[tokio::test]
async fn another_question_is_told_and_a_full_tape_has_no_gaps() {
    let other = world().fetch.fetch(request("/other")).await.unwrap_err().to_string();
    assert!(other.contains("the tape has `GET"), "{other}");
    let tape = Tape::default();
    let entry = |bytes: usize| Entry {
        port: "fetch".to_owned(),
        asked: "GET".to_owned(),
        answer: "x".repeat(bytes).into(),
    };
    tape.keep(entry(10));
    tape.keep(entry(BYTES_MAX));
    tape.keep(entry(10));
    assert_eq!(tape.entries().len(), 1);
}
