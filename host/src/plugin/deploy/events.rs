//! Which events were met, and which made faults: both bounded, the oldest forgotten first.

use crate::plugin::Input;
use std::collections::{HashMap, HashSet, VecDeque};

/// Events remembered for having been counted. Calls for one event come close together, one for each
/// subscription.
const MET_MAX: usize = 1_024;
/// Events remembered for their faults. A forgotten one begins anew.
const FAULTY_MAX: usize = 10_000;

/// The memory of one slot.
#[derive(Debug, Default)]
pub struct Events {
    met: HashSet<String>,
    met_order: VecDeque<String>,
    faulty: HashMap<String, Faults>,
    order: VecDeque<String>,
}

#[derive(Clone, Copy, Debug)]
struct Faults {
    /// The last planning that was counted.
    attempt: u32,
    count: u32,
}

// === impl Events ===

impl Events {
    /// Whether this is the first call for this event, and whether the event made a fault before.
    pub fn meet(&mut self, input: &Input) -> (bool, bool) {
        let is_suspect = self.faulty.get(&input.id).is_some_and(|f| f.attempt < input.attempt);
        if input.attempt != 1 || !self.met.insert(input.id.clone()) {
            return (false, is_suspect);
        }
        self.met_order.push_back(input.id.clone());
        if self.met_order.len() > MET_MAX
            && let Some(oldest) = self.met_order.pop_front()
        {
            self.met.remove(&oldest);
        }
        (true, is_suspect)
    }

    /// Faults the event made in plannings before this one.
    pub fn faults(&self, input: &Input) -> u32 {
        let Some(faults) = self.faulty.get(&input.id) else { return 0 };
        faults.count - u32::from(faults.attempt >= input.attempt)
    }

    /// Counts a fault, once for each planning of the event, and gives their number.
    pub fn fault(&mut self, input: &Input) -> u32 {
        if let Some(faults) = self.faulty.get_mut(&input.id) {
            faults.count += u32::from(faults.attempt < input.attempt);
            faults.attempt = faults.attempt.max(input.attempt);
            return faults.count;
        }
        if self.order.len() >= FAULTY_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.faulty.remove(&oldest);
        }
        self.order.push_back(input.id.clone());
        self.faulty.insert(input.id.clone(), Faults { attempt: input.attempt, count: 1 });
        1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planning(number: usize, attempt: u32) -> Input {
        Input { id: format!("evt_{number}"), attempt, ..Input::default() }
    }

    #[test]
    fn only_the_first_call_for_an_event_is_first_until_it_is_forgotten() {
        let mut events = Events::default();
        assert_eq!(events.meet(&planning(0, 1)), (true, false));
        assert_eq!(events.meet(&planning(0, 1)), (false, false));
        for number in 1..=MET_MAX {
            assert_eq!(events.meet(&planning(number, 1)), (true, false));
        }
        assert_eq!((events.met.len(), events.met_order.len()), (MET_MAX, MET_MAX));
        assert_eq!(events.meet(&planning(0, 1)), (true, false));
    }

    #[test]
    fn a_planning_counts_one_fault_and_the_next_one_meets_a_suspect() {
        let mut events = Events::default();
        assert_eq!((events.fault(&planning(1, 1)), events.fault(&planning(1, 1))), (1, 1));
        assert_eq!(events.meet(&planning(1, 2)), (false, true));
        assert_eq!((events.faults(&planning(1, 2)), events.fault(&planning(1, 2))), (1, 2));
    }
}
