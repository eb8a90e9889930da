//! What is LiveKit's reaches the host as it was sent, with the verdict in headers.

use anyhow::{Result, ensure};
use livekit_webhook_tests::envoy::Setup;

use super::client::{Http1, http1, post};
use super::{Edge, KEYS, event, token, wait_until};

#[test]
fn a_signed_event_reaches_the_host_byte_for_byte_with_the_verdict() -> Result<()> {
    let edge = Edge::shipped()?;
    let body = event("room_started");
    let spoofed = "x-livekit-event: room_finished\r\nX-LiveKit-Room: other\r\n\
                   x-livekit-room: third\r\nx-livekit-anything: 1\r\nx-odd: \u{ff}\r\n";
    let mut request = post(&token(&body), &body, spoofed);
    // A header value that is not UTF-8 must not end the filter.
    for at in 0..request.len() - 1 {
        if request[at..at + 2] == *"\u{ff}".as_bytes() {
            request[at..at + 2].copy_from_slice(&[0xff, 0xfe]);
        }
    }
    ensure!(http1(edge.envoy.listener(), &request)?.status == 200);
    let received = edge.host.wait_for(1)?.remove(0);
    ensure!(received.body == body);
    ensure!(received.only("authorization") == Some(token_of(&request)));
    ensure!(received.header("x-odd") == [[0xff, 0xfe]]);
    for (name, value) in [
        ("x-livekit-event", "room_started"),
        ("x-livekit-event-id", "EV_1"),
        ("x-livekit-room", "prod-7"),
        ("x-livekit-key", "APIedge"),
        ("x-livekit-verified", "1"),
    ] {
        ensure!(received.only(name).as_deref() == Some(value), "{name}: {received:?}");
    }
    ensure!(received.header("x-livekit-anything").is_empty());
    edge.expect("accepted", 1)?;
    edge.expect("requests", 1)?;
    Ok(())
}

fn token_of(request: &[u8]) -> String {
    let text = String::from_utf8_lossy(request);
    let line = text.lines().find_map(|line| line.strip_prefix("authorization: "));
    line.unwrap_or_default().to_owned()
}

#[test]
fn nothing_reaches_the_host_while_the_body_is_still_coming() -> Result<()> {
    let edge = Edge::shipped()?;
    let body = event("room_started");
    let request = post(&token(&body), &body, "");
    let (most, last) = request.split_at(request.len() - 1);
    let mut connection = Http1::connect(edge.envoy.listener())?;
    connection.send(most);
    // The token has passed when the filter has counted the request; the body has not come whole.
    let seen = || Ok(edge.envoy.counter("requests")? == 1);
    wait_until("the filter has seen the head", seen)?;
    edge.assert_untouched()?;
    connection.send(last);
    ensure!(connection.receive()?.status == 200);
    ensure!(edge.host.wait_for(1)?.remove(0).body == body);
    Ok(())
}

#[test]
fn a_room_name_cannot_break_out_of_its_header() -> Result<()> {
    let edge = Edge::shipped()?;
    let body = br#"{"event":"room_started","room":{"name":"a\r\nx-evil: 1\r\n\r\nGET / 100%"}}"#;
    ensure!(http1(edge.envoy.listener(), &post(&token(body), body, ""))?.status == 200);
    let received = edge.host.wait_for(1)?.remove(0);
    let room = "a%0D%0Ax-evil:%201%0D%0A%0D%0AGET%20/%20100%25";
    ensure!(received.only("x-livekit-room").as_deref() == Some(room), "{received:?}");
    ensure!(received.header("x-evil").is_empty());
    Ok(())
}

#[test]
fn a_filtered_event_is_answered_here_and_never_reaches_the_host() -> Result<()> {
    let json = r#"{"events": {"include": ["room_*", "track_*"], "exclude": ["track_*"]}}"#;
    let edge = Edge::start(&Setup::with_keys(KEYS).filter(json))?;
    for name in ["track_published", "egress_ended"] {
        let body = event(name);
        let reply = http1(edge.envoy.listener(), &post(&token(&body), &body, ""))?;
        ensure!(reply.status == 200, "{reply:?}");
        ensure!(reply.header("x-livekit-webhook-result") == Some("filtered"));
    }
    edge.assert_untouched()?;
    edge.expect("filtered", 2)?;
    // Only what is signed is answered as filtered: the lists tell a stranger nothing.
    let body = event("track_published");
    let reply = http1(edge.envoy.listener(), &post(&token(b""), &body, ""))?;
    ensure!(reply.status == 401 && reply.header("x-livekit-webhook-result").is_none());
    let body = event("room_started");
    let reply = http1(edge.envoy.listener(), &post(&token(&body), &body, ""))?;
    ensure!(reply.status == 200 && reply.header("x-livekit-webhook-result").is_none());
    ensure!(edge.host.wait_for(1)?.remove(0).body == body);
    Ok(())
}

#[test]
fn on_filtered_pass_forwards_with_a_mark_and_the_token_can_be_kept_back() -> Result<()> {
    let json = r#"{"events": {"exclude": ["track_*"], "on_filtered": "pass"},
        "headers": {"prefix": "x-lk-", "strip_authorization": true}}"#;
    let edge = Edge::start(&Setup::with_keys(KEYS).filter(&json.replace('\n', " ")))?;
    let body = event("track_published");
    ensure!(http1(edge.envoy.listener(), &post(&token(&body), &body, ""))?.status == 200);
    let received = edge.host.wait_for(1)?.remove(0);
    ensure!(received.only("x-lk-filtered").as_deref() == Some("1"));
    ensure!(received.only("x-lk-event").as_deref() == Some("track_published"));
    ensure!(received.header("authorization").is_empty());
    Ok(())
}

#[test]
fn what_is_authentic_and_unusable_goes_to_the_host() -> Result<()> {
    let edge = Edge::shipped()?;
    for (index, body) in [&b"not json"[..], b"", b"{}", b"\xff\xfe"].into_iter().enumerate() {
        let reply = http1(edge.envoy.listener(), &post(&token(body), body, ""))?;
        ensure!(reply.status == 200, "{reply:?}");
        let received = edge.host.wait_for(index + 1)?.remove(index);
        ensure!(received.body == body);
        ensure!(received.only("x-livekit-verified").as_deref() == Some("1"));
        ensure!(received.header("x-livekit-event").is_empty());
    }
    edge.expect("unusable", 4)?;
    Ok(())
}
