//! How Envoy frames, limits and ends requests, and what the filter makes of it. What a scenario can
//! say is in `tests/scenarios/edge.json`; here is what needs a connection's bytes.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Result, ensure};
use livekit_webhook_tests::envoy::Setup;

use super::client::{End, Http1, http1, http2, post, post_chunked};
use super::{Edge, KEYS, event, token, wait_until};

const MIB: usize = 1024 * 1024;

#[test]
fn a_refused_head_closes_and_a_refused_body_leaves_the_connection_in_use() -> Result<()> {
    let edge = Edge::shipped()?;
    let body = event("room_started");
    let mut connection = Http1::connect(edge.envoy.listener())?;
    connection.send(&post(&token(b"another"), &body, ""));
    let reply = connection.receive()?;
    ensure!(reply.status == 401 && reply.header("connection").is_none(), "{reply:?}");
    connection.send(&post(&token(&body), &body, ""));
    ensure!(connection.receive()?.status == 200);
    connection.send(&post("none", &body, ""));
    let reply = connection.receive()?;
    ensure!(reply.status == 401 && reply.header("connection") == Some("close"), "{reply:?}");
    ensure!(edge.host.requests().len() == 1);
    Ok(())
}

#[test]
fn expect_100_continue_is_answered_before_the_body_and_changes_no_verdict() -> Result<()> {
    let edge = Edge::shipped()?;
    let body = event("room_started");
    for (signed, status) in [(&body[..], "200"), (b"another", "401")] {
        let request = post(&token(signed), &body, "expect: 100-continue\r\n");
        let (head, body) = request.split_at(request.len() - body.len());
        let mut stream = TcpStream::connect(edge.envoy.listener())?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        stream.write_all(head)?;
        let mut piece = [0; 4096];
        let read = stream.read(&mut piece)?;
        let text = String::from_utf8_lossy(&piece[..read]).into_owned();
        ensure!(text.starts_with("HTTP/1.1 100 "), "{text}");
        stream.write_all(body)?;
        let read = stream.read(&mut piece)?;
        let text = String::from_utf8_lossy(&piece[..read]).into_owned();
        ensure!(text.starts_with(&format!("HTTP/1.1 {status} ")), "{text}");
    }
    let received = edge.host.wait_for(1)?;
    ensure!(received.len() == 1 && received[0].header("expect").is_empty(), "{received:?}");
    // A head that is refused waits for no body.
    let reply = http1(
        edge.envoy.listener(),
        b"POST / HTTP/1.1\r\nhost: e\r\ncontent-length: 9\r\n\
        expect: 100-continue\r\nauthorization: x\r\n\r\n",
    )?;
    ensure!(reply.status == 401, "{reply:?}");
    Ok(())
}

#[test]
fn trailers_over_http1_are_dropped_unless_enabled_and_the_body_is_checked_all_the_same()
-> Result<()> {
    let edge = Edge::shipped()?;
    let (at, body) = (edge.envoy.listener(), event("room_started"));
    let trailer = "x-livekit-event: fake\r\n";
    ensure!(http1(at, &post_chunked(&token(b"x"), &[&body], trailer))?.status == 401);
    edge.assert_untouched()?;
    ensure!(http1(at, &post_chunked(&token(&body), &[&body], trailer))?.status == 200);
    ensure!(!String::from_utf8_lossy(&edge.host.bytes()).contains("fake"));
    Ok(())
}

#[test]
fn a_body_that_drips_is_hashed_once_and_judged_at_its_end() -> Result<()> {
    let edge = Edge::shipped()?;
    let (at, body) = (edge.envoy.listener(), vec![b' '; 400_000]);
    let pieces: Vec<&[u8]> = body.chunks(4_000).collect();
    ensure!(http2(at, &token(&body), &pieces, End::EmptyData)?.status == 200);
    ensure!(http1(at, &post_chunked(&token(&body), &pieces, ""))?.status == 200);
    ensure!(http2(at, &token(b"x"), &pieces, End::Trailer("x-after", "1"))?.status == 401);
    let received = edge.host.wait_for(2)?;
    ensure!(received.iter().all(|request| request.body == body) && received.len() == 2);
    Ok(())
}

#[test]
fn bytes_that_come_one_by_one_make_the_same_request() -> Result<()> {
    let edge = Edge::shipped()?;
    let body = event("room_started");
    for (signed, status) in [(&body[..], 200), (b"another", 401)] {
        let mut connection = Http1::connect(edge.envoy.listener())?;
        for byte in post_chunked(&token(signed), &[&body[..3], &body[3..]], "") {
            connection.send(&[byte]);
        }
        ensure!(connection.receive()?.status == status);
    }
    ensure!(edge.host.wait_for(1)?.len() == 1);
    Ok(())
}

#[test]
fn without_its_buffer_limit_envoy_refuses_before_the_filter_can() -> Result<()> {
    // Why `request_body_buffer_limit` is in the shipped configuration.
    let setup = Setup::with_keys(KEYS).edit("request_body_buffer_limit: 9437184", "");
    let edge = Edge::start(&setup)?;
    let (at, body) = (edge.envoy.listener(), vec![b' '; 2 * MIB]);
    let reply = http1(at, &post(&token(&body), &body, ""))?;
    ensure!(reply.status == 413 && reply.body == "Payload Too Large", "{reply:?}");
    edge.assert_untouched()?;
    // The filter has lost a request it held, and goes on.
    let body = event("room_started");
    ensure!(http1(at, &post(&token(&body), &body, ""))?.status == 200);
    Ok(())
}

#[test]
fn the_buffer_limit_only_raises_what_the_connection_may_hold() -> Result<()> {
    let listener = "- name: livekit-webhook\n      address:";
    let small = format!(
        "- name: livekit-webhook\n      per_connection_buffer_limit_bytes: 4096\n      {}",
        "address:"
    );
    let setup = Setup::with_keys(KEYS).edit(listener, &small);
    let edge = Edge::start(&setup)?;
    let (at, body) = (edge.envoy.listener(), vec![b' '; 2 * MIB]);
    ensure!(http1(at, &post(&token(&body), &body, ""))?.status == 200);
    let setup = setup.edit("request_body_buffer_limit: 9437184", "request_body_buffer_limit: 2000");
    let edge = Edge::start(&setup)?;
    let (at, body) = (edge.envoy.listener(), vec![b' '; 3_000]);
    ensure!(http1(at, &post(&token(&body), &body, ""))?.status == 200, "it does not lower");
    let body = vec![b' '; 20_000];
    ensure!(http1(at, &post(&token(&body), &body, ""))?.status == 413);
    Ok(())
}

#[test]
fn over_http2_only_the_filters_own_limit_counts() -> Result<()> {
    // The connection's limit is not applied to HTTP/2, and the shipped windows are taken away.
    let setup = Setup::with_keys(KEYS)
        .filter(r#"{"body_bytes_max": 100000}"#)
        .edit("request_body_buffer_limit: 9437184", "")
        .edit("initial_stream_window_size: 65536", "")
        .edit("initial_connection_window_size: 1048576", "")
        .edit(
            "- name: livekit-webhook\n      address:",
            "- name: livekit-webhook\n      per_connection_buffer_limit_bytes: 4096\n      address:",
        );
    let edge = Edge::start(&setup)?;
    let (at, body) = (edge.envoy.listener(), vec![b' '; 100_001]);
    let pieces: Vec<&[u8]> = body.chunks(16_000).collect();
    let reply = http2(at, &token(&body), &pieces, End::Data)?;
    ensure!(reply.status == 413 && reply.code() == "body_too_large", "{reply:?}");
    edge.assert_untouched()?;
    let body = &body[..100_000];
    let pieces: Vec<&[u8]> = body.chunks(16_000).collect();
    ensure!(http2(at, &token(body), &pieces, End::Data)?.status == 200, "what fits passes");
    Ok(())
}

#[test]
fn a_buffer_filter_in_front_is_no_substitute_for_holding_the_head() -> Result<()> {
    let buffer = r#"- name: buffer
                    typed_config:
                      "@type": type.googleapis.com/envoy.extensions.filters.http.buffer.v3.Buffer
                      max_request_bytes: 100000
                  - name: livekit-webhook
                    typed_config:"#;
    let setup = Setup::with_keys(KEYS)
        .filter(r#"{"hold_headers": false}"#)
        .edit("allow_on_headers_stop_iteration: true", "")
        .edit("- name: livekit-webhook\n                    typed_config:", buffer);
    let edge = Edge::start(&setup)?;
    let (at, body) = (edge.envoy.listener(), event("room_started"));
    // Warm connections on both workers, as in use.
    for _ in 0..8 {
        ensure!(http1(at, &post(&token(&body), &body, ""))?.status == 200);
    }
    let forged = token(b"another");
    wait_until("a forged request's head reaches the host", || {
        let reply = http1(at, &post(&forged, &event("room_finished"), ""))?;
        ensure!(reply.status == 401, "{reply:?}");
        Ok(String::from_utf8_lossy(&edge.host.bytes()).contains(&forged))
    })?;
    ensure!(!String::from_utf8_lossy(&edge.host.bytes()).contains("room_finished"));
    Ok(())
}
