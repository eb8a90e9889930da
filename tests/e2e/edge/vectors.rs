//! The same verdict everywhere: every vector, natively, in wasmtime and in Envoy.
//!
//! The edge passes what is authentic and unusable, with no event: the host keeps it in quarantine.
//! So a vector passes here when it is to be accepted or is malformed.

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use livekit_webhook::clock::{Clock as _, SystemClock};
use livekit_webhook_tests::edge::guest::Code;
use livekit_webhook_tests::edge::scenario::{End, Outcome, Send, Token};
use livekit_webhook_tests::edge::stage::Stage;
use livekit_webhook_tests::edge::vm::{Native, Vm};
use livekit_webhook_tests::envoy::{Setup, root};
use livekit_webhook_tests::judge::VECTORS;
use livekit_webhook_wire::sign;
use serde_json::Value;

use super::Edge;
use super::client::http1;

/// How often a vector that lies on the edge of a second is sent.
const TRIES_MAX: usize = 20;

struct Vector {
    name: String,
    api_key: String,
    secret: String,
    now_s: i64,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    /// What the host must get as `x-livekit-event`; `None`: it must get nothing.
    passes: Option<Option<String>>,
    time_sensitive: bool,
}

fn vectors() -> Result<Vec<Vector>> {
    let text = std::fs::read_to_string(root().join("tests/vectors/livekit-webhooks.jsonl"))?;
    let all: Result<Vec<_>> = text.lines().map(Vector::parse).collect();
    let all = all?;
    ensure!(all.len() == VECTORS, "{} vectors", all.len());
    Ok(all)
}

fn check(vector: &Vector, outcome: &Outcome) -> Result<()> {
    let name = &vector.name;
    let Some(event) = &vector.passes else {
        ensure!(outcome.host.is_none(), "{name}: the host got it");
        // No keys is our trouble, all else the sender's. 4xx of Envoy's own are as good.
        let ours = if vector.secret.is_empty() { 503..=503 } else { 400..=431 };
        ensure!(ours.contains(&outcome.status), "{name}: {outcome:?}");
        return Ok(());
    };
    ensure!(outcome.status == 200, "{name}: {outcome:?}");
    let (head, body) = outcome.host.as_ref().with_context(|| format!("{name}: not forwarded"))?;
    ensure!(*body == vector.body, "{name}: another body");
    let lines = head.iter().filter(|(own, _)| own == b"x-livekit-event");
    let events: Vec<_> = lines.map(|(_, value)| String::from_utf8_lossy(value)).collect();
    ensure!(events == event.iter().map(String::as_str).collect::<Vec<_>>(), "{name}: {events:?}");
    Ok(())
}

fn play_all<V: Vm>(mut start: impl FnMut() -> Result<V>) -> Result<()> {
    for vector in vectors()? {
        let keys = format!("\"{}\": \"{}\"", vector.api_key, vector.secret);
        // LiveKit's form cannot say an empty secret or a line break: it stays without keys.
        let sayable = !vector.secret.is_empty() && !vector.secret.contains('\n');
        let keys = if sayable { keys } else { String::new() };
        let now_ms = u64::try_from(vector.now_s)? * 1_000;
        let mut stage = Stage::start(start()?, "{}", &keys, now_ms)?;
        let played = stage.play(&vector.send())?;
        if sayable {
            check(&vector, &played.outcome)?;
        } else {
            ensure!(played.outcome.status == 503, "{}", vector.name);
        }
    }
    Ok(())
}

#[test]
fn natively_every_vector_has_its_verdict() -> Result<()> {
    play_all(|| Ok(Native::default()))
}

#[test]
fn in_wasmtime_every_vector_has_its_verdict() -> Result<()> {
    let code = Code::load()?;
    play_all(|| code.start())
}

#[test]
fn in_envoy_every_vector_has_its_verdict() -> Result<()> {
    let all = vectors()?;
    let mut pairs: Vec<_> =
        all.iter().map(|vector| (vector.api_key.as_str(), vector.secret.as_str())).collect();
    pairs.sort_unstable();
    pairs.dedup();
    let mut sent = 0;
    for pair in pairs {
        let sayable = !pair.1.is_empty() && !pair.1.contains('\n');
        let keys = if sayable { format!("{}: {}", pair.0, pair.1) } else { String::new() };
        let edge = Edge::start(&Setup::with_keys(&keys))?;
        let own = |vector: &&Vector| (vector.api_key.as_str(), vector.secret.as_str()) == pair;
        for vector in all.iter().filter(own) {
            sent += 1;
            let outcome = exchange(&edge, vector)?;
            if sayable {
                check(vector, &outcome)?;
            } else {
                ensure!(outcome.status == 503, "{}", vector.name);
                edge.assert_untouched()?;
            }
        }
    }
    ensure!(sent == VECTORS, "{sent} were sent");
    Ok(())
}

/// Sends the vector; one that depends on the time is signed anew for the present, and sent again
/// when the second ended meanwhile.
fn exchange(edge: &Edge, vector: &Vector) -> Result<Outcome> {
    for _ in 0..TRIES_MAX {
        let now_s = SystemClock.now().as_secs();
        let request = vector.http1(now_s)?;
        let before = edge.host.requests().len();
        let reply = http1(edge.envoy.listener(), &request)
            .with_context(|| format!("{}: no answer", vector.name))?;
        if vector.time_sensitive && SystemClock.now().as_secs() != now_s {
            continue;
        }
        let received = edge.host.requests();
        let host = received.get(before).map(|request| (request.lines(), request.body.clone()));
        let headers = reply.headers.into_iter().collect();
        return Ok(Outcome { status: reply.status, headers, body: reply.body, host });
    }
    anyhow::bail!("{}: never within one second", vector.name)
}

// === impl Vector ===

impl Vector {
    fn parse(line: &str) -> Result<Self> {
        let line: Value = serde_json::from_str(line)?;
        let text = |value: &Value| value.as_str().map(str::to_owned).context("no string");
        let headers = line["headers"].as_array().context("no headers")?;
        let accepted = line["expected"] == "accept";
        let event = line["event"].as_str().filter(|_| accepted).map(str::to_owned);
        let headers = headers.iter().map(|header| Ok((text(&header[0])?, text(&header[1])?)));
        Ok(Self {
            name: text(&line["name"])?,
            api_key: text(&line["api_key"])?,
            secret: text(&line["secret"])?,
            now_s: line["now"].as_i64().context("no time")?,
            headers: headers.collect::<Result<_>>()?,
            body: STANDARD.decode(text(&line["body_base64"])?).ok().context("no base64")?,
            passes: (accepted || line["group"] == "malformed").then_some(event),
            time_sensitive: line["time_sensitive"] == true,
        })
    }

    fn send(&self) -> Send {
        let lines = self.headers.iter().filter(|(name, _)| !is_length(name));
        Send {
            http2: false,
            method: "POST".to_owned(),
            path: "/".to_owned(),
            headers: lines
                .map(|(name, value)| (name.clone().into_bytes(), value.clone().into_bytes()))
                .collect(),
            token: Token::None,
            pieces: vec![self.body.clone()],
            end: End::Whole,
            trailers: Vec::new(),
            host_status: 200,
        }
    }

    fn http1(&self, now_s: i64) -> Result<Vec<u8>> {
        let body = &self.body;
        let mut head =
            format!("POST / HTTP/1.1\r\nhost: edge\r\ncontent-length: {}\r\n", body.len());
        for (name, value) in self.headers.iter().filter(|(name, _)| !is_length(name)) {
            let token = name.eq_ignore_ascii_case("authorization") && self.time_sensitive;
            let value = if token { self.shifted(value, now_s)? } else { value.clone() };
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        Ok([head.as_bytes(), b"\r\n", body].concat())
    }

    /// The token with all its times moved from the vector's present to ours, signed anew.
    fn shifted(&self, token: &str, now_s: i64) -> Result<String> {
        let mut parts = token.split('.');
        let (header, payload) = (parts.next().context("header")?, parts.next().context("claims")?);
        let mut claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload)?)?;
        for name in ["exp", "nbf", "iat"] {
            if let Some(at_s) = claims[name].as_i64() {
                claims[name] = (at_s - self.now_s + now_s).into();
            }
        }
        Ok(sign::signed(self.secret.as_bytes(), header, &claims.to_string()))
    }
}

fn is_length(name: &str) -> bool {
    name.eq_ignore_ascii_case("content-length")
}
