//! Faults that a test asks for.

use std::collections::VecDeque;
use std::time::Duration;

/// What goes wrong with one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It answers [`crate::store::Error::Unavailable`] and changes nothing.
    Unavailable,
    /// It answers [`crate::store::Error::Full`] and changes nothing.
    Full,
    /// It never answers and changes nothing.
    Hang,
    /// It is done, and answers [`crate::store::Error::Unavailable`] all the same, which is what a
    /// lost connection looks like.
    LostAnswer,
    /// It is done after so long.
    Slow(Duration),
    /// It is done at once, and the answer takes so long.
    SlowAnswer(Duration),
}

/// What a call does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// It changes rows.
    Write,
    /// It claims or releases.
    Claim,
    /// It looks.
    Read,
}

/// A rule of the port that can be broken on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// An acknowledged event is stored.
    Stored,
    /// A stale fence records nothing.
    Fence,
    /// Only the head of a lane goes.
    Lane,
    /// An earlier event without a plan holds its lane.
    PlanBefore,
    /// No more in flight than allowed.
    InFlight,
    /// No more in a second than allowed.
    Rate,
    /// Nothing goes while the gate is closed.
    Gate,
    /// A replay's step is recorded once.
    Step,
}

/// Decides for each call.
pub type Script = Box<dyn FnMut(Call) -> Option<Fault> + Send>;

#[derive(Default)]
pub struct Faults {
    script: Option<Script>,
    next_writes: VecDeque<(Fault, u32)>,
}

// === impl Faults ===

impl Faults {
    pub fn set_script(&mut self, script: Script) {
        self.script = Some(script);
    }

    pub fn next_writes(&mut self, fault: Fault, count: u32) {
        self.next_writes.retain(|(known, _)| *known != fault);
        if count > 0 {
            self.next_writes.push_back((fault, count));
        }
    }

    pub fn next(&mut self, call: Call) -> Option<Fault> {
        if call == Call::Write
            && let Some((fault, count)) = self.next_writes.front_mut()
        {
            let fault = *fault;
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.next_writes.pop_front();
            }
            return Some(fault);
        }
        self.script.as_mut().and_then(|script| script(call))
    }
}
