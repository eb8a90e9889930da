use super::*;
use proptest::prelude::*;

#[track_caller]
fn check(text: &str, expect: Option<u128>) {
    let parsed = text.parse::<EventId>().ok();
    let expect = expect.map(|value| EventId::from_bytes(value.to_be_bytes()));
    assert_eq!(parsed, expect, "{text:?}");
}

#[test]
fn one_spelling() {
    check("evt_00000000000000000000000000", Some(0));
    check("evt_7zzzzzzzzzzzzzzzzzzzzzzzzz", Some(u128::MAX));
    check("evt_0000000000000000000000000a", Some(10));
    for text in [
        "",
        "evt_",
        "evt_8zzzzzzzzzzzzzzzzzzzzzzzzz",
        "evt_0000000000000000000000000A",
        "EVT_0000000000000000000000000a",
        "dlv_0000000000000000000000000a",
        "evt_0000000000000000000000000i",
        "evt_0000000000000000000000000l",
        "evt_0000000000000000000000000o",
        "evt_0000000000000000000000000u",
        "evt_000000000000000000000000a",
        "evt_00000000000000000000000000a",
        " evt_0000000000000000000000000a",
        "evt_0000000000000000000000000é",
    ] {
        check(text, None);
    }
}

#[test]
fn errors_say_what_would_be_right() {
    let error = "x".parse::<DeliveryId>().unwrap_err().to_string();
    assert_eq!(error, "expected `dlv_` and 26 characters of base 32 in lower case");
}

proptest! {
    #[test]
    fn text_and_bytes_round_trip(bytes in any::<[u8; 16]>()) {
        let id = DeliveryId::from_bytes(bytes);
        prop_assert_eq!(id.to_bytes(), bytes);
        prop_assert_eq!(id.to_string().parse(), Ok(id));
    }

    /// The order of time is the order of ids, of their bytes and of their texts.
    #[test]
    fn order_is_one(
        a_ms in 0i64..1 << 48, b_ms in 0i64..1 << 48, a_dice in any::<u128>(), b_dice in any::<u128>(),
    ) {
        let (a, b) = (EventId::new(a_ms, a_dice), EventId::new(b_ms, b_dice));
        prop_assert_eq!(a.cmp(&b), a.to_bytes().cmp(&b.to_bytes()));
        prop_assert_eq!(a.cmp(&b), a.to_string().cmp(&b.to_string()));
        if a_ms != b_ms {
            prop_assert_eq!(a.cmp(&b), a_ms.cmp(&b_ms));
        }
    }
}
