use super::*;
use crate::signature::Secret;
use proptest::prelude::*;

#[track_caller]
fn check(text: &str, expect: Result<&str, UrlError>) {
    let parsed = EndpointUrl::parse(text, PlainHttp::Allowed).map(|url| url.to_string());
    assert_eq!(parsed, expect.map(str::to_owned), "{text:?}");
}

#[test]
fn urls_that_are_read() {
    check("https://example.com", Ok("https://example.com/"));
    check("HTTPS://Example.COM:443/A?b=%2Fc", Ok("https://example.com/A?b=%2Fc"));
    check("https://example.com?x", Ok("https://example.com/?x"));
    check("https://example.com./x", Ok("https://example.com/x"));
    check("http://example.com:8080/", Ok("http://example.com:8080/"));
    check("http://example.com:443/", Ok("http://example.com:443/"));
    check("http://my_service.default.svc/", Ok("http://my_service.default.svc/"));
    check("https://10.0.0.1:8443/", Ok("https://10.0.0.1:8443/"));
    check("https://[2001:DB8:0::1]:8443/a", Ok("https://[2001:db8::1]:8443/a"));
    check("https://xn--bcher-kva.example/", Ok("https://xn--bcher-kva.example/"));
    check("https://example.com/a/../b//c", Ok("https://example.com/a/../b//c"));
}

#[test]
fn urls_that_are_refused() {
    check("", Err(UrlError::Scheme));
    check("example.com", Err(UrlError::Scheme));
    check("ftp://example.com/", Err(UrlError::Scheme));
    check("https:/example.com/", Err(UrlError::Scheme));
    check("https://user@example.com/", Err(UrlError::UserInfo));
    check("https://a:b@example.com/", Err(UrlError::UserInfo));
    check("https://example.com/#top", Err(UrlError::Fragment));
    check("https:///path", Err(UrlError::Host));
    check("https://:443/", Err(UrlError::Host));
    check("https://./", Err(UrlError::Host));
    check("https://a..b/", Err(UrlError::Host));
    check("https://-a.com/", Err(UrlError::Host));
    check("https://a,b/", Err(UrlError::Host));
    check("https://exam%70le.com/", Err(UrlError::Host));
    check("https://bücher.example/", Err(UrlError::Character));
    check("https://example.com/a b", Err(UrlError::Character));
    check("https://example.com\\@10.0.0.1/", Err(UrlError::Character));
    check("https://example.com/\r\nx", Err(UrlError::Character));
    check("https://example.com:/", Err(UrlError::Port));
    check("https://example.com:0/", Err(UrlError::Port));
    check("https://example.com:65536/", Err(UrlError::Port));
    check("https://example.com:+80/", Err(UrlError::Port));
    check("https://example.com:80:80/", Err(UrlError::Port));
    check("https://example.com/%2", Err(UrlError::Percent));
    check("https://example.com/%zz", Err(UrlError::Percent));
    check(&format!("https://example.com/{}", "a".repeat(2_048)), Err(UrlError::TooLong));
    let text = "http://example.com/";
    assert_eq!(EndpointUrl::parse(text, PlainHttp::Refused), Err(UrlError::PlainHttp));
}

#[test]
fn odd_addresses_are_refused() {
    for host in [
        "127.1",
        "2130706433",
        "0x7f000001",
        "0x7f.0.0.1",
        "0177.0.0.1",
        "127.0.0.01",
        "1.2.3.4.5",
        "127.0.0.256",
        "127.0.0.1.",
        "a.0x1",
        "example.123",
        "[::1%25eth0]",
        "[::1",
        "[1.2.3.4]",
        "[::g]",
    ] {
        check(&format!("https://{host}/"), Err(UrlError::Address));
    }
    check("https://::1/", Err(UrlError::Port));
    check("https://[::1]x/", Err(UrlError::Address));
}

#[test]
fn names() {
    for good in ["a", "billing-2", "a_b", &"x".repeat(64)] {
        assert_eq!(Name::parse(good).unwrap().as_str(), good);
    }
    for bad in ["", "A", "a b", "a.b", "ä", &"x".repeat(65)] {
        assert_eq!(Name::parse(bad), Err(Error::Name));
    }
}

fn endpoint() -> Endpoint {
    let url = EndpointUrl::parse("https://example.com/", PlainHttp::Refused).unwrap();
    Endpoint::new(Name::parse("billing").unwrap(), url)
}

#[test]
fn limits_are_refused_just_past_them() {
    assert!(endpoint().with_limits(1, 1).is_ok());
    assert!(endpoint().with_limits(120_000, 1_000).is_ok());
    assert_eq!(endpoint().with_limits(0, 1).unwrap_err(), Error::AttemptTimeout(0));
    assert_eq!(endpoint().with_limits(120_001, 1).unwrap_err(), Error::AttemptTimeout(120_001));
    assert_eq!(endpoint().with_limits(1, 0).unwrap_err(), Error::InFlight(0));
    assert_eq!(endpoint().with_limits(1, 1_001).unwrap_err(), Error::InFlight(1_001));
}

#[test]
fn a_way_of_signing_is_used_once() {
    let hmac = || Signing::hmac("x-signature", Secret::new(b"secret".to_vec()).unwrap()).unwrap();
    assert!(endpoint().with_signing(vec![hmac()]).is_ok());
    assert_eq!(endpoint().with_signing(vec![hmac(), hmac()]).unwrap_err(), Error::Signing);
}

fn extra(name: &str) -> ExtraHeader {
    ExtraHeader::new(name, "a", false).unwrap()
}

#[test]
fn headers_that_a_delivery_sets_itself_are_refused() {
    for name in [
        "",
        "Host",
        "Content-Length",
        "Content-Type",
        "Connection",
        "Transfer-Encoding",
        "Authorization",
        "Proxy-Authorization",
        "Accept-Encoding",
        "TE",
        "Upgrade",
        "User-Agent",
        "webhook-id",
        "Webhook-Anything",
        "traceparent",
        ":path",
        "x y",
        "x:y",
        "x\r\ny",
        "ä",
    ] {
        assert_eq!(ExtraHeader::new(name, "a", false), Err(HeaderError::Name), "{name:?}");
    }
    for value in ["", " a", "a ", "a\r\nx: y", "a\0", "ä", &"x".repeat(4_097)] {
        assert_eq!(ExtraHeader::new("x-a", value, false), Err(HeaderError::Value), "{value:?}");
    }
    let hush = ExtraHeader::new("X-Key", "hush hush", true).unwrap();
    assert_eq!((hush.name(), hush.value()), ("x-key", "hush hush"));
    assert_eq!(format!("{hush:?}"), "x-key: [redacted]");
}

#[test]
fn one_header_has_one_value() {
    let hmac = Signing::hmac("x-signature", Secret::new(b"secret".to_vec()).unwrap()).unwrap();
    let livekit = Signing::livekit("APIabc", Secret::new(b"secret".to_vec()).unwrap()).unwrap();
    let bearer = || Some(Auth::bearer(Secret::new(b"token".to_vec()).unwrap()).unwrap());
    let made = |signing: &Signing, names: &[&str], auth| {
        let headers = names.iter().map(|name| extra(name)).collect();
        let signed = endpoint().with_signing(vec![signing.clone()]).unwrap();
        signed.with_request(headers, auth).err()
    };
    assert_eq!(made(&hmac, &["x-a", "x-b"], bearer()), None);
    assert_eq!(made(&hmac, &["x-a", "X-A"], None), Some(Error::HeaderTwice("x-a".to_owned())));
    let twice = Some(Error::HeaderTwice("x-signature".to_owned()));
    assert_eq!(made(&hmac, &["X-Signature"], None), twice);
    assert_eq!(made(&livekit, &[], bearer()), Some(Error::AuthTwice));
    let many: Vec<String> = (0..33).map(|number| format!("x-{number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(made(&hmac, &many[..32], None), None);
    assert_eq!(made(&hmac, &many, None), Some(Error::Headers(33)));
}

#[test]
fn headers_of_attributes_and_own_ones_are_apart() {
    let hmac = Signing::hmac("x-signature", Secret::new(b"secret".to_vec()).unwrap()).unwrap();
    let made = |patterns: &[&str], order| {
        let mut allowed = AttributeHeaders::default();
        patterns.iter().for_each(|pattern| allowed.allow(pattern).unwrap());
        let signed = endpoint().with_signing(vec![hmac.clone()]).unwrap();
        let mut own = signed.with_request(vec![extra("x-a")], None).unwrap();
        own.traffic.order = order;
        own.with_attribute_headers(allowed).err()
    };
    let twice = |name: &str| Some(Error::HeaderTwice(name.to_owned()));
    assert_eq!(made(&["x-b", "x-*"], Order::None), None);
    assert_eq!(made(&["x-b", "x-a"], Order::Room { skip_after: None }), twice("x-a"));
    assert_eq!(made(&["x-signature"], Order::None), twice("x-signature"));
    let batch = Order::Batch(crate::batch::Batching::new(2, 0).unwrap());
    assert_eq!(made(&["ce-*"], batch), Some(Error::BatchHead));
    assert_eq!(made(&[], batch), None);
}

proptest! {
    #[test]
    fn no_text_breaks_the_parser(text in "(https?://)?\\PC{0,40}") {
        let _ = EndpointUrl::parse(&text, PlainHttp::Allowed);
    }

    /// What is printed is read as the same URL again.
    #[test]
    fn printed_urls_are_read_again(
        text in "https?://[a-zA-Z0-9.\\[\\]:-]{1,20}(:[0-9]{1,5})?(/[a-z%0-9?]{0,8})?",
    ) {
        if let Ok(url) = EndpointUrl::parse(&text, PlainHttp::Allowed) {
            prop_assert_eq!(EndpointUrl::parse(&url.to_string(), PlainHttp::Allowed), Ok(url));
        }
    }
}

#[test]
fn a_room_waits_as_long_as_it_was_told() {
    use crate::delivery::{DeadReason, Next};
    use crate::time::Timestamp;
    let again = Next::RetryAt(Timestamp::from_millis(1));
    let skipping = Order::Room { skip_after: Some(3) };
    let leaves: Vec<_> = (1..=4).map(|made| skipping.leaves_lane(made, again)).collect();
    assert_eq!(leaves, [false, false, true, true]);
    assert!(!skipping.leaves_lane(3, Next::Delivered));
    assert!(!skipping.leaves_lane(3, Next::Dead(DeadReason::Exhausted)));
    assert!(!Order::Room { skip_after: None }.leaves_lane(32, again));
    assert!(!Order::None.leaves_lane(32, again));
}
