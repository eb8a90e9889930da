//! How deliveries flow to an endpoint: in which order, how fast, and when they stop.

use crate::batch::Batching;
use crate::delivery::Next;
use crate::health::HealthPolicy;
use crate::rate::Rate;

/// The flow of one endpoint's deliveries.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Traffic {
    /// Alone, in order or in batches.
    pub order: Order,
    /// Requests per second over all hosts. `None`: as fast as there are places.
    pub rate: Option<Rate>,
    /// Breaker and auto-disable.
    pub health: HealthPolicy,
}

/// Alone, in order or in batches: one excludes the other, since a batch that fails in part could
/// not be put in order again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// Each delivery by itself, in no order.
    #[default]
    None,
    /// One at a time for each room (LiveKit's ordering key), in the order of arrival.
    Room {
        /// A delivery that failed so often goes on by itself and its room without it. `None`: the
        /// room waits until it is delivered or dead.
        skip_after: Option<u32>,
    },
    /// Several events in one request.
    Batch(Batching),
}

// === impl Order ===

impl Order {
    /// Whether deliveries stand in lanes.
    pub fn has_lanes(self) -> bool {
        matches!(self, Self::Room { .. })
    }

    /// How events are grouped, if they are.
    pub fn batching(self) -> Option<Batching> {
        match self {
            Self::Batch(batching) => Some(batching),
            Self::None | Self::Room { .. } => None,
        }
    }

    /// Whether a delivery leaves its lane: it waits for another attempt after attempt number
    /// `attempts_made`, and its room has waited long enough.
    pub fn leaves_lane(self, attempts_made: u32, next: Next) -> bool {
        let Self::Room { skip_after: Some(limit) } = self else { return false };
        matches!(next, Next::RetryAt(_)) && attempts_made >= limit
    }
}
