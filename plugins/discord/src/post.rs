//! The body of a post, within Discord's limits and with its escapes.
//!
//! Discord, "Webhook Resource: Execute Webhook", "Message Resource: Embed Limits", "Allowed
//! Mentions Object". Discord does not say what it counts as a character, so UTF-16 units are
//! counted here: there are never fewer of them than characters.

use livekit_webhook_plugin::Event;
use livekit_webhook_plugin::story::{self, Story, Style};
use livekit_webhook_plugin::time;
use serde::Deserialize;
use serde_json::{Value, json};

/// The text of an embed.
const DESCRIPTION_UNITS_MAX: usize = 4096;
/// The value of a field.
const VALUE_UNITS_MAX: usize = 1024;
/// The line below.
const FOOTER_UNITS_MAX: usize = 2048;

pub const GREEN: Color = Color(0x57_F2_87);
pub const GREY: Color = Color(0x95_A5_A6);
pub const BLUE: Color = Color(0x34_98_DB);
pub const RED: Color = Color(0xED_42_45);

/// A colour, `#rrggbb` in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Color(u32);

/// Discord's markup.
pub struct Markdown;

/// A post with one embed.
pub fn body(event: &Event, story: &Story, color: Color) -> Value {
    let text = match story.icon {
        Some(icon) => format!("{} {}", icon.emoji, story.text),
        None => story.text.clone(),
    };
    let mut fields = Vec::new();
    let mut field = |name: &str, raw: Option<String>| {
        let value = raw.map(|raw| cut(&Markdown.name(&raw), VALUE_UNITS_MAX));
        if let Some(value) = value.filter(|value| !value.trim().is_empty()) {
            fields.push(json!({ "name": name, "value": value, "inline": true }));
        }
    };
    field("Room", event.room_name());
    field("Participant", event.participant_identity());
    // The line below knows no markup, so it needs no escapes.
    let plain = |raw: String| story::plain(&raw).collect::<String>();
    let footer = format!("{} · {}", plain(event.kind()), plain(event.id()));
    json!({
        "embeds": [{
            "description": cut(&text, DESCRIPTION_UNITS_MAX),
            "color": color.0,
            "timestamp": time::rfc3339_ms(event.created_at_ms()),
            "fields": fields,
            "footer": { "text": cut(&footer, FOOTER_UNITS_MAX) },
        }],
        // Whatever a name looks like, nobody is notified.
        "allowed_mentions": { "parse": [] },
    })
}

/// At most `units_max` UTF-16 units, without half of an escape at the end.
pub fn cut(text: &str, units_max: usize) -> String {
    if text.encode_utf16().count() <= units_max {
        return text.to_owned();
    }
    let (mut out, mut units) = (String::new(), 1);
    for c in text.chars() {
        units += c.len_utf16();
        if units > units_max {
            break;
        }
        out.push(c);
    }
    let backslashes = out.chars().rev().take_while(|&c| c == '\\').count();
    if backslashes % 2 == 1 {
        out.pop();
    }
    out.push('…');
    out
}

// === impl Color ===

impl TryFrom<String> for Color {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let digits = text.strip_prefix('#').filter(|digits| digits.len() == 6);
        let digits = digits.filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
        let number = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        number.map(Self).ok_or_else(|| format!("{text:?} is not a colour; write \"#57f287\""))
    }
}

// === impl Markdown ===

impl Style for Markdown {
    fn name(&self, raw: &str) -> String {
        let mut out = String::new();
        for c in story::plain(raw) {
            // Emphasis, spoilers, code, quotes, headings, lists, links, mentions, emoji, and the
            // colon of a URL that would become a link by itself.
            if "\\*_~`|>#[]()<@:-".contains(c) {
                out.push('\\');
            }
            out.push(c);
        }
        out
    }

    fn strong(&self, escaped: &str) -> String {
        format!("**{escaped}**")
    }
}
