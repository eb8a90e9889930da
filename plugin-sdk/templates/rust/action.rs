//! {{description}}.

use livekit_webhook_plugin::prelude::*;
use serde::Deserialize;

/// As `[config]` in plugin.toml describes it.
#[derive(Deserialize)]
struct Config {
    greeting: String,
}

#[action]
fn greet(event: &Event) -> Result<String, Failure> {
    let Config { greeting } = config()?;
    let name = event.room_name().ok_or_else(|| Failure::reject("no room"))?;
    info!("greeted {name}");
    Ok(format!("{greeting} {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use livekit_webhook_plugin::native::set_config;
    use serde_json::json;

    #[test]
    fn a_room_is_greeted() {
        set_config(&json!({ "greeting": "hi" }));
        let body = r#"{"event":"room_started","room":{"name":"acme"}}"#;
        assert_eq!(greet(&Event::from_json(body).unwrap()).unwrap(), "hi acme");
    }
}
