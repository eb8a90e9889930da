use super::*;
use proptest::prelude::*;

#[test]
fn only_what_postgresql_cannot_hold_is_changed() {
    assert!(matches!(encode("café 🎥 \u{1}"), Cow::Borrowed(_)));
    assert_eq!(encode("a\0b"), "a\u{10fffd}0b");
    assert_eq!(decode("a\u{10fffd}0b"), "a\0b");
}

proptest! {
    #[test]
    fn what_is_written_is_what_is_read(text in "[a\0\u{10fffd}01]{0,12}") {
        let encoded = encode(&text).into_owned();
        prop_assert!(!encoded.contains('\0'));
        prop_assert_eq!(decode(&encoded), text);
    }
}
