//! The same verdict in Envoy as everywhere: every vector that can be sent over HTTP.

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use livekit_webhook_tests::envoy::{Setup, root};
use serde_json::Value;

use super::Edge;
use super::client::http1;

/// The keys of the vectors that agree with one another.
const KEYS: [(&str, &str); 2] =
    [("APIgwTestKey001", "gw-test-secret-000000000000000000000000000001"), ("devkey", "secret")];

/// Fewer than this sent means that the story skips what it should not.
const SENT_MIN: usize = 110;

#[test]
fn every_vector_has_its_verdict() -> Result<()> {
    let keys: Vec<_> = KEYS.iter().map(|(key, secret)| format!("{key}: {secret}")).collect();
    let edge = Edge::start(&Setup::with_keys(&keys.join("\n")))?;
    let vectors = std::fs::read_to_string(root().join("tests/vectors/livekit-webhooks.jsonl"))?;
    let (mut sent, mut forwarded) = (0, 0);
    for line in vectors.lines() {
        let vector: Value = serde_json::from_str(line)?;
        let name = vector["name"].as_str().context("no name")?;
        let Some(request) = request(&vector)? else {
            continue;
        };
        let reply = http1(edge.envoy.listener(), &request).with_context(|| name.to_owned())?;
        sent += 1;
        // The edge passes what is authentic and unusable: the host keeps it.
        let passes = vector["expected"] == "accept" || vector["group"] == "malformed";
        if !passes {
            ensure!((400..=431).contains(&reply.status), "{name}: {reply:?}");
            continue;
        }
        ensure!(reply.status == 200, "{name}: {reply:?}");
        forwarded += 1;
        let received = edge.host.wait_for(forwarded)?.remove(forwarded - 1);
        ensure!(received.body == body(&vector)?, "{name}: another body");
        let event = vector["event"].as_str().filter(|_| vector["expected"] == "accept");
        ensure!(received.only("x-livekit-event").as_deref() == event, "{name}: {received:?}");
    }
    ensure!(sent >= SENT_MIN, "only {sent} vectors were sent");
    ensure!(edge.host.requests().len() == forwarded, "more reached the host than was accepted");
    Ok(())
}

fn body(vector: &Value) -> Result<Vec<u8>> {
    let text = vector["body_base64"].as_str().context("no body")?;
    STANDARD.decode(text).ok().context("the body is not base64")
}

/// The vector as HTTP/1.1, when its headers and its keys can be had here and the time is ours.
fn request(vector: &Value) -> Result<Option<Vec<u8>>> {
    let key = (vector["api_key"].as_str(), vector["secret"].as_str());
    let known = KEYS.iter().any(|(api_key, secret)| key == (Some(api_key), Some(secret)));
    if !known || vector["time_sensitive"] == true {
        return Ok(None);
    }
    let body = body(vector)?;
    let mut head = format!("POST / HTTP/1.1\r\nhost: edge\r\ncontent-length: {}\r\n", body.len());
    for header in vector["headers"].as_array().context("no headers")? {
        let (name, value) = (header[0].as_str(), header[1].as_str());
        let (name, value) = (name.context("no name")?, value.context("no value")?);
        if value.bytes().any(|byte| byte.is_ascii_control() && byte != b'\t') {
            return Ok(None);
        }
        if !name.eq_ignore_ascii_case("content-length") {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
    }
    Ok(Some([head.as_bytes(), b"\r\n", &body].concat()))
}
