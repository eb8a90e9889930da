//! Breakers, poison and the way back.

use super::*;

fn follows(result: Result<Vec<Output>, Ended>) -> Follows {
    result.unwrap_err().follows
}

#[tokio::test]
async fn the_third_fault_of_an_event_gives_it_up() {
    let scene = Scene::new(OnError::Fail).await;
    for (attempt, expect) in [
        (1, Follows::Wait { after_ms: 1_000 }),
        (2, Follows::Wait { after_ms: 5_000 }),
        (7, Follows::Fail),
    ] {
        let input = scene.input("ev_1", attempt, "evil:trap");
        // Once for each of two endpoints, which is one planning.
        for _ in 0..2 {
            assert_eq!(follows(scene.slot.call(&input).await), expect);
        }
    }
    assert!(matches!(scene.state(), State::Closed { .. }), "one event opens no breaker");
}

#[tokio::test]
async fn what_a_guest_says_itself_is_no_fault() {
    let scene = Scene::new(OnError::Fail).await;
    for _ in 0..2 * CALLS_MIN {
        assert_eq!(follows(scene.event("evil:reject").await), Follows::Fail);
        let again = Follows::Again { after_ms: 1_500 };
        assert_eq!(follows(scene.event("evil:retry").await), again);
    }
    assert!(matches!(scene.state(), State::Closed { .. }));
}

#[tokio::test]
async fn an_open_breaker_makes_events_wait_or_follow_the_policy_at_once() {
    for (on_error, expect) in [
        (OnError::Fail, Follows::Wait { after_ms: OPEN_MS }),
        (OnError::Pass, Follows::Pass),
        (OnError::Drop, Follows::Drop),
    ] {
        let scene = Scene::new(on_error).await;
        scene.events(CALLS_MIN, "evil:trap").await;
        assert!(matches!(scene.state(), State::Open { .. }));
        assert_eq!(follows(scene.event("a-room").await), expect);
        scene.says(r#"plugin_calls_total{plugin="evil",outcome="shut",role="stable"} 1"#);
        scene.says(r#"plugin_breaker{plugin="evil"} 1"#);
        scene.clock.advance(OPEN_MS);
        scene.event("a-room").await.unwrap();
        scene.says(r#"plugin_breaker{plugin="evil"} 0"#);
    }
}

#[tokio::test]
async fn a_suspect_does_not_probe_before_the_others() {
    let scene = Scene::new(OnError::Fail).await;
    scene.events(CALLS_MIN, "evil:trap").await;
    scene.clock.advance(OPEN_MS);
    let suspect = scene.input("ev_0", 2, "evil:trap");
    let wait = Follows::Wait { after_ms: SUSPECT_MS };
    assert_eq!(follows(scene.slot.call(&suspect).await), wait);
    scene.event("a-room").await.unwrap();
    assert_eq!(follows(scene.slot.call(&suspect).await), Follows::Wait { after_ms: 5_000 });
    assert!(matches!(scene.state(), State::Closed { .. }));
}

#[tokio::test]
async fn a_version_that_keeps_failing_is_quarantined() {
    let scene = Scene::new(OnError::Fail).await;
    scene.events(CALLS_MIN, "evil:trap").await;
    for period_ms in livekit_webhook_core::plugin::PERIODS_MS {
        scene.clock.advance(period_ms - 1);
        scene.event("a-room").await.unwrap_err();
        scene.clock.advance(1);
        scene.events(1, "evil:trap").await;
    }
    assert_eq!(scene.state(), State::Quarantined);
    let ended = scene.event("a-room").await.unwrap_err();
    assert_eq!(ended.follows, Follows::Wait { after_ms: 60_000 });
    assert!(ended.note.ends_with("is quarantined"), "{}", ended.note);
    scene.slot.serving().stable.release();
    scene.event("a-room").await.unwrap();
}

#[tokio::test]
async fn a_young_version_makes_way_for_the_one_before() {
    for (age_ms, expect) in [(YOUNG_MS - 1, "one before"), (YOUNG_MS, "itself")] {
        let scene = Scene::new(OnError::Fail).await;
        let old = scene.slot.serving().stable.digest();
        let new = version(another("evil", "new"), OnError::Fail, start()).await;
        scene.slot.swap(new.clone());
        scene.clock.advance(age_ms);
        scene.events(CALLS_MIN, "evil:trap").await;
        let serving = scene.slot.serving().stable.digest();
        let is_back = expect == "one before";
        assert_eq!(serving == old, is_back, "{expect}");
        assert_eq!(new.is_rolled_back(), is_back);
        if is_back {
            scene.says(r#"plugin_reloads_total{plugin="evil",result="rolled_back"} 1"#);
            scene.event("a-room").await.unwrap();
        }
    }
}
