//! Fixtures of the evil plugin, which does what a room's name says.

use super::*;
use crate::plugin::deploy::Digest;
use crate::plugin::deploy::upgrade::{Before, Refusal, prepare};
use crate::plugin::permission::Permissions;
use crate::plugin::registry::{OnError, Options};
use crate::plugin::tests::{ENGINE, component};
use livekit_webhook_core::time::Timestamp;
use std::path::Path;

fn manifest(fixtures: &[(&str, &str)]) -> Manifest {
    let mut text = "schema = 1\nname = \"evil\"\nversion = \"2.0.0\"\n".to_owned();
    for (room, rest) in fixtures {
        let event = format!("{{ event = \"room_started\", room = {{ name = \"{room}\" }} }}");
        text += &format!("[[fixture]]\nname = \"in {room}\"\nevent = {event}\n{rest}\n");
    }
    Manifest::parse(&text, Path::new(".")).unwrap()
}

async fn words(fixtures: &[(&str, &str)]) -> String {
    let proved = prove(&ENGINE, &component("evil"), &manifest(fixtures), &Limits::default()).await;
    let mut text = String::new();
    let mut error: Option<&dyn std::error::Error> = proved.as_ref().err().map(|error| error as _);
    while let Some(cause) = error {
        text += &format!("{cause}|");
        error = cause.source();
    }
    text
}

const WELL: &str = "expect = { accept = true, destinations = [\"billing\"] }";

#[tokio::test]
async fn the_first_fixture_that_does_not_hold_is_told_in_words() {
    assert_eq!(words(&[]).await, "");
    assert_eq!(
        words(&[("evil:route", WELL), ("evil:trap", "expect = { fault = \"trap\" }")]).await,
        ""
    );
    let told = words(&[("evil:route", WELL), ("b", WELL), ("c", WELL)]).await;
    let expect =
        "its fixture \"in b\" does not hold: destinations[0]: expected \"billing\", got nothing|";
    assert_eq!(told, expect);
    let refused = format!("config = {{ at_load = \"refuse\" }}\n{WELL}");
    let told = words(&[("a", &refused)]).await;
    assert!(
        told.starts_with("its fixture \"in a\" cannot be run|the plugin refuses its"),
        "{told}"
    );
}

#[tokio::test]
async fn what_takes_too_long_is_refused_and_nothing_of_it_is_logged() {
    let (_guard, log) = crate::plugin::tests::attacks::capture_log();
    let flood = manifest(&[("evil:log-flood", "expect = { accept = true }")]);
    prove(&ENGINE, &component("evil"), &flood, &Limits::default()).await.unwrap();
    assert_eq!(log(), "");
    let never = within(1, std::future::pending()).await.unwrap_err();
    assert!(matches!(never, Failure::TooSlow { limit_ms: 1 }), "{never:?}");
}

#[tokio::test]
async fn only_another_component_than_the_one_before_must_keep_its_promise() {
    let broken = manifest(&[("a", WELL)]).embed(&component("evil")).unwrap();
    let (digest, asks) = (Digest::of(&broken), Permissions::default());
    let options = Options { on_error: Some(OnError::Fail), ..Options::default() };
    for (before, is_refused) in
        [(None, false), (Some(digest), false), (Some(Digest::of(b"")), true)]
    {
        let before = before.map(|digest| Before { digest, asks: &asks });
        let (wasm, since) = (broken.clone().into(), Timestamp::default());
        let prepared = prepare(&ENGINE, "mine", &options, wasm, before, since).await;
        let is_fixtures = matches!(prepared, Err(Refusal::Fixtures(Failure::Differs { .. })));
        assert_eq!((prepared.is_err(), is_fixtures), (is_refused, is_refused));
    }
}
