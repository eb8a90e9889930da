//! The port, call by call: a read, a transaction, or the queue of ingest.

use super::call::write;
use super::connect::{OPERATION_MAX, within};
use super::counters::{self, Delta};
use super::writer::{self, Command};
use super::{
    PostgresStore, claim, copy, endpoint, plan, plugin_state, prune, read, record, replay, upkeep,
};
use crate::crash::Written;
use crate::store::plugin_state::{Change, Changed, Entry, Page, Space};
use crate::store::{
    Appended, AttemptRecord, AttemptResult, Claim, Claimed, CopyCursor, DeliveryFilter, Depth, Due,
    EndpointHealth, Error, EventFilter, Finding, Hint, NewEvent, Oldest, Owed, Plan, PlanNext,
    Pruned, Quarantined, Quota, Record, Recorded, ReplayState, ReplayStep, Retention, SealedSecret,
    Store, StoredDelivery, StoredEvent, StoredReplay,
};
use crate::tasks::Kind;
use async_trait::async_trait;
use livekit_webhook_core::delivery::DeadReason;
use livekit_webhook_core::id::{DeliveryId, EventId, ReplayId, SecretId};
use livekit_webhook_core::replay::{Candidate, Selection};
use livekit_webhook_core::time::Timestamp;

#[async_trait]
impl Store for PostgresStore {
    async fn append(&self, event: NewEvent) -> Result<Appended, Error> {
        self.writable()?;
        let appended = self.queue.offer(Command::Append(event)).await?;
        if appended == Appended::Stored {
            self.hints.say(Hint::Events);
        }
        Ok(appended)
    }

    async fn quarantine(&self, item: Quarantined) -> Result<(), Error> {
        self.writable()?;
        self.queue.offer(Command::Quarantine(item)).await.map(drop)
    }

    async fn claim_unplanned(
        &self,
        now: Timestamp,
        lease_ms: i64,
        limit: usize,
    ) -> Result<Vec<Claim<StoredEvent>>, Error> {
        self.release_rest().await?;
        Ok(write!(self, Claim, |tx, _delta| plan::claim(tx, now, lease_ms, limit)))
    }

    async fn record_plans(&self, now: Timestamp, plans: Vec<Plan>) -> Result<Vec<Recorded>, Error> {
        let names = plans.iter().flat_map(|plan| match &plan.next {
            PlanNext::Planned { deliveries, .. } | PlanNext::Again { deliveries, .. } => {
                deliveries.iter().map(|delivery| delivery.endpoint.as_str())
            }
        });
        let numbers = self.numbers(names.collect()).await?;
        let recorded =
            write!(self, Plan, |tx, delta| plan::record(tx, &numbers, now, &plans, delta));
        self.hints.say(Hint::Deliveries);
        Ok(recorded)
    }

    async fn claim_due(
        &self,
        now: Timestamp,
        lease_ms: i64,
        quotas: Vec<Quota>,
    ) -> Result<Due, Error> {
        self.writable()?;
        self.release_rest().await?;
        let mut conn = self.shared.connections.get().await?;
        let due = within(OPERATION_MAX, claim::due(&mut conn, now, lease_ms, &quotas)).await;
        Ok(conn.settle(due)?)
    }

    async fn record_attempts(
        &self,
        now: Timestamp,
        results: Vec<AttemptResult>,
    ) -> Result<Vec<Recorded>, Error> {
        let recorded =
            write!(self, Attempt, |tx, delta| record::attempts(tx, now, &results, delta));
        self.hints.say(Hint::Deliveries);
        Ok(recorded)
    }

    async fn release(&self, claimed: Vec<Claimed>) -> Result<(), Error> {
        let released = self.give_back(&claimed).await;
        if released.is_err() {
            self.unreleased.add(claimed);
        }
        released?;
        self.hints.say(Hint::Events);
        self.hints.say(Hint::Deliveries);
        Ok(())
    }

    async fn hint(&self) -> Hint {
        self.hints.heard().await
    }

    async fn healths(&self) -> Result<Vec<EndpointHealth>, Error> {
        read!(self, |client| endpoint::healths(client))
    }

    async fn record_health(&self, health: EndpointHealth) -> Result<Recorded, Error> {
        let numbers = self.numbers(vec![&health.endpoint]).await?;
        let Some(number) = numbers.get(&health.endpoint).copied() else {
            return Ok(Recorded::Stale);
        };
        let recorded =
            write!(self, Upkeep, |tx, _delta| endpoint::record(tx, number, &health, false));
        self.hints.say(Hint::Deliveries);
        Ok(recorded)
    }

    async fn give_up(
        &self,
        now: Timestamp,
        owed: Owed,
        reason: DeadReason,
        note: String,
        limit: usize,
    ) -> Result<u64, Error> {
        let given_up = write!(self, Upkeep, |tx, delta| record::give_up(
            tx, now, &owed, reason, &note, limit, delta
        ));
        self.hints.say(Hint::Deliveries);
        Ok(given_up)
    }

    async fn pending_by_endpoint(&self) -> Result<Vec<(String, u64)>, Error> {
        read!(self, |client| read::pending_by_endpoint(client))
    }

    async fn event(&self, id: EventId) -> Result<Option<StoredEvent>, Error> {
        read!(self, |client| read::event(client, id))
    }

    async fn events(&self, filter: EventFilter) -> Result<Vec<StoredEvent>, Error> {
        read!(self, |client| read::events(client, &filter))
    }

    async fn deliveries(&self, filter: DeliveryFilter) -> Result<Vec<StoredDelivery>, Error> {
        read!(self, |client| read::deliveries(client, &filter))
    }

    async fn attempts(&self, delivery: DeliveryId) -> Result<Vec<AttemptRecord>, Error> {
        read!(self, |client| read::attempts(client, delivery))
    }

    async fn quarantined(&self, limit: usize) -> Result<Vec<Quarantined>, Error> {
        read!(self, |client| read::quarantined(client, limit))
    }

    async fn depth(&self) -> Result<Depth, Error> {
        read!(self, |client| counters::depth(client))
    }

    async fn oldest(&self, now: Timestamp) -> Result<Oldest, Error> {
        read!(self, |client| read::oldest(client, now))
    }

    async fn candidates(
        &self,
        selection: &Selection,
        after: Option<EventId>,
        limit: usize,
    ) -> Result<(Vec<Candidate>, Option<EventId>), Error> {
        read!(self, |client| replay::candidates(client, selection, after, limit))
    }

    async fn create_replay(&self, replay: StoredReplay) -> Result<(), Error> {
        write!(self, Upkeep, |tx, _delta| replay::create(tx, &replay));
        self.hints.say(Hint::Deliveries);
        Ok(())
    }

    async fn replays(&self, limit: usize) -> Result<Vec<StoredReplay>, Error> {
        read!(self, |client| replay::list(client, limit))
    }

    async fn record_replay(&self, now: Timestamp, step: ReplayStep) -> Result<Recorded, Error> {
        let names = step.deliveries.iter().map(|delivery| delivery.endpoint.as_str());
        let numbers = self.numbers(names.collect()).await?;
        let recorded =
            write!(self, Replay, |tx, delta| replay::record(tx, &numbers, now, &step, delta));
        self.hints.say(Hint::Deliveries);
        Ok(recorded)
    }

    async fn change_replay(
        &self,
        now: Timestamp,
        replay: ReplayId,
        from: ReplayState,
        to: ReplayState,
    ) -> Result<Recorded, Error> {
        let recorded = write!(self, Upkeep, |tx, _delta| replay::change(tx, now, replay, from, to));
        self.hints.say(Hint::Deliveries);
        Ok(recorded)
    }

    async fn secrets(&self) -> Result<Vec<SealedSecret>, Error> {
        read!(self, |client| upkeep::secrets(client))
    }

    async fn put_secret(&self, secret: SealedSecret) -> Result<(), Error> {
        write!(self, Upkeep, |tx, _delta| upkeep::put_secret(tx, &secret, true));
        Ok(())
    }

    async fn remove_secret(&self, id: SecretId) -> Result<Recorded, Error> {
        Ok(write!(self, Upkeep, |tx, _delta| upkeep::remove_secret(tx, id)))
    }

    async fn plugin_state(
        &self,
        now: Timestamp,
        space: &Space,
        key: &str,
    ) -> Result<Option<Entry>, Error> {
        read!(self, |client| plugin_state::get(client, now, space, key))
    }

    async fn change_plugin_state(&self, now: Timestamp, change: Change) -> Result<Changed, Error> {
        let _permit = self.state_writes.acquire().await.map_err(|_| Error::Closed)?;
        Ok(write!(self, State, |tx, _delta| plugin_state::change(tx, now, &change)))
    }

    async fn plugin_state_keys(&self, now: Timestamp, page: Page) -> Result<Vec<String>, Error> {
        read!(self, |client| plugin_state::keys(client, now, &page))
    }

    async fn prune(
        &self,
        now: Timestamp,
        retention: &Retention,
        limit: usize,
    ) -> Result<Pruned, Error> {
        Ok(write!(self, Upkeep, |tx, delta| prune::step(tx, now, retention, limit, delta)))
    }

    async fn size_bytes(&self) -> Result<u64, Error> {
        read!(self, |client| counters::bytes(client))
    }

    async fn check(&self) -> Result<Vec<Finding>, Error> {
        let mut conn = self.shared.connections.get().await?;
        let findings =
            within(upkeep::UPKEEP_MAX, async { upkeep::check(&conn.begin().await?).await }).await;
        Ok(conn.settle(findings)?)
    }

    async fn vacuum(&self) -> Result<(), Error> {
        self.writable()?;
        let conn = self.shared.connections.get().await?;
        Ok(within(upkeep::UPKEEP_MAX, upkeep::vacuum(&conn)).await?)
    }

    async fn export(
        &self,
        after: Option<CopyCursor>,
    ) -> Result<(Vec<Record>, Option<CopyCursor>), Error> {
        read!(self, |client| copy::export(client, after.as_ref()))
    }

    async fn import(&self, records: Vec<Record>) -> Result<u64, Error> {
        let numbers = self.numbers(copy::endpoints(&records)).await?;
        Ok(write!(self, Upkeep, |tx, delta| copy::import(tx, &numbers, &records, delta)))
    }

    async fn close(&self) -> Result<(), Error> {
        self.stop();
        let is_idle = self.tasks.idle(Kind::Worker, writer::CLOSE_MAX).await;
        self.shared.connections.close();
        let in_vain = || Error::Unavailable("what was queued was not written in time".into());
        is_idle.then_some(()).ok_or_else(in_vain)
    }
}
