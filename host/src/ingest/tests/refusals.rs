//! What is refused, what strangers are told of it, and what is kept all the same.

use super::*;
use livekit_webhook_wire::sign::{self, HEADER};

fn with_token(token: &str) -> Vec<u8> {
    post("/webhook", &format!("Authorization: {token}\r\n"), BODY.as_bytes())
}

#[tokio::test]
async fn what_is_not_authentic_is_told_by_class_and_counted_by_reason() {
    let stage = stage().await;
    let body = BODY.as_bytes();
    let claims = format!(r#"{{"iss":"{KEY}","exp":{},"nbf":{NOW_S}}}"#, NOW_S + 300);
    let good = token(body);
    let table = [
        (post("/webhook", "", body), "no_token", "no_token"),
        (with_token("what"), "malformed_token", "parts"),
        (with_token(&format!("Bearer {good}")), "malformed_token", "bearer"),
        (with_token(&authorization("APIother", SECRET, body, NOW_S)), "invalid_token", "iss"),
        (with_token(&authorization(KEY, b"other", body, NOW_S)), "invalid_token", "sig"),
        (with_token(&authorization(KEY, SECRET, body, NOW_S - 400)), "expired", "exp"),
        (with_token(&authorization(KEY, SECRET, body, NOW_S + 90)), "not_yet_valid", "nbf"),
        (with_token(&authorization(KEY, SECRET, b"{}", NOW_S)), "body_mismatch", "sha_mismatch"),
        (with_token(&sign::signed(SECRET, HEADER, &claims)), "no_digest", "sha_missing"),
        (
            with_token(&format!("{good}\r\nAuthorization: {good}")),
            "multiple_tokens",
            "multiple_tokens",
        ),
    ];
    for (count, (request, code, reason)) in (1..).zip(table) {
        assert_eq!(stage.refused(reason), 0, "{reason}");
        let reply = stage.send(&request).await;
        reply.is(401, code);
        assert_eq!(stage.refused(reason), 1, "{reason}");
        assert_eq!(stage.answers("refused"), count);
        // A forger learns neither the key's name nor which check failed beyond its class.
        assert!(!reply.body.contains(KEY), "{reply:?}");
    }
    assert_eq!(stage.events().await, []);
    assert_eq!(stage.store.quarantined(9).await.unwrap(), []);
}

#[tokio::test]
async fn wrong_requests_are_refused_before_their_token_is_read() {
    let stage = stage().await;
    let get = b"GET /webhook HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
    let reply = stage.send(get).await;
    reply.is(405, "method");
    assert!(reply.has("allow: post"), "{reply:?}");
    for path in ["/", "/webhooks", "/webhook//", "/WEBHOOK", "/webhook/x"] {
        stage.send(&post(path, "", BODY.as_bytes())).await.is(404, "not_found");
    }
    let encoded = "Content-Encoding: gzip\r\n";
    stage.send(&post("/webhook", encoded, BODY.as_bytes())).await.is(415, "content_encoding");
    assert_eq!(stage.answers("refused"), 0);
    let body = BODY.as_bytes();
    let headers = format!("Content-Encoding: identity\r\nAuthorization: {}\r\n", token(body));
    stage.send(&post("/webhook?from=here", &headers, body)).await.is(200, "");
}

#[tokio::test]
async fn authentic_but_unusable_is_kept() {
    let stage = stage().await;
    let table = [("", "empty"), ("{}", "no_event"), ("\u{feff}{}", "bom")];
    for (count, (body, code)) in (1..).zip(table) {
        stage.send(&signed(body.as_bytes())).await.is(400, code);
        stage.clock.advance(1);
        let kept = stage.store.quarantined(9).await.unwrap();
        assert_eq!(kept.len(), count);
        assert_eq!((kept[0].reason.as_str(), kept[0].source.as_deref()), (code, Some("prod")));
        assert_eq!(kept[0].body, body);
    }
    // Authenticity comes first: nobody fills the store without a key.
    stage.send(&post("/webhook", "", b"{}")).await.is(401, "no_token");
    assert_eq!(stage.store.quarantined(9).await.unwrap().len(), 3);
}

#[tokio::test]
async fn a_body_over_the_limit_is_cut_and_kept() {
    let stage = stage().await;
    let fits = format!(r#"{{"event":"e","pad":"{}"}}"#, "x".repeat(100_000 - 22));
    assert_eq!(fits.len(), 100_000);
    stage.send(&signed(fits.as_bytes())).await.is(200, "");
    let large = [fits.as_bytes(), b" "].concat();
    // By its declared length, and counted as it comes.
    for request in [signed(&large), chunked(&large, 30_000).concat()] {
        stage.clock.advance(1);
        let reply = stage.send(&request).await;
        reply.is(413, "body_too_large");
        assert!(reply.has("connection: close"), "the rest is not a request: {reply:?}");
        let kept = stage.store.quarantined(9).await.unwrap();
        assert_eq!(kept[0].reason, "body_too_large");
        assert_eq!(kept[0].body, large[..receive::CUT_BODY_BYTES_KEPT]);
    }
    assert_eq!(stage.store.quarantined(9).await.unwrap().len(), 2);
    assert_eq!(stage.answers("too_large"), 2);
}

#[tokio::test]
async fn quarantine_keeps_what_is_not_authentic_up_to_its_limit() {
    let options = Options { on_unverified: OnUnverified::Quarantine, ..options() };
    let stage = stage_with(options, keys(), &[]).await;
    let forged = with_token(&authorization(KEY, b"other", BODY.as_bytes(), NOW_S));
    for count in 1..=2 {
        stage.send(&forged).await.is(200, "");
        let kept = stage.store.quarantined(9).await.unwrap();
        assert_eq!(kept.len(), count);
        assert_eq!((kept[0].reason.as_str(), kept[0].source.as_deref()), ("sig", None));
        assert_eq!(kept[0].body, BODY);
    }
    // Full: refused as if there were no quarantine.
    stage.send(&forged).await.is(401, "invalid_token");
    assert_eq!(stage.store.quarantined(9).await.unwrap().len(), 2);
    assert_eq!((stage.answers("quarantined"), stage.refused("sig")), (2, 3));
    // It is no event, and what is authentic is still one.
    stage.send(&signed(BODY.as_bytes())).await.is(200, "");
    assert_eq!(stage.events().await.len(), 1);
}
