//! What is sent, and what must come of it: `tests/scenarios/edge.json`, described in its README.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use livekit_webhook_wire::sign;
use serde_json::Value;

use super::world::Lines;
use crate::envoy::root;

/// The key that requests are signed with when a scenario says nothing else.
pub const API_KEY: &str = "APIedge";
/// Its secret.
pub const SECRET: &str = "edge-test-secret";

/// One filter and what it goes through.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// What holds.
    pub name: String,
    /// The filter's JSON.
    pub configuration: String,
    /// `LIVEKIT_KEYS`.
    pub keys: String,
    /// In order, each after the answer to the one before.
    pub steps: Vec<Step>,
    /// What the filter's counters must be at the end.
    pub counters: BTreeMap<String, u64>,
}

/// One request and its end.
#[derive(Clone, Debug)]
pub struct Step {
    /// What is sent.
    pub send: Send,
    /// What must come of it.
    pub expect: Expect,
}

/// A request.
#[derive(Clone, Debug)]
pub struct Send {
    /// Over HTTP/2, else over HTTP/1.1.
    pub http2: bool,
    /// `:method`.
    pub method: String,
    /// `:path`.
    pub path: String,
    /// More headers, after `Authorization`.
    pub headers: Lines,
    /// Who signs what.
    pub token: Token,
    /// Frames, chunks, or what a `Content-Length` counts together.
    pub pieces: Vec<Vec<u8>>,
    /// How it ends.
    pub end: End,
    /// With [`End::Trailers`].
    pub trailers: Lines,
    /// What the host answers.
    pub host_status: u16,
}

/// The value of `Authorization`.
#[derive(Clone, Debug)]
pub enum Token {
    /// There is none.
    None,
    /// As it stands.
    Raw(String),
    /// LiveKit's form.
    Signed {
        /// `iss`.
        key: String,
        /// What signs.
        secret: String,
        /// The body it is for; `None`: the one that is sent.
        body: Option<Vec<u8>>,
        /// How old it is.
        ago_s: i64,
        /// What stands before it.
        prefix: String,
    },
}

/// How a request ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// HTTP/1: `Content-Length`. HTTP/2: with the last frame, or with the head.
    Whole,
    /// HTTP/1: chunked. HTTP/2: with an empty frame.
    Open,
    /// With trailers.
    Trailers,
}

/// What must come of a request.
#[derive(Clone, Debug, Default)]
pub struct Expect {
    /// The answer's.
    pub status: u16,
    /// Of a problem; empty for none.
    pub code: String,
    /// `x-livekit-webhook-result`.
    pub result: Option<String>,
    /// Whether the host gets it.
    pub host: bool,
    /// Headers of the host's request, each exactly once.
    pub head: BTreeMap<String, String>,
    /// Headers that the host's request has not.
    pub absent: Vec<String>,
}

/// What came of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The answer's.
    pub status: u16,
    /// Its headers.
    pub headers: BTreeMap<String, String>,
    /// Its body.
    pub body: String,
    /// Head and body of what the host got.
    pub host: Option<(Lines, Vec<u8>)>,
}

/// All scenarios.
///
/// # Errors
/// When the file is not as its README says.
pub fn scenarios() -> Result<Vec<Scenario>> {
    let path = root().join("tests/scenarios/edge.json");
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let list: Value = serde_json::from_str(&text)?;
    let list = list.as_array().context("not a list")?;
    list.iter()
        .map(|value| Scenario::read(value).with_context(|| format!("in {}", value["name"])))
        .collect()
}

/// A text whose characters are bytes.
fn latin1(text: &str) -> Result<Vec<u8>> {
    text.chars().map(|c| u8::try_from(u32::from(c)).context("a character over U+00FF")).collect()
}

fn string(value: &Value, otherwise: &str) -> Result<String> {
    match value {
        Value::Null => Ok(otherwise.to_owned()),
        value => Ok(value.as_str().context("expected a string")?.to_owned()),
    }
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn lines(value: &Value) -> Result<Lines> {
    let line =
        |line: &Value| Ok((latin1(&string(&line[0], "")?)?, latin1(&string(&line[1], "")?)?));
    items(value).iter().map(line).collect()
}

/// A text, or one that is repeated: `{"text": " ", "times": 1025}`.
fn piece(value: &Value) -> Result<Vec<u8>> {
    match value["times"].as_u64() {
        Some(times) => Ok(latin1(&string(&value["text"], "")?)?.repeat(usize::try_from(times)?)),
        None => latin1(&string(value, "")?),
    }
}

// === impl Scenario ===

impl Scenario {
    fn read(value: &Value) -> Result<Self> {
        known(value, &["name", "configuration", "keys", "steps", "counters"])?;
        let counters = value["counters"].as_object().into_iter().flatten();
        let counters = counters.map(|(name, count)| {
            Ok((name.clone(), count.as_u64().context("a counter that is no number")?))
        });
        Ok(Self {
            name: string(&value["name"], "")?,
            configuration: match &value["configuration"] {
                Value::Null => "{}".to_owned(),
                json => json.to_string(),
            },
            keys: string(&value["keys"], &format!("{API_KEY}: {SECRET}"))?,
            steps: items(&value["steps"]).iter().map(Step::read).collect::<Result<_>>()?,
            counters: counters.collect::<Result<_>>()?,
        })
    }
}

// === impl Step ===

impl Step {
    fn read(value: &Value) -> Result<Self> {
        known(
            value,
            &[
                "http",
                "method",
                "path",
                "headers",
                "token",
                "body",
                "end",
                "trailers",
                "host_status",
                "expect",
            ],
        )?;
        let pieces = match &value["body"] {
            Value::Array(pieces) => pieces.iter().map(piece).collect::<Result<_>>()?,
            Value::Null => Vec::new(),
            one => vec![piece(one)?],
        };
        let end = match value["end"].as_str() {
            None => End::Whole,
            Some("open") => End::Open,
            Some("trailers") => End::Trailers,
            Some(other) => anyhow::bail!("end {other:?}"),
        };
        let send = Send {
            http2: value["http"] == 2,
            method: string(&value["method"], "POST")?,
            path: string(&value["path"], "/webhook")?,
            headers: lines(&value["headers"])?,
            token: Token::read(&value["token"])?,
            pieces,
            end,
            trailers: lines(&value["trailers"])?,
            host_status: u16::try_from(value["host_status"].as_u64().unwrap_or(200))?,
        };
        Ok(Self { send, expect: Expect::read(&value["expect"])? })
    }
}

// === impl Send ===

impl Send {
    /// All pieces together.
    pub fn body(&self) -> Vec<u8> {
        self.pieces.concat()
    }

    /// The value of `Authorization`, if there is one.
    pub fn authorization(&self, now_s: i64) -> Option<Vec<u8>> {
        match &self.token {
            Token::None => None,
            Token::Raw(text) => latin1(text).ok(),
            Token::Signed { key, secret, body, ago_s, prefix } => {
                let body = body.clone().unwrap_or_else(|| self.body());
                let token = sign::authorization(key, secret.as_bytes(), &body, now_s - ago_s);
                Some(format!("{prefix}{token}").into_bytes())
            }
        }
    }
}

// === impl Token ===

impl Token {
    fn read(value: &Value) -> Result<Self> {
        match value {
            Value::String(text) if text == "none" => Ok(Self::None),
            Value::String(text) => Ok(Self::Raw(text.clone())),
            _ => {
                let body = value.get("body").map(piece).transpose()?;
                Ok(Self::Signed {
                    key: string(&value["key"], API_KEY)?,
                    secret: string(&value["secret"], SECRET)?,
                    body,
                    ago_s: value["ago_s"].as_i64().unwrap_or(0),
                    prefix: string(&value["prefix"], "")?,
                })
            }
        }
    }
}

// === impl Expect ===

impl Expect {
    fn read(value: &Value) -> Result<Self> {
        known(value, &["status", "code", "result", "host", "head", "absent"])?;
        let status = u16::try_from(value["status"].as_u64().unwrap_or(200))?;
        let head = value["head"].as_object().into_iter().flatten();
        Ok(Self {
            status,
            code: string(&value["code"], "")?,
            result: value["result"].as_str().map(str::to_owned),
            host: value["host"].as_bool().unwrap_or(status == 200 && value["result"].is_null()),
            head: head
                .map(|(name, text)| Ok((name.clone(), string(text, "")?)))
                .collect::<Result<_>>()?,
            absent: items(&value["absent"])
                .iter()
                .map(|name| string(name, ""))
                .collect::<Result<_>>()?,
        })
    }

    /// Compares.
    ///
    /// # Errors
    /// What differs.
    pub fn check(&self, send: &Send, outcome: &Outcome) -> Result<()> {
        ensure!(outcome.status == self.status, "status {}: {outcome:?}", outcome.status);
        let problem: Value = serde_json::from_str(&outcome.body).unwrap_or_default();
        let code = problem["code"].as_str().unwrap_or_default();
        ensure!(code == self.code, "code {code:?}: {outcome:?}");
        let result = outcome.headers.get("x-livekit-webhook-result");
        ensure!(result == self.result.as_ref(), "result {result:?}");
        let Some((head, body)) = &outcome.host else {
            ensure!(!self.host, "the host got nothing");
            return Ok(());
        };
        ensure!(self.host, "the host got {outcome:?}");
        ensure!(*body == send.body(), "the host got another body");
        let values = |name: &str| -> Vec<String> {
            let own = head.iter().filter(|(own, _)| own.eq_ignore_ascii_case(name.as_bytes()));
            own.map(|(_, value)| value.iter().map(|byte| char::from(*byte)).collect()).collect()
        };
        for (name, value) in &self.head {
            ensure!(values(name) == [value.clone()], "{name} is {:?}", values(name));
        }
        for name in &self.absent {
            ensure!(values(name).is_empty(), "{name} is {:?}", values(name));
        }
        Ok(())
    }
}

/// A misspelt member would check nothing.
fn known(value: &Value, names: &[&str]) -> Result<()> {
    for name in value.as_object().into_iter().flatten().map(|(name, _)| name) {
        ensure!(names.contains(&name.as_str()), "unknown member {name:?}");
    }
    Ok(())
}
