//! No body panics, and what the envelope accepts `serde_json` accepts too, with the same fields.

#![no_main]

use libfuzzer_sys::fuzz_target;
use livekit_webhook_wire::envelope::{Envelope, event_type};
use livekit_webhook_wire::event::Event;
use serde_json::Value;

fuzz_target!(|body: &[u8]| {
    let event = event_type(body).map(|event| event.into_owned());
    let Ok(envelope) = Envelope::parse(body) else {
        assert!(event.is_err());
        assert!(Event::from_slice(body).is_err());
        return;
    };
    assert_eq!(event.as_ref(), Ok(&envelope.event));

    let value: Value = serde_json::from_slice(body).expect("serde_json accepts it too");
    assert_eq!(value["event"], envelope.event);
    if let Some(id) = &envelope.id {
        assert_eq!(value["id"], *id);
    }

    let view = Event::from_slice(body).expect("the view accepts it too");
    assert_eq!(view.event(), envelope.event);
    let _ = (view.problems(), view.room_name(), view.room_sid(), view.participant_identity());
    let again: Value = serde_json::from_str(&view.to_json()).expect("what it writes is JSON");
    assert_eq!(again.as_object(), Some(view.object()));
});
