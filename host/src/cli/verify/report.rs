//! The verdict as a list of checks, in the order in which the gateway makes them.

use livekit_webhook_wire::envelope::Envelope;
use livekit_webhook_wire::verify::{Rejection, Token};
use serde_json::{Value, json};
use std::io::Write;

use super::capture::Capture;
use super::{cause, verifier};
use crate::causes;
use crate::cli::credentials::KeyPair;

/// The checks, and what each one asks.
pub const CHECKS: [(&str, &str); 9] = [
    ("keys", "there is a key to judge by"),
    ("authorization", "one Authorization header with a raw token of three parts"),
    ("header", "the token says HS256 and nothing that changes how to read it"),
    ("issuer", "the token names one of the keys"),
    ("signature", "a secret of that key made the signature"),
    ("times", "the token is valid at this time"),
    ("digest", "the token holds a sha256, as only webhooks do"),
    ("body", "the body hashes to that sha256"),
    ("event", "the body is one JSON object with an `event`"),
];

/// The outcome.
pub struct Report {
    now_s: i64,
    failed: Option<Failed>,
    token: Option<Token>,
    envelope: Option<Envelope>,
    notes: Vec<String>,
    body_bytes: usize,
}

struct Failed {
    check: usize,
    code: String,
    text: String,
    causes: Vec<String>,
}

/// Judges `capture` as the gateway would at `now_s`.
///
/// # Errors
/// When the keys cannot be used at all.
pub fn judge(capture: &Capture, pairs: &[KeyPair], now_s: i64) -> anyhow::Result<Report> {
    let verifier = verifier(pairs)?;
    let authorization: Vec<&[u8]> = capture.values("authorization").collect();
    let mut report = Report {
        now_s,
        failed: None,
        token: verifier.token(authorization.iter().copied(), now_s).ok(),
        envelope: None,
        notes: capture.notes.clone(),
        body_bytes: capture.body.len(),
    };
    match verifier.verify(authorization, &capture.body, now_s) {
        Err(rejection) => {
            report.failed = Some(Failed {
                check: check_of(&rejection),
                code: rejection.code().to_owned(),
                text: causes::line(&rejection),
                causes: cause::find(&rejection, capture, pairs, now_s),
            });
        }
        Ok(_) => match Envelope::parse(&capture.body) {
            Ok(envelope) => report.envelope = Some(envelope),
            Err(error) => {
                report.failed = Some(Failed {
                    check: CHECKS.len() - 1,
                    code: "unusable".to_owned(),
                    text: causes::line(&error),
                    causes: vec![
                        "The body is authentic: the sender itself wrote it so. The gateway keeps \
                         such a body in quarantine and answers 400."
                            .to_owned(),
                    ],
                });
            }
        },
    }
    Ok(report)
}

/// Which of [`CHECKS`] it is.
fn check_of(rejection: &Rejection) -> usize {
    use Rejection as R;
    use livekit_webhook_wire::verify::Part;
    match rejection {
        R::NoKeys => 0,
        R::NoToken | R::MultipleTokens | R::TokenTooLong { .. } | R::Bearer | R::Parts { .. } => 1,
        R::Base64 { part: Part::Payload } | R::Json { part: Part::Payload, .. } => 3,
        R::Base64 { .. } => 1,
        R::Json { .. } | R::Alg { .. } | R::Critical { .. } => 2,
        R::IssMissing | R::UnknownKey { .. } => 3,
        R::Signature { .. } => 4,
        R::ShaMissing | R::ShaMalformed => 6,
        R::ShaMismatch => 7,
        // Times, and the claims that are judged with them. New reasons are claims too.
        _ => 5,
    }
}

// === impl Report ===

impl Report {
    /// Authentic and usable.
    pub fn accepted(&self) -> bool {
        self.failed.is_none()
    }

    /// The stable word of the refusal.
    pub fn code(&self) -> Option<&str> {
        self.failed.as_ref().map(|failed| failed.code.as_str())
    }

    /// What explains the refusal.
    pub fn causes(&self) -> &[String] {
        self.failed.as_ref().map_or(&[], |failed| failed.causes.as_slice())
    }

    fn state(&self, check: usize) -> &'static str {
        match &self.failed {
            Some(failed) if check == failed.check => "FAILED",
            Some(failed) if check > failed.check => "not reached",
            _ => "ok",
        }
    }

    /// For people.
    ///
    /// # Errors
    /// When `out` fails.
    pub fn write(&self, out: &mut dyn Write) -> std::io::Result<()> {
        for (at, (name, asks)) in CHECKS.iter().enumerate() {
            writeln!(out, "{:<12} {name:<14} {asks}", self.state(at))?;
        }
        writeln!(out)?;
        for note in &self.notes {
            writeln!(out, "note: {note}")?;
        }
        if let Some(token) = &self.token {
            let left = token.expires_at_s - self.now_s;
            writeln!(out, "token: signed by {:?}, {left} s of its life left", token.api_key)?;
        }
        match (&self.failed, &self.envelope) {
            (Some(failed), _) => {
                writeln!(out, "refused ({}): {}", failed.code, failed.text)?;
                if failed.causes.is_empty() {
                    writeln!(out, "likely cause: none of the usual ones fits")?;
                }
                for cause in &failed.causes {
                    writeln!(out, "likely cause: {cause}")?;
                }
            }
            (None, Some(envelope)) => {
                let room = envelope.room_name.as_deref().unwrap_or("-");
                let id = envelope.id.as_deref().unwrap_or("-");
                let bytes = self.body_bytes;
                let event = &envelope.event;
                writeln!(out, "authentic: {event}, room {room}, id {id}, {bytes} bytes")?;
            }
            (None, None) => {}
        }
        Ok(())
    }

    /// For programs.
    pub fn to_json(&self) -> Value {
        let checks: Vec<Value> = CHECKS
            .iter()
            .enumerate()
            .map(|(at, (name, _))| json!({ "check": name, "state": self.state(at) }))
            .collect();
        json!({
            "verdict": if self.accepted() { "accept" } else { "reject" },
            "reason": self.code(),
            "text": self.failed.as_ref().map(|failed| failed.text.as_str()),
            "causes": self.causes(),
            "checks": checks,
            "notes": self.notes,
            "now_s": self.now_s,
            "api_key": self.token.as_ref().map(|token| token.api_key.as_str()),
            "event": self.envelope.as_ref().map(|envelope| envelope.event.as_str()),
            "id": self.envelope.as_ref().and_then(|envelope| envelope.id.as_deref()),
        })
    }
}
