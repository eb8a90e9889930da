use proptest::prelude::*;

use super::hostile;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_proxy_and_no_stranger_gets_a_panic_or_an_unsigned_body_through(
        data in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        hostile::drive(&data);
    }

    /// Steps that mostly make sense, so that the signed request is met often.
    #[test]
    fn no_order_of_callbacks_lets_an_unsigned_body_through(
        json in 0_u8..3,
        steps in prop::collection::vec(
            (prop_oneof![Just(0_u8), Just(0x80), Just(2), Just(0x82), Just(4)], 2_u8..4, 0_u8..3),
            0..12,
        ),
    ) {
        let steps = steps.iter().flat_map(|(step, pairs, body)| match step % 8 {
            0 => vec![*step, *pairs, 1, b'a', 1, b'b', 1, 1, *body, 2, 2, 1, 1, 1, 1, 1, 1],
            _ => vec![*step, 1, 1, *body, 1, 1, 1, 1, 1, 1, 1, 1],
        });
        let data: Vec<u8> = [json].into_iter().chain(steps).collect();
        hostile::drive(&data);
    }
}

#[test]
fn the_signed_request_does_get_through_a_proxy_that_helps() {
    // A signed head without another line, then the signed body, and yes to everything: what is not
    // said is agreed to.
    let data = [0, 0, 3, 0, 0, 1, 1, 1, 0x82, 1, 1, 1, 1, 2];
    assert_eq!(hostile::drive(&data), 1);
}
