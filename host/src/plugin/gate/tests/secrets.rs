//! Where a secret goes and where it does not.

use super::*;

const TOKEN: &str = "s3cr3t/+value";

fn rules() -> serde_json::Value {
    json!({ "http": [
        { "host": "trusted.com", "secrets": ["token"] },
        { "host": "other.com" },
        { "host": "*.wild.com", "secrets": ["token"] },
    ] })
}

fn stand_in(gate: &Gate) -> String {
    gate.stand_in("token").unwrap()
}

fn last(script: &Script) -> FetchRequest {
    script.requests.lock().unwrap().last().unwrap().clone()
}

fn header(name: &str, value: String) -> Vec<(String, String)> {
    vec![(name.to_owned(), value)]
}

fn base64(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}

#[tokio::test]
async fn a_stand_in_is_the_same_for_one_event_and_another_for_the_next() {
    let (gate, _) = gate(rules());
    assert_eq!(gate.stand_in("token"), gate.stand_in("token"));
    assert_ne!(gate.stand_in("token"), gate.stand_in("other"));
    assert_eq!(gate.stand_in("nothing"), None);
    let door = &gate.pass().unwrap().door;
    let next = Input { id: "ev_2".to_owned(), ..Input::default() };
    let mut next = Gate::new(door, &next, Instant::now() + SOON);
    next.interface = Some(Interface::Enrich);
    assert_ne!(next.stand_in("token"), gate.stand_in("token"));
    assert!(!stand_in(&gate).contains("s3cr3t"));
}

#[tokio::test]
async fn a_secret_takes_its_place_where_it_is_allowed() {
    let (gate, script) = gate(rules());
    let secret = stand_in(&gate);
    let url = format!("https://trusted.com/hooks/{secret}?key={secret}");
    let headers = header("authorization", format!("Bearer {secret}"));
    let body = Bytes::from(format!("token {secret}"));
    send(&gate, Request { headers, body, ..request("POST", &url) }).await.unwrap();
    let sent = last(&script);
    assert_eq!(sent.path, "/hooks/s3cr3t%2F%2Bvalue?key=s3cr3t%2F%2Bvalue");
    assert_eq!(sent.headers[0].1, format!("Bearer {TOKEN}"));
    assert_eq!(sent.body, format!("token {TOKEN}"));
}

#[tokio::test]
async fn a_secret_cannot_leave_the_string_it_is_put_into() {
    let permissions: Permissions = serde_json::from_value(rules()).unwrap();
    let secrets = [("token".to_owned(), Secret::new(b"a\"b&c=d"))];
    let (script, outside) = Script::new(|_| says("")).outside();
    let door = Door::new(&permissions, &permissions, secrets.into(), Some(outside));
    let door = Arc::new(door.of("p", &Limits::default()));
    let mut gate = Gate::new(&door, &Input::default(), Instant::now() + SOON);
    gate.interface = Some(Interface::Enrich);
    for (content_type, expect) in [
        ("application/json; charset=utf-8", r#"{"t":"a\"b&c=d"}"#),
        ("application/vnd.api+json", r#"{"t":"a\"b&c=d"}"#),
        ("application/x-www-form-urlencoded", r#"{"t":"a%22b%26c%3Dd"}"#),
        ("text/plain", r#"{"t":"a"b&c=d"}"#),
    ] {
        let headers = header("content-type", content_type.to_owned());
        let body = Bytes::from(format!(r#"{{"t":"{}"}}"#, stand_in(&gate)));
        let request = Request { headers, body, ..request("POST", "https://trusted.com/") };
        send(&gate, request).await.unwrap();
        assert_eq!(last(&script).body, expect, "{content_type}");
    }
}

#[tokio::test]
async fn a_secret_that_breaks_a_header_is_not_sent() {
    let permissions: Permissions = serde_json::from_value(rules()).unwrap();
    let secrets = [("token".to_owned(), Secret::new(b"one\r\nHost: two"))];
    let (script, outside) = Script::new(|_| says("")).outside();
    let door = Door::new(&permissions, &permissions, secrets.into(), Some(outside));
    let door = Arc::new(door.of("p", &Limits::default()));
    let mut gate = Gate::new(&door, &Input::default(), Instant::now() + SOON);
    gate.interface = Some(Interface::Enrich);
    let headers = header("x", stand_in(&gate));
    let sent = send(&gate, Request { headers, ..request("GET", "https://trusted.com/") }).await;
    let words = "a secret does not fit into the header x".to_owned();
    assert_eq!(sent, Err(Error::Invalid(words)));
    assert!(script.requests.lock().unwrap().is_empty());
}

#[tokio::test]
async fn basic_credentials_may_have_a_secret_inside() {
    let (gate, script) = gate(rules());
    let basic = base64(&format!("user:{}", stand_in(&gate)));
    let headers = || header("Authorization", format!("Basic {basic}"));
    let to = |url| Request { headers: headers(), ..request("GET", url) };
    send(&gate, to("https://trusted.com/")).await.unwrap();
    let expect = format!("Basic {}", base64(&format!("user:{TOKEN}")));
    assert_eq!(last(&script).headers[0].1, expect);
    let denied = send(&gate, to("https://other.com/")).await;
    assert!(matches!(denied, Err(Error::Denied(_))), "{denied:?}");
}

#[tokio::test]
async fn a_stand_in_for_another_host_is_denied_wherever_it_is() {
    let (gate, script) = gate(rules());
    let secret = stand_in(&gate);
    let to = |url: &str| request("POST", url);
    let in_header = header("x", format!("a{secret}b"));
    for (what, request) in [
        ("path", to(&format!("https://other.com/{secret}"))),
        ("query", to(&format!("https://other.com/?{secret}"))),
        ("header", Request { headers: in_header, ..to("https://other.com/") }),
        ("body", Request { body: secret.clone().into(), ..to("https://other.com/") }),
    ] {
        let sent = send(&gate, request).await;
        let words = "the secret token is not granted for this request to other.com".to_owned();
        assert_eq!(sent, Err(Error::Denied(words)), "{what}");
    }
    // Another secret than the rule names is denied there too.
    let other = gate.stand_in("other").unwrap();
    let sent = get(&gate, &format!("https://trusted.com/{other}")).await;
    assert!(matches!(sent, Err(Error::Denied(_))), "{sent:?}");
    // And no name in DNS is made of one.
    let sent = get(&gate, &format!("https://{secret}.wild.com/")).await;
    assert!(matches!(sent, Err(Error::Invalid(_))), "{sent:?}");
    let headers = header(&secret, String::new());
    let sent = send(&gate, Request { headers, ..to("https://trusted.com/") }).await;
    assert!(matches!(sent, Err(Error::Invalid(_))), "{sent:?}");
    assert!(script.requests.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_server_that_echoes_gives_no_secret_away() {
    let script = Script::new(|request| {
        let url = request.path.clone();
        let shifted = ["", "a", "ab"].map(|pad| base64(&format!("{pad}{TOKEN} and more")));
        let json = r#"{"json":"s3cr3t\/+value"}"#.replace("\\/", "/");
        let body = format!("{TOKEN}|{url}|{}|{}|{json}", url.to_lowercase(), shifted.join("|"));
        let headers = [
            ("x-echo", TOKEN.to_owned()),
            ("x-s3cr3t/+value", String::new()),
            ("location", format!("https://evil.example/?{TOKEN}")),
        ];
        let headers = headers.map(|(name, value)| (name.to_owned(), value)).into();
        Ok(FetchResponse { status: 200, headers, body: body.into() })
    });
    let (gate, _) = gate_to(script, rules(), &Limits::default());
    let secret = stand_in(&gate);
    let answer = get(&gate, &format!("https://trusted.com/?{secret}")).await.unwrap();
    let shown = format!("{answer:?}");
    let pieces = ["s3cr3t", "%2F", "%2f", &base64(TOKEN)[..12]];
    for piece in pieces {
        assert!(!shown.contains(piece), "{piece} in {shown}");
    }
    assert!(shown.contains(&secret), "{shown}");
    assert_eq!(answer.headers.len(), 2, "a name that hides one is left out: {shown}");
    // One that was kept since an earlier event comes back as another stand-in, not as itself.
    let answer = get(&gate, "https://other.com/").await.unwrap();
    assert!(!format!("{answer:?}").contains("s3cr3t"));
}

#[tokio::test]
async fn stand_ins_do_not_make_an_answer_larger_than_it_may_be() {
    let limits = Limits::default().with(limits::HTTP_RESPONSE_BYTES, 100).unwrap();
    let script = Script::new(|_| says(&TOKEN.repeat(7)));
    let (gate, _) = gate_to(script, rules(), &limits);
    let answer = get(&gate, "https://trusted.com/").await;
    assert!(matches!(answer, Err(Error::ResponseTooLarge(_))), "{answer:?}");
}

#[tokio::test]
async fn errors_and_debug_tell_no_secret() {
    let script = Script::new(|request| {
        Err(FetchError::Unreachable(format!("cannot {} with {TOKEN}", request.path)))
    });
    let (gate, _) = gate_to(script, rules(), &Limits::default());
    let secret = stand_in(&gate);
    let url = format!("https://trusted.com/{secret}");
    let error = get(&gate, &url).await.unwrap_err();
    let shown = format!("{error:?} {error} {gate:?} {:?}", gate.pass().unwrap().stand_ins());
    assert!(!shown.contains("s3cr3t"), "{shown}");
    assert!(!shown.contains("0th3r"), "{shown}");
}

#[tokio::test]
async fn what_a_name_resolves_to_is_for_the_log_only() {
    let refused = "the address may not be dialled: 10.0.0.5 is in 10.0.0.0/8";
    let script = Script::new(move |_| Err(FetchError::AddressRefused(refused.to_owned())));
    let (gate, _) = gate_to(script, rules(), &Limits::default());
    let error = get(&gate, "https://other.com/").await.unwrap_err();
    assert!(matches!(error, Error::AddressRefused(_)), "{error:?}");
    assert!(!error.to_string().contains("10.0.0.5"), "{error}");
}
