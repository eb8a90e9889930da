//! What each type of event reads like in one sentence, for posts and alerts that people read.
//!
//! The words are the same everywhere. What a name looks like within them, and what stands out, is
//! for a [`Style`] to say: it escapes what users of LiveKit named themselves, so that a room cannot
//! mention anybody or make a link.

use crate::Event;
use serde_json::Value;

/// How names look within a text.
pub trait Style {
    /// Something a user named, escaped. See [`plain`] for what is never in it.
    fn name(&self, raw: &str) -> String;

    /// Something that stands out. It is escaped already.
    fn strong(&self, escaped: &str) -> String;
}

/// What an event means to whoever reads of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// Something began.
    Began,
    /// Something is over, as it should be.
    Over,
    /// Something goes on.
    Note,
    /// Something went wrong.
    Trouble,
}

/// A small picture before a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Icon {
    /// Its name, such as `wave`.
    pub name: &'static str,
    /// The character itself.
    pub emoji: &'static str,
}

/// One event for people to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Story {
    /// None for a type of event that nobody knows yet.
    pub icon: Option<Icon>,
    /// What it means.
    pub tone: Tone,
    /// One or two lines.
    pub text: String,
}

/// One name in a text, in characters before escaping.
const NAME_CHARS_MAX: usize = 150;

const GREEN: Icon = Icon { name: "large_green_circle", emoji: "🟢" };
const WHITE: Icon = Icon { name: "white_circle", emoji: "⚪" };
const RED: Icon = Icon { name: "red_circle", emoji: "🔴" };
const WAVE: Icon = Icon { name: "wave", emoji: "👋" };
const DOOR: Icon = Icon { name: "door", emoji: "🚪" };
const WARNING: Icon = Icon { name: "warning", emoji: "⚠️" };
const SATELLITE: Icon = Icon { name: "satellite", emoji: "🛰️" };
const INBOX: Icon = Icon { name: "inbox_tray", emoji: "📥" };
const ROBOT: Icon = Icon { name: "robot_face", emoji: "🤖" };
const CHECK: Icon = Icon { name: "white_check_mark", emoji: "✅" };
const CROSS: Icon = Icon { name: "x", emoji: "❌" };

/// What `event` reads like.
pub fn of(event: &Event, style: &impl Style) -> Story {
    let say = Say { event, style };
    let room = say.room();
    let told = |icon, tone, text| Story { icon: Some(icon), tone, text };
    match event.kind().as_str() {
        "room_started" => told(GREEN, Tone::Began, format!("Room {room} started")),
        "room_finished" => {
            let took = say.took("/room/creationTime");
            told(WHITE, Tone::Over, format!("Room {room} finished{took}"))
        }
        "participant_joined" => {
            let text = format!("{} joined {room}{}", say.who(), say.kind());
            told(WAVE, Tone::Began, text)
        }
        "participant_left" => {
            let (took, why) = (say.took("/participant/joinedAt"), say.reason());
            told(DOOR, Tone::Over, format!("{} left {room}{took}{why}", say.who()))
        }
        "participant_connection_aborted" => {
            let text = format!("{} could not connect to {room}{}", say.who(), say.reason());
            told(WARNING, Tone::Trouble, text)
        }
        "track_published" => {
            let text = format!("{} published {} in {room}", say.who(), say.track());
            told(SATELLITE, Tone::Note, text)
        }
        "track_unpublished" => {
            let text = format!("{} stopped {} in {room}", say.who(), say.track());
            told(SATELLITE, Tone::Note, text)
        }
        "egress_started" => told(RED, Tone::Began, format!("Egress of {room} started")),
        "egress_updated" => {
            told(RED, Tone::Note, format!("Egress of {room} is {}", say.egress_status()))
        }
        "egress_ended" => say.egress_ended(),
        "ingress_started" => {
            told(INBOX, Tone::Began, format!("{} streams into {room}", say.ingress()))
        }
        "ingress_ended" => {
            let why = say.problem("/ingressInfo/state/error");
            let tone = if why.is_empty() { Tone::Over } else { Tone::Trouble };
            told(INBOX, tone, format!("{} stopped streaming into {room}{why}", say.ingress()))
        }
        "agent_job_started" => {
            told(ROBOT, Tone::Began, format!("{} began its work in {room}", say.agent()))
        }
        "agent_job_ended" => say.agent_ended(),
        other => {
            let text = format!("{} in {room}", style.name(&other.replace('_', " ")));
            Story { icon: None, tone: Tone::Note, text }
        }
    }
}

/// `raw` cut to 150 characters and on one line, without characters that turn the direction of the
/// text around them. What is special to a service is for its own escapes.
pub fn plain(raw: &str) -> impl Iterator<Item = char> + '_ {
    let is_longer = raw.chars().nth(NAME_CHARS_MAX).is_some();
    let cut = raw.chars().take(NAME_CHARS_MAX).map(|c| match c {
        c if c.is_control() => ' ',
        '\u{2028}' | '\u{2029}' => ' ',
        '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' => ' ',
        c => c,
    });
    cut.chain(is_longer.then_some('…'))
}

/// The parts of sentences.
struct Say<'a, S> {
    event: &'a Event,
    style: &'a S,
}

// === impl Say ===

impl<S: Style> Say<'_, S> {
    fn named(&self, raw: Option<String>, nobody: &str) -> String {
        self.style.strong(&self.style.name(raw.as_deref().unwrap_or(nobody)))
    }

    fn room(&self) -> String {
        self.named(self.event.room_name(), "a room")
    }

    fn who(&self) -> String {
        let shown = self.text("/participant/name").or_else(|| self.event.participant_identity());
        self.named(shown, "somebody")
    }

    fn ingress(&self) -> String {
        let shown = self.text("/ingressInfo/participantName");
        self.named(shown.or_else(|| self.text("/ingressInfo/participantIdentity")), "an ingress")
    }

    fn agent(&self) -> String {
        self.named(self.text("/job/agentName"), "an agent")
    }

    fn kind(&self) -> &'static str {
        match self.text("/participant/kind").as_deref() {
            Some("SIP") => " by telephone",
            Some("AGENT") => " as an agent",
            Some("INGRESS") => " as a stream",
            Some("EGRESS") => " to record",
            _ => "",
        }
    }

    fn track(&self) -> String {
        // The type of an audio track is a zero value, which LiveKit leaves out.
        let kind = words(self.text("/track/type").as_deref().unwrap_or("AUDIO"), "");
        let source = self.text("/track/source").filter(|source| source != "UNKNOWN");
        match source {
            Some(source) => self.style.name(&format!("{kind} ({})", words(&source, ""))),
            None => self.style.name(&kind),
        }
    }

    fn egress_status(&self) -> String {
        let status = self.text("/egressInfo/status");
        self.style.name(&words(status.as_deref().unwrap_or("EGRESS_STARTING"), "EGRESS_"))
    }

    fn egress_ended(&self) -> Story {
        let (icon, tone) = match self.text("/egressInfo/status").as_deref() {
            Some("EGRESS_COMPLETE") => (CHECK, Tone::Over),
            _ => (CROSS, Tone::Trouble),
        };
        let (status, why) = (self.egress_status(), self.problem("/egressInfo/error"));
        let mut text = format!("Egress of {}: {status}{why}", self.room());
        if let Some(place) = self.text("/egressInfo/fileResults/0/location") {
            text.push_str(&format!("\n{}", self.style.name(&place)));
        }
        Story { icon: Some(icon), tone, text }
    }

    fn agent_ended(&self) -> Story {
        let status = self.text("/job/state/status").unwrap_or_default();
        let tone = if status == "JS_FAILED" { Tone::Trouble } else { Tone::Over };
        let (why, status) = (self.problem("/job/state/error"), words(&status, "JS_"));
        let status = self.dash(&status);
        let text = format!("{} ended its work in {}{status}{why}", self.agent(), self.room());
        Story { icon: Some(ROBOT), tone, text }
    }

    fn problem(&self, pointer: &str) -> String {
        self.text(pointer).map_or(String::new(), |text| format!(": {}", self.style.name(&text)))
    }

    fn reason(&self) -> String {
        let reason = self.text("/participant/disconnectReason");
        let reason = reason.filter(|reason| reason != "UNKNOWN_REASON");
        reason.map_or(String::new(), |reason| self.dash(&words(&reason, "")))
    }

    fn dash(&self, text: &str) -> String {
        if text.is_empty() { String::new() } else { format!(" – {}", self.style.name(text)) }
    }

    fn text(&self, pointer: &str) -> Option<String> {
        let text = self.event.field(pointer)?.as_str()?;
        (!text.is_empty()).then(|| text.to_owned())
    }

    fn took(&self, from: &str) -> String {
        let between = || {
            let from = self.seconds(from).filter(|&from| from > 0)?;
            self.seconds("/createdAt")?.checked_sub(from).filter(|&seconds| seconds >= 0)
        };
        match between() {
            None => String::new(),
            Some(s) if s < 60 => format!(" after {s} s"),
            Some(s) if s < 3600 => format!(" after {} min {} s", s / 60, s % 60),
            Some(s) => format!(" after {} h {} min", s / 3600, s % 3600 / 60),
        }
    }

    /// Unix seconds, which protobuf's JSON writes as text.
    fn seconds(&self, pointer: &str) -> Option<i64> {
        let value: &Value = self.event.field(pointer)?;
        value.as_i64().or_else(|| value.as_str()?.parse().ok())
    }
}

/// `EGRESS_LIMIT_REACHED` as `limit reached`.
fn words(constant: &str, prefix: &str) -> String {
    constant.strip_prefix(prefix).unwrap_or(constant).replace('_', " ").to_lowercase()
}

#[cfg(test)]
mod tests;
