use super::*;
use crate::event_type;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::collections::BTreeMap;

fn sample() -> Sample<'static> {
    Sample {
        room: "prod-7",
        identity: "alice",
        event_id: "EV_sample000001",
        now_s: 1_795_435_195,
        seed: 7,
    }
}

fn parsed(kind: &str) -> Value {
    let body = body(kind, &sample()).unwrap_or_else(|| panic!("no sample of {kind}"));
    serde_json::from_str(&body).unwrap()
}

/// Members of the object at `path`, sorted.
fn members(value: &Value, path: &str) -> Vec<String> {
    let object = value.pointer(path).and_then(Value::as_object);
    let mut names: Vec<String> = object.into_iter().flat_map(|o| o.keys().cloned()).collect();
    names.sort();
    names
}

/// Every event body of the vectors, by event name.
fn vectors() -> BTreeMap<String, Vec<Value>> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors/livekit-webhooks.jsonl");
    let text = std::fs::read_to_string(path).unwrap();
    let mut bodies: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for line in text.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        if line["group"] != "event" {
            continue;
        }
        let body = STANDARD.decode(line["body_base64"].as_str().unwrap()).unwrap();
        if let Ok(body) = serde_json::from_slice::<Value>(&body) {
            let kind = body["event"].as_str().unwrap_or_default().to_owned();
            bodies.entry(kind).or_default().push(body);
        }
    }
    bodies
}

#[test]
fn every_known_event_has_a_sample_and_no_other_name_does() {
    for kind in event_type::ALL {
        let body = parsed(kind);
        assert_eq!(body["event"], kind);
        assert_eq!(body["id"], "EV_sample000001");
        assert_eq!(body["createdAt"], "1795435195");
    }
    assert_eq!(body("room_paused", &sample()), None);
    let custom: Value = serde_json::from_str(&custom("room_paused", &sample())).unwrap();
    assert_eq!(members(&custom, ""), ["createdAt", "event", "id", "room"]);
}

/// The top-level members of each sample are those of some vector of the same kind;
/// `agent_job_started`, of which there is no vector, is held against `agent_job_ended`.
#[test]
fn members_are_those_of_the_vectors() {
    let vectors = vectors();
    for kind in event_type::ALL {
        let like = if kind == "agent_job_started" { "agent_job_ended" } else { kind };
        let known = vectors.get(like).unwrap_or_else(|| panic!("no vector of {like}"));
        let ours = parsed(kind);
        let known_sets: Vec<_> = known.iter().map(|body| members(body, "")).collect();
        assert!(known_sets.contains(&members(&ours, "")), "{kind}: {:?}", members(&ours, ""));
        if kind.starts_with("track_") || kind.starts_with("egress_") || kind.starts_with("ingress_")
        {
            for path in ["/room", "/participant"] {
                let sets: Vec<_> = known.iter().map(|body| members(body, path)).collect();
                assert!(sets.contains(&members(&ours, path)), "{kind}{path}");
            }
        }
    }
}

/// Every member of the inner objects is one that some vector has, or one of the listed members of
/// the protocol's declaration that the vectors happen not to use. A misspelt name fails here.
#[test]
fn no_member_is_invented() {
    const DECLARED: [&str; 4] =
        ["canPublishSources", "canUpdateMetadata", "maxParticipants", "region"];
    fn names(value: &Value, into: &mut Vec<String>) {
        match value {
            Value::Object(object) => object.iter().for_each(|(name, value)| {
                into.push(name.clone());
                if name != "attributes" {
                    names(value, into);
                }
            }),
            Value::Array(items) => items.iter().for_each(|item| names(item, into)),
            _ => {}
        }
    }
    let mut known = Vec::new();
    vectors().values().flatten().for_each(|body| names(body, &mut known));
    for kind in event_type::ALL {
        let mut ours = Vec::new();
        names(&parsed(kind), &mut ours);
        for name in ours {
            let declared = DECLARED.contains(&name.as_str());
            assert!(declared || known.contains(&name), "{kind}: `{name}`");
        }
    }
}

#[test]
fn ids_have_the_prefix_of_their_kind() {
    #[track_caller]
    fn check(kind: &str, path: &str, prefix: &str) {
        let body = parsed(kind);
        let id = body.pointer(path).and_then(Value::as_str);
        let id = id.unwrap_or_else(|| panic!("{kind}{path}"));
        let rest = id.strip_prefix(prefix).unwrap_or_else(|| panic!("{kind}{path}: {id}"));
        assert_eq!(rest.len(), ID_CHARACTERS, "{id}");
        assert!(rest.bytes().all(|byte| ALPHABET.contains(&byte)), "{id}");
    }
    check("room_started", "/room/sid", "RM_");
    check("participant_joined", "/participant/sid", "PA_");
    check("track_published", "/track/sid", "TR_AM");
    check("egress_ended", "/egressInfo/egressId", "EG_");
    check("egress_ended", "/egressInfo/roomId", "RM_");
    check("ingress_started", "/ingressInfo/ingressId", "IN_");
    check("ingress_started", "/ingressInfo/state/roomId", "RM_");
    check("agent_job_ended", "/job/id", "AJ_");
    check("agent_job_ended", "/job/dispatchId", "AD_");
    assert!(id("EV_", 1, "a").starts_with("EV_"));
}

#[test]
fn one_seed_tells_one_story() {
    let started = parsed("room_started");
    assert_eq!(started["room"]["sid"], parsed("participant_left")["room"]["sid"]);
    assert_eq!(started["room"]["sid"], parsed("ingress_ended")["ingressInfo"]["state"]["roomId"]);
    let joined = parsed("participant_joined");
    assert_eq!(joined["participant"]["sid"], parsed("track_published")["participant"]["sid"]);
    let other_seed = Sample { seed: 8, ..sample() };
    let other_room = Sample { room: "prod-8", ..sample() };
    assert_eq!(body("room_started", &sample()), body("room_started", &sample()));
    assert_ne!(body("room_started", &sample()), body("room_started", &other_seed));
    assert_ne!(sample().room_sid(), other_room.room_sid());
}

/// Protojson leaves out what is zero.
#[test]
fn nothing_is_zero_empty_or_null() {
    #[track_caller]
    fn check(value: &Value, at: &str) {
        match value {
            Value::Null => panic!("{at} is null"),
            Value::Bool(flag) => assert!(flag, "{at} is false"),
            Value::Number(number) => assert_ne!(number.as_f64(), Some(0.0), "{at} is 0"),
            Value::String(text) => {
                assert!(!text.is_empty() && text != "0", "{at} is a zero value");
                for zero in ["AUDIO", "EGRESS_STARTING", "ENDPOINT_INACTIVE", "JS_PENDING"] {
                    assert_ne!(text, zero, "{at}");
                }
            }
            Value::Array(items) => {
                assert!(!items.is_empty(), "{at} is empty");
                items.iter().for_each(|item| check(item, at));
            }
            Value::Object(object) => {
                assert!(!object.is_empty(), "{at} is empty");
                object.iter().for_each(|(name, value)| check(value, &format!("{at}/{name}")));
            }
        }
    }
    for kind in event_type::ALL {
        check(&parsed(kind), kind);
    }
}

#[test]
fn wide_integers_are_strings() {
    const WIDE: [&str; 11] = [
        "createdAt",
        "creationTime",
        "creationTimeMs",
        "joinedAt",
        "joinedAtMs",
        "unixMicro",
        "startedAt",
        "endedAt",
        "updatedAt",
        "duration",
        "size",
    ];
    fn check(value: &Value) {
        match value {
            Value::Object(object) => {
                for (name, value) in object {
                    let digits = value.as_str().is_some_and(|text| text.parse::<i64>().is_ok());
                    assert!(!WIDE.contains(&name.as_str()) || digits, "{name}: {value}");
                    check(value);
                }
            }
            Value::Array(items) => items.iter().for_each(check),
            _ => {}
        }
    }
    event_type::ALL.iter().for_each(|kind| check(&parsed(kind)));
}

#[test]
fn a_join_is_about_as_long_as_a_real_one() {
    let bytes = body("participant_joined", &sample()).unwrap().len();
    assert!((1200..=1600).contains(&bytes), "{bytes} bytes");
    assert!(!body("participant_joined", &sample()).unwrap().contains('\n'));
}
