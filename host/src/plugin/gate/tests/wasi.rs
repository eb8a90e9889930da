//! The hooks that the engine sends WASI's requests with, without a component.

use super::*;
use http_body_util::{BodyExt, Full};
use hyper::http;
use wasmtime_wasi_http::{Error as WasiError, WasiBody, WasiHttpHooks};

fn whole(body: &'static str) -> WasiBody {
    Full::new(Bytes::from_static(body.as_bytes())).map_err(WasiError::from).boxed_unsync()
}

async fn sent(
    gate: &mut Gate,
    request: http::Request<WasiBody>,
) -> Result<http::Response<String>, WasiError> {
    let answer = gate.send_request(request, None, Box::new(async { Ok(()) }));
    let (answer, _) = Box::into_pin(answer).await?;
    let (head, body) = answer.into_parts();
    let body = body.collect().await?.to_bytes();
    Ok(http::Response::from_parts(head, String::from_utf8(body.into()).unwrap()))
}

async fn told(gate: &mut Gate, url: &str) -> WasiError {
    sent(gate, http::Request::get(url).body(whole("")).unwrap()).await.unwrap_err()
}

#[tokio::test]
async fn wasis_requests_pass_the_same_gate() {
    let rule = json!({ "host": "a.com", "methods": ["POST"], "secrets": ["token"] });
    let script = Script::new(|request| {
        let headers = vec![("x-own".to_owned(), "s3cr3t/+value".to_owned())];
        Ok(FetchResponse { status: 201, headers, body: request.body.clone() })
    });
    let (mut gate, script) = gate_to(script, json!({ "http": [rule] }), &Limits::default());
    let secret = gate.stand_in("token").unwrap();
    let request = http::Request::post("https://a.com/x?y=1")
        .header("x-token", &secret)
        .header("content-length", "5")
        .body(whole("hello"))
        .unwrap();
    let answer = sent(&mut gate, request).await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.body().as_str()), (201, "hello"));
    assert_eq!(answer.headers()["x-own"], secret.as_str(), "a secret comes back as its stand-in");
    let seen = script.requests.lock().unwrap()[0].clone();
    assert_eq!((seen.path.as_str(), seen.body.as_ref()), ("/x?y=1", &b"hello"[..]));
    let headers = [("x-token", "s3cr3t/+value"), ("livekit-webhook-hop", "1")];
    assert_eq!(seen.headers, headers.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

#[tokio::test]
async fn denials_have_wasis_words() {
    let refused = |_: &FetchRequest| Err(FetchError::AddressRefused("10.0.0.5".to_owned()));
    let permissions = json!({ "http": [{ "host": "a.com" }] });
    let limits = Limits::default().with(limits::HTTP_REQUESTS, 3).unwrap();
    let (mut gate, _) = gate_to(Script::new(refused), permissions, &limits);
    gate.interface = Some(Interface::Transform);
    assert!(matches!(told(&mut gate, "https://a.com/").await, WasiError::HttpRequestDenied));
    gate.interface = Some(Interface::Action);
    assert!(matches!(told(&mut gate, "https://b.com/").await, WasiError::HttpRequestDenied));
    let prohibited = told(&mut gate, "https://a.com/").await;
    assert!(matches!(prohibited, WasiError::DestinationIpProhibited), "{prohibited:?}");
    let odd = told(&mut gate, "https://user:password@a.com/").await;
    assert!(matches!(odd, WasiError::InternalError(Some(_))), "{odd:?}");
    let many = told(&mut gate, "https://a.com/").await;
    assert!(matches!(many, WasiError::ConnectionLimitReached), "{many:?}");
}

#[tokio::test]
async fn a_body_that_is_streamed_ends_at_the_limit() {
    let permissions = json!({ "http": [{ "host": "a.com" }] });
    let limits = Limits::default().with(limits::HTTP_REQUEST_BYTES, 4).unwrap();
    let (mut gate, script) = gate_to(Script::new(|_| says("")), permissions, &limits);
    let request = http::Request::put("https://a.com/").body(whole("12345")).unwrap();
    let answer = sent(&mut gate, request).await;
    assert!(matches!(answer, Err(WasiError::HttpRequestBodySize(Some(4)))), "{answer:?}");
    assert!(script.requests.lock().unwrap().is_empty());
}

#[test]
fn headers_of_ours_are_forbidden_in_wasi_too() {
    let (mut gate, _) = gate(json!({ "http": [{ "host": "a.com" }] }));
    for (name, forbidden) in [
        ("host", true),
        ("connection", true),
        ("livekit-webhook-hop", true),
        ("x-forwarded-for", true),
        ("content-length", false),
        ("authorization", false),
    ] {
        assert_eq!(gate.is_forbidden_header(&name.parse().unwrap()), forbidden, "{name}");
    }
    assert!(!gate.set_host_header());
}
