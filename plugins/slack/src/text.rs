//! What each type of event reads like.

use crate::post::name;
use livekit_webhook_plugin::Event;
use serde_json::Value;

/// One or two lines of Slack's mrkdwn.
pub fn of(event: &Event) -> String {
    let room = format!("*{}*", event.room_name().map_or("a room".to_owned(), |room| name(&room)));
    let who = format!("*{}*", participant(event));
    match event.kind().as_str() {
        "room_started" => format!(":large_green_circle: Room {room} started"),
        "room_finished" => {
            let took = seconds_between(event, "/room/creationTime", "/createdAt");
            format!(":white_circle: Room {room} finished{}", after(took))
        }
        "participant_joined" => format!(":wave: {who} joined {room}{}", kind_of(event)),
        "participant_left" => {
            let took = seconds_between(event, "/participant/joinedAt", "/createdAt");
            let why = reason(event, "/participant/disconnectReason");
            format!(":door: {who} left {room}{}{why}", after(took))
        }
        "participant_connection_aborted" => {
            let why = reason(event, "/participant/disconnectReason");
            format!(":warning: {who} could not connect to {room}{why}")
        }
        "track_published" => format!(":satellite: {who} published {} in {room}", track(event)),
        "track_unpublished" => format!(":satellite: {who} stopped {} in {room}", track(event)),
        "egress_started" => format!(":red_circle: Egress of {room} started"),
        "egress_updated" => format!(":red_circle: Egress of {room} is {}", egress_status(event)),
        "egress_ended" => egress_ended(event, &room),
        "ingress_started" => format!(":inbox_tray: {} streams into {room}", ingress(event)),
        "ingress_ended" => {
            let why = problem(event, "/ingressInfo/state/error");
            format!(":inbox_tray: {} stopped streaming into {room}{why}", ingress(event))
        }
        "agent_job_started" => format!(":robot_face: {} began its work in {room}", agent(event)),
        "agent_job_ended" => {
            let status = event.field("/job/state/status").and_then(Value::as_str);
            let status = words(status.unwrap_or_default(), "JS_");
            let why = problem(event, "/job/state/error");
            format!(":robot_face: {} ended its work in {room}{}{why}", agent(event), dash(&status))
        }
        other => format!("{} in {room}", name(&other.replace('_', " "))),
    }
}

fn participant(event: &Event) -> String {
    let shown = text_at(event, "/participant/name").or_else(|| event.participant_identity());
    shown.map_or("somebody".to_owned(), |shown| name(&shown))
}

fn kind_of(event: &Event) -> String {
    match event.field("/participant/kind").and_then(Value::as_str) {
        Some("SIP") => " by telephone".to_owned(),
        Some("AGENT") => " as an agent".to_owned(),
        Some("INGRESS") => " as a stream".to_owned(),
        Some("EGRESS") => " to record".to_owned(),
        _ => String::new(),
    }
}

fn track(event: &Event) -> String {
    // The type of an audio track is a zero value, which LiveKit leaves out.
    let kind = words(&text_at(event, "/track/type").unwrap_or("AUDIO".to_owned()), "");
    match text_at(event, "/track/source") {
        Some(source) => format!("{kind} ({})", name(&words(&source, ""))),
        None => name(&kind),
    }
}

fn egress_status(event: &Event) -> String {
    let status = text_at(event, "/egressInfo/status").unwrap_or("EGRESS_STARTING".to_owned());
    name(&words(&status, "EGRESS_"))
}

fn egress_ended(event: &Event, room: &str) -> String {
    let icon = match event.field("/egressInfo/status").and_then(Value::as_str) {
        Some("EGRESS_COMPLETE") => ":white_check_mark:",
        _ => ":x:",
    };
    let why = problem(event, "/egressInfo/error");
    let mut text = format!("{icon} Egress of {room}: {}{why}", egress_status(event));
    if let Some(place) = text_at(event, "/egressInfo/fileResults/0/location") {
        text.push_str(&format!("\n{}", name(&place)));
    }
    text
}

fn ingress(event: &Event) -> String {
    let shown = text_at(event, "/ingressInfo/participantName")
        .or_else(|| text_at(event, "/ingressInfo/participantIdentity"));
    format!("*{}*", shown.map_or("an ingress".to_owned(), |shown| name(&shown)))
}

fn agent(event: &Event) -> String {
    let shown = text_at(event, "/job/agentName");
    format!("*{}*", shown.map_or("an agent".to_owned(), |shown| name(&shown)))
}

fn problem(event: &Event, pointer: &str) -> String {
    text_at(event, pointer).map_or(String::new(), |text| format!(": {}", name(&text)))
}

fn reason(event: &Event, pointer: &str) -> String {
    text_at(event, pointer).map_or(String::new(), |reason| dash(&name(&words(&reason, ""))))
}

fn dash(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(" – {text}") }
}

fn text_at(event: &Event, pointer: &str) -> Option<String> {
    event.field(pointer)?.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

/// `EGRESS_LIMIT_REACHED` as `limit reached`.
fn words(constant: &str, prefix: &str) -> String {
    constant.strip_prefix(prefix).unwrap_or(constant).replace('_', " ").to_lowercase()
}

/// Unix seconds, which protobuf's JSON writes as text.
fn seconds_at(event: &Event, pointer: &str) -> Option<i64> {
    let value = event.field(pointer)?;
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

fn seconds_between(event: &Event, from: &str, to: &str) -> Option<i64> {
    let from = seconds_at(event, from).filter(|&from| from > 0)?;
    seconds_at(event, to)?.checked_sub(from).filter(|&seconds| seconds >= 0)
}

fn after(seconds: Option<i64>) -> String {
    match seconds {
        None => String::new(),
        Some(s) if s < 60 => format!(" after {s} s"),
        Some(s) if s < 3600 => format!(" after {} min {} s", s / 60, s % 60),
        Some(s) => format!(" after {} h {} min", s / 3600, s % 3600 / 60),
    }
}
