//! The body of a post, within Slack's limits and with its escapes.
//!
//! Slack, "Block Kit: section" (text of 1 to 3,000 characters), "context" (1 to 10 elements, each
//! a text as long), "Blocks" (50 in a post), "Formatting text for app surfaces" (`&`, `<` and `>`
//! are escaped, all other characters are themselves).

use livekit_webhook_plugin::Event;
use livekit_webhook_plugin::story::{self, Story, Style};
use serde_json::{Value, json};

/// A text of a block, in characters.
const TEXT_CHARS_MAX: usize = 3000;
/// Text that notifications show, in characters. Slack cuts at 40,000; a phone shows far less.
const SUMMARY_CHARS_MAX: usize = 300;

/// Slack's markup.
pub struct Mrkdwn;

/// A post with one section and one line of context.
pub fn body(event: &Event, story: &Story, channel: Option<&str>) -> Value {
    let text = match story.icon {
        Some(icon) => format!(":{}: {}", icon.name, story.text),
        None => story.text.clone(),
    };
    // Types and ids are words: underscores within them format nothing.
    let word = |raw: String| Mrkdwn.name(&raw).replace('＿', "_");
    let mut context = word(event.kind());
    if let Some(room) = event.room_name() {
        context.push_str(&format!(" · {}", Mrkdwn.name(&room)));
    }
    context.push_str(&format!(" · {}", word(event.id())));
    let mut body = json!({
        "text": cut(&text, SUMMARY_CHARS_MAX),
        "blocks": [
            { "type": "section", "text": mrkdwn(&text) },
            { "type": "context", "elements": [mrkdwn(&context)] },
        ],
        "unfurl_links": false,
    });
    if let Some(channel) = channel {
        body["channel"] = channel.into();
    }
    body
}

fn mrkdwn(text: &str) -> Value {
    // `verbatim` keeps Slack from making links and mentions of what looks like one.
    json!({ "type": "mrkdwn", "text": cut(text, TEXT_CHARS_MAX), "verbatim": true })
}

/// At most `chars_max` characters, without half of an escape at the end.
pub fn cut(text: &str, chars_max: usize) -> String {
    if text.chars().count() <= chars_max {
        return text.to_owned();
    }
    let mut out: String = text.chars().take(chars_max.saturating_sub(1)).collect();
    if let Some(start) = out.rfind('&')
        && !out[start..].contains(';')
    {
        out.truncate(start);
    }
    out.push('…');
    out
}

// === impl Mrkdwn ===

impl Style for Mrkdwn {
    fn name(&self, raw: &str) -> String {
        let mut out = String::new();
        for c in story::plain(raw) {
            match c {
                '&' => out.push_str("&amp;"),
                '<' => out.push_str("&lt;"),
                '>' => out.push_str("&gt;"),
                // These would end or begin bold, code, … in the text around the name. There is no
                // escape for them, so they become characters that look alike.
                '*' => out.push('∗'),
                '_' => out.push('＿'),
                '~' => out.push('∼'),
                '`' => out.push('ˋ'),
                c => out.push(c),
            }
        }
        out
    }

    fn strong(&self, escaped: &str) -> String {
        format!("*{escaped}*")
    }
}
