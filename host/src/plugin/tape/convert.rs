//! Questions in words, answers as JSON and back.

use crate::plugin::outside::{
    FetchError, FetchRequest, FetchResponse, LiveKitError, Question, StateError,
};
use crate::plugin::permission::Scheme;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Value, json};

/// `POST https://api.example.com:443/v1`
pub fn request(request: &FetchRequest) -> String {
    let FetchRequest { method, host, port, path, .. } = request;
    let scheme = if request.scheme == Scheme::Https { "https" } else { "http" };
    format!("{method} {scheme}://{host}:{port}{path}")
}

pub fn response(answer: &Result<FetchResponse, FetchError>) -> Value {
    match answer {
        Ok(FetchResponse { status, headers, body }) => {
            json!({ "status": status, "headers": headers, "body": bytes(body) })
        }
        Err(error) => {
            let kind = match error {
                FetchError::AddressRefused(_) => "address-refused",
                FetchError::TimedOut(_) => "timed-out",
                FetchError::Unreachable(_) => "unreachable",
                FetchError::TooLarge { .. } => "too-large",
            };
            json!({ "error": kind, "text": error.to_string() })
        }
    }
}

pub fn to_response(value: &Value) -> Result<FetchResponse, FetchError> {
    if let Some(kind) = value["error"].as_str() {
        let text = value["text"].as_str().unwrap_or_default().to_owned();
        return Err(match kind {
            "address-refused" => FetchError::AddressRefused(text),
            "timed-out" => FetchError::TimedOut(0),
            "too-large" => FetchError::TooLarge { what: "body", max: 0 },
            _ => FetchError::Unreachable(text),
        });
    }
    let status = value["status"].as_u64().and_then(|status| u16::try_from(status).ok());
    let headers = serde_json::from_value(value["headers"].clone()).unwrap_or_default();
    let body = to_bytes(&value["body"]);
    Ok(FetchResponse { status: status.unwrap_or_default(), headers, body })
}

/// An answer of the state port, its value made by `value`.
pub fn state<T>(answer: &Result<T, StateError>, value: impl FnOnce(&T) -> Value) -> Value {
    match answer {
        Ok(found) => json!({ "ok": value(found) }),
        Err(error) => {
            let (kind, text) = match error {
                StateError::Invalid(text) => ("invalid", text),
                StateError::Full(text) => ("full", text),
                StateError::Unavailable(text) => ("unavailable", text),
            };
            json!({ "error": kind, "text": text })
        }
    }
}

pub fn to_state(answer: Result<Value, String>) -> Result<Value, StateError> {
    let mut answer = answer.map_err(StateError::Unavailable)?;
    let text = || answer["text"].as_str().unwrap_or_default().to_owned();
    match answer["error"].as_str() {
        Some("invalid") => Err(StateError::Invalid(text())),
        Some("full") => Err(StateError::Full(text())),
        Some(_) => Err(StateError::Unavailable(text())),
        None => Ok(answer["ok"].take()),
    }
}

pub fn question(source: &str, question: &Question) -> String {
    let function = question.function().as_str();
    match question {
        Question::Room(room) | Question::Participants(room) | Question::Egress(room) => {
            format!("{function} {room} of {source}")
        }
        Question::Participant { room, identity } => {
            format!("{function} {identity} in {room} of {source}")
        }
    }
}

pub fn told(answer: &Result<Option<Bytes>, LiveKitError>) -> Value {
    match answer {
        Ok(found) => json!({ "ok": found.as_ref().map(|json| bytes(json)) }),
        Err(error) => json!({ "error": error.to_string() }),
    }
}

pub fn to_told(answer: Result<Value, String>) -> Result<Option<Bytes>, LiveKitError> {
    let answer = answer.map_err(LiveKitError::Unavailable)?;
    if let Some(text) = answer["error"].as_str() {
        return Err(LiveKitError::Unavailable(text.to_owned()));
    }
    let found = &answer["ok"];
    Ok((!found.is_null()).then(|| to_bytes(found)))
}

/// Text as it is, anything else in base64.
pub fn bytes(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => json!(text),
        Err(_) => json!({ "base64": STANDARD.encode(bytes) }),
    }
}

/// The reverse of [`bytes`].
pub fn to_bytes(value: &Value) -> Bytes {
    match value {
        Value::String(text) => Bytes::from(text.clone()),
        other => {
            let text = other["base64"].as_str().unwrap_or_default();
            STANDARD.decode(text).unwrap_or_default().into()
        }
    }
}
