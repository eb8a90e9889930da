//! The demo itself: its account is whole, and it fails when an expectation does not hold.

use livekit_webhook::store::sqlite::SqliteStore;
use livekit_webhook_tests::demo::acts::ACTS;
use livekit_webhook_tests::demo::page::Page;
use livekit_webhook_tests::demo::sender::{Sender, Sent};
use livekit_webhook_tests::demo::system::System;
use livekit_webhook_tests::demo::{self, Options, stay, watch};
use livekit_webhook_tests::gateway::setup::DATABASE;
use std::time::Duration;

/// The machine is busy with other stories meanwhile.
const BOUND: Duration = Duration::from_secs(120);

async fn played(options: Options) -> (Vec<String>, String) {
    let mut account = Vec::new();
    let options = Options { bound: BOUND, ..options };
    let checks = demo::run(&options, &mut account).await.unwrap();
    (checks.failures().to_vec(), String::from_utf8(account).unwrap())
}

#[tokio::test]
async fn the_account_is_whole_and_every_expectation_holds() {
    let (failures, account) = played(Options::default()).await;
    assert_eq!(failures, Vec::<String>::new(), "{account}");
    for (number, act) in (1..).zip(&ACTS) {
        let head = format!("\n{number:>2}  {}: {}\n", act.kind, act.title);
        assert!(account.contains(&head), "no block {head:?} in\n{account}");
    }
    for text in [
        "removed room.turnPassword",
        "Retry-After: 2, so again after",
        "Standard Webhooks signature verified",
        "LiveKit token under its own key verified",
        "the very bytes that LiveKit sent",
        ":wave: *alice* joined *standup*",
        "dead letter, exhausted: 2 attempts",
        "dead letter, refused: 1 attempt",
        "refused, invalid_token",
        "refused, body_mismatch",
        "refused, expired",
        "expectations held",
    ] {
        assert!(account.contains(text), "no {text:?} in\n{account}");
    }
    let widest = account.lines().map(|line| line.chars().count()).max();
    assert!(widest <= Some(100), "{widest:?} columns");
    assert!(!account.contains('\x1b'), "colour without a terminal");
    assert!(!account.contains("demo-secret"), "a secret is told");
}

#[tokio::test]
async fn a_receiver_that_takes_what_it_should_refuse_is_told() {
    let (failures, account) = played(Options { crm_status: 200, ..Options::default() }).await;
    let failures = failures.join("\n");
    for text in [
        "expected the attempts at crm: 422; found 200",
        "expected the end at crm: dead letter, refused; found delivered",
        "expected dead letters: 2; found 1",
    ] {
        assert!(failures.contains(text), "no {text:?} in\n{failures}");
    }
    assert!(account.contains("WRONG"), "{account}");
    assert!(!account.contains("expectations held"), "{account}");
}

#[tokio::test]
async fn what_is_left_up_tells_what_arrives_and_ends_when_it_is_told() {
    let system = System::start(422, false).await.unwrap();
    let sender = Sender::new(system.envoy.listener());
    let folder = system.gateway.folder().to_owned();
    let store = SqliteStore::open_reader(&folder.join(DATABASE)).unwrap();
    let left = ACTS.iter().find(|act| act.kind == "participant_left").unwrap();
    let sent = Sent::of(left, 1, None).unwrap();
    let interrupted = async {
        assert_eq!(sender.send(&sent).await.unwrap().status, 200);
        assert!(watch::fate(&store, &sent.event_id, BOUND).await.unwrap().is_over);
    };
    let mut account = Vec::new();
    let checks = stay::run(system, &mut Page::new(&mut account, false), interrupted).await.unwrap();
    assert_eq!(checks.failures(), Vec::<String>::new());
    let account = String::from_utf8(account).unwrap();
    let line = account.lines().find(|line| line.contains("attempt 1")).unwrap_or_default();
    assert!(line.starts_with("    crm "), "{account}");
    assert!(line.ends_with("attempt 1  verified  participant_left"), "{account}");
    assert!(account.ends_with("Ended, nothing is left behind.\n"), "{account}");
    assert!(!folder.exists(), "the folder is left behind");
}
