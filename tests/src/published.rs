//! The receivers that others publish: they judge deliveries that were captured.
//!
//! Each runs once over many cases, in the language it is published for. `tests/setup/receivers`
//! installs them.

use crate::envoy::root;
use crate::receiver::Seen;
use anyhow::Context as _;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use tokio::time::timeout;

/// One delivery and how it is to be judged.
#[derive(Clone, Debug)]
pub struct Case(Value);

/// What a receiver made of an authentic delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// The event's type.
    pub event: String,
    /// Its id.
    pub id: String,
}

/// A language with its receivers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// npm's `standardwebhooks` and `livekit-server-sdk`.
    Node,
    /// PyPI's `standardwebhooks` and `livekit-api`.
    Python,
}

// === impl Case ===

impl Case {
    /// The standardwebhooks library with a `whsec_`.
    ///
    /// # Errors
    /// When the request is no text.
    pub fn standard(seen: &Seen, secret: &str) -> anyhow::Result<Self> {
        Self::of(seen, json!({ "how": "standard", "secret": secret }))
    }

    /// Ed25519 with a `whpk_`. Only [`Language::Node`] has it.
    ///
    /// # Errors
    /// When the request is no text.
    pub fn asymmetric(seen: &Seen, public_key: &str) -> anyhow::Result<Self> {
        Self::of(seen, json!({ "how": "asymmetric", "secret": public_key }))
    }

    /// LiveKit's own `WebhookReceiver`.
    ///
    /// # Errors
    /// When the request is no text.
    pub fn livekit(seen: &Seen, api_key: &str, secret: &str) -> anyhow::Result<Self> {
        Self::of(seen, json!({ "how": "livekit", "api_key": api_key, "secret": secret }))
    }

    fn of(seen: &Seen, mut case: Value) -> anyhow::Result<Self> {
        let mut headers = serde_json::Map::new();
        for (name, value) in &seen.headers {
            headers.insert(name.to_string(), value.to_str()?.into());
        }
        case["headers"] = headers.into();
        case["body"] = std::str::from_utf8(&seen.body)?.into();
        Ok(Self(case))
    }

    /// The same with `from` in the body replaced.
    #[must_use]
    pub fn with_body(mut self, from: &str, to: &str) -> Self {
        let body = self.0["body"].as_str().unwrap_or_default().replacen(from, to, 1);
        self.0["body"] = body.into();
        self
    }

    /// The same with another header value.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.0["headers"][name] = value.into();
        self
    }
}

// === impl Language ===

impl Language {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Node, Self::Python];

    /// What its receivers make of `cases`, in order: the event, or why it was refused.
    ///
    /// # Errors
    /// When they are not installed, or do not answer within `bound`.
    pub async fn judge(
        self,
        cases: &[Case],
        bound: Duration,
    ) -> anyhow::Result<Vec<Result<Taken, String>>> {
        let mut command = self.command()?;
        let mut child = command.kill_on_drop(true).spawn().context("cannot start it")?;
        let lines: String = cases.iter().map(|case| format!("{}\n", case.0)).collect();
        let mut stdin = child.stdin.take().context("its input")?;
        let judged = async {
            let (written, output) = tokio::join!(
                async move { stdin.write_all(lines.as_bytes()).await },
                child.wait_with_output()
            );
            written?;
            anyhow::Ok(output?)
        };
        let output = timeout(bound, judged).await.context("no verdicts in time")??;
        let text = String::from_utf8(output.stdout)?;
        let verdicts: Vec<_> = text.lines().map(verdict).collect::<anyhow::Result<_>>()?;
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        anyhow::ensure!(verdicts.len() == cases.len(), "{self:?}: {text}{complaint}");
        Ok(verdicts)
    }

    fn command(self) -> anyhow::Result<Command> {
        let place = installed()?;
        let judges = root().join("tests/receivers");
        let mut command = match self {
            Self::Node => {
                let mut command = Command::new("node");
                command.arg(judges.join("judge.mjs")).arg(place);
                command
            }
            Self::Python => {
                let mut command = Command::new(place.join("venv/bin/python"));
                command.arg(judges.join("judge.py"));
                command
            }
        };
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Ok(command)
    }
}

fn installed() -> anyhow::Result<PathBuf> {
    let place = root().join("target/receivers");
    let whole = place.join("installed").is_file();
    anyhow::ensure!(whole, "{place:?} is missing: run tests/setup/receivers");
    Ok(place)
}

fn verdict(line: &str) -> anyhow::Result<Result<Taken, String>> {
    let verdict: Value = serde_json::from_str(line)?;
    let text = |name: &str| verdict.get(name).and_then(Value::as_str).map(str::to_owned);
    if let Some(error) = text("error") {
        return Ok(Err(error));
    }
    let (event, id) = text("event").zip(text("id")).with_context(|| line.to_owned())?;
    Ok(Ok(Taken { event, id }))
}
