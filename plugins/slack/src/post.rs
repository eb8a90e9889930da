//! The body of a post, within Slack's limits and with its escapes.
//!
//! Slack, "Block Kit: section" (text of 3,000 characters), "context" (elements of text),
//! "Formatting text for app surfaces" (`&`, `<` and `>` are escaped, all other characters are
//! themselves).

use livekit_webhook_plugin::Event;
use serde_json::{Value, json};

/// Text of a section, in characters.
const SECTION_CHARS_MAX: usize = 3000;
/// Text that notifications show, in characters. Slack cuts at 40,000; a phone shows far less.
const SUMMARY_CHARS_MAX: usize = 300;
/// One name within a text, in characters before escaping.
const NAME_CHARS_MAX: usize = 150;

/// A post with one section and one line of context.
pub fn body(event: &Event, text: &str, channel: Option<&str>) -> Value {
    let mut context = name(&event.kind()).replace('＿', "_");
    if let Some(room) = event.room_name() {
        context.push_str(&format!(" · {}", name(&room)));
    }
    context.push_str(&format!(" · {}", name(&event.id())));
    let mut body = json!({
        "text": cut(text, SUMMARY_CHARS_MAX),
        "blocks": [
            { "type": "section", "text": mrkdwn(text) },
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
    json!({ "type": "mrkdwn", "text": cut(text, SECTION_CHARS_MAX), "verbatim": true })
}

/// Something a user named, for use within text: short, on one line, without Slack's markup.
pub fn name(raw: &str) -> String {
    let mut out = String::new();
    for (n, c) in raw.chars().enumerate() {
        if n == NAME_CHARS_MAX {
            out.push('…');
            break;
        }
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
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
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
