//! What an operator asks of a replay: what would it do, do it, stop it.

use crate::entropy::Entropy;
use crate::store::{self, PAGE_MAX, Recorded, ReplayState, Store, StoredReplay};
use livekit_webhook_core::delivery::State;
use livekit_webhook_core::id::{EventId, ReplayId};
use livekit_webhook_core::replay::pace::{RATE_MILLI_MAX, RATE_MILLI_MIN};
use livekit_webhook_core::replay::{IDS_MAX, PATTERNS_MAX, ReplayStatus, Selection};
use livekit_webhook_core::time::Timestamp;
use std::collections::BTreeMap;

/// Most replays that run or are paused.
pub const LIVE_MAX: usize = 100;
/// Deliveries that a preview names.
pub const PREVIEW_FIRST_MAX: usize = 5;
/// Events that a preview looks at; a larger replay is told as "at least".
pub const PREVIEW_EVENTS_MAX: u64 = 1_000_000;
/// Events that it reads at once.
const PAGE_EVENTS: usize = 500;
/// How often a change is tried against others who change the same replay.
const TRIES_MAX: usize = 5;

/// What a replay would do now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Preview {
    /// Events of which something is sent again.
    pub events: u64,
    /// Deliveries that would be planned, by endpoint.
    pub planned: BTreeMap<String, u64>,
    /// Selected, but delivered or owed already, or dead of a plugin and so without a payload.
    pub skipped: u64,
    /// The first few.
    pub first: Vec<First>,
    /// Whether all was looked at. False: there may be more.
    pub is_whole: bool,
}

/// One delivery of a preview.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct First {
    /// The event.
    pub event: EventId,
    /// Its type.
    pub kind: String,
    /// Its room.
    pub room: Option<String>,
    /// When it arrived.
    pub received_at: Timestamp,
    /// Where it would go.
    pub endpoint: String,
    /// What became of the delivery that is repeated.
    pub was: State,
}

/// Why a replay cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The store's.
    #[error("the store did not do it")]
    Store(#[from] store::Error),
    /// No such id.
    #[error("there is no replay {0}: `livekit-webhook replay list` shows those there are")]
    Unknown(ReplayId),
    /// It is over, or is so already.
    #[error("the replay {id} is {}, it cannot become {}", is.as_str(), wanted.as_str())]
    State {
        /// Which.
        id: ReplayId,
        /// Where it stands.
        is: ReplayState,
        /// What was asked.
        wanted: ReplayState,
    },
    /// The selection says two things that cannot both hold.
    #[error("{0}")]
    Selection(String),
    /// Too slow or too fast.
    #[error("a rate of {0}/1000 deliveries per second: must be 0.01 to 10000 a second")]
    Rate(u32),
    /// Too many at once.
    #[error("{LIVE_MAX} replays run or are paused: cancel one, or wait until one is done")]
    TooMany,
}

/// Checks what a selection alone can tell, and ends it at `now` when it has no end: a replay that
/// goes on for ever is nobody's wish.
///
/// # Errors
/// [`Error::Selection`].
pub fn checked(mut selection: Selection, now: Timestamp) -> Result<Selection, Error> {
    let until = *selection.until.get_or_insert(now);
    let wrong = |text: &str| Err(Error::Selection(text.to_owned()));
    if selection.events.len() > IDS_MAX {
        return Err(Error::Selection(format!("at most {IDS_MAX} ids at once")));
    }
    if selection.kinds.len().max(selection.rooms.len()) > PATTERNS_MAX {
        return Err(Error::Selection(format!("at most {PATTERNS_MAX} patterns of one kind")));
    }
    if selection.since.is_some_and(|since| since >= until) {
        return wrong("--since is not before --until: nothing lies between them");
    }
    if selection.reason.is_some() && selection.status == Some(ReplayStatus::Delivered) {
        return wrong("--reason is about dead letters, --status delivered is not");
    }
    Ok(selection)
}

/// Goes over everything `selection` matches and changes nothing.
///
/// # Errors
/// The store's.
pub async fn preview(store: &dyn Store, selection: &Selection) -> Result<Preview, Error> {
    let mut preview = Preview::default();
    let (mut after, mut seen) = (None, 0);
    while seen < PREVIEW_EVENTS_MAX {
        let (candidates, next) = store.candidates(selection, after, PAGE_EVENTS).await?;
        seen += candidates.len() as u64;
        for candidate in candidates {
            let planned = selection.plan(&candidate);
            preview.skipped += planned.skipped as u64;
            preview.events += u64::from(!planned.again.is_empty());
            for again in planned.again {
                *preview.planned.entry(again.endpoint.clone()).or_default() += 1;
                let was = candidate.deliveries.iter().find(|fate| fate.id == again.of);
                if let (true, Some(was)) = (preview.first.len() < PREVIEW_FIRST_MAX, was) {
                    preview.first.push(First {
                        event: candidate.event,
                        kind: candidate.kind.clone(),
                        room: candidate.room.clone(),
                        received_at: candidate.received_at,
                        endpoint: again.endpoint,
                        was: was.state,
                    });
                }
            }
        }
        if next.is_none() {
            preview.is_whole = true;
            break;
        }
        after = next;
    }
    Ok(preview)
}

/// Keeps a replay for the hosts to find.
///
/// # Errors
/// [`Error::Rate`], [`Error::TooMany`], the store's.
pub async fn create(
    store: &dyn Store,
    entropy: &Entropy,
    now: Timestamp,
    selection: Selection,
    rate_milli: u32,
) -> Result<StoredReplay, Error> {
    if !(RATE_MILLI_MIN..=RATE_MILLI_MAX).contains(&rate_milli) {
        return Err(Error::Rate(rate_milli));
    }
    let is_live =
        |replay: &StoredReplay| matches!(replay.state, ReplayState::Running | ReplayState::Paused);
    let live = store.replays(PAGE_MAX).await?.iter().filter(|replay| is_live(replay)).count();
    if live >= LIVE_MAX {
        return Err(Error::TooMany);
    }
    let replay = StoredReplay {
        id: entropy.replay_id(now),
        selection,
        rate_milli,
        created_at: now,
        updated_at: now,
        state: ReplayState::Running,
        cursor: None,
        planned: 0,
        skipped: 0,
        note: None,
    };
    store.create_replay(replay.clone()).await?;
    Ok(replay)
}

/// One replay.
///
/// # Errors
/// [`Error::Unknown`], the store's.
pub async fn find(store: &dyn Store, id: ReplayId) -> Result<StoredReplay, Error> {
    let replays = store.replays(PAGE_MAX).await?;
    replays.into_iter().find(|replay| replay.id == id).ok_or(Error::Unknown(id))
}

/// Pauses, resumes or cancels a replay. Tells in which state it was.
///
/// # Errors
/// [`Error::State`] when that cannot follow, [`Error::Unknown`], the store's.
pub async fn change(
    store: &dyn Store,
    now: Timestamp,
    id: ReplayId,
    wanted: ReplayState,
) -> Result<ReplayState, Error> {
    let mut is = find(store, id).await?.state;
    for _ in 0..TRIES_MAX {
        if !is.may_become(wanted) {
            break;
        }
        if store.change_replay(now, id, is, wanted).await? == Recorded::Done {
            return Ok(is);
        }
        is = find(store, id).await?.state;
    }
    Err(Error::State { id, is, wanted })
}
