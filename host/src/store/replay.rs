//! Replays as they are stored.

use livekit_webhook_core::id::{DeliveryId, EventId, ReplayId};
use livekit_webhook_core::replay::Selection;
use livekit_webhook_core::time::Timestamp;

/// A replay, as stored. Its progress is [`StoredReplay::cursor`]: a crash goes on from there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredReplay {
    /// Its id.
    pub id: ReplayId,
    /// What is sent again.
    pub selection: Selection,
    /// Deliveries planned per second, in thousandths.
    pub rate_milli: u32,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// How far it is.
    pub state: ReplayState,
    /// The last event that was looked at.
    pub cursor: Option<EventId>,
    /// Deliveries planned.
    pub planned: u64,
    /// Deliveries skipped, because they were delivered or owed already.
    pub skipped: u64,
    /// Words for the operator.
    pub note: Option<String>,
}

/// How far a replay is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReplayState {
    /// Goes on.
    Running,
    /// Stopped by the operator, to go on later.
    Paused,
    /// Every selected event was looked at.
    Done,
    /// Stopped for good by the operator.
    Cancelled,
}

/// A step of a replay, written with its cursor in one transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplayStep {
    /// Which.
    pub replay: ReplayId,
    /// Where the step began: if the stored cursor is another, or the replay does not run, nothing
    /// is written.
    pub from: Option<EventId>,
    /// Where it ended.
    pub to: Option<EventId>,
    /// To be planned.
    pub deliveries: Vec<ReplayDelivery>,
    /// Selected and skipped.
    pub skipped: u64,
    /// Nothing is left to look at.
    pub is_done: bool,
}

/// A delivery to be planned again: event, `webhook-id`, type and payload are those of `of`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplayDelivery {
    /// Given by the planner.
    pub id: DeliveryId,
    /// The delivery it repeats.
    pub of: DeliveryId,
    /// Where to.
    pub endpoint: String,
    /// Whether it goes through a lane of the replay.
    pub is_ordered: bool,
    /// When the first attempt is due.
    pub due_at: Timestamp,
}

// === impl ReplayState ===

impl ReplayState {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Running, Self::Paused, Self::Done, Self::Cancelled];

    /// The word of the store and the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Done => "done",
            Self::Cancelled => "cancelled",
        }
    }

    /// The reverse of [`ReplayState::as_str`].
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }

    /// Whether an operator may change it to `next`: what has ended stays ended.
    pub fn may_become(self, next: Self) -> bool {
        matches!(
            (self, next),
            (Self::Running, Self::Paused | Self::Cancelled)
                | (Self::Paused, Self::Running | Self::Cancelled)
        )
    }
}
