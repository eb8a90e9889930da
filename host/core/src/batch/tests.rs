use super::*;

#[test]
fn the_same_members_have_the_same_name() {
    let name = BatchId::of(["evt_a", "evt_b"]).to_string();
    assert_eq!(name, BatchId::of(["evt_a", "evt_b"]).to_string());
    assert_ne!(name, BatchId::of(["evt_b", "evt_a"]).to_string());
    assert_ne!(BatchId::of(["ab", "c"]), BatchId::of(["a", "bc"]));
    assert!(name.starts_with("bat_") && name.len() == 36, "{name}");
}

#[test]
fn bodies_become_an_array() {
    let bodies: [&[u8]; 2] = [b"{\"a\":1}", b"{ }"];
    assert_eq!(body(bodies), b"[{\"a\":1},{ }]");
    assert_eq!(body([]), b"[]");
}

#[test]
fn a_request_has_a_limit_and_at_least_one_event() {
    assert_eq!(fitting([BODY_BYTES_MAX * 2, 1]), 1);
    assert_eq!(fitting([BODY_BYTES_MAX / 2, BODY_BYTES_MAX / 2]), 1);
    assert_eq!(fitting([10, 10, 10]), 3);
    assert_eq!(fitting([]), 0);
}
