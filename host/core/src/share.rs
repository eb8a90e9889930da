//! How a host's places are shared between endpoints.
//!
//! Guarantee: no endpoint is given a place while another that could use one has fewer under way;
//! and when there are fewer places than endpoints, the turn goes round, so that nobody waits for
//! ever behind endpoints that have nothing to do.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// What one endpoint could use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Want {
    /// Places it has taken.
    pub used: usize,
    /// Places it could take beside those.
    pub free: usize,
    /// Whether it took all it was given the last time. Others get one place to begin with, so that
    /// the rest is not kept for those who have nothing to send.
    pub is_hungry: bool,
}

/// Shares `places` out: one number for each of `wants`, in their order. `turn` is any number; who
/// is first among equals moves with it.
pub fn share(places: usize, wants: &[Want], turn: usize) -> Vec<usize> {
    let mut given = vec![0; wants.len()];
    let modest = |want: &Want| if want.is_hungry { want.free } else { want.free.min(1) };
    let left = fill(places, wants, turn, &mut given, modest);
    fill(left, wants, turn, &mut given, |want| want.free);
    given
}

/// Gives one place after the other to whoever has the fewest, up to `limit` each. Tells how many
/// are left.
fn fill(
    mut places: usize,
    wants: &[Want],
    turn: usize,
    given: &mut [usize],
    limit: impl Fn(&Want) -> usize,
) -> usize {
    let count = wants.len().max(1);
    let mut heap = BinaryHeap::with_capacity(wants.len());
    for (index, (want, given)) in wants.iter().zip(given.iter_mut()).enumerate() {
        let place_in_turn = (index + count - turn % count) % count;
        if *given < limit(want) {
            heap.push(Reverse((want.used + *given, place_in_turn, index)));
        }
    }
    while places > 0 {
        let Some(Reverse((level, place_in_turn, index))) = heap.pop() else { break };
        let (Some(want), Some(given)) = (wants.get(index), given.get_mut(index)) else { break };
        *given += 1;
        places -= 1;
        if *given < limit(want) {
            heap.push(Reverse((level + 1, place_in_turn, index)));
        }
    }
    places
}

#[cfg(test)]
mod tests;
