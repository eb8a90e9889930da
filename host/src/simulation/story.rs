//! What happens in a run: events come, endpoints have moods, the store has trouble, hosts crash.

use super::end;
use super::host::Host;
use super::ledger;
use super::net::Mood;
use super::world::{Options, Outcome, World};
use crate::clock::Clock;
use crate::store::conformance::fake_hash;
use crate::store::{
    Appended, EndpointHealth, NewEvent, Recorded, ReplayState, Store, StoredReplay,
};
use bytes::Bytes;
use livekit_webhook_core::health::Health;
use livekit_webhook_core::id::ReplayId;
use livekit_webhook_core::replay::Selection;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Steps of a run while there is trouble.
const STEPS_MIN: u64 = 30;
const STEPS_MORE: u64 = 90;
/// A sender tries so often, as LiveKit does.
const SENDS_MAX: u32 = 5;
/// How long it may take until nothing is owed when all is well, in looks of a second.
const LOOKS_MAX: u32 = 400;

struct Story {
    world: Arc<World>,
    hosts: Vec<Option<Host>>,
    last_event: u64,
    last_replay: u128,
    /// When an outage of the store ends, in true milliseconds.
    outage_ends_ms: Option<i64>,
    faults_permille: u32,
}

/// One run.
pub async fn run(options: Options) -> Outcome {
    let world = World::new(options);
    let count = 1 + world.dice.roll(3) as usize;
    let hosts = (0..count).map(|number| Some(Host::start(&world, number))).collect();
    let mut story = Story {
        hosts,
        last_event: 0,
        last_replay: 0,
        outage_ends_ms: None,
        faults_permille: world.dice.pick(&[0, 5, 30, 80]),
        world,
    };
    let (clocks, own) = (story.world.clocks, story.world.has_own_store);
    story.world.tell(format!("{count} hosts, clocks {clocks:?}, a store of its own: {own}"));
    story.set_faults(story.faults_permille);
    story.trouble().await;
    story.all_is_well().await;
    story.settle("the end").await;
    end::check(&story.world);
    // Now everybody is well: what is dead is sent again, and nothing may be left.
    story.replay_the_dead().await;
    story.settle("the replay's end").await;
    end::check(&story.world);
    end::check_everybody_has_everything(&story.world);
    ledger::check_rates(&story.world);
    for host in story.hosts.into_iter().flatten() {
        host.stop(&story.world).await;
    }
    let ledger = story.world.ledger();
    let summary = format!(
        "{count} hosts, {clocks:?} clocks, {} events, {} requests, {} crashes, {} repeats, {} s",
        ledger.acknowledged.len(),
        ledger.requests,
        ledger.crashes,
        ledger.repeats,
        story.world.elapsed_ms() / 1_000,
    );
    let (violations, trace) = (ledger.violations.clone(), ledger.trace.clone());
    Outcome { violations, trace, hash: ledger.hash(), summary }
}

// === impl Story ===

impl Story {
    async fn trouble(&mut self) {
        let world = self.world.clone();
        let steps = STEPS_MIN + world.dice.roll(STEPS_MORE);
        for _ in 0..steps {
            tokio::time::sleep(Duration::from_millis(1 + world.dice.roll(500))).await;
            self.look();
            match world.dice.roll(100) {
                0..50 => self.events().await,
                50..62 => self.mood(),
                62..66 => self.crash().await,
                66..68 => self.stop().await,
                68..74 => self.start(),
                74..78 => self.jump(),
                78..80 => self.outage(),
                80..84 => self.replay().await,
                84..86 => self.enable().await,
                _ => {}
            }
        }
    }

    /// What the checkers see between requests.
    fn look(&mut self) {
        let now_ms = self.world.elapsed_ms();
        if self.outage_ends_ms.is_some_and(|end_ms| end_ms <= now_ms) {
            self.end_outage();
        }
        self.world.ledger().observe_ends(now_ms, &self.world.store, self.world.forgets);
    }

    fn end_outage(&mut self) {
        self.outage_ends_ms = None;
        self.set_faults(self.faults_permille);
    }

    fn set_faults(&self, permille: u32) {
        self.world.faults_permille.store(permille, Ordering::SeqCst);
    }

    /// Some at once, to whichever hosts are up.
    async fn events(&mut self) {
        let world = self.world.clone();
        let up: Vec<&Host> = self.hosts.iter().flatten().collect();
        if up.is_empty() {
            return;
        }
        let mut sends = Vec::new();
        for _ in 0..1 + world.dice.roll(3) {
            self.last_event += 1;
            let host = up[world.dice.roll(up.len() as u64) as usize];
            sends.push(send(&world, host, self.last_event));
        }
        for send in sends {
            send.await;
        }
    }

    fn mood(&mut self) {
        let names: Vec<_> = self.world.endpoints.iter().map(|e| e.name.to_string()).collect();
        let name = &names[self.world.dice.roll(names.len() as u64) as usize];
        let moods = [
            Mood::Well,
            Mood::Well,
            Mood::Flaky,
            Mood::Flaky,
            Mood::Down,
            Mood::Busy,
            Mood::Slow,
            Mood::Broken,
        ];
        let mood =
            if self.world.dice.one_in(30) { Mood::Gone } else { self.world.dice.pick(&moods) };
        self.world.tell(format!("{name} is {mood:?}"));
        self.world.moods.lock().unwrap().insert(name.clone(), mood);
    }

    /// Takes out one that is up.
    fn take(&mut self) -> Option<Host> {
        let number = self.world.dice.roll(self.hosts.len() as u64) as usize;
        // With a store of its own all hosts are one machine.
        if self.world.has_own_store && self.hosts.len() > 1 {
            return None;
        }
        self.hosts[number].take()
    }

    async fn crash(&mut self) {
        if let Some(host) = self.take() {
            host.crash(&self.world).await;
        }
    }

    async fn stop(&mut self) {
        if let Some(host) = self.take() {
            // Nobody would end it meanwhile.
            self.end_outage();
            host.stop(&self.world).await;
        }
    }

    fn start(&mut self) {
        for (number, host) in self.hosts.iter_mut().enumerate() {
            if host.is_none() {
                *host = Some(Host::start(&self.world, number));
            }
        }
    }

    fn jump(&mut self) {
        self.hosts.iter().flatten().for_each(|host| host.clock.jump());
    }

    /// The store is away for some seconds, less than a lease's margin.
    fn outage(&mut self) {
        if self.outage_ends_ms.is_none() {
            self.world.tell("the store is away".to_owned());
            self.set_faults(1_001);
            let length_ms = self.world.dice.roll(8_000) as i64;
            self.outage_ends_ms = Some(self.world.elapsed_ms() + length_ms);
        }
    }

    /// Asks for a replay of what is dead, or changes the one there is. Two at a time could both
    /// plan what neither sees of the other.
    async fn replay(&mut self) {
        let store = self.world.store.clone();
        let Ok(replays) = store.replays(1).await else { return };
        let open = replays
            .first()
            .filter(|replay| matches!(replay.state, ReplayState::Running | ReplayState::Paused));
        let Some(open) = open else { return self.create_replay().await };
        let to = match (open.state, self.world.dice.roll(3)) {
            (ReplayState::Running, 0) => ReplayState::Cancelled,
            (ReplayState::Running, _) => ReplayState::Paused,
            _ => ReplayState::Running,
        };
        let changed = store.change_replay(self.world.now(), open.id, open.state, to).await;
        self.world.tell(format!("replay {to:?}: {}", changed.is_ok()));
    }

    async fn create_replay(&mut self) {
        self.last_replay += 1;
        let now = self.world.now();
        let replay = StoredReplay {
            id: ReplayId::new(now.as_millis(), self.last_replay),
            selection: Selection::default(),
            rate_milli: 20_000,
            created_at: now,
            updated_at: now,
            state: ReplayState::Running,
            cursor: None,
            planned: 0,
            skipped: 0,
            note: None,
        };
        let created = self.world.store.create_replay(replay).await;
        self.world.tell(format!("replay created: {}", created.is_ok()));
    }

    /// An operator enables what is disabled.
    async fn enable(&mut self) {
        let store = self.world.store.clone();
        for health in store.healths().await.unwrap_or_default() {
            if health.health.disabled.is_some() {
                self.enable_one(health).await;
            }
        }
    }

    async fn enable_one(&self, health: EndpointHealth) -> bool {
        self.world.tell(format!("{} is enabled", health.endpoint));
        let enabled = EndpointHealth { health: Health::default(), ..health };
        matches!(self.world.store.record_health(enabled).await, Ok(Recorded::Done))
    }

    async fn all_is_well(&mut self) {
        self.world.tell("all is well".to_owned());
        self.outage_ends_ms = None;
        self.set_faults(0);
        self.world.moods.lock().unwrap().values_mut().for_each(|mood| *mood = Mood::Well);
        self.start();
        self.hosts.iter().flatten().for_each(|host| host.clock.set_right());
        // An attempt under way may still close what is opened now.
        for _ in 0..8 {
            for health in self.world.store.healths().await.unwrap() {
                self.enable_one(health).await;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
            self.look();
        }
        let replays = self.world.store.replays(1).await.unwrap();
        for replay in replays.iter().filter(|replay| replay.state == ReplayState::Paused) {
            let (from, to) = (ReplayState::Paused, ReplayState::Running);
            let now = self.world.now();
            self.world.store.change_replay(now, replay.id, from, to).await.unwrap();
        }
    }

    async fn replay_the_dead(&mut self) {
        self.create_replay().await;
    }

    /// Waits until nothing waits.
    async fn settle(&mut self, what: &str) {
        for _ in 0..LOOKS_MAX {
            tokio::time::sleep(Duration::from_secs(1)).await;
            self.look();
            let depth = self.world.store.depth().await.unwrap();
            let replays = self.world.store.replays(9).await.unwrap();
            let is_replayed = replays.iter().all(|replay| replay.state != ReplayState::Running);
            if depth.unplanned == 0 && depth.pending == 0 && is_replayed {
                return self.world.tell(what.to_owned());
            }
        }
        let depth = self.world.store.depth().await.unwrap();
        self.world.accuse(format!("{what} does not come: {depth:?}"));
    }
}

/// LiveKit's sender: the same event again until it is acknowledged, five times at most.
async fn send(world: &World, host: &Host, number: u64) {
    let lane = world.dice.pick(&[None, Some("r1"), Some("r2"), Some("r3")]);
    // Now and then the same event comes again later, or another under its name.
    let number = if world.dice.one_in(12) { world.dice.roll(number) + 1 } else { number };
    let known = world.ledger().acknowledged.get(&number).map(|(body, _)| body.clone());
    let body = match known {
        Some(body) if !world.dice.one_in(4) => body,
        Some(_) => format!("{{\"other\":{number}}}"),
        None => format!("{{\"number\":{number}}}"),
    };
    for _ in 0..SENDS_MAX {
        let now = host.clock.now();
        let id = host.entropy.event_id(now);
        let event = NewEvent {
            id,
            source: "prod".to_owned(),
            dedupe_key: format!("EV_{number}"),
            kind: "room_started".to_owned(),
            room: lane.map(str::to_owned),
            lane: lane.map(str::to_owned),
            created_at: None,
            received_at: now,
            api_key: "APIabc".to_owned(),
            body_sha256: fake_hash(body.as_bytes()),
            body: Bytes::from(body.clone()),
        };
        match world.store.append(event).await {
            Ok(appended) => {
                world.tell(format!("host {} {body} {}", host.number, word(appended)));
                if !matches!(appended, Appended::Conflict { .. }) && !body.contains("other") {
                    let of = match appended {
                        Appended::Duplicate { of } | Appended::Conflict { of } => of,
                        Appended::Stored => id,
                    };
                    world.ledger().acknowledged.insert(number, (body, of));
                }
                return host.route.ring();
            }
            Err(error) => {
                world.tell(format!("host {} {body}: {error}", host.number));
                tokio::time::sleep(Duration::from_millis(100 + world.dice.roll(900))).await;
            }
        }
    }
}

fn word(appended: Appended) -> &'static str {
    match appended {
        Appended::Stored => "stored",
        Appended::Duplicate { .. } => "duplicate",
        Appended::Conflict { .. } => "conflict",
    }
}
