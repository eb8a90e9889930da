//! What can be asked of both.

use super::*;

const ENDPOINTS: [&str; 3] = ["plain", "ordered", "batched"];

impl Run<'_> {
    pub async fn step(&mut self) {
        self.now = self.now.plus_millis(self.dice.roll(3_000) as i64);
        match self.dice.roll(100) {
            0..15 => self.append().await,
            15..30 => self.claim_unplanned().await,
            30..45 => self.record_plan().await,
            45..60 => self.claim_due().await,
            60..80 => self.record_attempts().await,
            80..83 => self.release().await,
            83..86 => self.record_health().await,
            86..89 => self.give_up().await,
            89..95 => self.replay().await,
            95..97 => self.prune().await,
            _ => self.keep().await,
        }
        assert_eq!(self.store.depth().await.unwrap(), self.model.depth().await.unwrap());
        let pending = self.store.pending_by_endpoint().await.unwrap();
        assert_eq!(pending, self.model.pending_by_endpoint().await.unwrap());
    }

    fn next_number(&mut self) -> u32 {
        self.last += 1;
        self.last
    }

    fn delivery_id(&mut self) -> DeliveryId {
        DeliveryId::new(self.now.as_millis(), self.next_number().into())
    }

    async fn append(&mut self) {
        let number = self.next_number();
        let lane = self.dice.pick(&[None, Some("r1"), Some("r2")]);
        let body = Bytes::from(format!("{{\"body\":{}}}", self.dice.roll(2)));
        let event = NewEvent {
            id: EventId::new(self.now.as_millis(), number.into()),
            source: self.dice.pick(&["prod", "test"]).to_owned(),
            dedupe_key: format!("EV_{}", self.dice.roll(60)),
            lane: lane.map(str::to_owned),
            room: lane.map(str::to_owned),
            received_at: self.now,
            body_sha256: fake_hash(&body),
            body,
            ..event(number)
        };
        let here = self.store.append(event.clone()).await.unwrap();
        assert_eq!(here, self.model.append(event.clone()).await.unwrap());
        let here = self.store.event(event.id).await.unwrap();
        assert_eq!(here, self.model.event(event.id).await.unwrap());
    }

    async fn claim_unplanned(&mut self) {
        let limit = 1 + self.dice.roll(4) as usize;
        let here = self.store.claim_unplanned(self.now, LEASE_MS, limit).await.unwrap();
        let model = self.model.claim_unplanned(self.now, LEASE_MS, limit).await.unwrap();
        let items = |claims: &[Claim<StoredEvent>]| -> Vec<StoredEvent> {
            claims.iter().map(|claim| claim.item.clone()).collect()
        };
        assert_eq!(items(&here), items(&model));
        self.events.extend(pair(here, model));
    }

    async fn record_plan(&mut self) {
        if self.events.is_empty() {
            return;
        }
        let claim = self.events.remove(self.dice.roll(self.events.len() as u64) as usize);
        let event = &claim.item.event;
        let mut settled = claim.item.settled.clone();
        let mut deliveries = Vec::new();
        for endpoint in ENDPOINTS {
            if settled.iter().any(|name| name == endpoint) || self.dice.one_in(3) {
                continue;
            }
            settled.push(endpoint.to_owned());
            let key = event.lane.as_deref().filter(|_| endpoint == "ordered");
            let state = match self.dice.one_in(9) {
                true => State::Dead(DeadReason::Plugin),
                false => State::Pending,
            };
            deliveries.push(NewDelivery {
                id: self.delivery_id(),
                endpoint: endpoint.to_owned(),
                webhook_id: event.id.to_string(),
                kind: event.kind.clone(),
                body: self.dice.one_in(3).then(|| Bytes::from_static(b"[\"own\"]")),
                headers: if self.dice.one_in(3) { headers() } else { Default::default() },
                lane: key.map(|key| lane(None, &event.source, key)),
                due_at: self.now.plus_millis(self.dice.roll(2_000) as i64),
                state,
                note: None,
            });
        }
        let next = if self.dice.one_in(5) {
            let at = self.now.plus_millis(self.dice.roll(5_000) as i64);
            PlanNext::Again { at, note: "later".to_owned(), deliveries, settled }
        } else {
            PlanNext::Planned { deliveries, note: None }
        };
        let plan = |fence| vec![Plan { event: event.id, fence, next: next.clone() }];
        let here = self.store.record_plans(self.now, plan(claim.here)).await.unwrap();
        let model = self.model.record_plans(self.now, plan(claim.model)).await.unwrap();
        assert_eq!(here, model);
    }

    fn quotas(&mut self) -> Vec<Quota> {
        let slots = 1 + self.dice.roll(4) as usize;
        vec![
            Quota { rate: Rate::new(1.0, 3).ok(), ..quota("plain", slots) },
            Quota { in_flight_max: 2, ..quota("ordered", slots) },
            Quota { batching: Batching::new(3, 1_000).ok(), ..quota("batched", slots) },
        ]
    }

    async fn claim_due(&mut self) {
        let quotas = self.quotas();
        let here = self.store.claim_due(self.now, LEASE_MS, quotas.clone()).await.unwrap();
        let model = self.model.claim_due(self.now, LEASE_MS, quotas).await.unwrap();
        assert_eq!(comparable(&here), comparable(&model));
        assert!(here.next_at.is_none_or(|at| at > self.now), "{:?} has passed", here.next_at);
        if let Some(at) = model.next_at {
            assert!(here.next_at.is_some_and(|here| here <= at), "{:?} is late", here.next_at);
        }
        self.deliveries.extend(pair(here.claims, model.claims));
    }

    /// One request's results, or those of one that another claim has by now.
    async fn record_attempts(&mut self) {
        if self.deliveries.is_empty() {
            return;
        }
        let chosen = self.dice.roll(self.deliveries.len() as u64) as usize;
        let mut claims = vec![self.deliveries.remove(chosen)];
        if claims[0].item.delivery.endpoint == "batched" {
            let rest = std::mem::take(&mut self.deliveries);
            let is_batched = |claim: &Pair<DueDelivery>| {
                claim.item.delivery.endpoint == "batched" && claims.len() < 3
            };
            let (batched, rest): (Vec<_>, Vec<_>) = rest.into_iter().partition(is_batched);
            self.deliveries = rest;
            claims.extend(batched.into_iter().take(2));
        }
        let retry = Next::RetryAt(self.now.plus_millis(self.dice.roll(5_000) as i64));
        let next = self.dice.pick(&[Next::Delivered, Next::Delivered, retry, retry, DEAD]);
        let leaves_lane = self.dice.one_in(4);
        let batch = BatchId::of(claims.iter().map(|claim| claim.item.delivery.webhook_id.as_str()));
        let batch = Some(batch).filter(|_| claims[0].item.delivery.endpoint == "batched");
        let results = |fence: fn(&Pair<DueDelivery>) -> Fence| -> Vec<AttemptResult> {
            let results = claims.iter().map(|claim| {
                let claimed = Claim { fence: fence(claim), item: claim.item.clone() };
                AttemptResult { batch, leaves_lane, ..result(&claimed, 200, next) }
            });
            results.collect()
        };
        let here = results(|claim| claim.here);
        let here = self.store.record_attempts(self.now, here).await.unwrap();
        let model = results(|claim| claim.model);
        let model = self.model.record_attempts(self.now, model).await.unwrap();
        assert_eq!(here, model);
        for claim in &claims {
            let id = claim.item.delivery.id;
            let here = self.store.attempts(id).await.unwrap();
            assert_eq!(here, self.model.attempts(id).await.unwrap());
        }
    }

    async fn release(&mut self) {
        if let Some(claim) = self.deliveries.pop() {
            let claimed = |fence| vec![Claimed::Delivery(claim.item.delivery.id, fence)];
            self.store.release(claimed(claim.here)).await.unwrap();
            self.model.release(claimed(claim.model)).await.unwrap();
        }
        if let Some(claim) = self.events.pop() {
            let claimed = |fence| vec![Claimed::Event(claim.item.event.id, fence)];
            self.store.release(claimed(claim.here)).await.unwrap();
            self.model.release(claimed(claim.model)).await.unwrap();
        }
    }

    async fn record_health(&mut self) {
        let known = self.model.healths().await.unwrap();
        assert_eq!(self.store.healths().await.unwrap(), known);
        let endpoint = self.dice.pick(&ENDPOINTS);
        let version = known.iter().find(|health| health.endpoint == endpoint);
        let version = version.map_or(0, |health| health.version) + self.dice.roll(5) / 4;
        let until = self.now.plus_millis(self.dice.roll(9_000) as i64);
        let mut health = Health::default();
        match self.dice.roll(5) {
            0 => health.breaker = Breaker::Open { until, periods: 1, successes: 0 },
            1 => health.paused_until = Some(until),
            2 => health.disabled = Some(Disabled { reason: DisabledReason::Gone, at: until }),
            _ => {}
        }
        let health = EndpointHealth { endpoint: endpoint.to_owned(), health, version };
        let here = self.store.record_health(health.clone()).await.unwrap();
        assert_eq!(here, self.model.record_health(health).await.unwrap());
    }

    async fn give_up(&mut self) {
        let owed = match self.dice.roll(3) {
            0 => Owed::Endpoint(self.dice.pick(&ENDPOINTS).to_owned()),
            1 => Owed::Replay(super::super::replay::id(1 + self.dice.roll(3) as u32)),
            _ => {
                let filter = DeliveryFilter { limit: 1, ..DeliveryFilter::default() };
                let newest = self.model.deliveries(filter).await.unwrap();
                let Some(newest) = newest.first() else { return };
                Owed::Delivery(newest.id)
            }
        };
        let (now, reason, note) = (self.now, DeadReason::EndpointDisabled, "enough".to_owned());
        // Which go first is for each store to say, so all of them go.
        let mut given_up = Vec::new();
        for store in [self.store, &self.model] {
            let mut all = 0;
            loop {
                let step = store.give_up(now, owed.clone(), reason, note.clone(), 2).await.unwrap();
                all += step;
                if step == 0 {
                    break;
                }
            }
            given_up.push(all);
        }
        assert_eq!(given_up[0], given_up[1]);
    }

    /// Creates a replay, changes one, or makes a step.
    async fn replay(&mut self) {
        let number = 1 + self.dice.roll(3) as u32;
        let id = super::super::replay::id(number);
        let known = self.model.replays(9).await.unwrap();
        assert_eq!(self.store.replays(9).await.unwrap(), known);
        let Some(replay) = known.into_iter().find(|replay| replay.id == id) else {
            super::super::replay::created(self.store, number).await;
            return super::super::replay::created(&self.model, number).await;
        };
        if self.dice.one_in(4) {
            let (from, to) = (self.dice.pick(&ReplayState::ALL), self.dice.pick(&ReplayState::ALL));
            let here = self.store.change_replay(self.now, id, from, to).await.unwrap();
            let model = self.model.change_replay(self.now, id, from, to).await.unwrap();
            return assert_eq!(here, model);
        }
        let selection = Selection { include_succeeded: self.dice.one_in(2), ..replay.selection };
        let (candidates, to) = self.model.candidates(&selection, replay.cursor, 3).await.unwrap();
        let mut deliveries = Vec::new();
        let mut skipped = 0;
        for candidate in &candidates {
            let planned = selection.plan(candidate);
            skipped += planned.skipped as u64;
            for again in planned.again {
                let id = self.delivery_id();
                let (of, endpoint) = (again.of, again.endpoint);
                let is_ordered = endpoint == "ordered";
                let due_at = self.now;
                deliveries.push(ReplayDelivery { id, of, endpoint, is_ordered, due_at });
            }
        }
        let from = replay.cursor.filter(|_| !self.dice.one_in(9));
        let last = candidates.last().map(|candidate| candidate.event);
        let step = ReplayStep {
            replay: id,
            from,
            to: to.or(last).or(replay.cursor),
            deliveries,
            skipped,
            is_done: to.is_none(),
        };
        let here = self.store.record_replay(self.now, step.clone()).await.unwrap();
        assert_eq!(here, self.model.record_replay(self.now, step).await.unwrap());
    }

    /// Ages are short enough to take something; a step may end where each store likes, the end may
    /// not differ.
    async fn prune(&mut self) {
        let retention = Retention {
            delivered_ms: 60_000,
            dead_ms: 200_000,
            quarantined_ms: 100_000,
            lanes_ms: 80_000,
            bytes_max: None,
        };
        for store in [self.store, &self.model] {
            let mut is_more = true;
            while is_more {
                is_more = store.prune(self.now, &retention, 5).await.unwrap().is_more;
            }
        }
    }

    /// Quarantined bodies and secrets.
    async fn keep(&mut self) {
        let number = self.next_number();
        let item = Quarantined {
            id: EventId::new(self.now.as_millis(), number.into()),
            source: None,
            reason: "not_an_object".to_owned(),
            received_at: self.now,
            body: Bytes::from_static(b"[]"),
        };
        let secret = SealedSecret {
            id: SecretId::new(0, self.dice.roll(4).into()),
            endpoint: self.dice.pick(&ENDPOINTS).to_owned(),
            key_id: "k".to_owned(),
            sealed: Bytes::from(number.to_string()),
            created_at: self.now,
            expires_at: None,
        };
        let gone = SecretId::new(0, self.dice.roll(4).into());
        let mut removed = Vec::new();
        for store in [self.store, &self.model] {
            store.quarantine(item.clone()).await.unwrap();
            store.put_secret(secret.clone()).await.unwrap();
            removed.push(store.remove_secret(gone).await.unwrap());
        }
        assert_eq!(removed[0], removed[1]);
        assert_eq!(self.store.secrets().await.unwrap(), self.model.secrets().await.unwrap());
    }
}
