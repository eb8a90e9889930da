//! Every way in which a request can end, with a true body and with a forged one.

use anyhow::{Result, ensure};
use livekit_webhook_tests::envoy::Setup;

use super::client::{End, http1, http2, post, post_chunked};
use super::{Edge, KEYS, event, token};

/// HTTP/1 trailers are dropped by default; with them the last data is not the end.
fn with_trailers() -> Setup {
    let options = "common_http_protocol_options:";
    Setup::with_keys(KEYS).edit(
        options,
        &format!("http_protocol_options: {{ enable_trailers: true }}\n                {options}"),
    )
}

#[test]
fn a_true_body_passes_however_it_ends() -> Result<()> {
    let edge = Edge::start(&with_trailers())?;
    let (at, body) = (edge.envoy.listener(), event("room_started"));
    let (signed, empty) = (token(&body), token(b""));
    let (first, rest) = body.split_at(7);
    let trailer = || End::Trailer("x-after", "1");
    let spoof = || End::Trailer("x-livekit-event", "fake");
    let replies = [
        http1(at, &post(&signed, &body, ""))?,
        http1(at, &post_chunked(&signed, &[first, rest], ""))?,
        http1(at, &post_chunked(&signed, &[first, rest], "x-after: 1\r\n"))?,
        http2(at, &signed, &[&body], End::Data)?,
        http2(at, &signed, &[first, rest], End::Data)?,
        http2(at, &signed, &[first, rest], End::EmptyData)?,
        http2(at, &signed, &[first, rest], trailer())?,
        http2(at, &signed, &[first, rest], spoof())?,
    ];
    for (index, reply) in replies.iter().enumerate() {
        ensure!(reply.status == 200, "{index}: {reply:?}");
    }
    let received = edge.host.wait_for(replies.len())?;
    ensure!(received.iter().all(|request| request.body == body));
    let verdict = |request: &livekit_webhook_tests::upstream::Received| {
        request.only("x-livekit-event").as_deref() == Some("room_started")
    };
    ensure!(received.iter().all(verdict), "{received:?}");
    ensure!(!String::from_utf8_lossy(&edge.host.bytes()).contains("fake"), "a spoofed trailer");
    let replies = [
        http1(at, &post(&empty, b"", ""))?,
        http1(at, &post_chunked(&empty, &[], ""))?,
        http2(at, &empty, &[], End::Headers)?,
        http2(at, &empty, &[], End::EmptyData)?,
        http2(at, &empty, &[], trailer())?,
    ];
    for (index, reply) in replies.iter().enumerate() {
        ensure!(reply.status == 200, "empty {index}: {reply:?}");
    }
    ensure!(edge.host.wait_for(13)?.iter().skip(8).all(|request| request.body.is_empty()));
    Ok(())
}

#[test]
fn a_forged_body_is_refused_however_it_ends() -> Result<()> {
    let edge = Edge::start(&with_trailers())?;
    let (at, body) = (edge.envoy.listener(), event("room_started"));
    let (signed, forged) = (token(&body), event("room_finished"));
    let (first, rest) = forged.split_at(7);
    let trailer = || End::Trailer("x-after", "1");
    let replies = [
        http1(at, &post(&signed, &forged, ""))?,
        http1(at, &post(&signed, b"", ""))?,
        http1(at, &post_chunked(&signed, &[first, rest], ""))?,
        http1(at, &post_chunked(&signed, &[first, rest], "x-after: 1\r\n"))?,
        http1(at, &post_chunked(&signed, &[], ""))?,
        http2(at, &signed, &[&forged], End::Data)?,
        http2(at, &signed, &[first, rest], End::EmptyData)?,
        http2(at, &signed, &[first, rest], trailer())?,
        // The true body and then more.
        http2(at, &signed, &[&body, b" "], trailer())?,
        http2(at, &signed, &[], End::Headers)?,
        http2(at, &signed, &[], End::EmptyData)?,
        http2(at, &signed, &[], trailer())?,
    ];
    for (index, reply) in replies.iter().enumerate() {
        ensure!(reply.status == 401 && reply.code() == "body_mismatch", "{index}: {reply:?}");
    }
    edge.assert_untouched()?;
    edge.expect("rejected.sha_mismatch", 12)?;
    Ok(())
}
