//! `auth` of an endpoint: `{ basic = {…} }`, `{ bearer = {…} }` or `{ oauth2 = {…} }`.

use super::signing::plain_secret;
use super::{Context, url};
use crate::config::reader::Section;
use livekit_webhook_core::endpoint::Auth;
use livekit_webhook_core::endpoint::auth::{ClientAuth, ClientCredentials, Error};

/// Reads it; the outer `None` when a problem was noted.
pub fn auth(section: &mut Section, context: &Context<'_>) -> Option<Option<Auth>> {
    if !section.has("auth") {
        // Known all the same, for those who mistype it.
        section.value("auth");
        return Some(None);
    }
    let mut table = section.section("auth");
    let ways = ["basic", "bearer", "oauth2"];
    let given: Vec<&str> = ways.into_iter().filter(|way| table.has(way)).collect();
    let found = match given.as_slice() {
        ["basic"] => whole(table.section("basic"), context, basic),
        ["bearer"] => whole(table.section("bearer"), context, bearer),
        ["oauth2"] => whole(table.section("oauth2"), context, oauth2),
        _ => {
            let text = "give one of basic, bearer and oauth2, such as auth = { bearer = { secret_file = \"token\" } }";
            section.problem("auth", text);
            return None;
        }
    };
    table.finish();
    found.map(Some)
}

/// Reads a table to its end: what nobody asked for is a problem.
fn whole(
    mut table: Section,
    context: &Context<'_>,
    read: fn(&mut Section, &Context<'_>) -> Option<Auth>,
) -> Option<Auth> {
    let found = read(&mut table, context);
    table.finish();
    found
}

fn basic(table: &mut Section, context: &Context<'_>) -> Option<Auth> {
    let user = table.required_string("user", "gateway");
    let password = plain_secret(table, context);
    let made = Auth::basic(&user?, password?);
    noted(table, made)
}

fn bearer(table: &mut Section, context: &Context<'_>) -> Option<Auth> {
    let made = Auth::bearer(plain_secret(table, context)?);
    noted(table, made)
}

fn oauth2(table: &mut Section, context: &Context<'_>) -> Option<Auth> {
    let example = "https://id.example.com/oauth/token";
    let token_url = url(table, "token_url", example, context.policy);
    let client_id = table.required_string("client_id", "gateway");
    let secret = plain_secret(table, context);
    let scope = table.string("scope");
    let how = match table.string("client_auth").as_deref() {
        None | Some("basic") => Some(ClientAuth::Basic),
        Some("body") => Some(ClientAuth::Body),
        Some(_) => {
            table.problem("client_auth", "expected \"basic\" or \"body\"");
            None
        }
    };
    let made = ClientCredentials::new(token_url?, &client_id?, secret?, scope.as_deref(), how?);
    noted(table, made.map(Auth::OAuth2))
}

fn noted(table: &Section, made: Result<Auth, Error>) -> Option<Auth> {
    let key = |error| match error {
        Error::User => "user",
        Error::ClientId => "client_id",
        Error::Scope => "scope",
        _ => "secret",
    };
    made.map_err(|error| table.problem(key(error), error)).ok()
}
