//! `[[endpoint]]` as it could be typed.

use super::traffic::traffic;
use super::{list, quoted};
use crate::config::duration::print_ms;
use crate::config::instant;
use livekit_webhook_core::attempt::ClientErrors;
use livekit_webhook_core::endpoint::auth::{ClientAuth, ClientCredentials};
use livekit_webhook_core::endpoint::{Auth, Endpoint, ExtraHeader};
use livekit_webhook_core::signature::{Signing, StandardSecret};
use livekit_webhook_wire::glob::Glob;
use std::fmt::Write;

/// In place of every secret.
const REDACTED: &str = "secret = \"[redacted]\"";

/// One `[[endpoint]]`.
pub fn endpoint(out: &mut String, endpoint: &Endpoint) -> std::fmt::Result {
    writeln!(out, "\n[[endpoint]]\nname = \"{}\"", endpoint.name)?;
    writeln!(out, "url = \"{}\"", endpoint.url)?;
    let ways: Vec<&str> = endpoint.signing().iter().map(Signing::as_str).collect();
    writeln!(out, "signing = {}", list(&ways))?;
    for way in endpoint.signing() {
        match way {
            Signing::Standard(secrets) => {
                let secrets = secrets.as_slice();
                let tables: Vec<String> = secrets.iter().map(secret).collect();
                writeln!(out, "secrets = [{}]", tables.join(", "))?;
                for key in secrets.iter().filter_map(StandardSecret::public_key) {
                    writeln!(out, "# for its receivers: {key}")?;
                }
            }
            Signing::Livekit { api_key, .. } => {
                let api_key = quoted(api_key);
                writeln!(out, "livekit = {{ api_key = {api_key}, secret = \"[redacted]\" }}")?;
            }
            Signing::Hmac { header, .. } => {
                let header = quoted(header);
                writeln!(out, "hmac = {{ header = {header}, secret = \"[redacted]\" }}")?;
            }
            _ => {}
        }
    }
    request(out, endpoint)?;
    let steps = endpoint.policy.schedule.steps_ms();
    let steps: Vec<String> = steps.iter().map(|millis| print_ms(*millis)).collect();
    writeln!(out, "retry = {}", list(&steps))?;
    if let Some(max_age_ms) = endpoint.policy.schedule.max_age_ms() {
        writeln!(out, "max_age = \"{}\"", print_ms(max_age_ms))?;
    }
    let client_errors = match endpoint.policy.client_errors {
        ClientErrors::Retry => "retry",
        ClientErrors::Final => "final",
    };
    writeln!(out, "client_errors = \"{client_errors}\"")?;
    writeln!(out, "attempt_timeout_ms = {}", endpoint.attempt_timeout_ms())?;
    writeln!(out, "in_flight_max = {}", endpoint.in_flight_max())?;
    traffic(out, &endpoint.traffic)
}

/// A secret with its times.
fn secret(secret: &StandardSecret) -> String {
    let time = |key: &str, at| format!(", {key} = \"{}\"", instant::print(at));
    let begins = secret.begins().map(|at| time("begins", at)).unwrap_or_default();
    let expires = secret.expires().map(|at| time("expires", at)).unwrap_or_default();
    format!("{{ {REDACTED}{begins}{expires} }}")
}

/// What is added to every request, and who is believed.
fn request(out: &mut String, endpoint: &Endpoint) -> std::fmt::Result {
    if !endpoint.headers().is_empty() {
        let headers: Vec<String> = endpoint.headers().iter().map(header).collect();
        writeln!(out, "headers = {{ {} }}", headers.join(", "))?;
    }
    if !endpoint.attribute_headers().is_empty() {
        let patterns = endpoint.attribute_headers().patterns();
        let patterns: Vec<&str> = patterns.iter().map(Glob::as_str).collect();
        writeln!(out, "attribute_headers = {}", list(&patterns))?;
    }
    if let Some(content_type) = endpoint.content_type() {
        writeln!(out, "content_type = {}", quoted(content_type))?;
    }
    match endpoint.auth() {
        Some(Auth::Basic { user, .. }) => {
            writeln!(out, "auth = {{ basic = {{ user = {}, {REDACTED} }} }}", quoted(user))?;
        }
        Some(Auth::Bearer(_)) => writeln!(out, "auth = {{ bearer = {{ {REDACTED} }} }}")?,
        Some(Auth::OAuth2(credentials)) => {
            writeln!(out, "auth = {{ oauth2 = {{ {} }} }}", oauth2(credentials))?;
        }
        _ => {}
    }
    let tls = endpoint.tls();
    if let Some(ca) = &tls.ca {
        writeln!(out, "ca_file = {}", quoted(&ca.file))?;
    }
    if let Some(client) = &tls.client {
        writeln!(out, "client_certificate_file = {}", quoted(&client.certificate.file))?;
        writeln!(out, "client_key_file = {}", quoted(&client.key.file))?;
    }
    Ok(())
}

fn header(header: &ExtraHeader) -> String {
    let name = quoted(header.name());
    match header.is_secret() {
        true => format!("{name} = {{ {REDACTED} }}"),
        false => format!("{name} = {}", quoted(header.value())),
    }
}

fn oauth2(credentials: &ClientCredentials) -> String {
    let url = quoted(&credentials.token_url().to_string());
    let id = quoted(credentials.client_id());
    let scope = credentials.scope().map(|scope| format!(", scope = {}", quoted(scope)));
    let how = match credentials.client_auth() {
        ClientAuth::Basic => "basic",
        ClientAuth::Body => "body",
    };
    let scope = scope.unwrap_or_default();
    format!("token_url = {url}, client_id = {id}, {REDACTED}{scope}, client_auth = \"{how}\"")
}
