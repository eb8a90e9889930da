//! `signing` of an endpoint, and the secrets of each way.

use super::Context;
use crate::config::instant;
use crate::config::reader::Section;
use crate::config::secret;
use livekit_webhook_core::signature::{Secret, Signing, StandardSecret};

/// Header of `signing = ["hmac"]` unless named.
const HMAC_HEADER: &str = "x-webhook-signature";

/// Which way of signing a key is for.
const BELONGS_TO: [(&str, &str); 6] = [
    ("secret_file", "standard"),
    ("secret_env", "standard"),
    ("secret", "standard"),
    ("secrets", "standard"),
    ("livekit", "livekit"),
    ("hmac", "hmac"),
];

/// `signing` names the ways; each way's secret stands beside it. Standard is the default: an
/// unsigned delivery has to be asked for with `signing = []`.
pub fn signing(section: &mut Section, context: &Context<'_>) -> Option<Vec<Signing>> {
    let ways = section.strings("signing").unwrap_or_else(|| vec!["standard".to_owned()]);
    let mut signing = Vec::with_capacity(ways.len());
    for (index, way) in ways.iter().enumerate() {
        if ways.iter().take(index).any(|earlier| earlier == way) {
            section.problem(&format!("signing[{index}]"), format_args!("{way:?} stands twice"));
            return None;
        }
        let made = match way.as_str() {
            "standard" => standard(section, context),
            "livekit" => livekit(section, context),
            "hmac" => hmac(section, context),
            other => {
                let text = format!("{other:?}: expected \"standard\", \"livekit\" or \"hmac\"");
                section.problem(&format!("signing[{index}]"), text);
                None
            }
        };
        signing.push(made);
    }
    for (key, way) in BELONGS_TO {
        if ways.iter().all(|named| named != way) && section.value(key).is_some() {
            section.problem(key, format_args!("is not used: signing does not name {way:?}"));
        }
    }
    signing.into_iter().collect()
}

/// `secret_file` and its like on the endpoint, or `secrets = [{…}, {…}]` while one replaces
/// another.
fn standard(section: &mut Section, context: &Context<'_>) -> Option<Signing> {
    let mut rotating = section.sections("secrets");
    let is_given = |key: &&str| section.has(key);
    let is_stored = ["secrets", "secret_file", "secret_env", "secret"].iter().all(|k| !is_given(k));
    if rotating.is_empty() && is_stored && context.has_sealing_keys {
        return Some(Signing::Stored);
    }
    if !rotating.is_empty() {
        for key in ["secret_file", "secret_env", "secret"] {
            if section.value(key).is_some() {
                section.problem(key, "give either it or secrets, which holds all of them");
            }
        }
    }
    let found: Vec<Option<StandardSecret>> = if rotating.is_empty() {
        vec![standard_secret(section, context)]
    } else {
        let found = rotating.iter_mut().map(|section| rotating_secret(section, context)).collect();
        rotating.into_iter().for_each(Section::finish);
        found
    };
    let secrets: Option<Vec<StandardSecret>> = found.into_iter().collect();
    Signing::standard(secrets?).map_err(|error| section.problem("secrets", error)).ok()
}

/// A secret with the times between which it signs.
fn rotating_secret(section: &mut Section, context: &Context<'_>) -> Option<StandardSecret> {
    let secret = standard_secret(section, context);
    let begins = instant::take(section, "begins");
    let expires = instant::take(section, "expires");
    let within = secret?.within(begins.ok()?, expires.ok()?);
    within.map_err(|error| section.problem("expires", error)).ok()
}

fn standard_secret(section: &mut Section, context: &Context<'_>) -> Option<StandardSecret> {
    let secret = secret::take(section, context.folder, context.environment)?;
    let text = std::str::from_utf8(secret.reveal()).unwrap_or_default();
    StandardSecret::parse(text).map_err(|error| section.problem("secret", error)).ok()
}

fn livekit(section: &mut Section, context: &Context<'_>) -> Option<Signing> {
    let mut table = section.section("livekit");
    let api_key = table.required_string("api_key", "APIreceiver");
    let secret = plain_secret(&mut table, context);
    let made = (|| Some(Signing::livekit(&api_key?, secret?)))();
    let made = made.and_then(|made| made.map_err(|error| table.problem("api_key", error)).ok());
    table.finish();
    made
}

fn hmac(section: &mut Section, context: &Context<'_>) -> Option<Signing> {
    let mut table = section.section("hmac");
    let header = table.string("header").unwrap_or_else(|| HMAC_HEADER.to_owned());
    let secret = plain_secret(&mut table, context);
    let made = secret.and_then(|secret| {
        Signing::hmac(&header, secret).map_err(|error| table.problem("header", error)).ok()
    });
    table.finish();
    made
}

/// A secret of any bytes.
pub fn plain_secret(section: &mut Section, context: &Context<'_>) -> Option<Secret> {
    let secret = secret::take(section, context.folder, context.environment)?;
    Secret::new(secret.reveal().to_vec()).map_err(|error| section.problem("secret", error)).ok()
}
