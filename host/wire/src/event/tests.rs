//! The view of every shape: what is absent, newer, wrong, or not ours to know.

use super::*;
use crate::event::egress::EgressStatus;
use crate::event::participant::{DisconnectReason, Kind};
use crate::event::track::{TrackSource, TrackType};

fn event(members: &str) -> Event {
    Event::from_slice(format!(r#"{{"event":"e",{members}}}"#).as_bytes()).unwrap()
}

#[test]
fn reads_as_the_design_shows() {
    let recorded = |event: &Event| event.room().is_some_and(|room| room.active_recording());
    assert!(recorded(&event(r#""room":{"activeRecording":true}"#)));
    assert!(recorded(&event(r#""room":{"active_recording":true}"#)));
    assert!(!recorded(&event(r#""room":{}"#)));
    assert!(!recorded(&event(r#""id":"EV_1""#)));
}

#[test]
fn reads_integers_from_numbers_and_strings() {
    let room = |members: &str| event(&format!(r#""room":{{{members}}}"#));
    let times = |event: &Event| event.room().and_then(|room| room.creation_time());
    assert_eq!(times(&room(r#""creationTime":"9007199254740993""#)), Some(9_007_199_254_740_993));
    assert_eq!(times(&room(r#""creationTime":12"#)), Some(12));
    assert_eq!(times(&room(r#""creation_time":"12""#)), Some(12));
    assert_eq!(times(&room(r#""creationTime":"soon""#)), None);
    assert_eq!(times(&room(r#""creationTime":null"#)), None);
    let count = room(r#""numParticipants":4294967296"#);
    assert_eq!(count.room().unwrap().num_participants(), None);
}

#[test]
fn restores_zero_values() {
    let event =
        event(r#""track":{},"egressInfo":{},"ingressInfo":{"state":{}},"job":{"state":{}}"#);
    assert_eq!(event.track().unwrap().kind(), TrackType::Audio);
    assert_eq!(event.track().unwrap().source(), TrackSource::Unknown);
    assert_eq!(event.egress().unwrap().status(), EgressStatus::Starting);
    let ingress = event.ingress().unwrap().state().unwrap();
    assert_eq!(ingress.status(), ingress::IngressStatus::Inactive);
    let job = event.agent_job().unwrap();
    assert_eq!(job.state().unwrap().status(), agent::JobStatus::Pending);
    assert_eq!(event.room_end_reason(), RoomEndReason::Unknown);
}

#[test]
fn enums_are_open() {
    let left = |value: &str| event(&format!(r#""participant":{{"disconnectReason":{value}}}"#));
    let reason = |event: &Event| event.participant().unwrap().disconnect_reason().known();
    assert_eq!(reason(&left("\"AGENT_ERROR\"")), Some(DisconnectReason::AgentError));
    assert_eq!(reason(&left("16")), Some(DisconnectReason::AgentError));
    let newer = left("\"QUANTUM_FLUX\"");
    assert_eq!(newer.participant().unwrap().disconnect_reason(), Open::Name("QUANTUM_FLUX"));
    assert_eq!(left("99").participant().unwrap().disconnect_reason(), Open::Number(99));
    assert_eq!(newer.fit(), Fit::Newer);
}

#[test]
fn tells_a_full_participant_from_a_bare_one() {
    let full = event(r#""participant":{"joinedAt":"7","attributes":{"a":"b","n":1}}"#);
    let full = full.participant().unwrap();
    assert!(full.is_full());
    assert_eq!(full.kind(), Kind::Standard);
    assert_eq!(full.joined_at_unix_ms(), Some(7000));
    assert_eq!(full.attributes().unwrap().get("a"), Some("b"));
    assert_eq!(full.attributes().unwrap().iter().count(), 1);
    let bare = event(r#""participant":{"sid":"PA_1","identity":"a"}"#);
    assert!(!bare.participant().unwrap().is_full());
}

#[test]
fn converts_nanoseconds() {
    let event = event(
        r#""egressInfo":{"startedAt":"1795435195999999999","fileResults":[7,{"duration":"1500000"}]}"#,
    );
    let egress = event.egress().unwrap();
    assert_eq!(egress.started_at_ms(), Some(1_795_435_195_999));
    let durations: Vec<_> = egress.file_results().map(|file| file.duration_ms()).collect();
    assert_eq!(durations, [Some(1)]);
    assert_eq!(event.fit(), Fit::Wrong);
}

#[test]
fn finds_room_and_participant_in_every_shape() {
    let job = event(r#""job":{"room":{"name":"r","sid":"RM"},"participant":{"identity":"a"}}"#);
    assert_eq!((job.room_name(), job.room_sid()), (Some("r"), Some("RM")));
    assert_eq!(job.participant_identity(), Some("a"));
    let ingress = event(r#""ingressInfo":{"roomName":"r","state":{"roomId":"RM"}}"#);
    assert_eq!((ingress.room_name(), ingress.room_sid()), (Some("r"), Some("RM")));
    let egress = event(r#""room":{"name":""},"egressInfo":{"roomName":"r","roomId":"RM"}"#);
    assert_eq!((egress.room_name(), egress.room_sid()), (Some("r"), Some("RM")));
}

#[test]
fn gives_everything_back() {
    let text = concat!(
        r#"{"zeta":[1,{"b":null,"a":1.5}],"event":"e","room":{"new":{"x":[]},"sid":7},"#,
        r#""createdAt":"12","big":9007199254740993}"#
    );
    let event = Event::from_slice(text.as_bytes()).unwrap();
    assert_eq!(event.to_json(), text);
    assert_eq!(event.into_value().to_string(), text);
}

#[track_caller]
fn problem(members: &str, expected: &str) {
    let event = event(members);
    let problems: Vec<_> = event.problems().iter().map(ToString::to_string).collect();
    assert_eq!(problems, [expected]);
}

#[test]
fn names_what_does_not_fit() {
    assert_eq!(event(r#""room":null,"new":7"#).problems(), []);
    problem(r#""createdAt":"yesterday""#, "/createdAt: expected an int64");
    problem(r#""numDropped":3000000000"#, "/numDropped: expected an int32");
    problem(r#""room":[]"#, "/room: expected an object");
    problem(r#""room":{"sid":7}"#, "/room/sid: expected a string");
    problem(r#""room":{"active_recording":0}"#, "/room/active_recording: expected true or false");
    problem(r#""room":{"enabledCodecs":{}}"#, "/room/enabledCodecs: expected a list");
    problem(
        r#""participant":{"tracks":[{},{"type":true}]}"#,
        "/participant/tracks/1/type: expected the name or number of an enum value",
    );
    problem(
        r#""participant":{"attributes":{"a/b~":1}}"#,
        "/participant/attributes/a~1b~0: expected a string",
    );
    problem(
        r#""egressInfo":{},"egress_info":{}"#,
        "/egress_info: expected only one spelling of this field",
    );
}

#[test]
fn lists_a_bounded_number_of_problems() {
    let tracks = vec![r#"{"sid":1}"#; 1000].join(",");
    let event = event(&format!(r#""participant":{{"tracks":[{tracks}]}}"#));
    assert_eq!(event.problems().len(), problems::PROBLEMS_MAX);
}

#[test]
fn refuses_what_is_no_event() {
    assert!(matches!(Event::from_slice(b"[]"), Err(Error::Envelope(_))));
    assert!(matches!(Event::from_slice(br#"{"event":"e","event":"e"}"#), Err(Error::Envelope(_))));
    assert!(matches!(Event::from_value(Value::Null), Err(Error::NotAnObject)));
    assert!(matches!(
        Event::from_value(serde_json::json!({"event": ""})),
        Err(Error::Envelope(envelope::Error::NoEvent))
    ));
}

/// `fooBar` of `foo_bar`, as protobuf makes it.
fn camel(snake: &str) -> String {
    let mut parts = snake.trim_start_matches("r#").split('_');
    let first = parts.next().unwrap().to_owned();
    parts.fold(first, |all, part| all + &part[..1].to_uppercase() + &part[1..])
}

#[test]
fn both_spellings_of_every_row_belong_together() {
    let mut rows: Vec<&'static [table::Row]> = vec![Fields::rows()];
    let mut seen = 0;
    while let Some(table) = rows.pop() {
        for row in table {
            assert_eq!(camel(row.snake), row.camel);
            seen += 1;
            match &row.shape {
                table::Shape::Message(inner) | table::Shape::List(table::Shape::Message(inner)) => {
                    rows.push(inner());
                }
                _ => {}
            }
        }
    }
    assert!(seen > 150, "{seen}");
}
