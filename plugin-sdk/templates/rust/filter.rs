//! {{description}}.

use livekit_webhook_plugin::prelude::*;
use serde::Deserialize;

/// As `[config]` in plugin.toml describes it.
#[derive(Deserialize)]
struct Config {
    prefix: String,
}

#[filter]
fn keep(event: &Event) -> Result<bool, Failure> {
    let Config { prefix } = config()?;
    let left_out = event.room_name().is_some_and(|name| name.starts_with(&prefix));
    Ok(!left_out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use livekit_webhook_plugin::native::set_config;
    use serde_json::json;

    #[test]
    fn a_room_that_is_left_out_does_not_pass() {
        set_config(&json!({ "prefix": "test-" }));
        let event = |name: &str| {
            let body = json!({ "event": "room_started", "room": { "name": name } });
            Event::from_json(body.to_string()).unwrap()
        };
        assert!(keep(&event("acme")).unwrap());
        assert!(!keep(&event("test-1")).unwrap());
    }
}
