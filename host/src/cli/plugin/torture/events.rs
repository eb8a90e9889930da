//! The events of a torture, group by group. Nothing here is random: the same number of events is
//! always the same events.

use crate::plugin::Input;
use bytes::Bytes;
use livekit_webhook_wire::event_type;
use livekit_webhook_wire::sample::{self, Sample};
use serde_json::Value;

/// Nesting of the deep bodies.
const DEPTH: usize = 10_000;
/// Of a large body, in bytes: half of what a plugin may return, so that it can return all of it.
const LARGE_BYTES: usize = 512 << 10;
/// Of a long name.
const NAME_BYTES: usize = 64 * 1024;

/// Events that are made in the same way.
#[derive(Debug)]
pub struct Group {
    /// What is special about them.
    pub name: &'static str,
    /// The events.
    pub inputs: Vec<Input>,
}

/// All groups; `mutated` is how many events have changed bytes.
pub fn groups(mutated: usize) -> Vec<Group> {
    let samples: Vec<_> = event_type::ALL.into_iter().map(whole).collect();
    let missing = samples.iter().flat_map(without_members).collect();
    let changed = (0..mutated).map(|n| changed(&samples[n % samples.len()], n)).collect();
    vec![
        Group { name: "samples", inputs: samples },
        Group { name: "missing members", inputs: missing },
        Group { name: "changed bytes", inputs: changed },
        Group { name: "no object", inputs: odd_bodies() },
        Group { name: "large", inputs: large() },
        Group { name: "deep", inputs: deep() },
        Group { name: "odd names", inputs: odd_names() },
    ]
}

fn whole(kind: &str) -> Input {
    let sample = Sample {
        room: "torture",
        identity: "someone",
        event_id: "EV_torture",
        now_s: 1_795_435_195,
        seed: 7,
    };
    let body = sample::body(kind, &sample).unwrap_or_else(|| sample::custom(kind, &sample));
    with_body(kind, body.into_bytes())
}

fn with_body(kind: &str, body: Vec<u8>) -> Input {
    Input {
        id: "ev_torture".to_owned(),
        kind: kind.to_owned(),
        source: "torture".to_owned(),
        created_at_ms: 1_795_435_195_000,
        attempt: 1,
        room_name: Some("torture".to_owned()),
        participant_identity: Some("someone".to_owned()),
        attributes: Vec::new(),
        body: Bytes::from(body),
    }
}

/// The event without each of its members, and without each of theirs.
fn without_members(input: &Input) -> Vec<Input> {
    let Ok(Value::Object(whole)) = serde_json::from_slice(&input.body) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    let mut push = |body: Value| {
        found.push(Input { body: Bytes::from(body.to_string()), ..input.clone() });
    };
    for (name, value) in &whole {
        let mut less = whole.clone();
        less.shift_remove(name);
        push(Value::Object(less));
        for inner in value.as_object().into_iter().flat_map(serde_json::Map::keys) {
            let mut less = Value::Object(whole.clone());
            if let Some(members) = less[name.as_str()].as_object_mut() {
                members.shift_remove(inner);
            }
            push(less);
        }
        for other in [Value::Null, Value::from(-1), Value::from(""), Value::Array(Vec::new())] {
            let mut less = whole.clone();
            less.insert(name.clone(), other);
            push(Value::Object(less));
        }
    }
    found
}

/// One to four bytes are others, by a generator that everybody has.
fn changed(input: &Input, number: usize) -> Input {
    let mut body = input.body.to_vec();
    let mut state = (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    for _ in 0..=number % 4 {
        // xorshift64
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let [low, byte, ..] = state.to_le_bytes();
        let at = usize::try_from(state >> 16).unwrap_or_default() % body.len().max(1);
        if let Some(place) = body.get_mut(at) {
            *place = if low < 128 { byte } else { *place ^ (1 << (byte % 8)) };
        }
    }
    Input { body: Bytes::from(body), ..input.clone() }
}

fn odd_bodies() -> Vec<Input> {
    let bodies: [&[u8]; 12] = [
        b"",
        b" ",
        b"null",
        b"0",
        b"[]",
        b"{}",
        b"\"text\"",
        b"{\"event\":",
        b"{\"event\":null}",
        b"\xff\xfe\xfd",
        b"{\"a\":1,\"a\":2}",
        b"{\"n\":1e999999}",
    ];
    bodies.into_iter().map(|body| with_body("room_started", body.to_vec())).collect()
}

fn large() -> Vec<Input> {
    let text = format!(
        "{{\"event\":\"room_started\",\"room\":{{\"name\":\"{}\"}}}}",
        "x".repeat(LARGE_BYTES)
    );
    let members: Vec<_> = (0..LARGE_BYTES / 16).map(|n| format!("\"m{n}\":{n}")).collect();
    let items = format!("{{\"room\":[{}0]}}", "0,".repeat(LARGE_BYTES / 2));
    [text, format!("{{{}}}", members.join(",")), items]
        .into_iter()
        .map(|body| with_body("room_started", body.into_bytes()))
        .collect()
}

fn deep() -> Vec<Input> {
    let arrays = format!("{}{}", "[".repeat(DEPTH), "]".repeat(DEPTH));
    let objects = format!("{}1{}", "{\"room\":".repeat(DEPTH), "}".repeat(DEPTH));
    let inside = format!("{{\"event\":\"room_started\",\"room\":{arrays}}}");
    [arrays, objects, inside]
        .into_iter()
        .map(|body| with_body("room_started", body.into_bytes()))
        .collect()
}

fn odd_names() -> Vec<Input> {
    let names =
        ["", " ", "\0", "\u{202e}\u{1b}[2J", "../../etc/passwd", "☃", &"n".repeat(NAME_BYTES)];
    let mut inputs = Vec::new();
    for name in names {
        let plain = whole("participant_joined");
        inputs.push(Input { kind: name.to_owned(), ..plain.clone() });
        inputs.push(Input { room_name: Some(name.to_owned()), ..plain.clone() });
        inputs.push(Input { participant_identity: Some(name.to_owned()), ..plain.clone() });
        inputs.push(Input { source: name.to_owned(), id: name.to_owned(), ..plain.clone() });
        let attributes = vec![(name.to_owned(), name.to_owned()); 64];
        inputs.push(Input { attributes, ..plain });
    }
    let nobody = whole("room_finished");
    inputs.push(Input { room_name: None, participant_identity: None, ..nobody.clone() });
    inputs.push(Input { created_at_ms: u64::MAX, attempt: u32::MAX, ..nobody.clone() });
    inputs.push(Input { created_at_ms: 0, attempt: 0, ..nobody });
    inputs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_number_of_events_is_always_the_same_events() {
        let (first, second) = (groups(50), groups(50));
        for (first, second) in first.iter().zip(&second) {
            assert_eq!(first.inputs, second.inputs, "{}", first.name);
            assert!(!first.inputs.is_empty(), "{}", first.name);
        }
        let changed = &first[2].inputs;
        assert_eq!(changed.len(), 50);
        assert!(changed.iter().zip(first[0].inputs.iter().cycle()).all(|(a, b)| a != b));
    }
}
