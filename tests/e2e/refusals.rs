//! Stories of events that are not what they say: refused at the edge, and by a host that stands
//! alone.

use super::delivery::{edge_of, with_source};
use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use livekit_webhook_tests::envoy::{self, Envoy};
use livekit_webhook_tests::exchange::{
    API_KEY, BOUND, Reply, SECRET, event, exchange, now_s, post, post_as, token,
};
use livekit_webhook_tests::gateway::{Gateway, Setup};
use livekit_webhook_tests::livekit::raw;
use livekit_webhook_tests::receiver::Receiver;
use livekit_webhook_wire::sign;
use std::net::SocketAddr;

/// One forgery.
struct Forgery {
    name: &'static str,
    authorization: Option<String>,
    body: String,
    /// What the sender is told.
    code: &'static str,
    /// What the operator is told.
    reason: &'static str,
}

fn signed(key: &str, secret: &str, body: &str, made_s: i64) -> Option<String> {
    Some(sign::authorization(key, secret.as_bytes(), body.as_bytes(), made_s))
}

fn forgeries() -> Vec<Forgery> {
    let body = event("room_started", "r", "EV_forged");
    let make = |name, authorization: Option<String>, code, reason| Forgery {
        name,
        authorization,
        body: body.clone(),
        code,
        reason,
    };
    let now_s = now_s();
    let claims = format!(r#"{{"iss":"{API_KEY}","exp":{}}}"#, now_s + 60);
    let header = r#"{"alg":"none","typ":"JWT"}"#;
    let encoded = URL_SAFE_NO_PAD.encode(header);
    let unsigned = sign::signed(SECRET.as_bytes(), &encoded, &claims);
    let no_digest = sign::signed(SECRET.as_bytes(), sign::HEADER, &claims);
    let tampered = Forgery {
        body: body.replace("EV_forged", "EV_forgee"),
        ..make("tampered", Some(token(&body)), "body_mismatch", "sha_mismatch")
    };
    vec![
        make("no token", None, "no_token", "no_token"),
        make("forged", signed(API_KEY, "guessed", &body, now_s), "invalid_token", "sig"),
        make("wrong source", signed("APIwho", SECRET, &body, now_s), "invalid_token", "iss"),
        make("alg none", Some(unsigned), "invalid_token", "alg"),
        make("expired", signed(API_KEY, SECRET, &body, now_s - 3_600), "expired", "exp"),
        make("early", signed(API_KEY, SECRET, &body, now_s + 3_600), "not_yet_valid", "nbf"),
        make("no digest", Some(no_digest), "no_digest", "sha_missing"),
        make("garbage", Some("not.a.token".to_owned()), "malformed_token", "base64"),
        tampered,
    ]
}

async fn send(to: SocketAddr, forgery: &Forgery) -> Result<Reply> {
    match &forgery.authorization {
        Some(authorization) => post_as(to, authorization, &forgery.body).await,
        None => exchange(to, &raw::request("/webhook", &[], forgery.body.as_bytes())).await,
    }
}

async fn with_one_endpoint(receiver: &Receiver, more: &str) -> Result<Gateway> {
    let setup =
        with_source().ingest(more).endpoint("all", &receiver.url("/"), "").subscription("all", "");
    Gateway::start(&setup, BOUND).await
}

/// The host took nothing of what came before, and is well.
async fn assert_unharmed(gateway: &Gateway, receiver: &Receiver) -> Result<()> {
    ensure!(gateway.ledger()?.events().await?.is_empty(), "something was kept");
    let good = event("room_started", "r", "EV_good");
    ensure!(post(gateway.address(), &good).await?.status == 200);
    let seen = receiver.wait_for(1, BOUND).await?;
    ensure!(seen.len() == 1 && seen[0].body == good, "{seen:?}");
    Ok(())
}

#[tokio::test]
async fn the_host_refuses_every_forgery_and_tells_strangers_little() -> Result<()> {
    let receiver = Receiver::start().await?;
    let gateway = with_one_endpoint(&receiver, "").await?;
    for forgery in forgeries() {
        let Forgery { name, code, reason, .. } = forgery;
        let metric = format!(r#"ingest_refused_total{{reason="{reason}"}}"#);
        let before = gateway.metric(&metric).await?;
        let reply = send(gateway.address(), &forgery).await?;
        ensure!((reply.status, reply.code().as_deref()) == (401, Some(code)), "{name}: {reply:?}");
        ensure!(reply.header("content-type") == Some("application/problem+json"), "{reply:?}");
        ensure!(reply.header("retry-after").is_none(), "{name}: {reply:?}");
        ensure!(gateway.metric(&metric).await? == before + 1.0, "{name}: {reason} is not counted");
        let says = |line: &str| line.contains(&format!(r#""reason":"{reason}""#)).then_some(());
        gateway.wait_log(BOUND, says).await.context(name)?;
    }
    assert_unharmed(&gateway, &receiver).await
}

#[tokio::test]
async fn the_edge_refuses_every_forgery_before_the_host_sees_a_byte() -> Result<()> {
    let receiver = Receiver::start().await?;
    let gateway = with_one_endpoint(&receiver, "").await?;
    let edge = edge_of(&gateway)?;
    for forgery in forgeries() {
        let reply = send(edge.listener(), &forgery).await?;
        ensure!((400..500).contains(&reply.status), "{}: {reply:?}", forgery.name);
        ensure!(reply.body.contains(forgery.code), "{}: {reply:?}", forgery.name);
    }
    ensure!(edge.stat("cluster.host.upstream_cx_total")? == 0, "a connection to the host");
    ensure!(gateway.metric(r#"ingest_answers_total{answer="refused"}"#).await? == 0.0);
    assert_unharmed(&gateway, &receiver).await
}

#[tokio::test]
async fn what_the_edge_would_pass_the_host_still_refuses() -> Result<()> {
    // An edge with a key the host does not have: somebody changed one of the two and forgot the
    // other.
    let receiver = Receiver::start().await?;
    let gateway = with_one_endpoint(&receiver, "").await?;
    let keys = envoy::Setup::with_keys("APIold: old-secret");
    let edge = Envoy::start(&keys, gateway.address())?;
    let body = event("room_started", "r", "EV_1");
    let old = signed("APIold", "old-secret", &body, now_s()).context("a token")?;
    let reply = post_as(edge.listener(), &old, &body).await?;
    ensure!((reply.status, reply.code().as_deref()) == (401, Some("invalid_token")), "{reply:?}");
    ensure!(edge.stat("cluster.host.upstream_rq_total")? == 1, "the edge passed it");
    assert_unharmed(&gateway, &receiver).await
}

#[tokio::test]
async fn a_key_speaks_for_its_own_source_only() -> Result<()> {
    let (ours, theirs) = (Receiver::start().await?, Receiver::start().await?);
    let setup = Setup::new()
        .source("ours", API_KEY, SECRET, "")
        .source("theirs", "APItheirs", "their-secret", "")
        .endpoint("ours", &ours.url("/"), "")
        .endpoint("theirs", &theirs.url("/"), "")
        .subscription("ours", r#"sources = ["ours"]"#)
        .subscription("theirs", r#"sources = ["theirs"]"#);
    let gateway = Gateway::start(&setup, BOUND).await?;
    let body = event("room_started", "r", "EV_1");
    // Their key name with our secret is nobody's.
    let mixed = signed("APItheirs", SECRET, &body, now_s()).context("a token")?;
    ensure!(post_as(gateway.address(), &mixed, &body).await?.status == 401);
    let right = signed("APItheirs", "their-secret", &body, now_s()).context("a token")?;
    ensure!(post_as(gateway.address(), &right, &body).await?.status == 200);
    let ledger = gateway.ledger()?;
    ledger.wait_ended("theirs", 1, BOUND).await?;
    ensure!(theirs.seen().len() == 1 && ours.seen().is_empty(), "the wrong subscription got it");
    ensure!(ledger.deliveries("ours").await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn unverified_can_be_kept_apart_up_to_a_limit() -> Result<()> {
    let receiver = Receiver::start().await?;
    let keep = "on_unverified = \"quarantine\"\nquarantine_max = 2";
    let gateway = with_one_endpoint(&receiver, keep).await?;
    let body = event("room_started", "r", "EV_rotated");
    let old = signed(API_KEY, "the secret before", &body, now_s()).context("a token")?;
    for expected in [200, 200, 401] {
        let reply = post_as(gateway.address(), &old, &body).await?;
        ensure!(reply.status == expected, "{reply:?}");
    }
    let kept = gateway.ledger()?.quarantined().await?;
    ensure!(kept.len() == 2, "{kept:?}");
    for item in &kept {
        ensure!(item.reason == "sig" && item.source.is_none() && item.body == body, "{item:?}");
    }
    ensure!(gateway.metric("quarantined").await? == 2.0);
    assert_unharmed(&gateway, &receiver).await
}
