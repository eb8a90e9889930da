//! Which endpoints an event is owed to, and that its plan is written whole or not at all.

use super::*;

#[tokio::test]
async fn the_first_match_of_each_endpoint_decides() {
    let late = Subscriber { first_wait_ms: 5_000, ..subscriber("a", &[], &["*"]) };
    let stage = stage(vec![
        subscriber("a", &[], &["room_*"]),
        late,
        subscriber("b", &["staging"], &[]),
        subscriber("b", &["prod"], &["participant_*"]),
        subscriber("c", &["prod", "staging"], &[]),
    ]);
    stage.append(event(1)).await;
    stage.append(NewEvent { kind: "participant_joined".to_owned(), ..event(2) }).await;
    stage.append(NewEvent { source: "staging".to_owned(), ..event(3) }).await;
    assert_eq!(stage.round().await.unwrap(), 3);
    for (number, expect) in
        [(1, vec!["a", "c"]), (2, vec!["a", "b", "c"]), (3, vec!["a", "b", "c"])]
    {
        assert_eq!(stage.endpoints(number).await, expect, "{number}");
        assert_eq!(stage.plan(number).await, (PlanState::Planned, None));
    }
    // By the first subscription at once, by the second after its endpoint's first wait.
    let now = stage.clock.now();
    assert_eq!(stage.deliveries(1).await[0].due_at, now);
    assert_eq!(stage.deliveries(2).await[0].due_at, now.plus_millis(5_000));
    for delivery in stage.deliveries(1).await {
        assert_eq!(delivery.webhook_id, event(1).id.to_string());
        assert_eq!((delivery.state, delivery.kind.as_str()), (State::Pending, "room_started"));
    }
    assert_eq!(stage.body("c").await, event(1).body);
    let label = crate::metrics::EndpointLabel { endpoint: "a".to_owned() };
    assert_eq!(stage.router.metrics.planned.get_or_create(&label).get(), 3);
    // The next stage was woken.
    let woken = stage.router.deliver.wait(Duration::from_secs(120));
    tokio::time::timeout(Duration::from_secs(60), woken).await.unwrap();
    assert_eq!(stage.round().await.unwrap(), 0);
}

#[tokio::test]
async fn what_nobody_asked_for_is_planned_and_owed_to_nobody() {
    let stage = stage(vec![subscriber("a", &["staging"], &[])]);
    stage.append(event(1)).await;
    assert_eq!(stage.round().await.unwrap(), 1);
    let note = Some("no subscription matches".to_owned());
    assert_eq!(stage.plan(1).await, (PlanState::Planned, note));
    assert_eq!(stage.deliveries(1).await, []);
}

#[tokio::test]
async fn a_plan_is_whole_or_not_there() {
    let stage = stage(vec![subscriber("a", &[], &[]), subscriber("b", &[], &[])]);
    for number in 1..=3 {
        stage.append(event(number)).await;
    }
    stage.store.fail_next(1);
    assert!(stage.round().await.is_err());
    for number in 1..=3 {
        assert_eq!(stage.plan(number).await.0, PlanState::Unplanned);
        assert_eq!(stage.deliveries(number).await, []);
    }
    // The claims were given back: planned again at once, not when their lease ends.
    assert_eq!(stage.round().await.unwrap(), 3);
    for number in 1..=3 {
        assert_eq!(stage.endpoints(number).await, ["a", "b"]);
    }
    // Done, though the store could not say so: nothing is doubled.
    stage.append(event(4)).await;
    stage.store.lose_next_answers(1);
    assert!(stage.round().await.is_err());
    assert_eq!(stage.round().await.unwrap(), 0);
    assert_eq!(stage.endpoints(4).await, ["a", "b"]);
}

#[tokio::test(start_paused = true)]
async fn the_worker_reads_the_store_and_outlasts_its_faults() {
    let stage = stage(vec![subscriber("a", &[], &[])]);
    stage.append(event(1)).await;
    stage.store.fail_next(3);
    let (stopper, stop) = crate::tasks::stop();
    let run = stage.router.clone().run(stage.tasks.clone(), stop);
    stage.tasks.spawn(Kind::Worker, "route", run);
    for number in 1..=3 {
        let mut tries = 0;
        while stage.plan(number).await.0 != PlanState::Planned {
            tokio::time::sleep(Duration::from_millis(100)).await;
            tries += 1;
            assert!(tries < 100, "{number} is not planned");
        }
        // Nobody rings for the next: the idle wait finds it.
        stage.append(event(number + 1)).await;
    }
    assert_eq!(stage.router.metrics.store_errors.get(), 3);
    stage.tasks.begin_shutdown();
    stopper.stop();
    assert!(stage.tasks.idle(Kind::Worker, Duration::from_secs(60)).await);
}
