//! What a replay selects, as the text that adapters store: JSON with a member for every condition
//! that is set. The only file that knows this form.

use livekit_webhook_core::delivery::DeadReason;
use livekit_webhook_core::replay::{ReplayStatus, Selection};
use livekit_webhook_core::time::Timestamp;
use serde_json::{Map, Value};

/// Why a text is no selection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not an object in JSON.
    #[error("a stored selection is not a JSON object")]
    Form,
    /// A member with a value of the wrong kind, or one that nobody wrote.
    #[error("a stored selection has an unusable `{0}`")]
    Member(String),
}

/// For the store.
pub fn to_text(selection: &Selection) -> String {
    let texts = |list: Vec<String>| Value::from(list);
    let mut members = Map::new();
    let mut set = |name: &str, value: Value| members.insert(name.to_owned(), value);
    if !selection.events.is_empty() {
        set("events", texts(selection.events.iter().map(ToString::to_string).collect()));
    }
    for (name, globs) in [("kinds", &selection.kinds), ("rooms", &selection.rooms)] {
        if !globs.is_empty() {
            set(name, texts(globs.iter().map(|glob| glob.as_str().to_owned()).collect()));
        }
    }
    for (name, at) in [("since_ms", selection.since), ("until_ms", selection.until)] {
        if let Some(at) = at {
            set(name, at.as_millis().into());
        }
    }
    let words = [
        ("source", selection.source.as_deref()),
        ("endpoint", selection.endpoint.as_deref()),
        ("status", selection.status.map(status_word)),
        ("reason", selection.reason.map(DeadReason::as_str)),
        ("to", selection.to.as_deref()),
    ];
    for (name, word) in words {
        if let Some(word) = word {
            set(name, word.into());
        }
    }
    if selection.include_succeeded {
        set("include_succeeded", true.into());
    }
    Value::Object(members).to_string()
}

/// The reverse of [`to_text`].
///
/// # Errors
/// [`Error`]: a newer version wrote it, or somebody by hand.
pub fn from_text(text: &str) -> Result<Selection, Error> {
    let members: Map<String, Value> = serde_json::from_str(text).map_err(|_| Error::Form)?;
    let mut selection = Selection::default();
    for (name, value) in members {
        let read = match name.as_str() {
            "events" => list(&value).map(|events| selection.events = events),
            "kinds" => list(&value).map(|kinds| selection.kinds = kinds),
            "rooms" => list(&value).map(|rooms| selection.rooms = rooms),
            "since_ms" => time(&value).map(|at| selection.since = Some(at)),
            "until_ms" => time(&value).map(|at| selection.until = Some(at)),
            "source" => word(&value).map(|word| selection.source = Some(word)),
            "endpoint" => word(&value).map(|word| selection.endpoint = Some(word)),
            "to" => word(&value).map(|word| selection.to = Some(word)),
            "status" => value.as_str().and_then(status).map(|one| selection.status = Some(one)),
            "reason" => value
                .as_str()
                .and_then(DeadReason::parse)
                .map(|reason| selection.reason = Some(reason)),
            "include_succeeded" => value.as_bool().map(|all| selection.include_succeeded = all),
            _ => None,
        };
        read.ok_or(Error::Member(name))?;
    }
    Ok(selection)
}

fn list<T: std::str::FromStr>(value: &Value) -> Option<Vec<T>> {
    value.as_array()?.iter().map(|item| item.as_str()?.parse().ok()).collect()
}

fn time(value: &Value) -> Option<Timestamp> {
    value.as_i64().map(Timestamp::from_millis)
}

fn word(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

fn status_word(status: ReplayStatus) -> &'static str {
    match status {
        ReplayStatus::Delivered => "delivered",
        ReplayStatus::Dead => "dead",
    }
}

fn status(word: &str) -> Option<ReplayStatus> {
    [ReplayStatus::Delivered, ReplayStatus::Dead].into_iter().find(|one| status_word(*one) == word)
}

#[cfg(test)]
mod tests;
