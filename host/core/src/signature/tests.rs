use super::*;

/// The test vector of the official Standard Webhooks libraries.
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const SIGNED: Signed<'static> = Signed {
    webhook_id: "msg_p5jXN8AQM9LWM0D4loKWxJek",
    now: Timestamp::from_millis(1_614_265_330_999),
    body: br#"{"test": 2432232314}"#,
};
const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

fn pairs(signing: &Signing) -> Vec<(String, String)> {
    signing
        .headers(&SIGNED)
        .unwrap()
        .into_iter()
        .map(|header| (header.name, header.value))
        .collect()
}

fn pair(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

#[test]
fn standard_webhooks_known_answer() {
    let signing = Signing::standard(vec![StandardSecret::parse(SECRET).unwrap()]).unwrap();
    let expect = vec![
        pair("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
        pair("webhook-timestamp", "1614265330"),
        pair("webhook-signature", SIGNATURE),
    ];
    assert_eq!(pairs(&signing), expect);
    assert_eq!(signing.content_type(), None);
}

/// RFC 4231, test case 2.
#[test]
fn plain_hmac_known_answer() {
    let secret = Secret::new(b"Jefe".to_vec()).unwrap();
    let signing = Signing::hmac("X-Signature", secret).unwrap();
    let signed = Signed { body: b"what do ya want for nothing?", ..SIGNED };
    let headers = signing.headers(&signed).unwrap();
    let hex = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    assert_eq!(headers, [header("x-signature", hex.to_owned())]);
}

#[test]
fn livekit_mode_sets_its_token_and_type() {
    let secret = Secret::new(b"secret".to_vec()).unwrap();
    let signing = Signing::livekit("APIabc", secret).unwrap();
    assert_eq!(signing.content_type(), Some("application/webhook+json"));
    let headers = pairs(&signing);
    assert_eq!(headers.len(), 1);
    assert_eq!(headers[0].0, "authorization");
    assert_eq!(headers[0].1.split('.').count(), 3, "a JWT has three parts");
}

#[test]
fn other_secrets_and_names_have_limits() {
    assert_eq!(Secret::new(vec![]), Err(Error::SecretBytes(0)));
    assert_eq!(Secret::new(vec![0; 4_097]), Err(Error::SecretBytes(4_097)));
    let secret = || Secret::new(vec![1; 4_096]).unwrap();
    for header in ["", "Host", "webhook-id", "a b", "a:b", "authorization", "x\r\ny", "ä", "TE"] {
        assert_eq!(Signing::hmac(header, secret()), Err(Error::Header), "{header:?}");
    }
    for api_key in ["", "a b", "ä", &"x".repeat(257)] {
        assert_eq!(Signing::livekit(api_key, secret()), Err(Error::ApiKey), "{api_key:?}");
    }
}

#[test]
fn debug_shows_no_secret() {
    let secret = Secret::new(b"hush-hush".to_vec()).unwrap();
    let ways = [
        Signing::standard(vec![StandardSecret::parse(SECRET).unwrap()]).unwrap(),
        Signing::livekit("APIabc", secret.clone()).unwrap(),
        Signing::hmac("x-signature", secret).unwrap(),
    ];
    let shown = format!("{ways:?}");
    assert_eq!(shown.matches("[redacted]").count(), 3, "{shown}");
    // Neither the text nor the bytes as a list of numbers.
    assert!(!shown.contains("hush") && !shown.contains("104, 117"), "{shown}");
}
