//! What is not LiveKit's is answered at the edge, and the host never hears of it.

use anyhow::{Result, ensure};
use livekit_webhook_tests::envoy::Setup;
use livekit_webhook_wire::sign;

use super::client::{End, Reply, http1, http2, post, post_chunked};
use super::{API_KEY, Edge, KEYS, SECRET, event, token, token_made, wait_until};

#[track_caller]
fn check(reply: &Reply, status: u16, code: &str) -> Result<()> {
    let place = std::panic::Location::caller();
    ensure!(reply.status == status && reply.code() == code, "{place}: {reply:?}");
    ensure!(reply.header("content-type") == Some("application/problem+json"), "{reply:?}");
    Ok(())
}

#[test]
fn tokens_that_are_not_livekits_are_refused_with_a_stable_code() -> Result<()> {
    let edge = Edge::shipped()?;
    let at = edge.envoy.listener();
    let body = event("room_started");
    let good = token(&body);
    let send = |token: &str, more: &str| http1(at, &post(token, &body, more));

    let (head, signature) = good.rsplit_once('.').unwrap_or_default();
    let forged = format!("{head}.{}", signature.chars().rev().collect::<String>());
    let now_s = 1_795_435_200;
    let stranger = sign::authorization("APIother", SECRET, &body, now_s);
    let guessed = sign::authorization(API_KEY, b"guess", &body, now_s);
    // An unknown key and a wrong secret look alike to a stranger.
    let (unknown, wrong) = (send(&stranger, "")?, send(&guessed, "")?);
    check(&unknown, 401, "invalid_token")?;
    check(&wrong, 401, "invalid_token")?;
    ensure!(unknown.body == wrong.body);
    check(&send(&token_made(600, &body), "")?, 401, "expired")?;
    check(&send(&token_made(-600, &body), "")?, 401, "not_yet_valid")?;
    check(&send(&format!("Bearer {good}"), "")?, 401, "malformed_token")?;
    check(&send("", "")?, 401, "no_token")?;
    check(&send(&good, &format!("authorization: {good}\r\n"))?, 401, "multiple_tokens")?;
    check(&send(&"a".repeat(9_000), "")?, 401, "malformed_token")?;
    let reply = send(&forged, "")?;
    ensure!(reply.status == 401, "{reply:?}");
    ensure!(reply.header("www-authenticate").is_some_and(|v| v.starts_with("LiveKit-Webhook")));
    // A byte that is not UTF-8, in the very header that is judged.
    let mut request = post("abc", &body, "");
    let place = request.windows(3).position(|w| w == b"abc").unwrap_or_default();
    request[place] = 0xff;
    check(&http1(at, &request)?, 401, "malformed_token")?;
    edge.assert_untouched()?;
    // The filter is alive: nothing above has ended it.
    ensure!(send(&good, "")?.status == 200);
    edge.expect("rejected.iss", 1)?;
    edge.expect("rejected.exp", 1)?;
    edge.expect("rejected.multiple_tokens", 1)?;
    Ok(())
}

#[test]
fn requests_of_a_wrong_form_are_refused() -> Result<()> {
    let json = r#"{"body_bytes_max": 1024}"#;
    let edge = Edge::start(&Setup::with_keys(KEYS).filter(json))?;
    let at = edge.envoy.listener();
    let body = event("room_started");
    let reply = http1(at, b"GET /webhook HTTP/1.1\r\nhost: edge\r\n\r\n")?;
    check(&reply, 405, "method")?;
    ensure!(reply.header("allow") == Some("POST"));
    let gzip = http1(at, &post(&token(&body), &body, "content-encoding: gzip\r\n"))?;
    check(&gzip, 415, "content_encoding")?;
    let large = vec![b' '; 1_025];
    let (first, rest) = large.split_at(1_000);
    let signed = token(&large);
    check(&http1(at, &post(&signed, &large, ""))?, 413, "body_too_large")?;
    check(&http1(at, &post_chunked(&signed, &[first, rest], ""))?, 413, "body_too_large")?;
    for end in [End::Data, End::EmptyData, End::Trailer("x-after", "1")] {
        check(&http2(at, &signed, &[first, rest], end)?, 413, "body_too_large")?;
    }
    edge.assert_untouched()?;
    edge.expect("rejected.body_too_large", 5)?;
    // The limit itself is allowed.
    let fits = large.get(..1_024).unwrap_or_default();
    ensure!(http1(at, &post(&token(fits), fits, ""))?.status == 200);
    Ok(())
}

#[test]
fn the_filters_limit_is_the_only_one_over_both_protocols() -> Result<()> {
    let edge = Edge::shipped()?;
    let at = edge.envoy.listener();
    let fits = vec![b' '; 8 * 1024 * 1024];
    let large = vec![b' '; fits.len() + 1];
    let pieces: Vec<_> = large.chunks(16 * 1024).collect();
    let signed = token(&large);
    check(&http1(at, &post(&signed, &large, ""))?, 413, "body_too_large")?;
    check(&http1(at, &post_chunked(&signed, &pieces, ""))?, 413, "body_too_large")?;
    check(&http2(at, &signed, &pieces, End::Data)?, 413, "body_too_large")?;
    edge.assert_untouched()?;
    let pieces: Vec<_> = fits.chunks(16 * 1024).collect();
    let signed = token(&fits);
    ensure!(http1(at, &post(&signed, &fits, ""))?.status == 200);
    ensure!(http2(at, &signed, &pieces, End::Data)?.status == 200);
    ensure!(edge.host.wait_for(2)?.iter().all(|request| request.body == fits));
    Ok(())
}

#[test]
fn the_access_log_holds_the_exact_reason() -> Result<()> {
    let edge = Edge::shipped()?;
    let body = event("room_started");
    let stranger = sign::authorization("APIother", SECRET, &body, 1_795_435_200);
    check(&http1(edge.envoy.listener(), &post(&stranger, &body, ""))?, 401, "invalid_token")?;
    let details = r#""details":"livekit_webhook{iss}""#;
    wait_until("the access log names the reason", || Ok(edge.envoy.access_log().contains(details)))
}
