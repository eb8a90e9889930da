//! {{description}}.

use livekit_webhook_plugin::prelude::*;
use serde::Deserialize;

/// As `[config]` in plugin.toml describes it.
#[derive(Deserialize)]
struct Config {
    endpoint: String,
}

#[route]
fn choose(event: &Event) -> Result<Option<String>, Failure> {
    let Config { endpoint } = config()?;
    Ok((event.kind() == "room_finished").then_some(endpoint))
}

#[cfg(test)]
mod tests {
    use super::*;
    use livekit_webhook_plugin::native::set_config;
    use serde_json::json;

    #[test]
    fn a_room_that_is_over_is_told() {
        set_config(&json!({ "endpoint": "billing" }));
        let event = Event::from_json(r#"{"event":"room_finished"}"#).unwrap();
        assert_eq!(choose(&event).unwrap().as_deref(), Some("billing"));
    }
}
