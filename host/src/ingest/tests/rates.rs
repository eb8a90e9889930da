//! Who sends too fast is answered 503, which LiveKit tries again, and nobody else is.

use super::*;
use crate::ingest::rates::{Peer, Rates};
use livekit_webhook_core::rate::Rate;

fn rate(per_second: f64, burst: u32) -> Option<Rate> {
    Some(Rate::new(per_second, burst).unwrap())
}

fn event(number: usize) -> Vec<u8> {
    format!(r#"{{"event":"room_started","id":"EV_{number}"}}"#).into_bytes()
}

#[tokio::test]
async fn a_source_over_its_rate() {
    let options = Options { source_rate: rate(1.0, 2), ..options() };
    let stage = stage_with(options, keys(), &[]).await;
    for number in 0..2 {
        stage.send(&signed(&event(number))).await.is(200, "");
    }
    stage.send(&signed(&event(2))).await.is(503, "rate_limited");
    assert_eq!(stage.events().await.len(), 2);
    // What is forged does not use up the source's rate.
    stage.clock.advance(1_000);
    stage.send(&post("/webhook", "", &event(2))).await.is(401, "no_token");
    stage.send(&signed(&event(2))).await.is(200, "");
    assert_eq!(stage.answers("limited"), 1);
    let label = ReasonLabel { reason: "source_rate" };
    assert_eq!(stage.metrics.ingest_limited.get_or_create(&label).get(), 1);
}

#[tokio::test]
async fn a_peer_over_its_rate_is_told_before_its_token_is_read() {
    let options = Options { peer_rate: rate(1.0, 2), ..options() };
    let stage = stage_with(options, keys(), &[]).await;
    for _ in 0..2 {
        stage.send(&post("/webhook", "", b"{}")).await.is(401, "no_token");
    }
    let reply = stage.send(&signed(&event(1))).await;
    reply.is(503, "rate_limited");
    assert!(reply.has("connection: close"), "its body is left unread: {reply:?}");
    assert_eq!((stage.refused("no_token"), stage.answers("limited")), (2, 1));
    stage.clock.advance(1_000);
    stage.send(&signed(&event(1))).await.is(200, "");
}

#[test]
fn the_table_of_peers_has_an_end_and_strangers_beyond_it_share() {
    let at = |ms| Timestamp::from_millis(NOW_S * 1_000 + ms);
    let rates = Rates::new(rate(1.0, 1), 2);
    assert!(rates.allows("a", at(0)) && rates.allows("b", at(0)));
    assert!(!rates.allows("a", at(1)));
    // The table is full of peers that have not rested: the third and the fourth share a place.
    assert!(rates.allows("c", at(1)));
    assert!(!rates.allows("d", at(1)));
    // Rested, "a" and "b" are forgotten, and there is room again.
    assert!(rates.allows("c", at(1_100)) && rates.allows("d", at(1_100)));
    assert!(!rates.allows("c", at(1_101)) && !rates.allows("d", at(1_101)));
    let off = Rates::new(None, 0);
    assert!((0..100).all(|_| off.allows("a", at(0))));
}

#[test]
fn a_peer_is_an_address_or_a_network() {
    let peer = |text: &str| Peer::of(text.parse().unwrap());
    assert_eq!(peer("192.0.2.1"), peer("::ffff:192.0.2.1"));
    assert_ne!(peer("192.0.2.1"), peer("192.0.2.2"));
    assert_eq!(peer("2001:db8:1:2::1"), peer("2001:db8:1:2:ffff::9"));
    assert_ne!(peer("2001:db8:1:2::1"), peer("2001:db8:1:3::1"));
}
