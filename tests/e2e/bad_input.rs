//! Stories of requests that no sender of LiveKit's would make, straight at the host.
//!
//! Each ends alike: the host lives, answers, and delivers the next good event.

use super::delivery::with_source;
use anyhow::{Context as _, Result, ensure};
use livekit_webhook_tests::exchange::{BOUND, Reply, event, exchange, post, token};
use livekit_webhook_tests::gateway::Gateway;
use livekit_webhook_tests::livekit::raw::{self, Manner};
use livekit_webhook_tests::receiver::Receiver;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// The smallest limit that the configuration takes, in bytes.
const BODY_BYTES_MAX: usize = 1_024;
/// Long for a machine, short for a story.
const DEADLINE_MS: u64 = 400;

/// A host with small limits.
struct Scene {
    gateway: Gateway,
    receiver: Receiver,
}

impl Scene {
    async fn start(more: &str) -> Result<Self> {
        let receiver = Receiver::start().await?;
        let setup = with_source()
            .ingest(more)
            .endpoint("all", &receiver.url("/"), "")
            .subscription("all", "");
        Ok(Self { gateway: Gateway::start(&setup, BOUND).await?, receiver })
    }

    /// What the host answers to these bytes.
    async fn exchange(&self, bytes: &[u8]) -> Result<Reply> {
        exchange(self.gateway.address(), bytes).await
    }

    /// What the host answers to bytes written like this. No answer is `None`.
    async fn send(&self, bytes: &[u8], manner: Manner) -> Result<Option<Reply>> {
        let answer = raw::send(self.gateway.address(), bytes, manner, BOUND).await?;
        if answer.is_empty() { Ok(None) } else { Reply::parse(&answer).map(Some) }
    }

    /// The host has lost nothing and is well: a good event is stored and delivered, and is the only
    /// one.
    async fn assert_well(&self) -> Result<()> {
        let good = r#"{"event":"room_started","id":"EV_good","room":{"name":"r"}}"#;
        ensure!(post(self.gateway.address(), good).await?.status == 200);
        let seen = self.receiver.wait_for(1, BOUND).await?;
        ensure!(seen.len() == 1 && seen[0].body == good, "{seen:?}");
        ensure!(self.gateway.ledger()?.events().await?.len() == 1);
        ensure!(self.gateway.admin("/readyz").await?.status == 200);
        Ok(())
    }
}

/// Sends these bytes, waits for the host to close the connection, and gives what it said.
async fn closed(to: SocketAddr, bytes: &[u8]) -> Result<Vec<u8>> {
    let mut socket = TcpStream::connect(to).await?;
    socket.write_all(bytes).await?;
    let mut answer = Vec::new();
    let read = socket.read_to_end(&mut answer);
    let ended = timeout(Duration::from_secs(10), read).await;
    // A reset is an end, too.
    drop(ended.with_context(|| format!("left open after {:?}", String::from_utf8_lossy(bytes)))?);
    Ok(answer)
}

fn signed(authorization: &str) -> [(&str, &str); 2] {
    [("Authorization", authorization), ("Content-Type", "application/webhook+json")]
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_and_its_beginning_kept() -> Result<()> {
    let scene = Scene::start(&format!("body_bytes_max = {BODY_BYTES_MAX}")).await?;
    let large = event("participant_joined", "r", "EV_large");
    ensure!(large.len() > BODY_BYTES_MAX, "only {} bytes", large.len());
    let token = token(&large);
    let pieces: Vec<_> = large.as_bytes().chunks(100).collect();
    for request in [
        raw::request("/webhook", &signed(&token), large.as_bytes()),
        raw::chunked("/webhook", &signed(&token), &pieces),
    ] {
        let reply = scene.exchange(&request).await?;
        ensure!((reply.status, reply.code().as_deref()) == (413, Some("body_too_large")));
        ensure!(reply.header("connection") == Some("close"), "{reply:?}");
    }
    let kept = scene.gateway.ledger()?.quarantined().await?;
    ensure!(kept.len() == 2, "{kept:?}");
    for item in &kept {
        ensure!(item.reason == "body_too_large" && item.source.as_deref() == Some("prod"));
        ensure!(!item.body.is_empty() && large.as_bytes().starts_with(&item.body), "{item:?}");
        ensure!(item.body.len() <= BODY_BYTES_MAX, "{} bytes", item.body.len());
    }
    // Of a stranger not even the beginning is kept.
    let forged = raw::request("/webhook", &signed("a.b.c"), large.as_bytes());
    ensure!(scene.exchange(&forged).await?.status == 401);
    ensure!(scene.gateway.ledger()?.quarantined().await?.len() == 2);
    scene.assert_well().await
}

#[tokio::test]
async fn a_head_over_the_limit_is_refused() -> Result<()> {
    let scene = Scene::start("").await?;
    let body = event("room_started", "r", "EV_1");
    let token = token(&body);
    let long = "x".repeat(128 * 1024);
    let mut large = signed(&token).to_vec();
    large.push(("X-Large", &long));
    let mut many = signed(&token).to_vec();
    many.extend([("X-More", "x"); 100]);
    for headers in [large, many] {
        let reply = scene.exchange(&raw::request("/webhook", &headers, body.as_bytes())).await?;
        ensure!(reply.status == 431, "{reply:?}");
    }
    scene.assert_well().await
}

#[tokio::test]
async fn a_slow_sender_meets_a_deadline() -> Result<()> {
    let deadlines = format!("header_timeout_ms = {DEADLINE_MS}\nbody_timeout_ms = {DEADLINE_MS}");
    let scene = Scene::start(&deadlines).await?;
    let body = event("room_started", "r", "EV_slow");
    let whole = raw::request("/webhook", &signed(&token(&body)), body.as_bytes());
    let head = whole.len() - body.len();

    // Nothing, the beginning of either protocol, or half a head, and then silence.
    for start in [&b""[..], b"P", b"PRI * HTTP/2.0\r\n", &whole[..head / 2]] {
        ensure!(closed(scene.gateway.address(), start).await?.is_empty(), "{start:?}");
    }
    // A head that drips, a byte at a time.
    let drip = Manner::Drip { piece: 1, pause: Duration::from_millis(20) };
    ensure!(scene.send(&whole, drip).await?.is_none(), "a dripping head was answered");
    // Half a body, and then nothing: LiveKit sends it again.
    let answer = scene.send(&whole[..head + body.len() / 2], Manner::Whole).await?;
    let reply = answer.context("no answer to a slow body")?;
    ensure!((reply.status, reply.code().as_deref()) == (503, Some("body_timeout")), "{reply:?}");
    ensure!(reply.header("retry-after").is_none(), "{reply:?}");
    // A connection that was good and then idles.
    let unsigned = raw::request("/webhook", &[], b"{}");
    let kept = String::from_utf8(unsigned)?.replace("Connection: close\r\n", "");
    ensure!(raw::status(&closed(scene.gateway.address(), kept.as_bytes()).await?) == Some(401));
    let get = b"GET /webhook HTTP/1.1\r\nHost: g\r\n\r\n";
    ensure!(raw::status(&closed(scene.gateway.address(), get).await?) == Some(405));
    scene.assert_well().await
}

#[tokio::test]
async fn strangers_who_take_every_place_give_it_back() -> Result<()> {
    let few = format!("connections_max = 2\nheader_timeout_ms = {DEADLINE_MS}");
    let scene = Scene::start(&few).await?;
    let mut strangers = Vec::new();
    for start in [&b""[..], b"PRI * HTTP/2.0\r\n", b"POST /webhook HTTP/1.1\r\n", b""] {
        let mut stranger = TcpStream::connect(scene.gateway.address()).await?;
        stranger.write_all(start).await?;
        strangers.push(stranger);
    }
    // Waits its turn behind them.
    scene.assert_well().await?;
    drop(strangers);
    Ok(())
}

#[tokio::test]
async fn garbage_is_refused() -> Result<()> {
    let scene = Scene::start("").await?;
    let mut noise = Vec::new();
    let mut dice = 1_u64;
    for _ in 0..4_096 {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        noise.push((dice >> 33) as u8);
    }
    for bytes in [
        &noise[..],
        b"\r\n\r\n\r\n\r\n",
        b"\0\0\0\0\0\0\0\0\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a TLS hello\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n and no frames at all that anybody could read",
        b"POST /webhook HTTP/9.9\r\nHost: g\r\n\r\n",
        b"POST /webhook HTTP/1.1\r\nHost: g\r\nContent-Length: many\r\n\r\n",
        b"POST /webhook HTTP/1.1\r\nHost: g\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
        b"POST /webhook HTTP/1.1\r\nHost : g\r\n\r\n",
        b"POST /webhook HTTP/1.1\r\nHost: g\r\nX: \0\r\n\r\n",
    ] {
        // HTTP/2 without a head has no words for it but a closed connection.
        let answer = raw::send(scene.gateway.address(), bytes, Manner::HalfClosed, BOUND).await?;
        let status = raw::status(&answer);
        let text = String::from_utf8_lossy(bytes);
        ensure!(status.is_none_or(|status| (400..=505).contains(&status)), "{status:?} to {text}");
    }
    scene.assert_well().await
}

#[tokio::test]
async fn a_half_closed_connection_is_answered() -> Result<()> {
    let scene = Scene::start("").await?;
    let body = r#"{"event":"room_started","id":"EV_good","room":{"name":"r"}}"#;
    let whole = raw::request("/webhook", &signed(&token(body)), body.as_bytes());
    let reply = scene.send(&whole, Manner::HalfClosed).await?.context("no answer")?;
    ensure!(reply.status == 200, "{reply:?}");
    // A body that breaks off is not an event, and LiveKit is asked to send it again.
    let cut = &whole[..whole.len() - 5];
    let reply = scene.send(cut, Manner::HalfClosed).await?.context("no answer to a cut body")?;
    ensure!((reply.status, reply.code().as_deref()) == (503, Some("body_incomplete")));
    scene.assert_well().await
}

#[tokio::test]
async fn broken_framing_is_refused() -> Result<()> {
    let scene = Scene::start("").await?;
    let body = event("room_started", "r", "EV_chunks");
    let token = token(&body);
    let chunked = raw::chunked("/webhook", &signed(&token), &[body.as_bytes()]);
    let size = format!("{:x}\r\n", body.len());
    let text = String::from_utf8(chunked)?;
    for broken in [
        text.replace(&size, "zz\r\n"),
        text.replace(&size, "ffffffffffffffffff\r\n"),
        text.replace(&size, "10\r\n"),
        text.replace("\r\n0\r\n\r\n", "\r\n5\r\n"),
    ] {
        let reply =
            scene.send(broken.as_bytes(), Manner::HalfClosed).await?.context("no answer")?;
        let code = reply.code();
        ensure!((reply.status, code.as_deref()) == (503, Some("body_incomplete")), "{broken}");
    }
    let unknown = text.replace("Transfer-Encoding: chunked", "Transfer-Encoding: gzip");
    ensure!(scene.exchange(unknown.as_bytes()).await?.status == 400);
    // Both lengths: the one who reads the other one would see a second request. RFC 9112, 6.1.
    let smuggled = text.replace("Transfer-Encoding", "Content-Length: 4\r\nTransfer-Encoding");
    let answer = scene.send(smuggled.as_bytes(), Manner::HalfClosed).await?;
    let reply = answer.context("no answer to both lengths")?;
    // Taken by its chunks, as the RFC allows; then it is one event, and the connection is closed.
    ensure!(reply.status == 200 && reply.header("connection") == Some("close"), "{reply:?}");
    let seen = scene.receiver.wait_for(1, BOUND).await?;
    ensure!(seen[0].body == body, "{seen:?}");
    let events = scene.gateway.ledger()?.events().await?;
    ensure!(events.len() == 1 && scene.receiver.seen().len() == 1, "{events:?}");
    Ok(())
}

#[tokio::test]
async fn what_is_not_a_webhook_is_refused_with_its_reason() -> Result<()> {
    let scene = Scene::start("").await?;
    let body = event("room_started", "r", "EV_1");
    let token = token(&body);
    let right = raw::request("/webhook", &signed(&token), body.as_bytes());
    let right = String::from_utf8(right)?;
    for (request, status, code) in [
        (right.replace("/webhook HTTP", "/ HTTP"), 404, "not_found"),
        (right.replace("/webhook HTTP", "/webhook/x HTTP"), 404, "not_found"),
        (right.replace("POST", "GET"), 405, "method"),
        (right.replace("POST", "PUT"), 405, "method"),
        (right.replace("Host:", "Content-Encoding: gzip\r\nHost:"), 415, "content_encoding"),
    ] {
        let reply = scene.exchange(request.as_bytes()).await?;
        ensure!((reply.status, reply.code().as_deref()) == (status, Some(code)), "{reply:?}");
        ensure!(status != 405 || reply.header("allow") == Some("POST"), "{reply:?}");
    }
    scene.assert_well().await
}

#[tokio::test]
async fn what_is_authentic_and_unusable_is_kept() -> Result<()> {
    let scene = Scene::start("").await?;
    let bodies = ["", "no JSON", "[]", "{", "{}", r#"{"event":7}"#, "\u{0}", "null"];
    let deep = "[".repeat(100_000);
    for body in bodies.into_iter().chain([deep.as_str()]) {
        let reply = post(scene.gateway.address(), body).await?;
        ensure!(reply.status == 400, "{body:.20}: {reply:?}");
        let kept = scene.gateway.ledger()?.quarantined().await?.remove(0);
        ensure!(kept.body == body, "{body:.20}: {kept:?}");
        ensure!(reply.code() == Some(kept.reason.clone()), "{reply:?} and {}", kept.reason);
        ensure!(kept.source.as_deref() == Some("prod"));
    }
    ensure!(scene.gateway.metric("quarantined").await? == bodies.len() as f64 + 1.0);
    scene.assert_well().await
}
