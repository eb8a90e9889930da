//! Every line of the vectors, judged at its own time.

use crate::body_hash::BodyHash;
use crate::envelope::Envelope;
use crate::event::Event;
use crate::event::problems::Fit;
use crate::keys::KeyRing;
use crate::verify::{Rules, Verifier};
use serde_json::Value;

const VECTORS: &str = include_str!("../../../tests/vectors/livekit-webhooks.jsonl");

/// Lines of the file. A test that judged fewer has judged nothing.
const LINES: usize = 137;

fn text<'v>(vector: &'v Value, member: &str) -> &'v str {
    vector[member].as_str().unwrap()
}

fn body(vector: &Value) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(text(vector, "body_base64")).unwrap()
}

/// All three phases; the body in two pieces, as it may arrive.
fn judge(vector: &Value) -> Result<Envelope, &'static str> {
    let mut keys = KeyRing::new();
    // An empty secret cannot be inserted: the ring stays empty and refuses everything.
    let _ = keys.insert(text(vector, "api_key"), text(vector, "secret").as_bytes());
    let headers = vector["headers"].as_array().unwrap().iter();
    let authorization = headers
        .filter(|header| header[0].as_str().unwrap().eq_ignore_ascii_case("authorization"))
        .map(|header| header[1].as_str().unwrap().as_bytes());
    let verifier = Verifier::new(keys, Rules::default());
    let now_s = vector["now"].as_i64().unwrap();
    let token = verifier.token(authorization, now_s).map_err(|rejection| rejection.code())?;
    let body = body(vector);
    let mut hash = BodyHash::new();
    let (first, second) = body.split_at(body.len() / 3);
    hash.update(first);
    hash.update(second);
    token.check_body(&hash.finish()).map_err(|rejection| rejection.code())?;
    let envelope = Envelope::parse(&body).map_err(|error| error.code())?;
    if let Some(event) = vector["event"].as_str() {
        assert_eq!(envelope.event, event, "{}", text(vector, "name"));
    }
    Ok(envelope)
}

#[test]
fn every_line_gets_its_verdict() {
    let (mut judged, mut wrong) = (0, 0);
    for line in VECTORS.lines() {
        let vector: Value = serde_json::from_str(line).unwrap();
        let verdict = judge(&vector);
        let ours = if verdict.is_ok() { "accept" } else { "reject" };
        let expected = text(&vector, "expected");
        if ours != expected {
            println!("{}: expected {expected}, ours {verdict:?}", text(&vector, "name"));
            wrong += 1;
        }
        judged += 1;
    }
    assert_eq!((judged, wrong), (LINES, 0));
}

/// In the file's words. `typed_view` of a body that was never LiveKit's says what LiveKit sent, not
/// what arrived: one such line (UTF-16) cannot be told from the body.
fn typed_view(body: &[u8]) -> &'static str {
    match Event::from_slice(body).map(|event| event.fit()) {
        Ok(Fit::Whole) => "ok",
        Ok(Fit::Newer) => "partial",
        Ok(Fit::Wrong) | Err(_) => "error",
    }
}

#[test]
fn every_line_gets_its_typed_view() {
    let (mut judged, mut wrong) = (0, Vec::new());
    for line in VECTORS.lines() {
        let vector: Value = serde_json::from_str(line).unwrap();
        let (ours, expected) = (typed_view(&body(&vector)), text(&vector, "typed_view"));
        if ours != expected {
            println!("{}: expected {expected}, ours {ours}", text(&vector, "name"));
            wrong.push(text(&vector, "name").to_owned());
        }
        judged += 1;
    }
    assert_eq!((judged, wrong), (LINES, vec!["bad/body-utf16".to_owned()]));
}
