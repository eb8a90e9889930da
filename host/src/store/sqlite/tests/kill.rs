//! What is left when the process dies.

use super::*;
use crate::store::DeliveryFilter;
use crate::store::conformance::{plan, record, result, stored};
use livekit_webhook_core::delivery::{Next, State};
use std::io::{BufRead, BufReader};
use std::process::{Command as Process, Stdio};

/// Where the child of a kill test appends.
const CHILD_FILE: &str = "LIVEKIT_WEBHOOK_TEST_CHILD_FILE";
/// The point at which it dies by itself.
const CHILD_CRASH: &str = "LIVEKIT_WEBHOOK_TEST_CHILD_CRASH";

/// Takes events from append to delivered without end and prints each number after it. Runs only as
/// the child of the tests below.
#[tokio::test]
async fn child_that_delivers() {
    #[expect(clippy::disallowed_methods, reason = "how a parent test tells its child what to do")]
    let (path, point) = (std::env::var(CHILD_FILE), std::env::var(CHILD_CRASH));
    let Ok(path) = path else {
        return;
    };
    if let Ok(point) = point {
        crate::crash::arm(&point).unwrap();
    }
    let store = open(Path::new(&path));
    for number in 1..1_000_000 {
        store.append(event(number)).await.unwrap();
        let claims = store.claim_unplanned(later(1 << 30), 1, 1).await.unwrap();
        let plans = vec![plan(&claims[0], vec![delivery(number, "a")])];
        store.record_plans(START, plans).await.unwrap();
        let claim = claim_due(&store, START, "a", 1).await.remove(0);
        record(&store, START, result(&claim, 200, Next::Delivered)).await;
        println!("acknowledged {number}");
    }
}

/// Runs the child until it dies by itself, or by our hand once `enough` events are acknowledged.
/// What it acknowledged.
fn run_child(path: &Path, point: Option<&str>, enough: usize) -> Vec<u32> {
    let mut command = Process::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "store::sqlite::tests::kill::child_that_delivers", "--nocapture"])
        .env(CHILD_FILE, path)
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    if let Some(point) = point {
        command.env(CHILD_CRASH, point);
    }
    let mut child = command.spawn().unwrap();
    let mut acknowledged = Vec::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        // The test runner may print its own words before the first.
        if let Some((_, number)) = line.split_once("acknowledged ") {
            acknowledged.push(number.parse::<u32>().unwrap());
        }
        if acknowledged.len() == enough {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    acknowledged
}

#[tokio::test]
async fn kill_9_loses_nothing_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder);
    let acknowledged = run_child(&path, None, 50);
    assert!(acknowledged.len() >= 50);
    let store = open(&path);
    for number in acknowledged {
        let stored = store.event(event(number).id).await.unwrap().unwrap();
        assert_eq!(stored.event, event(number));
    }
}

/// Two events are done; how far the third is depends on the side of the commit.
#[tokio::test]
async fn a_crash_is_on_one_side_of_the_commit() {
    let (pending, delivered) = (Some(State::Pending), Some(State::Delivered));
    for (point, is_stored, state) in [
        ("append.begin.before:3", false, None),
        ("append.commit.before:3", false, None),
        ("append.commit.after:3", true, None),
        ("plan.commit.before:3", true, None),
        ("plan.commit.after:3", true, pending),
        ("attempt.begin.before:3", true, pending),
        ("attempt.commit.before:3", true, pending),
        ("attempt.commit.after:3", true, delivered),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = file(&folder);
        assert_eq!(run_child(&path, Some(point), 9), [1, 2], "{point}");
        let store = open(&path);
        for number in [1, 2] {
            assert_eq!(stored(&store, delivery(number, "a").id).await.state, State::Delivered);
        }
        assert_eq!(store.event(event(3).id).await.unwrap().is_some(), is_stored, "{point}");
        let filter = DeliveryFilter { event: Some(event(3).id), limit: 9, ..Default::default() };
        let found = store.deliveries(filter).await.unwrap();
        assert_eq!(found.first().map(|delivery| delivery.state), state, "{point}");
        assert_eq!(store.check().await.unwrap(), [], "{point}");
    }
}
