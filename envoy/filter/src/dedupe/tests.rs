use std::cell::RefCell;
use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const RING: Ring = Ring { mode: Mode::Ack, slots: 64, window_ms: 1_000, pending_ms: 100 };

/// Shared data as Envoy keeps it, with a limit on how often a value can still be set.
struct Memory {
    values: RefCell<BTreeMap<String, (Vec<u8>, u32)>>,
    lost_races: RefCell<usize>,
}

fn memory() -> Memory {
    Memory { values: RefCell::default(), lost_races: RefCell::new(0) }
}

impl SharedData for Memory {
    fn shared(&self, key: &str) -> Option<(Vec<u8>, u32)> {
        self.values.borrow().get(key).cloned()
    }

    fn share(&self, key: &str, value: &[u8], cas: u32) -> bool {
        let mut lost = self.lost_races.borrow_mut();
        if *lost > 0 {
            *lost -= 1;
            return false;
        }
        let mut values = self.values.borrow_mut();
        let old = values.get(key).map(|(_, number)| *number);
        if cas != 0 && old.is_some_and(|number| number != cas) {
            return false;
        }
        values.insert(key.to_owned(), (value.to_vec(), old.unwrap_or(0) + 1));
        true
    }
}

fn print(id: u8) -> Fingerprint {
    Fingerprint([id; 16], 7)
}

#[track_caller]
fn reserve(memory: &Memory, id: u8, now_ms: u64) -> Reservation {
    match RING.reserve(memory, print(id), now_ms) {
        Seen::New(reservation) => reservation,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_confirmed_event_is_a_duplicate_until_the_window_ends() {
    let memory = memory();
    let reservation = reserve(&memory, 1, 0);
    assert!(RING.confirm(&memory, reservation, 50));
    assert_eq!(RING.reserve(&memory, print(1), 51), Seen::Delivered);
    assert_eq!(RING.reserve(&memory, print(1), 1_049), Seen::Delivered);
    reserve(&memory, 1, 1_050);
}

#[test]
fn a_released_event_is_new_again_at_once() {
    let memory = memory();
    let reservation = reserve(&memory, 1, 0);
    assert!(RING.release(&memory, reservation));
    reserve(&memory, 1, 1);
}

#[test]
fn a_reservation_nobody_settles_ends_by_itself() {
    let memory = memory();
    let old = reserve(&memory, 1, 0);
    assert_eq!(RING.reserve(&memory, print(1), 99), Seen::InFlight);
    let new = reserve(&memory, 1, 100);
    // The one who comes too late has no say over the new one.
    assert!(!RING.release(&memory, old) && !RING.confirm(&memory, old, 101));
    assert_eq!(RING.reserve(&memory, print(1), 102), Seen::InFlight);
    assert!(RING.confirm(&memory, new, 103));
}

#[test]
fn another_event_in_the_slot_is_let_through_and_keeps_it() {
    let memory = memory();
    let reservation = reserve(&memory, 1, 0);
    assert_eq!(RING.reserve(&memory, print(2), 1), Seen::Collision);
    assert!(RING.confirm(&memory, reservation, 2));
    assert_eq!(RING.reserve(&memory, print(2), 3), Seen::Collision);
    assert_eq!(RING.reserve(&memory, print(1), 3), Seen::Delivered);
}

#[test]
fn a_lost_race_is_tried_again_and_endless_ones_let_through() {
    let memory = memory();
    *memory.lost_races.borrow_mut() = 3;
    reserve(&memory, 1, 0);
    *memory.lost_races.borrow_mut() = 100;
    assert_eq!(RING.reserve(&memory, print(1), 200), Seen::Collision);
}

#[test]
fn what_cannot_be_read_is_free() {
    let memory = memory();
    for value in [&b""[..], b"short", &[9; 25], &[1; 24]] {
        memory.values.borrow_mut().insert("d7".to_owned(), (value.to_vec(), 5));
        reserve(&memory, 1, 0);
    }
}

#[test]
fn the_same_body_to_another_place_or_by_another_key_is_another_event() {
    let of = |authority: &str, path: &str, key: &str, body: u8| {
        Fingerprint::of(authority.as_bytes(), path.as_bytes(), key, &[body; 32])
    };
    let all = [
        of("a", "/b", "c", 0),
        of("b", "/b", "c", 0),
        of("a", "/c", "c", 0),
        of("a", "/b", "d", 0),
        of("a", "/b", "c", 1),
        of("a/", "b", "c", 0),
    ];
    for (n, one) in all.iter().enumerate() {
        assert!(all.iter().skip(n + 1).all(|other| one.0 != other.0), "{n}");
    }
    assert_eq!(all[0], of("a", "/b", "c", 0));
}

proptest! {
    /// Whatever happens in whatever order: a duplicate was delivered, and within its window.
    #[test]
    fn only_what_was_delivered_is_a_duplicate(
        steps in prop::collection::vec((0_u8..3, 0_u8..4, 0_u64..400), 0..60),
    ) {
        let memory = memory();
        let (mut now_ms, mut open) = (0, BTreeMap::new());
        let mut delivered_ms = BTreeMap::new();
        for (id, what, later_ms) in steps {
            now_ms += later_ms;
            match what {
                0 | 1 => match RING.reserve(&memory, print(id), now_ms) {
                    Seen::New(reservation) => _ = open.insert(id, reservation),
                    Seen::Delivered => {
                        let at_ms: u64 = delivered_ms[&id];
                        prop_assert!(now_ms < at_ms + RING.window_ms);
                    }
                    Seen::InFlight => prop_assert!(open.contains_key(&id)),
                    Seen::Collision => {}
                },
                2 => {
                    if let Some(reservation) = open.remove(&id)
                        && RING.confirm(&memory, reservation, now_ms)
                    {
                        delivered_ms.insert(id, now_ms);
                    }
                }
                _ => {
                    if let Some(reservation) = open.remove(&id) {
                        RING.release(&memory, reservation);
                    }
                }
            }
        }
    }
}
