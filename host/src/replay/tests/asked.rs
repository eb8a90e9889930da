//! What can be asked, and what is refused.

use super::*;
use crate::replay::ask::Error;
use livekit_webhook_core::replay::ReplayStatus;

#[tokio::test]
async fn a_preview_counts_and_changes_nothing() {
    let stage = with_dead(7).await;
    planned(&*stage.store, 8, vec![delivery(8, "b")]).await;
    let preview = ask::preview(&*stage.store, &Selection::default()).await.unwrap();
    assert!(preview.is_whole);
    assert_eq!((preview.events, preview.skipped), (7, 1));
    assert_eq!(preview.planned.into_iter().collect::<Vec<_>>(), [("a".to_owned(), 7)]);
    assert_eq!(preview.first.len(), ask::PREVIEW_FIRST_MAX);
    assert_eq!(preview.first[0].event, event(1).id);
    assert_eq!(preview.first[0].was, State::Dead(DeadReason::Exhausted));
    assert_eq!(stage.store.replays(9).await.unwrap(), []);
    let rows = stage.store.deliveries(DeliveryFilter { limit: 99, ..Default::default() }).await;
    assert_eq!(rows.unwrap().len(), 8);
}

#[test]
fn a_selection_ends_now_and_says_one_thing() {
    let now = later(1_000);
    let any = Selection::default;
    assert_eq!(ask::checked(any(), now).unwrap().until, Some(now));
    let until = Some(later(500));
    let kept = ask::checked(Selection { until, ..any() }, now).unwrap();
    assert_eq!(kept.until, until);
    let delivered = Some(ReplayStatus::Delivered);
    for wrong in [
        Selection { since: Some(now), ..any() },
        Selection { since: Some(later(600)), until, ..any() },
        Selection { status: delivered, reason: Some(DeadReason::Gone), ..any() },
        Selection { events: vec![event(1).id; 1_001], ..any() },
        Selection { rooms: vec!["a".parse().unwrap(); 101], ..any() },
    ] {
        let refused = ask::checked(wrong.clone(), now);
        assert!(matches!(refused, Err(Error::Selection(_))), "{wrong:?}");
    }
}

#[tokio::test]
async fn rates_and_numbers_have_limits() {
    let stage = with_dead(0).await;
    let entropy = Entropy::seeded(3);
    let now = stage.clock.now();
    let create = async |rate_milli| {
        ask::create(&*stage.store, &entropy, now, Selection::default(), rate_milli).await
    };
    assert!(matches!(create(9).await, Err(Error::Rate(9))));
    assert!(matches!(create(10_000_001).await, Err(Error::Rate(_))));
    for _ in 0..ask::LIVE_MAX {
        create(1_000).await.unwrap();
    }
    assert!(matches!(create(1_000).await, Err(Error::TooMany)));
}

#[tokio::test]
async fn what_has_ended_stays_ended() {
    let mut stage = with_dead(1).await;
    let id = stage.ask(10_000_000, Selection::default()).await;
    stage.round().await;
    for wanted in ReplayState::ALL {
        let refused = ask::change(&*stage.store, stage.clock.now(), id, wanted).await;
        assert!(matches!(refused, Err(Error::State { is: ReplayState::Done, .. })), "{wanted:?}");
    }
    let unknown = ReplayId::new(1, 1);
    let refused = ask::change(&*stage.store, later(0), unknown, ReplayState::Paused).await;
    assert!(matches!(refused, Err(Error::Unknown(id)) if id == unknown));
}
