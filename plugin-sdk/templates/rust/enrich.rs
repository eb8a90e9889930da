//! {{description}}.

use livekit_webhook_plugin::prelude::*;
use serde::Deserialize;

/// As `[config]` in plugin.toml describes it.
#[derive(Deserialize)]
struct Config {
    separator: String,
}

#[enrich]
fn tenant(event: &Event) -> Result<Vec<(String, String)>, Failure> {
    let Config { separator } = config()?;
    let name = event.room_name().unwrap_or_default();
    let tenant = name.split_once(&separator).map(|(tenant, _)| tenant.to_owned());
    Ok(tenant.map(|tenant| ("tenant".to_owned(), tenant)).into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use livekit_webhook_plugin::native::set_config;
    use serde_json::json;

    #[test]
    fn the_tenant_is_what_the_rooms_name_begins_with() {
        set_config(&json!({ "separator": "-" }));
        let body = r#"{"event":"room_started","room":{"name":"acme-1"}}"#;
        let added = tenant(&Event::from_json(body).unwrap()).unwrap();
        assert_eq!(added, [("tenant".to_owned(), "acme".to_owned())]);
    }
}
