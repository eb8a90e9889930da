use super::*;

#[tokio::test]
async fn idle_waits_for_the_last_task_of_its_kind() {
    let tasks = Tasks::new();
    let bell = Bell::new();
    let (ours, theirs) = (bell.clone(), Tasks::new());
    tasks.spawn(Kind::Attempt, "waits", async move { ours.wait(Duration::from_secs(60)).await });
    assert_eq!(tasks.running(Kind::Attempt), 1);
    assert!(!tasks.idle(Kind::Attempt, Duration::from_millis(1)).await);
    assert!(tasks.idle(Kind::Connection, Duration::from_millis(1)).await);
    bell.ring();
    assert!(tasks.idle(Kind::Attempt, Duration::from_secs(60)).await);
    assert_eq!(theirs.running(Kind::Attempt), 0);
}

#[tokio::test]
async fn an_aborted_attempt_is_counted_out() {
    let tasks = Tasks::new();
    tasks.spawn(Kind::Attempt, "hangs", std::future::pending());
    tasks.begin_shutdown();
    tasks.abort_attempts();
    assert!(tasks.idle(Kind::Attempt, Duration::from_secs(60)).await);
}

#[tokio::test]
async fn a_worker_that_ends_is_told() {
    let tasks = Tasks::new();
    tasks.spawn(Kind::Worker, "ends", async {});
    tokio::time::timeout(Duration::from_secs(60), tasks.critical_end()).await.unwrap();
}

#[tokio::test]
async fn a_ring_before_the_wait_is_not_lost() {
    let bell = Bell::new();
    bell.ring();
    tokio::time::timeout(Duration::from_secs(30), bell.wait(Duration::from_secs(60)))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_stop_stays_given() {
    let (stopper, mut stop) = stop();
    assert!(!stop.is_given());
    stopper.stop();
    stop.given().await;
    assert!(stop.is_given());
}
