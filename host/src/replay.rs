//! Sending again what is stored.
//!
//! The cast: a *replay* is a row with a selection, a rate and a cursor; [`ask`] makes, previews and
//! changes one; the *worker* ([`Replayer::run`]) takes those that run, step by step: it reads some
//! events after the cursor, decides for each ([`Selection::plan`]), and writes the new deliveries
//! and the cursor in one transaction. From there on they are deliveries like any other.
//!
//! Guarantee: the cursor moves by compare-and-set, so neither a crash nor a second host plans an
//! event twice, and what is paused or cancelled gets no further step. What a cancelled replay still
//! owes is given up within a second by whichever host runs. Non-guarantee: the deliveries of one
//! event are planned together, so a rate under one event's deliveries a second is kept on average
//! and by the host that took the step.
//!
//! [`Selection::plan`]: livekit_webhook_core::replay::Selection::plan

pub mod ask;

use crate::clock::Clock;
use crate::entropy::Entropy;
use crate::metrics::{EndpointLabel, Metrics, ReplayLabel};
use crate::store::{
    DeliveryFilter, Error, Owed, PAGE_MAX, Recorded, ReplayDelivery, ReplayState, ReplayStep,
    Status, Store, StoredReplay,
};
use crate::tasks::{Bell, Stop};
use livekit_webhook_core::delivery::DeadReason;
use livekit_webhook_core::id::ReplayId;
use livekit_webhook_core::replay::pace;
use livekit_webhook_core::time::Timestamp;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tracing::{info, warn};

/// Most events of one step.
pub const STEP_EVENTS_MAX: usize = 1_000;
/// Most steps of one replay before the others have their turn.
const TURN_STEPS_MAX: usize = 32;
/// Deliveries given up in one call of the store.
const GIVE_UP_MAX: usize = 500;
/// How often the worker looks while a replay runs.
const STEP_WAIT: Duration = Duration::from_millis(100);
/// How often it looks while none does.
const IDLE_WAIT: Duration = Duration::from_millis(500);
/// Pause after the store failed.
const STORE_PAUSE: Duration = Duration::from_millis(200);

/// What the worker works with.
pub struct Replayer {
    /// Endpoints that are delivered to in order: a replay has a lane of its own there.
    pub ordered: HashSet<String>,
    /// Where replays, events and deliveries are.
    pub store: Arc<dyn Store>,
    /// Timestamps.
    pub clock: Arc<dyn Clock>,
    /// Delivery ids.
    pub entropy: Arc<Entropy>,
    /// Wakes the worker.
    pub bell: Bell,
    /// Wakes the next stage.
    pub deliver: Bell,
    /// Counters.
    pub metrics: Arc<Metrics>,
}

/// What the worker remembers between two looks. All of it can be lost.
#[derive(Default)]
struct Memory {
    /// Until when a replay's rate is used up, if that is later than its last step: an event had
    /// more deliveries than there was room for.
    used_until: HashMap<ReplayId, Timestamp>,
    /// Cancelled replays that owe nothing any more.
    settled: HashSet<ReplayId>,
}

/// How a step ended.
enum Stepped {
    /// So many deliveries were planned, and there is more.
    On(usize),
    /// Nothing is left.
    Done(usize),
    /// Somebody else moved or stopped it.
    Stale,
}

// === impl Replayer ===

impl Replayer {
    /// Plans until `stop`. The step it is in is finished first.
    pub async fn run(self: Arc<Self>, stop: Stop) {
        let mut memory = Memory::default();
        while !stop.is_given() {
            match self.round(&mut memory, &stop).await {
                Ok(running) => {
                    self.metrics.replays_running.set(i64::try_from(running).unwrap_or(i64::MAX));
                    let limit = if running > 0 { STEP_WAIT } else { IDLE_WAIT };
                    let mut stop = stop.clone();
                    tokio::select! {
                        () = self.bell.wait(limit) => {}
                        () = stop.given() => {}
                    }
                }
                Err(error) => {
                    self.metrics.store_errors.inc();
                    warn!(error = &error as &dyn std::error::Error, "replays wait for the store");
                    tokio::time::sleep(STORE_PAUSE).await;
                }
            }
        }
    }

    /// Gives each replay its turn. Tells how many run.
    async fn round(&self, memory: &mut Memory, stop: &Stop) -> Result<usize, Error> {
        let replays = self.store.replays(PAGE_MAX).await?;
        let known: HashSet<ReplayId> = replays.iter().map(|replay| replay.id).collect();
        memory.used_until.retain(|id, _| known.contains(id));
        memory.settled.retain(|id| known.contains(id));
        let mut running = 0;
        for replay in replays {
            if stop.is_given() {
                break;
            }
            match replay.state {
                ReplayState::Running => running += usize::from(self.turn(replay, memory).await?),
                ReplayState::Cancelled if !memory.settled.contains(&replay.id) => {
                    self.settle(&replay, memory).await?;
                }
                _ => {}
            }
        }
        Ok(running)
    }

    /// Takes steps of one replay, as many as its rate has room for. Tells whether it goes on.
    async fn turn(&self, mut replay: StoredReplay, memory: &mut Memory) -> Result<bool, Error> {
        let now = self.clock.now();
        let used_until = memory.used_until.get(&replay.id).copied().max(Some(replay.updated_at));
        let mut room = pace::allowance(replay.rate_milli, used_until.unwrap_or(now), now);
        if replay.cursor.is_none() && replay.planned == 0 {
            // The first one waits for nobody.
            room = room.max(1);
        }
        for _ in 0..TURN_STEPS_MAX {
            if room == 0 {
                break;
            }
            match self.step(&mut replay, room).await? {
                Stepped::On(planned) if planned > room => {
                    let over = planned - room;
                    let until = pace::due_at(replay.rate_milli, over, self.clock.now());
                    memory.used_until.insert(replay.id, until);
                    return Ok(true);
                }
                Stepped::On(planned) => room -= planned,
                Stepped::Done(planned) => {
                    self.tell_done(&replay, planned);
                    return Ok(false);
                }
                Stepped::Stale => return Ok(true),
            }
        }
        Ok(true)
    }

    /// Plans what fits into `room`, one event at least, and moves the cursor behind it.
    async fn step(&self, replay: &mut StoredReplay, room: usize) -> Result<Stepped, Error> {
        let limit = room.clamp(1, STEP_EVENTS_MAX);
        let from = replay.cursor;
        let (candidates, next) = self.store.candidates(&replay.selection, from, limit).await?;
        let now = self.clock.now();
        let (mut to, mut skipped, mut deliveries) = (from, 0, Vec::new());
        let mut is_whole = true;
        for candidate in &candidates {
            let planned = replay.selection.plan(candidate);
            if !deliveries.is_empty() && deliveries.len() + planned.again.len() > room {
                is_whole = false;
                break;
            }
            to = Some(candidate.event);
            skipped += planned.skipped as u64;
            for again in planned.again {
                deliveries.push(ReplayDelivery {
                    id: self.entropy.delivery_id(now),
                    of: again.of,
                    is_ordered: self.ordered.contains(&again.endpoint),
                    endpoint: again.endpoint,
                    due_at: pace::due_at(replay.rate_milli, deliveries.len(), now),
                });
            }
        }
        if is_whole {
            to = next.or(to);
        }
        let is_done = is_whole && next.is_none();
        let planned = deliveries.len();
        let endpoints: Vec<String> = deliveries.iter().map(|one| one.endpoint.clone()).collect();
        let step = ReplayStep { replay: replay.id, from, to, deliveries, skipped, is_done };
        if self.store.record_replay(now, step).await? == Recorded::Stale {
            return Ok(Stepped::Stale);
        }
        for endpoint in endpoints {
            self.metrics.planned.get_or_create(&EndpointLabel { endpoint }).inc();
        }
        if planned > 0 {
            self.deliver.ring();
        }
        replay.cursor = to;
        replay.planned = replay.planned.saturating_add(planned as u64);
        replay.skipped = replay.skipped.saturating_add(skipped);
        Ok(if is_done { Stepped::Done(planned) } else { Stepped::On(planned) })
    }

    fn tell_done(&self, replay: &StoredReplay, last_step: usize) {
        let (replay_id, planned, skipped) = (replay.id, replay.planned, replay.skipped);
        info!(%replay_id, planned, skipped, last_step, "replay done");
        self.ended(ReplayState::Done);
    }

    fn ended(&self, state: ReplayState) {
        let label = ReplayLabel { state: state.as_str() };
        self.metrics.replays_ended.get_or_create(&label).inc();
    }

    /// Gives up what a cancelled replay still owes. An attempt that is under way may come back as
    /// owed, so this is over only when nothing is.
    async fn settle(&self, replay: &StoredReplay, memory: &mut Memory) -> Result<(), Error> {
        let replay_id = replay.id;
        let owed = Owed::Replay(replay_id);
        let note = "the replay was cancelled".to_owned();
        let mut given_up = 0;
        loop {
            let now = self.clock.now();
            let (owed, note) = (owed.clone(), note.clone());
            let reason = DeadReason::Cancelled;
            let count = self.store.give_up(now, owed, reason, note, GIVE_UP_MAX).await?;
            given_up += count;
            if count == 0 {
                break;
            }
        }
        let filter = DeliveryFilter {
            replay: Some(replay_id),
            status: Some(Status::Pending),
            limit: 1,
            ..DeliveryFilter::default()
        };
        if self.store.deliveries(filter).await?.is_empty() {
            memory.settled.insert(replay_id);
        }
        if given_up > 0 {
            info!(%replay_id, given_up, "replay cancelled");
            self.ended(ReplayState::Cancelled);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
