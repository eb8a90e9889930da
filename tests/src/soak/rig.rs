//! A gateway under proof: LiveKit's double before it, receivers behind it.
//!
//! Two receivers, because they show different things: `well` takes everything at once, so that a
//! request without a record is a kill's doing; `moody` refuses one request in ten, so that kills
//! meet deliveries that wait for their next attempt.

use super::dice::Dice;
use super::verdict::{Delivery, Endpoint, Evidence, Request, Verdict, judge};
use crate::exchange::{API_KEY, BOUND, SECRET, event};
use crate::gateway::{Gateway, Setup};
use crate::ledger::Ledger;
use crate::livekit::{Fate, Report, Sender};
use crate::postgres::{Database, Postgres};
use crate::receiver::{Answer, Receiver, Seen};
use anyhow::{Context as _, Result};
use serde_json::Value;
use std::time::Duration;

/// Attempts at each endpoint that a kill can cut off.
pub const IN_FLIGHT_MAX: usize = 4;
/// LiveKit's queues.
const ROOMS: usize = 8;
/// What a room tells most.
const KINDS: [&str; 4] = ["room_started", "participant_joined", "track_published", "room_finished"];
/// LiveKit's times are multiplied by it: five attempts in 3 s instead of 15.
const FACTOR: f64 = 0.2;
/// Refusals that a receiver has in store; a course has fewer requests.
const MOODS: usize = 4_000;
/// By how much the clock is moved after a death on PostgreSQL, in seconds: longer than any lease,
/// and so little that a token outlives two deaths.
const LEASES_S: i64 = 130;
/// How long everything may take to come to rest. Only a broken gateway takes so long.
const REST: Duration = Duration::from_secs(120);
/// Enough steps that nobody refuses one delivery to its end.
const PATIENT: &str = r#"retry = ["0s", "1s", "1s", "1s", "1s", "1s", "1s", "1s", "1s", "1s"]"#;

/// Where the gateway keeps what it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// In a file.
    Sqlite,
    /// In a database of the one server of this program.
    Postgres,
}

/// The gateway and all who witness what it does.
pub struct Rig {
    /// Running, or killed.
    pub gateway: Gateway,
    setup: Setup,
    sender: Sender,
    endpoints: Vec<(&'static str, Receiver)>,
    database: Option<Database>,
    is_ordered: bool,
    sent: Vec<String>,
    kills: usize,
}

// === impl Kept ===

impl Kept {
    /// Every one.
    pub const ALL: [Self; 2] = [Self::Sqlite, Self::Postgres];

    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
        }
    }
}

// === impl Rig ===

impl Rig {
    /// Starts everything; `more` is TOML for both endpoints.
    ///
    /// # Errors
    /// When a part does not start.
    pub async fn start(kept: Kept, more: &str, dice: &mut Dice) -> Result<Self> {
        let (well, moody) = (Receiver::start().await?, Receiver::start().await?);
        let mut moods = Vec::with_capacity(MOODS);
        for _ in 0..MOODS {
            let status = if dice.under(10) == 0 { 503 } else { 200 };
            let pause = Duration::from_millis(dice.under(5) as u64);
            moods.push(Answer::status(status)?.after(pause));
        }
        moody.script(moods);
        let lines = format!("in_flight_max = {IN_FLIGHT_MAX}\n{PATIENT}\n{more}");
        let setup = Setup::new()
            .own_address()
            .source("prod", API_KEY, SECRET, "")
            .endpoint("well", &well.url("/"), &lines)
            .endpoint("moody", &moody.url("/"), &lines)
            .subscription("well", "")
            .subscription("moody", "");
        let database = match kept {
            Kept::Sqlite => None,
            Kept::Postgres => Some(Postgres::shared().await?.database().await?),
        };
        let setup = match &database {
            None => setup,
            Some(database) => setup.movable_clock().store_url(database.url()),
        };
        let gateway = Gateway::start(&setup, BOUND).await?;
        let sender = Sender::new(&[&gateway.url()], API_KEY, SECRET, FACTOR)?;
        let endpoints = vec![("well", well), ("moody", moody)];
        let is_ordered = more.contains("ordered");
        let (sent, kills) = (Vec::new(), 0);
        Ok(Self { gateway, setup, sender, endpoints, database, is_ordered, sent, kills })
    }

    /// LiveKit has another event.
    pub fn notify(&mut self, dice: &mut Dice) {
        let number = self.sent.len();
        let id = format!("EV_{number}");
        let room = format!("room-{}", dice.under(ROOMS));
        self.sender.notify(event(KINDS[dice.under(KINDS.len())], &room, &id));
        self.sent.push(id);
    }

    /// How many events LiveKit had so far.
    pub fn sent(&self) -> usize {
        self.sent.len()
    }

    /// Kills it, if it still lives, and counts that.
    ///
    /// # Errors
    /// When it cannot be killed.
    pub async fn kill(&mut self) -> Result<()> {
        self.kills += 1;
        self.gateway.kill_9().await
    }

    /// Waits until it has died by itself, and counts that. One that lives on after `bound` is
    /// killed then.
    ///
    /// # Errors
    /// When it ended in order.
    pub async fn wait_death(&mut self, bound: Duration) -> Result<()> {
        if self.look_for_death(bound).await? { Ok(()) } else { self.kill().await }
    }

    /// Whether it has died by itself within `bound`, and counts that.
    ///
    /// # Errors
    /// When it ended in order.
    pub async fn look_for_death(&mut self, bound: Duration) -> Result<bool> {
        let Some(status) = self.gateway.died(bound).await? else { return Ok(false) };
        anyhow::ensure!(status.code().is_none(), "it ended with {status}");
        self.kills += 1;
        Ok(true)
    }

    /// Starts it again at its address; `crash_at` is where it is to die this time.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn come_back(&mut self, crash_at: Option<&str>) -> Result<()> {
        let setup = self.setup.clone();
        self.gateway.configure(&match crash_at {
            Some(point) => setup.variable("LIVEKIT_WEBHOOK_CRASH_AT", point),
            None => setup,
        })?;
        if self.database.is_some() {
            // The dead host's claims are rows, and end with their leases.
            let moved_s = LEASES_S * i64::try_from(self.kills)?;
            self.gateway.set_clock(moved_s)?;
            self.sender.set_clock(moved_s);
        }
        self.gateway.come_back(BOUND).await
    }

    /// What the store says.
    async fn ledger(&self) -> Result<Ledger> {
        match &self.database {
            None => self.gateway.ledger(),
            Some(database) => Ledger::postgres(database.url()).await,
        }
    }

    /// Waits until LiveKit has no event any more and the gateway owes none, and hears all
    /// witnesses.
    ///
    /// # Errors
    /// When it does not come to rest; that may be a broken promise, too.
    pub async fn verdict(&self) -> Result<Verdict> {
        let reports = self.sender.wait_for(self.sent.len(), REST).await?;
        let ledger = self.ledger().await?;
        ledger.wait_drained(REST).await?;
        let mut evidence = Evidence {
            sent: self.sent.clone(),
            kills: self.kills,
            mistaken: mistaken(&reports),
            findings: ledger.findings().await?,
            ..Evidence::default()
        };
        for report in reports.iter().filter(|report| is_acknowledged(report)) {
            evidence.acknowledged.insert(member(&report.body, &["id"])?);
        }
        for (name, receiver) in &self.endpoints {
            let requests: Result<_> = receiver.seen().iter().map(request).collect();
            let endpoint = Endpoint {
                name: (*name).to_owned(),
                in_flight_max: IN_FLIGHT_MAX,
                is_ordered: self.is_ordered,
                requests: requests?,
                deliveries: deliveries(&ledger, name).await?,
            };
            evidence.endpoints.push(endpoint);
        }
        Ok(judge(&evidence))
    }
}

/// What the store says of an endpoint.
///
/// # Errors
/// The store's.
pub async fn deliveries(ledger: &Ledger, endpoint: &str) -> Result<Vec<Delivery>> {
    let mut deliveries = Vec::new();
    for row in ledger.deliveries(endpoint).await? {
        let recorded = ledger.attempts(&row).await?.len();
        let (webhook_id, attempts) = (row.webhook_id, row.attempts as usize);
        deliveries.push(Delivery { webhook_id, state: row.state, attempts, recorded });
    }
    Ok(deliveries)
}

fn is_acknowledged(report: &Report) -> bool {
    report.attempts.last().is_some_and(|attempt| attempt.outcome == Ok(200))
}

/// What LiveKit will not send again though nobody took it.
fn mistaken(reports: &[Report]) -> Vec<String> {
    let forgotten = |report: &&Report| report.fate == Fate::Delivered && !is_acknowledged(report);
    reports.iter().filter(forgotten).map(|report| format!("{report:?}")).collect()
}

/// What a receiver got, read.
///
/// # Errors
/// When it is no event of LiveKit's, or came without an id.
pub fn request(seen: &Seen) -> Result<Request> {
    Ok(Request {
        event: member(&seen.body, &["id"])?,
        room: member(&seen.body, &["room", "name"])?,
        webhook_id: seen.header("webhook-id")?.to_owned(),
    })
}

fn member(body: &[u8], path: &[&str]) -> Result<String> {
    let body: Value = serde_json::from_slice(body)?;
    let found = path.iter().try_fold(&body, |value, name| value.get(name));
    Ok(found.and_then(Value::as_str).with_context(|| format!("no {path:?}"))?.to_owned())
}
