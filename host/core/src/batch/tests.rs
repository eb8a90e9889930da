use super::*;
use proptest::prelude::*;

#[test]
fn the_same_members_have_the_same_name() {
    let name = BatchId::of(["evt_a", "evt_b"]).to_string();
    assert_eq!(name, BatchId::of(["evt_a", "evt_b"]).to_string());
    assert_ne!(name, BatchId::of(["evt_b", "evt_a"]).to_string());
    assert_ne!(BatchId::of(["ab", "c"]), BatchId::of(["a", "bc"]));
    assert_ne!(BatchId::of(["a"]), BatchId::of(["a", ""]));
    assert!(name.starts_with("bat_") && name.len() == 36, "{name}");
    let padded = BatchId([0x0f; 16]).to_string();
    assert_eq!(padded, format!("bat_{}", "0f".repeat(16)));
}

#[test]
fn bodies_become_an_array() {
    let bodies: [&[u8]; 2] = [b"{\"a\":1}", b"{ }"];
    assert_eq!(body(bodies), b"[{\"a\":1},{ }]");
    assert_eq!(body([b"{}".as_slice()]), b"[{}]");
    assert_eq!(body([]), b"[]");
}

#[test]
fn a_request_has_a_limit_and_at_least_one_event() {
    assert_eq!(fitting([BODY_BYTES_MAX * 2, 1]), 1);
    assert_eq!(fitting([usize::MAX, usize::MAX]), 1);
    assert_eq!(fitting([BODY_BYTES_MAX / 2, BODY_BYTES_MAX / 2]), 1);
    // Two brackets and a comma.
    assert_eq!(fitting([BODY_BYTES_MAX / 2, BODY_BYTES_MAX / 2 - 3]), 2);
    assert_eq!(fitting([BODY_BYTES_MAX / 2, BODY_BYTES_MAX / 2 - 2]), 1);
    assert_eq!(fitting([10, 10, 10]), 3);
    assert_eq!(fitting([]), 0);
}

#[test]
fn what_makes_no_batch_is_refused() {
    for (events_max, wait_ms, expect) in [
        (2, 0, None),
        (EVENTS_MAX, WAIT_MS_MAX, None),
        (0, 0, Some(Error::Events(0))),
        (1, 0, Some(Error::Events(1))),
        (EVENTS_MAX + 1, 0, Some(Error::Events(EVENTS_MAX + 1))),
        (2, -1, Some(Error::Wait(-1))),
        (2, WAIT_MS_MAX + 1, Some(Error::Wait(WAIT_MS_MAX + 1))),
    ] {
        let made = Batching::new(events_max, wait_ms);
        assert_eq!(made.clone().err(), expect);
        if let Ok(made) = made {
            assert_eq!((made.events_max(), made.wait_ms()), (events_max, wait_ms));
        }
    }
}

proptest! {
    /// What fits is within the limit to the byte, and one more would not be.
    #[test]
    fn fitting_takes_as_many_as_it_can(
        lengths in prop::collection::vec(0..400_000_usize, 1..20),
    ) {
        let count = fitting(lengths.iter().copied());
        prop_assert!((1..=lengths.len()).contains(&count));
        let bytes = |count: usize| {
            let bodies: Vec<Vec<u8>> = lengths[..count].iter().map(|n| vec![b'1'; *n]).collect();
            body(bodies.iter().map(Vec::as_slice)).len()
        };
        prop_assert!(count == 1 || bytes(count) <= BODY_BYTES_MAX);
        prop_assert!(count == lengths.len() || bytes(count + 1) > BODY_BYTES_MAX);
    }

    /// Many events are one JSON array of the same events.
    #[test]
    fn a_body_is_json(numbers in prop::collection::vec(0..1_000_u32, 0..20)) {
        let bodies: Vec<String> = numbers.iter().map(u32::to_string).collect();
        let text = String::from_utf8(body(bodies.iter().map(String::as_bytes))).unwrap();
        let expect = format!("[{}]", bodies.join(","));
        prop_assert_eq!(text, expect);
    }
}
