//! Events of one room to an endpoint that wants them in order.

use super::*;
use crate::store::conformance::{claim_due, plan};
use crate::store::{Plan, PlanNext, lane};

fn ordered(endpoint: &str) -> Subscriber {
    Subscriber { is_ordered: true, ..subscriber(endpoint, &[], &[]) }
}

fn in_room(number: u32, room: &str) -> NewEvent {
    NewEvent { lane: Some(room.to_owned()), ..event(number) }
}

#[tokio::test]
async fn deliveries_stand_in_the_lane_of_their_room() {
    let stage = stage(vec![ordered("a"), subscriber("b", &[], &[])]);
    stage.append(in_room(1, "RM_1")).await;
    stage.append(NewEvent { source: "staging".to_owned(), ..in_room(2, "RM_1") }).await;
    stage.append(in_room(3, "RM_1")).await;
    stage.append(event(4)).await;
    stage.round().await.unwrap();
    let mut found = Vec::new();
    for number in 1..=4 {
        let deliveries = stage.deliveries(number).await;
        assert_eq!(deliveries[1].lane, None, "only where it was asked for");
        found.push((deliveries[0].lane.clone(), deliveries[0].sequence));
    }
    let prod = Some(lane(None, "prod", "RM_1"));
    let staging = Some(lane(None, "staging", "RM_1"));
    let expect = [(prod.clone(), Some(1)), (staging, Some(1)), (prod, Some(2)), (None, None)];
    assert_eq!(found, expect);
}

#[tokio::test]
async fn a_plan_that_comes_later_keeps_the_order() {
    let stage = stage(vec![ordered("a")]);
    stage.append(in_room(1, "r")).await;
    let claim = stage.store.claim_unplanned(later(500), 60_000, 1).await.unwrap().remove(0);
    // A plugin asks for a later time for the first event; the second is planned before it.
    let next = PlanNext::Again {
        at: later(60_000),
        note: "later".to_owned(),
        deliveries: Vec::new(),
        settled: Vec::new(),
    };
    let again = Plan { next, ..plan(&claim, Vec::new()) };
    stage.store.record_plans(later(500), vec![again]).await.unwrap();
    stage.append(in_room(2, "r")).await;
    stage.append(in_room(3, "other")).await;
    assert_eq!(stage.round().await.unwrap(), 2);
    let due = async |ms| -> Vec<_> {
        let claims = claim_due(&*stage.store, later(ms), "a", 9).await;
        claims.iter().map(|claim| claim.item.delivery.event).collect()
    };
    assert_eq!(due(2_000).await, [event(3).id], "the room waits for its first event's plan");
    stage.clock.advance(60_000);
    assert_eq!(stage.round().await.unwrap(), 1);
    let found = due(62_000).await;
    assert!(found.contains(&event(1).id) && !found.contains(&event(2).id), "{found:?}");
}
