//! Over a scripted [`Fetch`], in tokio's paused time. The real sockets are in the end-to-end tests.

use super::*;
use crate::clock::SystemClock;
use crate::plugin::outside::{FetchError, FetchRequest, FetchResponse};
use livekit_api::access_token::TokenVerifier;
use livekit_protocol as proto;
use livekit_webhook_core::endpoint::PlainHttp;
use livekit_webhook_wire::sample::{self, Sample};
use prost::Message;
use serde_json::Value;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

type Answering = dyn Fn(&FetchRequest) -> Result<FetchResponse, FetchError> + Send + Sync;

/// Answers after a while, and counts.
struct Double {
    answer: Box<Answering>,
    wait: Duration,
    asked: AtomicUsize,
}

#[async_trait]
impl Fetch for Double {
    async fn fetch(&self, request: FetchRequest) -> Result<FetchResponse, FetchError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(self.wait).await;
        (self.answer)(&request)
    }
}

fn servers(
    wait: Duration,
    answer: impl Fn(&FetchRequest) -> Result<FetchResponse, FetchError> + Send + Sync + 'static,
) -> (Arc<Double>, Arc<LiveKitServers>) {
    let double = Double { answer: Box::new(answer), wait, asked: AtomicUsize::new(0) };
    let double = Arc::new(double);
    let servers = LiveKitServers::new(double.clone(), Arc::new(SystemClock), both());
    (double, Arc::new(servers))
}

/// Two sources at one server.
fn both() -> BTreeMap<String, Server> {
    let url = EndpointUrl::parse("https://lk.example.com", PlainHttp::Refused).unwrap();
    let server = |name: &str| (name.to_owned(), Server::new(url.clone(), "APIabc", b"hush"));
    BTreeMap::from([server("prod"), server("staging")])
}

fn answered(status: u16, body: Vec<u8>) -> Result<FetchResponse, FetchError> {
    Ok(FetchResponse { status, headers: Vec::new(), body: body.into() })
}

fn rooms(names: &[&str]) -> Vec<u8> {
    let room = |name: &&str| proto::Room { name: (*name).to_owned(), ..Default::default() };
    proto::ListRoomsResponse { rooms: names.iter().map(room).collect() }.encode_to_vec()
}

fn room(name: &str) -> Question {
    Question::Room(name.to_owned())
}

fn asked(double: &Double) -> usize {
    double.asked.load(Ordering::Relaxed)
}

type Asking<'a> = Pin<Box<dyn Future<Output = kept::Answer> + Send + 'a>>;

/// Whether it waits, once it has begun.
async fn is_pending(asking: &mut Asking<'_>) -> bool {
    poll_fn(|context| Poll::Ready(asking.as_mut().poll(context).is_pending())).await
}

/// Lets all go on at once.
async fn together<'a>(asking: impl Iterator<Item = Asking<'a>>) -> Vec<kept::Answer> {
    let mut running: Vec<_> = asking.collect();
    for asking in &mut running {
        assert!(is_pending(asking).await);
    }
    let mut answers = Vec::new();
    for asking in running {
        answers.push(asking.await);
    }
    answers
}

const AT_ONCE: Duration = Duration::ZERO;
const A_WHILE: Duration = Duration::from_millis(200);

#[tokio::test(start_paused = true)]
async fn fifty_who_ask_the_same_make_one_request() {
    let (double, servers) = servers(A_WHILE, |_| answered(200, rooms(&["r"])));
    let ask = |_| servers.ask("prod", room("r"));
    let answers = together((0..50).map(ask)).await;
    assert!(answers.iter().all(|answer| *answer == answers[0]));
    assert_eq!(answers[0].clone().unwrap().unwrap(), r#"{"name":"r"}"#);
    assert_eq!(asked(&double), 1);
    servers.ask("prod", room("r")).await.unwrap();
    assert_eq!(asked(&double), 1);
    // Another question, another source, and the same when it is old.
    servers.ask("prod", room("other")).await.unwrap();
    servers.ask("staging", room("r")).await.unwrap();
    assert_eq!(asked(&double), 3);
    tokio::time::advance(FRESH).await;
    servers.ask("prod", room("r")).await.unwrap();
    assert_eq!(asked(&double), 4);
}

#[tokio::test(start_paused = true)]
async fn one_who_gives_up_takes_nobody_with_it() {
    let (double, servers) = servers(A_WHILE, |_| answered(200, rooms(&["r"])));
    let mut first = servers.ask("prod", room("r"));
    let mut second = servers.ask("prod", room("r"));
    assert!(is_pending(&mut first).await && is_pending(&mut second).await);
    drop(first);
    assert!(second.await.unwrap().is_some());
    assert_eq!(asked(&double), 2);
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_kept_for_a_short_time() {
    let (double, servers) = servers(AT_ONCE, |_| answered(500, b"<html>".to_vec()));
    for _ in 0..3 {
        let failed = servers.ask("prod", room("r")).await;
        let words = "status 500, and not from LiveKit's server API".to_owned();
        assert_eq!(failed, Err(LiveKitError::Unavailable(words)));
    }
    assert_eq!(asked(&double), 1);
    tokio::time::advance(FAILED_FRESH).await;
    assert!(servers.ask("prod", room("r")).await.is_err());
    assert_eq!(asked(&double), 2);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_says_nothing_is_not_waited_for() {
    let (_, servers) = servers(TIMEOUT * 9, |_| answered(200, Vec::new()));
    let began = tokio::time::Instant::now();
    let failed = servers.ask("prod", room("r")).await;
    assert_eq!(failed, Err(LiveKitError::Unavailable("no answer within 5000 ms".to_owned())));
    assert_eq!(began.elapsed(), TIMEOUT);
    // Waiting for the one before counts.
    let (_, servers) = self::servers(TIMEOUT * 9, |_| answered(200, Vec::new()));
    let ask = |_| servers.ask("prod", room("r"));
    let began = tokio::time::Instant::now();
    together((0..5).map(ask)).await;
    assert_eq!(began.elapsed(), TIMEOUT);
}

#[tokio::test(start_paused = true)]
async fn what_is_kept_has_limits() {
    let (_, servers) = servers(AT_ONCE, |request| {
        let asked = proto::ListRoomsRequest::decode(&request.body[..]).unwrap();
        let metadata = "x".repeat(ANSWER_BYTES_MAX / 2);
        let name = asked.names[0].clone();
        let list = vec![proto::Room { name, metadata, ..Default::default() }];
        answered(200, proto::ListRoomsResponse { rooms: list }.encode_to_vec())
    });
    let kept_max = KEPT_BYTES_MAX / (ANSWER_BYTES_MAX / 2);
    for number in 0..kept_max + 10 {
        servers.ask("prod", room(&format!("r{number}"))).await.unwrap().unwrap();
    }
    assert!(servers.kept.len() < kept_max, "{}", servers.kept.len());
    let (_, servers) = self::servers(AT_ONCE, |_| answered(200, Vec::new()));
    for number in 0..ENTRIES_MAX + 10 {
        servers.ask("prod", room(&format!("r{number}"))).await.unwrap();
    }
    assert!(servers.kept.len() <= ENTRIES_MAX);
}

#[tokio::test(start_paused = true)]
async fn requests_under_way_to_one_server_have_a_limit() {
    let (double, servers) = servers(A_WHILE, |_| answered(200, Vec::new()));
    let ask = |number| servers.ask("prod", room(&format!("r{number}")));
    let mut running: Vec<_> = (0..REQUESTS_MAX * 2).map(ask).collect();
    for asking in &mut running {
        assert!(is_pending(asking).await);
    }
    assert_eq!(asked(&double), REQUESTS_MAX);
    assert!(together(running.into_iter()).await.iter().all(Result::is_ok));
}

#[tokio::test]
async fn each_question_has_a_token_that_allows_it() {
    let (_, servers) = servers(AT_ONCE, |request| {
        let header = |name: &str| {
            let found = request.headers.iter().find(|(known, _)| known == name);
            found.map(|(_, value)| value.clone()).unwrap()
        };
        assert_eq!(request.method, "POST");
        assert_eq!((request.host.as_str(), request.port), ("lk.example.com", 443));
        assert_eq!(header("content-type"), "application/protobuf");
        let token = header("authorization").strip_prefix("Bearer ").unwrap().to_owned();
        let claims = TokenVerifier::with_api_key("APIabc", "hush").verify(&token).unwrap();
        let video = claims.video;
        let granted = (video.room_list, video.room_admin, video.room_record, video.room.as_str());
        let expect = match request.path.as_str() {
            "/twirp/livekit.RoomService/ListRooms" => (true, false, false, ""),
            "/twirp/livekit.RoomService/ListParticipants" => (false, true, false, "r \"1\""),
            "/twirp/livekit.RoomService/GetParticipant" => (false, true, false, "r \"1\""),
            "/twirp/livekit.Egress/ListEgress" => (false, false, true, ""),
            other => panic!("{other}"),
        };
        assert_eq!(granted, expect, "{}", request.path);
        answered(200, Vec::new())
    });
    let name = "r \"1\"".to_owned();
    let identity = "alice".to_owned();
    assert_eq!(servers.ask("prod", Question::Room(name.clone())).await.unwrap(), None);
    let of = Question::Participant { room: name.clone(), identity };
    assert_eq!(servers.ask("prod", of).await.unwrap().unwrap(), "{}");
    for question in [Question::Participants(name.clone()), Question::Egress(name)] {
        assert_eq!(servers.ask("prod", question).await.unwrap().unwrap(), "[]");
    }
}

#[tokio::test]
async fn what_is_not_there_is_none_and_what_is_refused_is_told() {
    let said = |status: u16, body: &'static str| {
        let (_, servers) = servers(AT_ONCE, move |_| answered(status, body.as_bytes().to_vec()));
        async move {
            let (room, identity) = ("r".to_owned(), "a".to_owned());
            servers.ask("prod", Question::Participant { room, identity }).await
        }
    };
    let gone = r#"{"code":"not_found","msg":"participant does not exist"}"#;
    assert_eq!(said(404, gone).await, Ok(None));
    let no_route = said(404, r#"{"code":"bad_route","msg":"no handler"}"#).await;
    let words = "status 404, bad_route: no handler".to_owned();
    assert_eq!(no_route, Err(LiveKitError::Unavailable(words)));
    let other = said(200, "<html>this is no protobuf</html>").await;
    assert!(matches!(other, Err(LiveKitError::Unavailable(_))), "{other:?}");
    let redirect = said(302, "").await;
    assert!(matches!(redirect, Err(LiveKitError::Unavailable(_))), "{redirect:?}");
    let (_, empty) = servers(AT_ONCE, |_| {
        answered(404, br#"{"code":"not_found","msg":"room does not exist"}"#.to_vec())
    });
    let list = empty.ask("prod", Question::Participants("r".to_owned())).await;
    assert_eq!(list.unwrap().unwrap(), "[]");
    // Another room than the one that was asked for.
    let (_, other) = servers(AT_ONCE, |_| answered(200, rooms(&["rr"])));
    assert_eq!(other.ask("prod", room("r")).await, Ok(None));
    let unknown = other.ask("nobody", room("r")).await;
    assert_eq!(unknown, Err(LiveKitError::NoServer("nobody".to_owned())));
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_refused() {
    let error = || Err(FetchError::TooLarge { what: "body", max: ANSWER_BYTES_MAX });
    let (_, at_the_wire) = servers(AT_ONCE, move |_| error());
    let too_large = Err(LiveKitError::TooLarge { max: ANSWER_BYTES_MAX });
    assert_eq!(at_the_wire.ask("prod", room("r")).await, too_large);
    // As protobuf it fits, as JSON it does not.
    let (_, as_json) = servers(AT_ONCE, |_| {
        let metadata = "\u{1}".repeat(ANSWER_BYTES_MAX / 2);
        let list = vec![proto::Room { name: "r".to_owned(), metadata, ..Default::default() }];
        answered(200, proto::ListRoomsResponse { rooms: list }.encode_to_vec())
    });
    assert_eq!(as_json.ask("prod", room("r")).await, too_large);
    // Pages without end.
    let (double, pages) = servers(AT_ONCE, |_| {
        let next = proto::TokenPagination { token: "more".to_owned() };
        let page = proto::ListEgressResponse { next_page_token: Some(next), ..Default::default() };
        answered(200, page.encode_to_vec())
    });
    assert_eq!(pages.ask("prod", Question::Egress("r".to_owned())).await, too_large);
    assert_eq!(asked(&double), 8);
}

#[tokio::test(start_paused = true)]
async fn other_servers_are_asked_from_now_on() {
    let (double, servers) = servers(AT_ONCE, |_| answered(200, rooms(&["r"])));
    servers.ask("prod", room("r")).await.unwrap();
    servers.replace(both());
    servers.ask("prod", room("r")).await.unwrap();
    assert_eq!(asked(&double), 2);
    servers.replace(BTreeMap::new());
    assert!(servers.ask("prod", room("r")).await.is_err());
    assert!(!format!("{:?} {:?}", both(), servers).contains("hush"));
}

/// What a webhook carries, through LiveKit's messages and back, is what it was.
#[test]
fn the_shape_is_that_of_webhook_bodies() {
    let now_s = SystemClock.now().as_secs();
    let sample = Sample { room: "weekly", identity: "alice", event_id: "EV_1", now_s, seed: 7 };
    let mut seen = [0; 3];
    for kind in livekit_webhook_wire::event_type::ALL {
        let body = sample::body(kind, &sample).unwrap();
        let mut body: Value = serde_json::from_slice(body.as_ref()).unwrap();
        let mut compare = |at: usize, member: &str, json: &dyn Fn(Value) -> Vec<u8>| {
            let Some(mut value) = body.get_mut(member).map(Value::take) else { return };
            let json = json(value.clone());
            if let Value::Object(members) = &mut value {
                members.remove("turnPassword");
            }
            assert_eq!(serde_json::from_slice::<Value>(&json).unwrap(), value, "{kind} {member}");
            seen[at] += 1;
        };
        compare(0, "room", &|value| json::room(from(value)).unwrap());
        compare(1, "participant", &|value| json::participant(from(value)).unwrap());
        compare(2, "egressInfo", &|value| json::egress(from(value)).unwrap());
    }
    assert!(seen.iter().all(|count| *count > 1), "{seen:?}");
}

fn from<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

#[test]
fn values_of_a_newer_protocol_are_left_out() {
    let layers = vec![proto::VideoLayer { quality: 99, width: 640, ..Default::default() }];
    let codec = proto::SimulcastCodecInfo { layers, video_layer_mode: 99, ..Default::default() };
    let track = proto::TrackInfo {
        sid: "TR_1".to_owned(),
        r#type: 77,
        source: 1,
        codecs: vec![codec],
        audio_features: vec![0, 99],
        ..Default::default()
    };
    let participant = proto::ParticipantInfo {
        identity: "alice".to_owned(),
        state: 2,
        kind: 99,
        disconnect_reason: 999,
        kind_details: vec![99],
        joined_at: 1_795_435_200,
        tracks: vec![track],
        ..Default::default()
    };
    let json: Value = serde_json::from_slice(&json::participant(participant).unwrap()).unwrap();
    let expect = serde_json::json!({
        "identity": "alice", "state": "ACTIVE", "joinedAt": "1795435200",
        "tracks": [{ "sid": "TR_1", "source": "CAMERA", "codecs": [{ "layers": [{ "width": 640 }] }],
            "audioFeatures": ["TF_STEREO"] }],
    });
    assert_eq!(json, expect);
    let egress =
        proto::EgressInfo { egress_id: "EG_1".to_owned(), status: 99, ..Default::default() };
    assert_eq!(json::egress(egress).unwrap(), br#"{"egressId":"EG_1"}"#);
}
