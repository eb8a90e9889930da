use super::*;
use proptest::prelude::*;

fn hungry(used: usize, free: usize) -> Want {
    Want { used, free, is_hungry: true }
}

#[test]
fn the_emptiest_come_first() {
    assert_eq!(share(1, &[hungry(3, 5), hungry(0, 5)], 0), [0, 1]);
    assert_eq!(share(4, &[hungry(0, 10), hungry(0, 10)], 0), [2, 2]);
    assert_eq!(share(9, &[hungry(4, 10), hungry(0, 10)], 0), [3, 6]);
    assert_eq!(share(9, &[hungry(0, 2), hungry(0, 10)], 0), [2, 7]);
    assert_eq!(share(9, &[], 3), [0; 0]);
}

#[test]
fn who_has_nothing_to_send_leaves_the_rest_to_others() {
    let idle = Want { used: 0, free: 32, is_hungry: false };
    assert_eq!(share(20, &[idle, hungry(0, 32), idle], 0), [1, 18, 1]);
    // What nobody else can use is offered all the same: a burst may come.
    assert_eq!(share(20, &[idle, hungry(0, 4), idle], 0), [8, 4, 8]);
}

#[test]
fn the_turn_goes_round() {
    let wants = [hungry(0, 1); 3];
    let firsts: Vec<_> = (0..4).map(|turn| share(1, &wants, turn)).collect();
    assert_eq!(firsts, [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 0]]);
}

fn want() -> impl Strategy<Value = Want> {
    (0..20_usize, 0..20_usize, any::<bool>()).prop_map(|(used, free, is_hungry)| Want {
        used,
        free,
        is_hungry,
    })
}

proptest! {
    #[test]
    fn nothing_is_wasted_and_nobody_is_put_last(
        places in 0..200_usize,
        wants in proptest::collection::vec(want(), 0..12),
        turn in any::<usize>(),
    ) {
        let given = share(places, &wants, turn);
        let wanted: usize = wants.iter().map(|want| want.free).sum();
        prop_assert_eq!(given.iter().sum::<usize>(), places.min(wanted));
        for (want, given) in wants.iter().zip(&given) {
            prop_assert!(*given <= want.free);
        }
        // Among the hungry nobody is given a place above the level of one who could use it.
        let hungry: Vec<_> = wants.iter().zip(&given).filter(|(want, _)| want.is_hungry).collect();
        for (poor, few) in hungry.iter().filter(|(want, given)| **given < want.free) {
            for (rich, many) in hungry.iter().filter(|(_, given)| **given > 0) {
                prop_assert!(rich.used + **many <= poor.used + **few + 1);
            }
        }
    }
}
