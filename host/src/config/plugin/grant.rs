//! `grant`: what a plugin may reach, as far as its manifest asks for it.

use crate::config::reader::Section;
use crate::config::secret::Bytes;
use crate::plugin::permission::{
    Clock, HttpRule, LiveKitFunction, Permissions, Random, Scheme, StateAccess,
};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Most rules of one plugin.
const RULES_MAX: usize = 64;
/// Longest host name, in bytes (RFC 1035).
const HOST_BYTES_MAX: usize = 253;

/// Reads `grant`; nothing is granted when it is not there. Rules name secrets of `secrets`; `None`
/// when those could not be read, and are not compared then.
pub fn grant(
    section: &mut Section,
    secrets: Option<&BTreeMap<String, Bytes>>,
) -> Option<Permissions> {
    let mut grant = section.section("grant");
    let rules = http(&mut grant, secrets);
    let state = one_of(
        &mut grant,
        "state",
        [("none", StateAccess::None), ("ro", StateAccess::Read), ("rw", StateAccess::Write)],
    );
    let livekit = livekit(&mut grant);
    let clock = one_of(&mut grant, "clock", [("event", Clock::Event), ("real", Clock::Real)]);
    let random =
        one_of(&mut grant, "random", [("seeded", Random::Seeded), ("system", Random::System)]);
    grant.finish();
    Some(Permissions {
        http: rules?,
        state: state?,
        livekit: livekit?,
        clock: clock?,
        random: random?,
    })
}

fn http(grant: &mut Section, secrets: Option<&BTreeMap<String, Bytes>>) -> Option<Vec<HttpRule>> {
    let mut sections = grant.sections("http");
    if sections.len() > RULES_MAX {
        grant.problem("http", format_args!("at most {RULES_MAX} are allowed"));
        sections.truncate(RULES_MAX);
    }
    sections.into_iter().map(|section| rule(section, secrets)).collect()
}

fn rule(mut section: Section, secrets: Option<&BTreeMap<String, Bytes>>) -> Option<HttpRule> {
    let scheme = one_of(&mut section, "scheme", [("https", Scheme::Https), ("http", Scheme::Http)]);
    let host = section.required_string("host", "api.example.com").and_then(|text| {
        let host = host(&text);
        if host.is_none() {
            section.problem(
                "host",
                "expected a name, one whose first label is `*`, or an address, such as api.example.com, *.example.com or 10.0.0.1",
            );
        }
        host
    });
    // Zero stands for none: it is out of the range of what can be given.
    let port = section.integer("port", 0, 1..=65_535);
    let port = u16::try_from(port).ok().filter(|port| *port > 0);
    let methods = section.strings("methods").unwrap_or_default();
    for (index, method) in methods.iter().enumerate() {
        if method.is_empty() || !method.bytes().all(|byte| byte.is_ascii_uppercase()) {
            section.problem(&format!("methods[{index}]"), "expected a method, such as \"POST\"");
        }
    }
    let path_prefix = section.string("path_prefix");
    if path_prefix.as_ref().is_some_and(|path| !path.starts_with('/') || path.contains(['?', '#']))
    {
        section.problem("path_prefix", "expected a path that begins with a slash, such as \"/v1\"");
    }
    let names = section.strings("secrets").unwrap_or_default();
    for (index, name) in names.iter().enumerate() {
        if secrets.is_some_and(|secrets| !secrets.contains_key(name)) {
            let text = format!("{name:?} is no secret of this plugin: add a [[plugin.secret]]");
            section.problem(&format!("secrets[{index}]"), text);
        }
    }
    section.finish();
    Some(HttpRule { scheme: scheme?, host: host?, port, methods, path_prefix, secrets: names })
}

/// In lower case and without a trailing dot, or `None` when it is no host.
fn host(text: &str) -> Option<String> {
    let host = text.trim_end_matches('.').to_ascii_lowercase();
    if host.parse::<IpAddr>().is_ok() {
        return Some(host);
    }
    let labels = host.strip_prefix("*.").unwrap_or(&host);
    let is_wild = labels.len() < host.len();
    let is_label = |label: &str| {
        !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
    };
    let is_name = host.len() <= HOST_BYTES_MAX && labels.split('.').all(is_label);
    // `*.com` would be most of the world.
    (is_name && (!is_wild || labels.contains('.'))).then_some(host)
}

fn livekit(grant: &mut Section) -> Option<Vec<LiveKitFunction>> {
    const ALL: [LiveKitFunction; 4] = [
        LiveKitFunction::GetRoom,
        LiveKitFunction::ListParticipants,
        LiveKitFunction::GetParticipant,
        LiveKitFunction::ListEgress,
    ];
    let names = grant.strings("livekit").unwrap_or_default();
    let mut found = Vec::with_capacity(names.len());
    for (index, name) in names.iter().enumerate() {
        let function = ALL.into_iter().find(|function| function.as_str() == name);
        if function.is_none() {
            let known = ALL.map(LiveKitFunction::as_str).join(", ");
            grant.problem(&format!("livekit[{index}]"), format_args!("expected one of {known}"));
        }
        found.push(function);
    }
    found.into_iter().collect()
}

/// The value of a word, the first of `words` when there is none.
fn one_of<T: Copy, const N: usize>(
    section: &mut Section,
    key: &'static str,
    words: [(&str, T); N],
) -> Option<T> {
    let Some(given) = section.value(key) else {
        return words.first().map(|(_, value)| *value);
    };
    let found = words.iter().find(|(word, _)| given.as_str() == Some(word));
    if found.is_none() {
        let known = words.map(|(word, _)| format!("{word:?}")).join(" or ");
        section.problem(key, format_args!("expected {known}"));
    }
    found.map(|(_, value)| *value)
}
