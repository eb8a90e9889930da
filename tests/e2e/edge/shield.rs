//! The replay shield and the rate over two workers: never may LiveKit's own second try be swallowed.

use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Result, ensure};
use livekit_webhook_tests::envoy::Setup;

use super::client::{Http1, http1, post};
use super::{Edge, KEYS, event, token, wait_until};

const REPLAYS: usize = 48;
const SHIELD: &str = r#"{"dedupe": {"mode": "ack"}}"#;

/// Sends the same request on many connections at once and counts the statuses.
fn storm(edge: &Edge, request: &[u8]) -> Result<[usize; 3]> {
    let counts = [(); 3].map(|()| AtomicUsize::new(0));
    let connections: Result<Vec<_>> =
        (0..REPLAYS).map(|_| Http1::connect(edge.envoy.listener())).collect();
    std::thread::scope(|scope| -> Result<()> {
        let threads: Vec<_> = connections?
            .into_iter()
            .map(|mut connection| {
                let counts = &counts;
                scope.spawn(move || -> Result<()> {
                    connection.send(request);
                    let reply = connection.receive()?;
                    let duplicate = reply.header("x-livekit-webhook-result") == Some("duplicate");
                    let kind = match reply.status {
                        200 if !duplicate => 0,
                        200 => 1,
                        503 if reply.code() == "in_flight" => 2,
                        other => anyhow::bail!("status {other}"),
                    };
                    if let Some(count) = counts.get(kind) {
                        count.fetch_add(1, Ordering::SeqCst);
                    }
                    Ok(())
                })
            })
            .collect();
        for thread in threads {
            thread.join().map_err(|_| anyhow::anyhow!("a sender panicked"))??;
        }
        Ok(())
    })?;
    Ok(counts.map(AtomicUsize::into_inner))
}

#[test]
fn of_48_replays_at_once_exactly_one_reaches_the_host() -> Result<()> {
    let edge = Edge::start(&Setup::with_keys(KEYS).filter(SHIELD))?;
    let body = event("room_started");
    let request = post(&token(&body), &body, "");
    // The host answers when all have come, so that all are there at the same time.
    edge.host.hold(true);
    let [forwarded, duplicate, in_flight] = std::thread::scope(|scope| {
        let storm = scope.spawn(|| storm(&edge, &request));
        let all = || Ok(edge.envoy.counter("requests")? == u64::try_from(REPLAYS)?);
        let waited = wait_until("all have come", all);
        edge.host.hold(false);
        waited?;
        storm.join().map_err(|_| anyhow::anyhow!("the storm panicked"))?
    })?;
    ensure!(forwarded == 1, "{forwarded} were forwarded");
    ensure!(duplicate + in_flight == REPLAYS - 1 && in_flight > 0, "{duplicate} {in_flight}");
    ensure!(edge.host.requests().len() == 1);
    // All later ones are duplicates, on whichever worker.
    let [forwarded, duplicate, _] = storm(&edge, &request)?;
    ensure!((forwarded, duplicate) == (0, REPLAYS), "{forwarded} {duplicate}");
    ensure!(edge.host.requests().len() == 1);
    Ok(())
}

#[test]
fn livekits_next_try_passes_when_the_host_did_not_take_the_first() -> Result<()> {
    let edge = Edge::start(&Setup::with_keys(KEYS).filter(SHIELD))?;
    let (at, body) = (edge.envoy.listener(), event("room_started"));
    let request = post(&token(&body), &body, "");
    for status in [503, 500, 429, 404, 302] {
        edge.host.answer(status);
        ensure!(http1(at, &request)?.status == status);
    }
    edge.host.answer(200);
    let reply = http1(at, &request)?;
    ensure!(reply.status == 200 && reply.header("x-livekit-webhook-result").is_none());
    ensure!(edge.host.requests().len() == 6);
    let reply = http1(at, &request)?;
    ensure!(reply.header("x-livekit-webhook-result") == Some("duplicate"), "{reply:?}");
    Ok(())
}

#[test]
fn a_sender_that_hangs_up_before_the_answer_can_send_again() -> Result<()> {
    let edge = Edge::start(&Setup::with_keys(KEYS).filter(SHIELD))?;
    let (at, body) = (edge.envoy.listener(), event("room_started"));
    let request = post(&token(&body), &body, "");
    edge.host.hold(true);
    let mut connection = Http1::connect(at)?;
    connection.send(&request);
    ensure!(edge.host.wait_for(1)?.len() == 1);
    let reply = http1(at, &request)?;
    ensure!(reply.status == 503 && reply.code() == "in_flight", "{reply:?}");
    ensure!(reply.header("retry-after") == Some("1"));
    drop(connection);
    wait_until("it is released", || Ok(edge.envoy.counter("dedupe_released")? == 1))?;
    edge.host.hold(false);
    let reply = http1(at, &request)?;
    ensure!(reply.status == 200 && reply.header("x-livekit-webhook-result").is_none());
    Ok(())
}

#[test]
fn a_host_that_is_down_swallows_nothing() -> Result<()> {
    let edge = Edge::start(&Setup::with_keys(KEYS).filter(SHIELD))?;
    let (at, body) = (edge.envoy.listener(), event("room_started"));
    let request = post(&token(&body), &body, "");
    let Edge { envoy, host } = edge;
    drop(host);
    for _ in 0..3 {
        let reply = http1(at, &request)?;
        // Envoy's own words: the filter is not in the way.
        ensure!(reply.status == 503 && reply.code().is_empty(), "{reply:?}");
    }
    wait_until("all are released", || Ok(envoy.counter("dedupe_released")? == 3))?;
    Ok(())
}
