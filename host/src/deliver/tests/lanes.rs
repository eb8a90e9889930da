//! Order within a room, and none between rooms.

use super::*;
use livekit_webhook_core::endpoint::Order;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

fn ordered(steps_s: &[i64], skip_after: Option<u32>) -> Endpoint {
    let mut endpoint = with_retry("a", steps_s, None);
    endpoint.traffic.order = Order::Room { skip_after };
    endpoint.traffic.health.breaker = false;
    endpoint
}

#[tokio::test(start_paused = true)]
async fn rooms_stay_in_order_and_do_not_wait_for_each_other() {
    let mut stage = stage(vec![ordered(&[0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1], None)]);
    let mut dice = StdRng::seed_from_u64(11);
    let act = |dice: &mut StdRng| match dice.random_range(0..10) {
        0 => Act::Fail(ErrorClass::Timeout),
        1 | 2 => Act::Slow(100 * dice.random_range(1..20), 500),
        _ => Act::Slow(100, 200),
    };
    stage.told("a", (0..3_000).map(|_| act(&mut dice)).collect());
    for number in 1..=1_000 {
        stage.owe_in_room(number, "a", &format!("room-{}", number % 50)).await;
    }
    stage.run();
    for number in 951..=1_000 {
        stage.until_state(number, State::Delivered).await;
    }
    // In each room: nobody is asked before the one ahead was delivered.
    let mut next: HashMap<u32, u32> = HashMap::new();
    let answered = stage.script.answered.lock().unwrap();
    assert!(answered.len() > 1_100, "there were failures");
    assert_eq!(answered.iter().filter(|(_, status)| *status == 200).count(), 1_000);
    for (id, status) in answered.iter() {
        let number: u32 = id.trim_start_matches("wh_").parse().unwrap();
        let room = number % 50;
        let expect = next.entry(room).or_insert(if room == 0 { 50 } else { room });
        assert_eq!(number, *expect, "room {room}");
        if *status == 200 {
            *expect += 50;
        }
    }
    assert!(stage.script.peak.load(Ordering::SeqCst) > 10, "rooms go side by side");
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_lets_its_room_go_on() {
    let mut stage = stage(vec![ordered(&[0, 600], None)]);
    stage.told("a", vec![Act::Status(500), Act::Status(500)]);
    for number in 1..=3 {
        stage.owe_in_room(number, "a", "r").await;
    }
    stage.run();
    stage.until_state(1, State::Dead(DeadReason::Exhausted)).await;
    stage.until_state(3, State::Delivered).await;
    let at = stage.sent_ms("a");
    assert_eq!(at.len(), 4);
    assert!(at[1] >= 480_000 && at[2] >= at[1], "the room waited: {at:?}");
}

#[tokio::test(start_paused = true)]
async fn a_room_that_has_waited_long_enough_goes_on() {
    let mut stage = stage(vec![ordered(&[0, 1, 600], Some(2))]);
    stage.told("a", vec![Act::Status(500), Act::Status(500)]);
    for number in 1..=3 {
        stage.owe_in_room(number, "a", "r").await;
    }
    stage.run();
    stage.until_state(3, State::Delivered).await;
    assert_eq!(stage.delivery(2).await.state, State::Delivered);
    let first = stage.delivery(1).await;
    assert_eq!((first.state, first.lane, first.attempts), (State::Pending, None, 2));
    assert!(stage.clock.now() < later(60_000));
    stage.until_state(1, State::Delivered).await;
    assert_eq!(stage.attempts(1).await.len(), 3);
}
