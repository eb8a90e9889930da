use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const RATE: Rate = Rate { requests_per_s: 2, burst: 3 };

#[derive(Default)]
struct Memory {
    values: RefCell<BTreeMap<String, (Vec<u8>, u32)>>,
    refuses: Cell<bool>,
}

impl SharedData for Memory {
    fn shared(&self, key: &str) -> Option<(Vec<u8>, u32)> {
        self.values.borrow().get(key).cloned()
    }

    fn share(&self, key: &str, value: &[u8], cas: u32) -> bool {
        if self.refuses.get() {
            return false;
        }
        self.values.borrow_mut().insert(key.to_owned(), (value.to_vec(), cas.wrapping_add(1)));
        true
    }
}

#[test]
fn a_burst_then_the_rate() {
    let memory = Memory::default();
    let take = |now_ms| RATE.take(&memory, "key", now_ms);
    assert_eq!([take(0), take(0), take(0)], [Ok(()); 3]);
    assert_eq!(take(0), Err(1));
    assert_eq!(take(499), Err(1));
    assert_eq!(take(500), Ok(()));
    assert_eq!(take(500), Err(1));
    // Never more than the burst, however long nobody came.
    assert_eq!([take(99_000), take(99_000), take(99_000)], [Ok(()); 3]);
    assert_eq!(take(99_000), Err(1));
}

#[test]
fn each_key_has_its_own() {
    let memory = Memory::default();
    let rate = Rate { requests_per_s: 1, burst: 1 };
    assert_eq!(rate.take(&memory, "a", 0), Ok(()));
    assert_eq!(rate.take(&memory, "b", 0), Ok(()));
    assert!(rate.take(&memory, "a", 0).is_err());
}

#[test]
fn a_clock_that_goes_back_fills_nothing() {
    let memory = Memory::default();
    let rate = Rate { requests_per_s: 1, burst: 1 };
    assert_eq!(rate.take(&memory, "a", 10_000), Ok(()));
    assert!(rate.take(&memory, "a", 0).is_err());
    assert!(rate.take(&memory, "a", 10_500).is_err());
    assert_eq!(rate.take(&memory, "a", 11_000), Ok(()));
}

#[test]
fn a_bucket_that_cannot_be_written_loses_no_event() {
    let memory = Memory::default();
    memory.refuses.set(true);
    assert_eq!(RATE.take(&memory, "a", 0), Ok(()));
}

proptest! {
    #[test]
    fn never_more_than_burst_and_rate_allow(steps in prop::collection::vec(0_u64..900, 1..80)) {
        let memory = Memory::default();
        let (mut now_ms, mut taken) = (0, 0_u64);
        for later_ms in steps {
            now_ms += later_ms;
            match RATE.take(&memory, "key", now_ms) {
                Ok(()) => taken += 1,
                Err(wait_s) => prop_assert!((1..=WAIT_MAX_S).contains(&wait_s)),
            }
            prop_assert!(taken * 1_000 <= 3_000 + now_ms * 2);
        }
    }

    #[test]
    fn no_value_panics(value: Vec<u8>, now_ms: u64, requests_per_s: u32, burst: u32) {
        let memory = Memory::default();
        memory.values.borrow_mut().insert("rk".to_owned(), (value, 1));
        let _ = Rate { requests_per_s, burst }.take(&memory, "k", now_ms);
    }
}
