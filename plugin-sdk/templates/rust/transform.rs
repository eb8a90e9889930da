//! {{description}}.

use livekit_webhook_plugin::prelude::*;
use serde::Deserialize;

/// As `[config]` in plugin.toml describes it.
#[derive(Deserialize)]
struct Config {
    note: String,
}

#[transform]
fn annotate(event: Event) -> Result<Option<Event>, Failure> {
    let Config { note } = config()?;
    let mut body = event.value().clone();
    if body["room"].is_null() {
        return Ok(None);
    }
    info!("noted");
    body["note"] = note.into();
    Ok(Some(event.with_body(body.to_string())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use livekit_webhook_plugin::native::set_config;
    use serde_json::json;

    #[test]
    fn an_event_of_a_room_gets_a_note() {
        set_config(&json!({ "note": "hi" }));
        let body = json!({ "event": "room_started", "room": { "name": "acme" } });
        let event = Event::from_json(body.to_string()).unwrap();
        let event = annotate(event).unwrap().unwrap();
        let body: serde_json::Value = serde_json::from_slice(event.json()).unwrap();
        assert_eq!(body["note"], "hi");
    }
}
