use super::*;
use livekit_webhook_core::endpoint::{EndpointUrl, ExtraHeader, Name, PlainHttp, Tls};
use livekit_webhook_core::signature::{Secret, StandardSecret};

const NOW: Timestamp = Timestamp::from_millis(1_795_435_200_000);

fn endpoint() -> Endpoint {
    let url = EndpointUrl::parse("https://a.example.com/in?b=1", PlainHttp::Refused).unwrap();
    Endpoint::new(Name::parse("a").unwrap(), url)
}

fn subject() -> Subject {
    Subject {
        webhook_id: "wh_1".to_owned(),
        number: 3,
        event: EventId::new(1, 2),
        delivery: DeliveryId::new(3, 4),
        sequence: None,
        replay: None,
        headers: DeliveryHeaders::default(),
        body: Bytes::from_static(b"{}"),
    }
}

fn names(endpoint: &Endpoint, subject: &Subject) -> Vec<String> {
    let headers = outgoing(endpoint, subject, NOW).unwrap().headers;
    let mut names: Vec<String> = headers.keys().map(ToString::to_string).collect();
    names.sort();
    names
}

#[test]
fn an_unsigned_request_carries_these_headers() {
    let expect = ["content-type", "traceparent", "user-agent", "webhook-attempt", "webhook-id"];
    assert_eq!(names(&endpoint(), &subject()), expect);
    let sent = outgoing(&endpoint(), &subject(), NOW).unwrap();
    assert_eq!(sent.url, "https://a.example.com/in?b=1");
    assert_eq!(sent.headers["webhook-attempt"], "3");
    let trace = "00-00000000000100000000000000000002-";
    assert!(sent.headers["traceparent"].to_str().unwrap().starts_with(trace), "{sent:?}");
}

#[test]
fn a_lane_and_a_replay_are_told_where_there_is_one() {
    let replay = ReplayId::new(5, 6);
    let told = Subject { sequence: Some(41), replay: Some(replay), ..subject() };
    let sent = outgoing(&endpoint(), &told, NOW).unwrap();
    assert_eq!(sent.headers["webhook-sequence"], "41");
    assert_eq!(sent.headers["webhook-replay"], replay.to_string().as_str());
    assert!(!names(&endpoint(), &subject()).iter().any(|name| name == "webhook-sequence"));
}

#[test]
fn attributes_are_headers_and_take_no_others_place() {
    let signing = vec![Signing::hmac("x-hub", Secret::new(b"hush".to_vec()).unwrap()).unwrap()];
    let own = vec![ExtraHeader::new("x-tenant", "blue", false).unwrap()];
    let endpoint = endpoint().with_signing(signing).unwrap().with_request(own, None).unwrap();
    // As another version could have stored them, which left more names free.
    let text = "authorization: forged\nce-id: 1\ncontent-length: 9\ncontent-type: text/plain\n\
        webhook-id: forged\nwebhook-new: forged\nx-hub: forged\nx-tenant: forged";
    let subject = Subject { headers: text.parse().unwrap(), ..subject() };
    let sent = outgoing(&endpoint, &subject, NOW).unwrap();
    assert_eq!(sent.headers["ce-id"], "1");
    assert_eq!(sent.headers["content-type"], "application/json");
    assert_eq!(sent.headers["x-tenant"], "blue");
    assert_eq!(sent.headers["x-hub"].len(), 64);
    assert!(sent.headers.values().all(|value| value != "forged"), "{sent:?}");
    let names = names(&endpoint, &subject);
    assert!(!names.iter().any(|name| ["content-length", "webhook-new"].contains(&name.as_str())));
}

#[test]
fn what_is_secret_is_marked_and_nothing_else() {
    let secret = |text: &str| Secret::new(text.as_bytes().to_vec()).unwrap();
    let signing = vec![
        Signing::standard(vec![StandardSecret::generate([7; 32])]).unwrap(),
        Signing::hmac("x-hub", secret("hush")).unwrap(),
    ];
    let headers = vec![
        ExtraHeader::new("x-key", "hush", true).unwrap(),
        ExtraHeader::new("x-tenant", "blue", false).unwrap(),
    ];
    let auth = Some(Auth::bearer(secret("hush")).unwrap());
    let signed = endpoint().with_signing(signing).unwrap();
    let sent = outgoing(&signed.with_request(headers, auth).unwrap(), &subject(), NOW).unwrap();
    let marked = sent.headers.iter().filter(|(_, value)| value.is_sensitive());
    let mut marked: Vec<&str> = marked.map(|(name, _)| name.as_str()).collect();
    marked.sort_unstable();
    assert_eq!(marked, ["authorization", "webhook-signature", "x-hub", "x-key"]);
}

#[test]
fn the_tls_identity_and_the_credentials_go_along() {
    let tls = Tls { ca: None, client: None };
    let sent = outgoing(&endpoint().with_tls(tls.clone()), &subject(), NOW).unwrap();
    assert_eq!((*sent.tls == tls, sent.credentials), (true, None));
    let livekit = Signing::livekit("APIabc", Secret::new(b"hush".to_vec()).unwrap()).unwrap();
    let signed = endpoint().with_signing(vec![livekit]).unwrap();
    let sent = outgoing(&signed, &subject(), NOW).unwrap();
    assert_eq!(sent.headers["content-type"], "application/webhook+json");
    assert!(sent.headers[AUTHORIZATION].is_sensitive());
}

#[test]
fn the_endpoints_content_type_stands_in_place_of_the_usual_one() {
    let sent = outgoing(&endpoint(), &subject(), NOW).unwrap();
    assert_eq!(sent.headers["content-type"], "application/json");
    let wanted = "application/cloudevents+json; charset=utf-8";
    let typed = endpoint().with_content_type(wanted.to_owned()).unwrap();
    let sent = outgoing(&typed, &subject(), NOW).unwrap();
    assert_eq!(sent.headers["content-type"], wanted);
    let livekit = Signing::livekit("APIabc", Secret::new(b"hush".to_vec()).unwrap()).unwrap();
    let signed = endpoint().with_signing(vec![livekit]).unwrap();
    assert!(signed.with_content_type(wanted.to_owned()).is_err());
}
