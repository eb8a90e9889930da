//! Which requests pass, in which shape, and how many.

use super::*;
use std::sync::atomic::Ordering;

/// Whether a plugin with this rule may send this.
async fn may(rule: serde_json::Value, method: &str, url: &str) -> Result<(), Error> {
    let (gate, script) = gate(json!({ "http": [rule] }));
    let sent = send(&gate, request(method, url)).await.map(drop);
    let asked = script.requests.lock().unwrap().len();
    assert_eq!(asked, usize::from(sent.is_ok()), "what is refused reaches no port: {url}");
    sent
}

#[tokio::test]
async fn what_a_rule_means_passes() {
    let host = |host: &str| json!({ "host": host });
    for (rule, method, url) in [
        (host("a.com"), "GET", "https://a.com"),
        (host("a.com"), "get", "https://A.COM./x?y=1"),
        (host("a.com"), "POST", "https://a.com:443/"),
        (host("*.a.com"), "GET", "https://b.a.com/"),
        (host("xn--bcher-kva.example"), "GET", "https://xn--bcher-kva.example/"),
        (host("203.0.113.5"), "GET", "https://203.0.113.5/"),
        (host("2001:db8::1"), "GET", "https://[2001:DB8:0::1]/"),
        (json!({ "host": "a.com", "port": 8443 }), "GET", "https://a.com:8443/"),
        (json!({ "scheme": "http", "host": "a.com" }), "GET", "http://a.com/"),
        (json!({ "host": "a.com", "path_prefix": "/v1/" }), "GET", "https://a.com/v1?x=/../"),
        (json!({ "host": "a.com", "methods": ["POST"] }), "post", "https://a.com/"),
    ] {
        assert_eq!(may(rule.clone(), method, url).await, Ok(()), "{rule} {method} {url}");
    }
}

#[tokio::test]
async fn what_no_rule_means_is_denied() {
    let host = |host: &str| json!({ "host": host });
    for (rule, method, url) in [
        (host("a.com"), "GET", "https://b.com/"),
        (host("a.com"), "GET", "https://a.com.evil.example/"),
        (host("a.com"), "GET", "https://sub.a.com/"),
        (host("*.a.com"), "GET", "https://a.com/"),
        (host("*.a.com"), "GET", "https://c.b.a.com/"),
        (host("a.com"), "GET", "http://a.com/"),
        (host("a.com"), "GET", "http://a.com:443/"),
        (host("a.com"), "GET", "https://a.com:8443/"),
        (json!({ "host": "a.com", "methods": ["POST"] }), "GET", "https://a.com/"),
        (json!({ "host": "a.com", "path_prefix": "/v1" }), "GET", "https://a.com/v10"),
        (json!({ "host": "a.com", "path_prefix": "/v1" }), "GET", "https://a.com/?/v1"),
        // A wildcard never means an address, nor does an address's other notation.
        (host("*.0.0.1"), "GET", "https://127.0.0.1/"),
        (host("203.0.113.5"), "GET", "https://[::ffff:203.0.113.5]/"),
    ] {
        let sent = may(rule.clone(), method, url).await;
        assert!(matches!(sent, Err(Error::Denied(_))), "{rule} {method} {url}: {sent:?}");
    }
}

#[tokio::test]
async fn what_is_no_plain_request_is_invalid() {
    for (method, url) in [
        ("GET", "https://user:password@a.com/"),
        ("GET", "https://a.com@b.com/"),
        ("GET", "https://a.com#@b.com/"),
        ("GET", "https://a.com\\@b.com/"),
        ("GET", "https://a.com\r\nHost: b.com/"),
        ("GET", "https://bücher.example/"),
        ("GET", "https://2130706433/"),
        ("GET", "https://0x7f.1/"),
        ("GET", "https://127.1/"),
        ("GET", "https://[::1%25eth0]/"),
        ("GET", "file:///etc/passwd"),
        ("GET", "gopher://a.com/"),
        ("GET", "//a.com/"),
        ("GET", "https://a.com/v1/../admin"),
        ("GET", "https://a.com/v1/%2e%2E/admin"),
        ("GET", "https://a.com/v1/..%2fadmin"),
        ("GET", "https://a.com/v1/%zz"),
        ("GET /x HTTP/1.1\r\nHost: b", "https://a.com/"),
        ("", "https://a.com/"),
        ("CONNECT", "https://a.com/"),
        ("trace", "https://a.com/"),
    ] {
        let sent = may(json!({ "host": "*.com" }), method, url).await;
        assert!(matches!(sent, Err(Error::Invalid(_))), "{method} {url}: {sent:?}");
    }
}

#[tokio::test]
async fn headers_of_ours_and_broken_ones_are_refused() {
    let (gate, script) = gate(json!({ "http": [{ "host": "a.com" }] }));
    for (name, value) in [
        ("Host", "b.com"),
        ("Transfer-Encoding", "chunked"),
        ("Content-Length", "0"),
        ("X-Forwarded-For", "127.0.0.1"),
        ("webhook-id", "msg_1"),
        ("livekit-webhook-hop", "1"),
        ("x", "a\r\nHost: b.com"),
        ("x\r\nHost", "b.com"),
    ] {
        let headers = vec![(name.to_owned(), value.to_owned())];
        let sent = send(&gate, Request { headers, ..request("GET", "https://a.com/") }).await;
        assert!(matches!(sent, Err(Error::Invalid(_))), "{name}: {sent:?}");
    }
    assert!(script.requests.lock().unwrap().is_empty());
    let headers = vec![("X-Own".to_owned(), "fine".to_owned())];
    send(&gate, Request { headers, ..request("GET", "https://a.com/") }).await.unwrap();
    let sent = script.requests.lock().unwrap()[0].headers.clone();
    let expect = [("x-own", "fine"), ("livekit-webhook-hop", "1")];
    assert_eq!(sent, expect.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

#[tokio::test]
async fn a_request_has_a_size_and_an_event_a_number_of_them() {
    let limits = Limits::default().with(limits::HTTP_REQUESTS, 4).unwrap();
    let permissions = json!({ "http": [{ "host": "a.com" }] });
    let (gate, script) = gate_to(Script::new(|_| says("")), permissions, &limits);
    let body = Bytes::from(vec![b' '; 256 * 1024 + 1]);
    let large = send(&gate, Request { body, ..request("PUT", "https://a.com/") }).await;
    assert!(matches!(large, Err(Error::RequestTooLarge(_))), "{large:?}");
    let headers = vec![("x".to_owned(), "y".repeat(33 * 1024))];
    let large = send(&gate, Request { headers, ..request("PUT", "https://a.com/") }).await;
    assert!(matches!(large, Err(Error::RequestTooLarge(_))), "{large:?}");
    assert!(get(&gate, "https://b.com/").await.is_err());
    get(&gate, "https://a.com/").await.unwrap();
    let words = "at most 4 for one event (http_requests)".to_owned();
    assert_eq!(get(&gate, "https://a.com/").await, Err(Error::TooMany(words)));
    assert_eq!(script.requests.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn an_answer_over_its_limit_is_none_whoever_fetched_it() {
    let limits = Limits::default().with(limits::HTTP_RESPONSE_BYTES, 10).unwrap();
    let permissions = json!({ "http": [{ "host": "a.com" }] });
    let (gate, _) = gate_to(Script::new(|_| says("eleven bytes")), permissions, &limits);
    let answer = get(&gate, "https://a.com/").await;
    assert!(matches!(answer, Err(Error::ResponseTooLarge(_))), "{answer:?}");
}

#[tokio::test]
async fn a_port_that_does_not_answer_leaves_the_guest_its_last_words() {
    let mut script = Script::new(|_| says(""));
    script.hold = Some(tokio::sync::Notify::new());
    let permissions = json!({ "http": [{ "host": "a.com" }] });
    let (mut gate, _) = gate_to(script, permissions, &Limits::default());
    let timeout = Some(Duration::from_millis(20));
    let sent = send(&gate, Request { timeout, ..request("GET", "https://a.com/") }).await;
    assert_eq!(sent, Err(Error::TimedOut("no answer within 20 ms".to_owned())));
    let zero = Some(Duration::ZERO);
    let sent = send(&gate, Request { timeout: zero, ..request("GET", "https://a.com/") }).await;
    assert!(matches!(sent, Err(Error::Invalid(_))), "{sent:?}");
    // The call's own deadline holds too, however long a guest would wait.
    let deadline = Instant::now() + Duration::from_millis(50);
    let door = gate.pass().unwrap().door.clone();
    gate = Gate::new(&door, &Input::default(), deadline);
    gate.interface = Some(Interface::Action);
    let timeout = Some(SOON);
    let sent = send(&gate, Request { timeout, ..request("GET", "https://a.com/") }).await;
    assert!(matches!(sent, Err(Error::TimedOut(_))), "{sent:?}");
}

#[tokio::test]
async fn two_requests_are_under_way_and_a_third_waits() {
    let mut script = Script::new(|_| says(""));
    script.hold = Some(tokio::sync::Notify::new());
    let permissions = json!({ "http": [{ "host": "a.com" }] });
    let (gate, script) = gate_to(script, permissions, &Limits::default());
    let hold = script.hold.as_ref().unwrap();
    let third_waits = async {
        while script.under_way.load(Ordering::SeqCst) < 2 {
            tokio::task::yield_now().await;
        }
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert_eq!(script.under_way.load(Ordering::SeqCst), 2);
        for _ in 0..3 {
            hold.notify_one();
            tokio::task::yield_now().await;
        }
        while script.requests.lock().unwrap().len() < 3 {
            hold.notify_one();
            tokio::task::yield_now().await;
        }
        hold.notify_one();
    };
    let one = || get(&gate, "https://a.com/");
    let (a, b, c, ()) = tokio::join!(one(), one(), one(), third_waits);
    assert!(a.is_ok() && b.is_ok() && c.is_ok());
}
