//! Tokens over a scripted transport, in paused time.

use super::*;
use crate::deliver::transport::Way;
use livekit_webhook_core::endpoint::auth::ClientAuth;
use livekit_webhook_core::endpoint::{EndpointUrl, PlainHttp};
use livekit_webhook_core::signature::Secret;
use std::collections::VecDeque;

/// Answers of the token endpoint, in order; then the last one again and again.
struct Script {
    tokens: Mutex<VecDeque<(u16, String)>>,
    /// Answers of the endpoint; 200 when nothing is left.
    answers: Mutex<VecDeque<u16>>,
    /// What was sent, and to whom.
    sent: Mutex<Vec<Outgoing>>,
    /// How long the token endpoint takes.
    takes: Duration,
}

type Transported = TokenTransport<Arc<Script>>;

#[async_trait]
impl Transport for Arc<Script> {
    async fn send(&self, outgoing: Outgoing) -> Result<Answered, Failure> {
        let is_token = outgoing.url.path() == "/token";
        self.sent.lock().unwrap().push(outgoing);
        let (status, body) = if is_token {
            tokio::time::sleep(self.takes).await;
            let mut tokens = self.tokens.lock().unwrap();
            match tokens.len() {
                0 => return Err(Failure::new(ErrorClass::Connect, "cannot connect")),
                1 => tokens[0].clone(),
                _ => tokens.pop_front().unwrap(),
            }
        } else {
            (self.answers.lock().unwrap().pop_front().unwrap_or(200), String::new())
        };
        let (headers, body_start, way) = (HeaderMap::new(), Bytes::from(body), Way::default());
        Ok(Answered { status, headers, body_start, way, token_dropped: false })
    }
}

fn token(name: &str, life_s: u64) -> (u16, String) {
    let body =
        format!(r#"{{"access_token":"{name}","token_type":"Bearer","expires_in":{life_s}}}"#);
    (200, body)
}

fn transport(
    tokens: Vec<(u16, String)>,
    answers: &[u16],
    takes_s: u64,
) -> (Transported, Arc<Script>) {
    let script = Arc::new(Script {
        tokens: Mutex::new(tokens.into()),
        answers: Mutex::new(answers.to_vec().into()),
        sent: Mutex::default(),
        takes: Duration::from_secs(takes_s),
    });
    (TokenTransport::new(script.clone()), script)
}

fn outgoing(client_id: &str) -> Outgoing {
    let url = "https://id.example.com/token?tenant=hush";
    let url = EndpointUrl::parse(url, PlainHttp::Refused).unwrap();
    let secret = Secret::new(b"hush".to_vec()).unwrap();
    let how = ClientAuth::Basic;
    let credentials = ClientCredentials::new(url, client_id, secret, Some("send"), how).unwrap();
    Outgoing {
        url: Uri::from_static("https://a.example.com/in"),
        headers: HeaderMap::new(),
        body: Bytes::from_static(b"{}"),
        timeout: Duration::from_secs(15),
        tls: Arc::default(),
        credentials: Some(credentials),
    }
}

/// The token shown in each request to the endpoint, and how many were asked for.
fn shown(script: &Script) -> (Vec<String>, usize) {
    let sent = script.sent.lock().unwrap();
    let (asked, shown): (Vec<_>, Vec<_>) =
        sent.iter().partition(|outgoing| outgoing.url.path() == "/token");
    let value = |outgoing: &&Outgoing| {
        let value = &outgoing.headers[AUTHORIZATION];
        assert!(value.is_sensitive());
        value.to_str().unwrap().to_owned()
    };
    (shown.iter().map(value).collect(), asked.len())
}

#[tokio::test(start_paused = true)]
async fn a_token_is_kept_and_replaced_before_it_expires() {
    let (transport, script) = transport(vec![token("one", 600), token("two", 600)], &[], 0);
    for wait_s in [0, 539, 2] {
        tokio::time::sleep(Duration::from_secs(wait_s)).await;
        transport.send(outgoing("a")).await.unwrap();
    }
    let expect = ["Bearer one", "Bearer one", "Bearer two"].map(str::to_owned);
    assert_eq!(shown(&script), (expect.to_vec(), 2));
    let sent = script.sent.lock().unwrap();
    let asked = &sent[0];
    assert_eq!(asked.body, "grant_type=client_credentials&scope=send");
    assert_eq!(asked.headers[AUTHORIZATION], "Basic YTpodXNo");
    assert_eq!(asked.headers[CONTENT_TYPE], "application/x-www-form-urlencoded");
}

#[tokio::test(start_paused = true)]
async fn many_who_need_a_token_ask_once() {
    let (transport, script) = transport(vec![token("one", 600)], &[], 2);
    let transport = Arc::new(transport);
    let tasks = crate::tasks::Tasks::new();
    for _ in 0..20 {
        let transport = transport.clone();
        tasks.spawn(crate::tasks::Kind::Attempt, "attempt", async move {
            transport.send(outgoing("a")).await.unwrap();
        });
    }
    assert!(tasks.idle(crate::tasks::Kind::Attempt, Duration::from_secs(60)).await);
    assert_eq!(shown(&script), (vec!["Bearer one".to_owned(); 20], 1));
    // Other credentials have another token.
    transport.send(outgoing("b")).await.unwrap();
    assert_eq!(shown(&script).1, 2);
}

#[tokio::test(start_paused = true)]
async fn what_the_token_took_is_taken_off_the_deadline() {
    let (transport, script) = transport(vec![token("one", 600)], &[], 4);
    transport.send(outgoing("a")).await.unwrap();
    let timeout = script.sent.lock().unwrap()[1].timeout;
    assert_eq!(timeout, Duration::from_secs(11));
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_is_dropped_once() {
    let tokens = vec![token("one", 600), token("two", 600), token("three", 600)];
    let (transport, script) = transport(tokens, &[200, 401, 401, 401, 200, 401, 200], 0);
    let mut dropped = Vec::new();
    for _ in 0..7 {
        dropped.push(transport.send(outgoing("a")).await.unwrap().token_dropped);
    }
    // The second token is refused as well, and stays; when it has been taken once, it may be
    // dropped again.
    assert_eq!(dropped, [false, true, false, false, false, true, false]);
    let (values, asked) = shown(&script);
    let names: Vec<&str> = values.iter().map(|value| &value[7..]).collect();
    assert_eq!(names, ["one", "one", "two", "two", "two", "two", "three"]);
    assert_eq!(asked, 3);
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_one_of_the_attempt_and_kept_for_a_moment() {
    let refusal = (400, r#"{"error":"invalid_client","hint":"hush"}"#.to_owned());
    let long = "x".repeat(9);
    let table = [
        (refusal, "no token from id.example.com: status 400 (invalid_client)"),
        ((503, "busy".to_owned()), "no token from id.example.com: status 503"),
        ((200, long), "no token from id.example.com: the answer holds no access_token"),
        (
            (200, r#"{"access_token":"a","token_type":"mac"}"#.to_owned()),
            "no token from id.example.com: the token_type is not Bearer",
        ),
        (
            (200, r#"{"access_token":"a\nb","token_type":"bearer"}"#.to_owned()),
            "no token from id.example.com: the access_token cannot be sent in a header",
        ),
    ];
    for (answer, expect) in table {
        let (transport, script) = transport(vec![answer, token("good", 600)], &[], 0);
        for _ in 0..3 {
            let failure = transport.send(outgoing("a")).await.unwrap_err();
            assert_eq!((failure.class, failure.text.as_str()), (ErrorClass::Auth, expect));
        }
        assert_eq!(shown(&script), (vec![], 1), "asked once for all three");
        tokio::time::sleep(FAILURE_KEPT).await;
        transport.send(outgoing("a")).await.unwrap();
    }
    let (transport, _) = transport(vec![], &[], 0);
    let failure = transport.send(outgoing("a")).await.unwrap_err();
    let expect = "no token from id.example.com: cannot connect";
    assert_eq!((failure.class, failure.text.as_str()), (ErrorClass::Auth, expect));
}

#[tokio::test(start_paused = true)]
async fn a_token_endpoint_that_hangs_ends_with_the_attempt() {
    let (transport, script) = transport(vec![token("late", 600)], &[], 60);
    let failure = transport.send(outgoing("a")).await.unwrap_err();
    assert_eq!(failure.class, ErrorClass::Auth);
    assert!(failure.text.contains("not within the attempt's time"), "{failure}");
    assert_eq!(shown(&script).0.len(), 0);
}

#[test]
fn lives_are_read_and_bounded() {
    let life = |json: &str| {
        let (headers, way) = (HeaderMap::new(), Way::default());
        let body = format!(r#"{{"access_token":"a","token_type":"BEARER"{json}}}"#);
        let body_start = Bytes::from(body);
        let answered = Answered { status: 200, headers, body_start, way, token_dropped: false };
        read(&answered).unwrap().1.as_secs()
    };
    assert_eq!(life(""), 300);
    assert_eq!(life(r#","expires_in":7"#), 7);
    assert_eq!(life(r#","expires_in":"3600""#), 3_600);
    assert_eq!(life(r#","expires_in":-1"#), 300);
    assert_eq!(life(r#","expires_in":99999999999"#), 86_400);
}
