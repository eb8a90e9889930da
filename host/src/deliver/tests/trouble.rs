//! A store that fails, a claim that was lost, the end of the process.

use super::*;
use crate::store::Quota;
use livekit_webhook_core::attempt::Outcome;

#[tokio::test(start_paused = true)]
async fn a_result_outlasts_a_store_that_fails() {
    let mut stage = stage(vec![with_retry("a", &[0, 1], None)]);
    stage.told("a", vec![Act::Hold]);
    stage.owe(1, "a", 0).await;
    stage.run();
    stage.until("sent", || stage.active("a") == 1).await;
    // Some 40 s at five tries a second.
    stage.store.fail_next(200);
    stage.script.gate.add_permits(1);
    stage.until_state(1, State::Delivered).await;
    assert_eq!(stage.sent_ms("a").len(), 1, "what was delivered is not sent again");
    assert_eq!(stage.deliverer.metrics.store_errors.get(), 200);

    // The write was done, only its answer was lost: the second try changes nothing.
    stage.told("a", vec![Act::Hold]);
    stage.owe(2, "a", 0).await;
    stage.until("sent", || stage.active("a") == 1).await;
    stage.store.lose_next_answers(1);
    stage.script.gate.add_permits(1);
    stage.until_state(2, State::Delivered).await;
    assert_eq!(stage.store.attempts(delivery(2, "a").id).await.unwrap().len(), 1);
    assert_eq!(stage.sent_ms("a").len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_stale_result_changes_nothing() {
    let mut stage = stage(vec![endpoint("a")]);
    stage.told("a", vec![Act::Hold]);
    stage.owe(1, "a", 0).await;
    stage.run();
    stage.until("sent", || stage.active("a") == 1).await;
    // Another worker, whose clock says that the lease has ended.
    let quota = Quota {
        endpoint: "a".to_owned(),
        slots: 1,
        in_flight_max: 1_000,
        rate: None,
        batching: None,
    };
    let theirs = stage.store.claim_due(later(3_600_000), 3_600_000, vec![quota]).await.unwrap();
    assert_eq!(theirs.claims.len(), 1);
    stage.script.gate.add_permits(1);
    stage.settled().await;
    assert_eq!(stage.deliverer.metrics.results_stale.get(), 1);
    assert_eq!(stage.delivery(1).await.state, State::Pending);
    assert_eq!(stage.store.attempts(delivery(1, "a").id).await.unwrap(), []);
}

#[tokio::test(start_paused = true)]
async fn at_the_end_attempts_finish_and_nothing_begins() {
    let mut stage = stage(vec![endpoint("a")]);
    stage.told("a", vec![Act::Hold]);
    stage.owe(1, "a", 0).await;
    stage.run();
    stage.until("sent", || stage.active("a") == 1).await;
    stage.tasks.begin_shutdown();
    stage.stopper.stop();
    stage.until("the worker ended", || stage.tasks.running(Kind::Worker) == 1).await;
    stage.owe(2, "a", 0).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(stage.sent_ms("a").len(), 1);
    stage.script.gate.add_permits(1);
    // The recorder ends after the last attempt, and its result is in the store then.
    assert!(stage.tasks.idle(Kind::Worker, Duration::from_secs(60)).await);
    assert_eq!(stage.delivery(1).await.state, State::Delivered);
    assert_eq!(stage.delivery(2).await.state, State::Pending);
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_comes_after_the_signal_is_given_back() {
    let stage = stage(vec![endpoint("a")]);
    stage.owe(1, "a", 0).await;
    let (stopper, stop) = stop();
    stopper.stop();
    let (sender, _receiver) = mpsc::channel(1);
    let claimed = stage.deliverer.round(&stage.tasks, &stop, &sender).await.unwrap();
    assert_eq!((claimed.claims, stage.sent_ms("a").len()), (0, 0));
    let quota = Quota {
        endpoint: "a".to_owned(),
        slots: 1,
        in_flight_max: 1_000,
        rate: None,
        batching: None,
    };
    let free = stage.store.claim_due(later(1), 1, vec![quota]).await.unwrap();
    assert_eq!(free.claims.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_cut_off_attempt_is_owed_still() {
    let mut stage = stage(vec![endpoint("a")]);
    stage.told("a", vec![Act::Hold]);
    stage.owe(1, "a", 0).await;
    stage.run();
    stage.until("sent", || stage.active("a") == 1).await;
    stage.tasks.begin_shutdown();
    stage.stopper.stop();
    stage.tasks.abort_attempts();
    assert!(stage.tasks.idle(Kind::Worker, Duration::from_secs(60)).await);
    assert_eq!(stage.delivery(1).await.state, State::Pending);
    assert_eq!(stage.store.attempts(delivery(1, "a").id).await.unwrap(), []);
}

#[tokio::test(start_paused = true)]
async fn a_closed_store_ends_the_recorder() {
    let mut stage = stage(vec![endpoint("a")]);
    stage.told("a", vec![Act::Hold]);
    stage.owe(1, "a", 0).await;
    stage.run();
    stage.until("sent", || stage.active("a") == 1).await;
    stage.tasks.begin_shutdown();
    stage.stopper.stop();
    stage.store.close().await.unwrap();
    stage.script.gate.add_permits(1);
    assert!(stage.tasks.idle(Kind::Worker, Duration::from_secs(60)).await);
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_breaks_down_is_made_again() {
    let mut stage = stage(vec![with_retry("a", &[0, 1], None)]);
    stage.told("a", vec![Act::Panic]);
    stage.owe(1, "a", 0).await;
    stage.run();
    stage.until_state(1, State::Delivered).await;
    stage.settled().await;
    assert_eq!(stage.deliverer.metrics.attempt_panics.get(), 1);
    assert_eq!(stage.deliverer.in_flight.bytes.load(Ordering::SeqCst), 0);
    let attempts = stage.attempts(1).await;
    let outcomes: Vec<_> = attempts.iter().map(|attempt| attempt.outcome.clone()).collect();
    let internal = Outcome::Failed(ErrorClass::Internal);
    assert_eq!(outcomes, [internal, Outcome::Answered { status: 200, retry_after_ms: None }]);
    assert_eq!(attempts[0].error.as_deref(), Some("the attempt broke down: as told"));
    // Every time: it ends as a dead letter, not in a loop.
    stage.told("a", vec![Act::Panic, Act::Panic]);
    stage.owe(2, "a", 0).await;
    stage.until_state(2, State::Dead(DeadReason::Exhausted)).await;
}

#[tokio::test(start_paused = true)]
async fn claims_of_attempts_that_were_cut_off_are_given_back() {
    let mut stage = stage(vec![endpoint("a")]);
    stage.told("a", vec![Act::Hold]);
    stage.owe(1, "a", 0).await;
    stage.run();
    stage.until("sent", || stage.active("a") == 1).await;
    stage.tasks.begin_shutdown();
    stage.stopper.stop();
    stage.tasks.abort_attempts();
    assert!(stage.tasks.idle(Kind::Worker, Duration::from_secs(60)).await);
    // Before the lease of 45 s has ended, another host has it.
    let mut next = stage_over(stage.store.clone(), vec![endpoint("a")], 9);
    next.run();
    next.until_state(1, State::Delivered).await;
    assert!(next.clock.now() < later(10_000));
}
