//! Strangers who want Envoy's memory or its time get neither, and good requests pass meanwhile.
//!
//! The counts are small enough for every run; `EDGE_FLOOD=10` makes them ten times as many.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use livekit_webhook_tests::bench::edge::memory_mib;
use livekit_webhook_tests::envoy::Setup;

use super::client::{Http1, h2_post, http1, post};
use super::{Edge, KEYS, event, token, wait_until};

/// Connections that send a head and stop. Each needs two descriptors, one on each side.
const SILENT: usize = 1_000;
/// HTTP/2 streams that send what the window lets them.
const STREAMS: usize = 100;
const STREAM_BYTES: usize = 16 * 1024 * 1024;
/// Requests with a wrong signature.
const FORGED: usize = 2_000;
/// What a flood may cost, in MiB: some 20 KiB for a connection, a window for a stream.
const GROWTH_MAX_MIB: f64 = 40.0;

fn times() -> usize {
    std::env::var("EDGE_FLOOD").ok().and_then(|times| times.parse().ok()).unwrap_or(1)
}

fn memory(edge: &Edge) -> Result<f64> {
    memory_mib(edge.envoy.process_id())
}

/// Good requests pass, on connections of their own.
fn check_good(edge: &Edge) -> Result<()> {
    let body = event("room_started");
    for _ in 0..20 {
        let reply = http1(edge.envoy.listener(), &post(&token(&body), &body, ""))?;
        ensure!(reply.status == 200, "{reply:?}");
    }
    Ok(())
}

#[test]
fn silent_heads_cost_little_and_hold_up_nobody() -> Result<()> {
    let edge = Edge::shipped()?;
    check_good(&edge)?;
    let before = memory(&edge)?;
    let count = SILENT * times();
    let body = event("room_started");
    // Half of them with a token that is good: those are held, waiting for their body.
    let signed = post(&token(&body), &body, "");
    let signed = signed.get(..signed.len() - body.len()).unwrap_or_default();
    let half = b"POST /webhook HTTP/1.1\r\nhost: edge\r\nx-slow: ";
    let mut connections = Vec::with_capacity(count);
    for index in 0..count {
        let mut stream = TcpStream::connect(edge.envoy.listener())
            .with_context(|| format!("connection {index}: see `ulimit -n`"))?;
        stream.write_all(if index % 2 == 0 { signed } else { half })?;
        connections.push(stream);
    }
    let held = || Ok(edge.envoy.stat("http.edge.downstream_cx_active")? >= u64::try_from(count)?);
    wait_until("all are there", held)?;
    check_good(&edge)?;
    let growth = memory(&edge)? - before;
    ensure!(growth < GROWTH_MAX_MIB * times() as f64, "{growth:.0} MiB for {count} connections");
    // They are ended by the time-outs of the shipped configuration, 5 s for a head, 15 s for a body.
    let mut first = connections.swap_remove(1);
    first.set_read_timeout(Some(Duration::from_secs(20)))?;
    let mut answer = Vec::new();
    first.read_to_end(&mut answer)?;
    ensure!(answer.starts_with(b"HTTP/1.1 408 "), "{}", String::from_utf8_lossy(&answer));
    Ok(())
}

#[test]
fn a_slow_body_with_a_good_token_holds_only_its_own_buffer() -> Result<()> {
    let edge = Edge::shipped()?;
    check_good(&edge)?;
    let before = memory(&edge)?;
    let body = vec![b' '; 100_000];
    let request = post(&token(&body), &body, "");
    let (most, last) = request.split_at(request.len() - 1);
    let mut slow = Vec::new();
    for _ in 0..50 * times() {
        let mut connection = Http1::connect(edge.envoy.listener())?;
        connection.send(most);
        slow.push(connection);
    }
    check_good(&edge)?;
    let growth = memory(&edge)? - before;
    ensure!(growth < GROWTH_MAX_MIB * times() as f64, "{growth:.0} MiB");
    for connection in &mut slow {
        connection.send(last);
    }
    for connection in &mut slow {
        ensure!(connection.receive()?.status == 200);
    }
    Ok(())
}

/// Opens streams with this token and pushes what flow control takes, until it takes no more.
async fn push(edge: &Edge, authorization: &str, streams: usize) -> Result<usize> {
    let stream = tokio::net::TcpStream::connect(edge.envoy.listener()).await?;
    let (mut sender, connection) = h2::client::handshake(stream).await?;
    let pushing = async {
        let (mut bodies, mut answers) = (Vec::new(), Vec::new());
        for _ in 0..streams {
            sender = sender.ready().await?;
            let (answer, mut body) = sender.send_request(h2_post(authorization)?, false)?;
            body.reserve_capacity(STREAM_BYTES);
            bodies.push(body);
            answers.push(answer);
        }
        let piece = Bytes::from(vec![b' '; 16 * 1024]);
        let mut sent = 0;
        loop {
            let before = sent;
            for body in &mut bodies {
                let room = body.capacity().min(piece.len());
                if room > 0 && body.send_data(piece.slice(..room), false).is_ok() {
                    sent += room;
                }
            }
            // Time for the windows to open again, if they ever do.
            tokio::time::sleep(Duration::from_millis(20)).await;
            if sent == before {
                return anyhow::Ok((sent, bodies, answers));
            }
        }
    };
    tokio::pin!(connection);
    tokio::select! {
        pushed = pushing => Ok(pushed?.0),
        // Envoy may end a connection that misbehaves: that is as good.
        _ = &mut connection => Ok(0),
    }
}

#[test]
fn large_http2_bodies_are_stopped_by_the_windows() -> Result<()> {
    let edge = Edge::start(&Setup::with_keys(KEYS).filter(r#"{"body_bytes_max": 1048576}"#))?;
    check_good(&edge)?;
    let before = memory(&edge)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let forged = runtime.block_on(push(&edge, "no token", STREAMS))?;
    check_good(&edge)?;
    let body = event("room_started");
    let signed = runtime.block_on(push(&edge, &token(&body), STREAMS))?;
    let growth = memory(&edge)? - before;
    check_good(&edge)?;
    let asked = STREAMS * STREAM_BYTES;
    ensure!(forged + signed < asked / 8, "took {forged} and {signed} of twice {asked}");
    ensure!(growth < GROWTH_MAX_MIB * 3.0, "{growth:.0} MiB for {forged} and {signed} bytes");
    Ok(())
}

#[test]
fn a_flood_of_wrong_signatures_leaves_room_for_good_requests() -> Result<()> {
    let edge = Edge::shipped()?;
    check_good(&edge)?;
    let (before, at) = (memory(&edge)?, edge.envoy.listener());
    let body = event("room_started");
    let good = token(&body);
    let (head, _) = good.rsplit_once('.').context("no token")?;
    let forged = post(&format!("{head}.{}", "A".repeat(43)), &body, "");
    let count = FORGED * times();
    std::thread::scope(|scope| -> Result<()> {
        let floods: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| -> Result<()> {
                    for _ in 0..count / 4 {
                        let reply = http1(at, &forged)?;
                        ensure!(reply.status == 401, "{reply:?}");
                    }
                    Ok(())
                })
            })
            .collect();
        check_good(&edge)?;
        for flood in floods {
            flood.join().map_err(|_| anyhow::anyhow!("a flood panicked"))??;
        }
        Ok(())
    })?;
    check_good(&edge)?;
    edge.expect("rejected.sig", u64::try_from(count)?)?;
    let growth = memory(&edge)? - before;
    ensure!(growth < GROWTH_MAX_MIB, "{growth:.0} MiB for {count} forgeries");
    ensure!(edge.host.requests().len() == 60, "a forgery reached the host");
    Ok(())
}
