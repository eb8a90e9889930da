//! The gate alone, with an outside that remembers what came through.

mod learning;
mod requests;
mod secrets;
mod wasi;

use super::http::{Error, Request};
use super::*;
use crate::plugin::outside::{FetchError, FetchRequest, FetchResponse};

use crate::plugin::tests::doubles::{Script, says};
use bytes::Bytes;
use serde_json::json;

const SOON: Duration = Duration::from_secs(60);

/// A gate of an `enrich` with these permissions and secrets, and what lies behind it.
fn gate_to(script: Script, permissions: serde_json::Value, limits: &Limits) -> (Gate, Arc<Script>) {
    let granted: Permissions = serde_json::from_value(permissions).unwrap();
    let secrets = [("token", "s3cr3t/+value"), ("other", "0th3r-s3cr3t")];
    let secrets = secrets.map(|(name, secret)| (name.to_owned(), Secret::new(secret.as_bytes())));
    let (script, outside) = script.outside();
    let door = Door::new(&granted, &granted, secrets.into(), Some(outside)).of("p", limits);
    let input = Input { id: "ev_1".to_owned(), source: "main".to_owned(), ..Input::default() };
    let mut gate = Gate::new(&Arc::new(door), &input, Instant::now() + SOON);
    gate.interface = Some(Interface::Enrich);
    (gate, script)
}

/// The same with a server that says `fine`.
fn gate(permissions: serde_json::Value) -> (Gate, Arc<Script>) {
    let limits = Limits::default().with(limits::HTTP_REQUESTS, limits::HTTP_REQUESTS.cap).unwrap();
    gate_to(Script::new(|_| says("fine")), permissions, &limits)
}

fn request(method: &str, url: &str) -> Request {
    let (method, url) = (method.to_owned(), url.to_owned());
    Request { method, url, headers: Vec::new(), body: Bytes::new(), timeout: None }
}

async fn send(gate: &Gate, request: Request) -> Result<FetchResponse, Error> {
    gate.pass().unwrap().send(request).await
}

async fn get(gate: &Gate, url: &str) -> Result<FetchResponse, Error> {
    send(gate, request("GET", url)).await
}

#[tokio::test]
async fn only_enrich_and_action_find_the_gate_open() {
    let (mut gate, _) = gate(json!({ "http": [{ "host": "a.com", "secrets": ["token"] }] }));
    for interface in Interface::ALL {
        gate.interface = Some(interface);
        let may = matches!(interface, Interface::Enrich | Interface::Action);
        assert_eq!(gate.pass().is_ok(), may, "{interface:?}");
        assert_eq!(gate.stand_in("token").is_some(), may, "{interface:?}");
    }
    gate.interface = None;
    assert!(gate.pass().unwrap_err().contains("at load"));
}

#[tokio::test]
async fn where_nothing_is_granted_or_nothing_is_outside_the_gate_is_shut() {
    let (shut, _) = gate(json!({}));
    assert!(shut.pass().unwrap_err().contains("nothing is granted"));
    let granted: Permissions = serde_json::from_value(json!({ "state": "rw" })).unwrap();
    let door = Door::new(&granted, &granted, BTreeMap::new(), None).of("p", &Limits::default());
    let mut gate = Gate::new(&Arc::new(door), &Input::default(), Instant::now() + SOON);
    gate.interface = Some(Interface::Action);
    assert!(gate.pass().is_err());
    // What is asked for and not granted is not there either.
    let asked = granted;
    let (_, outside) = Script::new(|_| says("")).outside();
    let door = Door::new(&asked, &Permissions::default(), BTreeMap::new(), Some(outside));
    assert!(!door.leads_somewhere());
}

#[tokio::test]
async fn no_two_doors_share_connections() {
    let permissions = json!({ "http": [{ "host": "a.com" }] });
    let ((one, first), (two, second)) = (gate(permissions.clone()), gate(permissions));
    get(&one, "https://a.com/").await.unwrap();
    get(&one, "https://a.com/").await.unwrap();
    get(&two, "https://a.com/").await.unwrap();
    let pool = |script: &Script, nth: usize| script.requests.lock().unwrap()[nth].pool.clone();
    assert_eq!(pool(&first, 0), pool(&first, 1));
    assert_ne!(pool(&first, 0), pool(&second, 0));
}

#[tokio::test]
async fn state_is_used_as_far_as_it_is_granted() {
    use super::state::Error;
    let (writer, _) = gate(json!({ "state": "rw" }));
    let writer = writer.pass().unwrap();
    assert_eq!(writer.set("k", None, "v".into(), None).await, Ok(Some(1)));
    assert_eq!(writer.set("k", Some(None), "w".into(), None).await, Ok(None));
    assert_eq!(writer.get("k").await, Ok(Some(("v".into(), 1))));
    let (reader, _) = gate(json!({ "state": "ro" }));
    let reader = reader.pass().unwrap();
    assert_eq!(reader.get("k").await, Ok(None));
    assert_eq!(reader.keys("", None).await, Ok(Vec::new()));
    let denied = Err(Error::Denied("state needs rw, ro is granted".to_owned()));
    assert_eq!(reader.set("k", None, "v".into(), None).await, denied);
    assert!(matches!(reader.delete("k").await, Err(Error::Denied(_))));
    assert!(matches!(reader.add("k", 1, None).await, Err(Error::Denied(_))));
    let (other, _) = gate(json!({ "livekit": ["get-room"] }));
    assert!(matches!(other.pass().unwrap().get("k").await, Err(Error::Denied(_))));
}

#[tokio::test]
async fn keys_values_and_operations_have_limits() {
    use super::state::Error;
    let limits = Limits::default().with(limits::STATE_OPERATIONS, 6).unwrap();
    let script = Script::new(|_| says(""));
    let (gate, _) = gate_to(script, json!({ "state": "rw" }), &limits);
    let pass = gate.pass().unwrap();
    let large = Bytes::from(vec![0; 64 * 1024 + 1]);
    for refused in [
        pass.set("", None, "v".into(), None).await,
        pass.set(&"k".repeat(257), None, "v".into(), None).await,
        pass.set("k", None, large, None).await,
        pass.set("k", None, "v".into(), Some(0)).await,
    ] {
        assert!(matches!(refused, Err(Error::Invalid(_))), "{refused:?}");
    }
    assert!(pass.set("k", None, "v".into(), Some(u64::MAX)).await.is_ok());
    assert!(matches!(pass.keys(&"k".repeat(257), None).await, Err(Error::Invalid(_))));
    let words = "at most 6 for one event (state_operations)".to_owned();
    assert_eq!(pass.get("k").await, Err(Error::TooMany(words)));
}

#[tokio::test]
async fn livekit_is_asked_what_is_granted_and_not_for_ever() {
    use super::livekit::Error;
    use crate::plugin::outside::Question;
    let (gate, _) = gate(json!({ "livekit": ["get-room", "list-egress"] }));
    let pass = gate.pass().unwrap();
    let room = || Question::Room("demo".to_owned());
    assert_eq!(pass.ask(room()).await, Ok(Some(r#"{"name":"demo"}"#.into())));
    let participants = Question::Participants("demo".to_owned());
    let denied = Err(Error::Denied("list-participants is not granted".to_owned()));
    assert_eq!(pass.ask(participants).await, denied);
    let long = Question::Egress("r".repeat(2000));
    assert!(matches!(pass.ask(long).await, Err(Error::Other(_))));
    for _ in 0..6 {
        pass.ask(room()).await.unwrap();
    }
    let many = pass.ask(room()).await;
    assert!(matches!(&many, Err(Error::Other(text)) if text.contains("at most 8")), "{many:?}");
}

#[tokio::test]
async fn every_request_is_counted_by_what_became_of_it() {
    let mut script = Script::new(|_| says(""));
    script.hold = Some(tokio::sync::Notify::new());
    let permissions = json!({ "http": [{ "host": "a.com" }], "state": "ro" });
    let (mut gate, script) = gate_to(script, permissions, &Limits::default());
    script.hold.as_ref().unwrap().notify_one();
    get(&gate, "https://a.com/").await.unwrap();
    get(&gate, "https://b.com/").await.unwrap_err();
    let under_way = async {
        while script.under_way.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        answer = get(&gate, "https://a.com/held") => panic!("{answer:?}"),
        () = under_way => {}
    }
    let pass = gate.pass().unwrap();
    pass.get("k").await.unwrap();
    pass.get("").await.unwrap_err();
    pass.set("k", None, Bytes::new(), None).await.unwrap_err();
    pass.ask(crate::plugin::outside::Question::Room("r".to_owned())).await.unwrap_err();
    gate.interface = Some(Interface::Filter);
    gate.pass_to("state").unwrap_err();
    for (interface, outcome, times) in [
        ("http", "ok", 1),
        ("http", "denied", 1),
        ("http", "cut_off", 1),
        ("state", "ok", 1),
        ("state", "invalid", 1),
        ("state", "denied", 2),
        ("livekit", "denied", 1),
    ] {
        assert_eq!(gate.own.asked_so_far(interface, outcome), times, "{interface} {outcome}");
    }
}
