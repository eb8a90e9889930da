//! Every metric name, its unit and its type. Text form: OpenMetrics.
//!
//! Labels come from closed sets or from the configuration, never from a stranger: an event type
//! that LiveKit is not known to send counts as `other`. The numbers that plugins keep themselves are
//! the exception, with limits of their own: [`own`].

pub mod own;
pub mod plugin;

use self::plugin::PluginMetrics;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use std::time::Duration;

/// One label, `result`: what became of a configuration that was read while running.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ReloadLabel {
    /// `done`, `refused`.
    pub result: &'static str,
}

/// One label, `answer`: how ingest answered.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct AnswerLabel {
    /// `stored`, `duplicate`, `conflict`, `filtered`, `refused`, `unusable`, `too_large`,
    /// `unavailable`, …
    pub answer: &'static str,
}

/// One label, `reason`: the exact check that failed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ReasonLabel {
    /// `sig`, `exp`, `sha_mismatch`, …
    pub reason: &'static str,
}

/// Labels of an accepted event.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct EventLabel {
    /// Configured source.
    pub source: String,
    /// Known event type, or `other`.
    pub kind: &'static str,
}

/// Labels of an attempt.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct AttemptLabel {
    /// Configured endpoint.
    pub endpoint: String,
    /// `2xx`, `3xx`, `4xx`, `5xx`, `other` or the error class.
    pub result: &'static str,
}

/// Labels of a breaker's change.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct BreakerLabel {
    /// Configured endpoint.
    pub endpoint: String,
    /// `open`, `reopened` (a probe failed) or `closed`.
    pub to: &'static str,
}

/// Labels of an endpoint that was disabled.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct DisabledLabel {
    /// Configured endpoint.
    pub endpoint: String,
    /// `gone` or `failing`.
    pub reason: &'static str,
}

/// One label, `endpoint`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct EndpointLabel {
    /// Configured endpoint.
    pub endpoint: String,
}

/// Labels of a dead letter.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct DeadLabel {
    /// Configured endpoint.
    pub endpoint: String,
    /// The dead reason.
    pub reason: &'static str,
}

/// One label, `state`: how a replay ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ReplayLabel {
    /// `done` or `cancelled`.
    pub state: &'static str,
}

/// One label, `kind`: what retention removed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct PrunedLabel {
    /// `events`, `deliveries` or `quarantined`.
    pub kind: &'static str,
}

/// Begins every name.
const PREFIX: &str = "livekit_webhook";

type PerEndpoint = Family<EndpointLabel, Histogram, fn() -> Histogram>;

/// All metrics of one host.
pub struct Metrics {
    registry: Registry,
    /// Configurations read while running.
    pub config_reloads: Family<ReloadLabel, Counter>,
    /// Requests to ingest, by answer.
    pub ingest_answers: Family<AnswerLabel, Counter>,
    /// Requests that are not authentic, by the exact reason.
    pub ingest_refused: Family<ReasonLabel, Counter>,
    /// Requests over a rate, by which one.
    pub ingest_limited: Family<ReasonLabel, Counter>,
    /// Bodies put into quarantine, by why. Watch it: LiveKit sends none of them again.
    pub ingest_quarantined: Family<ReasonLabel, Counter>,
    /// From the last byte of a request to its answer.
    pub ingest_answer_seconds: Histogram,
    /// Accepted events.
    pub events: Family<EventLabel, Counter>,
    /// Deliveries planned.
    pub planned: Family<EndpointLabel, Counter>,
    /// Plugins.
    pub plugins: PluginMetrics,
    /// Attempts made.
    pub attempts: Family<AttemptLabel, Counter>,
    /// Duration of an attempt.
    pub attempt_seconds: PerEndpoint,
    /// Attempts that panicked.
    pub attempt_panics: Counter,
    /// Results that came after their claim was lost.
    pub results_stale: Counter,
    /// Events in one request, where they are batched.
    pub batch_events: PerEndpoint,
    /// From an event's arrival to its delivery: the number to watch.
    pub delivery_lag_seconds: PerEndpoint,
    /// How long the delivery that has been due for the longest has been due; 0: none is. The alarm
    /// to set first.
    pub oldest_due_seconds: Gauge,
    /// Changes of breakers that this host brought about.
    pub breaker_changes: Family<BreakerLabel, Counter>,
    /// Breakers: 0 closed, 1 open, 2 open and to be probed.
    pub breaker: Family<EndpointLabel, Gauge>,
    /// Pauses that receivers asked for.
    pub pauses: Family<EndpointLabel, Counter>,
    /// Whether an endpoint is paused.
    pub paused: Family<EndpointLabel, Gauge>,
    /// Endpoints that this host disabled.
    pub disablings: Family<DisabledLabel, Counter>,
    /// Whether an endpoint is disabled.
    pub disabled: Family<EndpointLabel, Gauge>,
    /// Since when an endpoint had no success; 0: the last attempt was one.
    pub failing_seconds: Family<EndpointLabel, Gauge>,
    /// Deliveries owed to an endpoint that gets none for the time being, counted now and then.
    pub deferred: Family<EndpointLabel, Gauge>,
    /// Deliveries that were given up.
    pub dead: Family<DeadLabel, Counter>,
    /// Requests in flight.
    pub in_flight: Gauge,
    /// Events without a plan.
    pub unplanned: Gauge,
    /// Deliveries owed.
    pub pending: Gauge,
    /// Those of them whose endpoint is not configured. Set at the start: nothing adds to them.
    pub waiting_unconfigured: Gauge,
    /// Dead letters in the store.
    pub dead_letters: Gauge,
    /// How long ago the oldest of them ended; 0: there is none.
    pub oldest_dead_letter_seconds: Gauge,
    /// Quarantined bodies in the store.
    pub quarantined: Gauge,
    /// Failed calls of the store.
    pub store_errors: Counter,
    /// Replays that go on, as this host last saw.
    pub replays_running: Gauge,
    /// Replays that this host saw end.
    pub replays_ended: Family<ReplayLabel, Counter>,
    /// Rows that retention removed.
    pub pruned: Family<PrunedLabel, Counter>,
    /// Endpoints that wait for a secret in the store.
    pub endpoints_without_secret: Gauge,
}

// === impl Metrics ===

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// All at zero.
    pub fn new() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix(PREFIX),
            config_reloads: Family::default(),
            ingest_answers: Family::default(),
            ingest_refused: Family::default(),
            ingest_limited: Family::default(),
            ingest_quarantined: Family::default(),
            ingest_answer_seconds: seconds(),
            events: Family::default(),
            planned: Family::default(),
            plugins: PluginMetrics::default(),
            attempts: Family::default(),
            attempt_seconds: Family::new_with_constructor(seconds),
            attempt_panics: Counter::default(),
            results_stale: Counter::default(),
            batch_events: Family::new_with_constructor(counts),
            delivery_lag_seconds: Family::new_with_constructor(seconds),
            oldest_due_seconds: Gauge::default(),
            breaker_changes: Family::default(),
            breaker: Family::default(),
            pauses: Family::default(),
            paused: Family::default(),
            disablings: Family::default(),
            disabled: Family::default(),
            failing_seconds: Family::default(),
            deferred: Family::default(),
            dead: Family::default(),
            in_flight: Gauge::default(),
            unplanned: Gauge::default(),
            pending: Gauge::default(),
            waiting_unconfigured: Gauge::default(),
            dead_letters: Gauge::default(),
            oldest_dead_letter_seconds: Gauge::default(),
            quarantined: Gauge::default(),
            store_errors: Counter::default(),
            replays_running: Gauge::default(),
            replays_ended: Family::default(),
            pruned: Family::default(),
            endpoints_without_secret: Gauge::default(),
        };
        metrics.register();
        metrics
    }

    #[rustfmt::skip]
    fn register(&mut self) {
        let r = &mut self.registry;
        r.register("config_reloads", "Configurations read while running, by result", self.config_reloads.clone());
        r.register("ingest_answers", "Requests to ingest, by answer", self.ingest_answers.clone());
        r.register("ingest_refused", "Requests that are not authentic, by the check that failed", self.ingest_refused.clone());
        r.register("ingest_limited", "Requests to ingest over a rate, by which", self.ingest_limited.clone());
        r.register("ingest_quarantined", "Bodies put into quarantine, by why", self.ingest_quarantined.clone());
        r.register_with_unit("ingest_answer", "From the last byte of a request to its answer", Unit::Seconds, self.ingest_answer_seconds.clone());
        r.register("events", "Accepted events", self.events.clone());
        r.register("deliveries_planned", "Deliveries planned", self.planned.clone());
        self.plugins.register(r);
        r.register("attempts", "Attempts made, by result", self.attempts.clone());
        r.register_with_unit("attempt", "Duration of an attempt", Unit::Seconds, self.attempt_seconds.clone());
        r.register("attempt_panics", "Attempts that broke down by our own fault", self.attempt_panics.clone());
        r.register("results_stale", "Results that came after their claim was lost", self.results_stale.clone());
        r.register("batch_events", "Events in one request, where they are batched", self.batch_events.clone());
        r.register_with_unit("delivery_lag", "From an event's arrival to its delivery", Unit::Seconds, self.delivery_lag_seconds.clone());
        r.register_with_unit("oldest_due", "How long the delivery due for the longest has been due, 0 when none is", Unit::Seconds, self.oldest_due_seconds.clone());
        r.register("breaker_changes", "Changes of breakers, by the new state", self.breaker_changes.clone());
        r.register("endpoint_breaker", "Breakers: 0 closed, 1 open, 2 open and to be probed", self.breaker.clone());
        r.register("endpoint_pauses", "Pauses that receivers asked for", self.pauses.clone());
        r.register("endpoint_paused", "1 while the receiver wants nothing", self.paused.clone());
        r.register("endpoint_disablings", "Endpoints that were disabled, by why", self.disablings.clone());
        r.register("endpoint_disabled", "1 while nothing is sent until the operator enables it", self.disabled.clone());
        r.register_with_unit("endpoint_failing", "Time without a success, 0 when the last attempt was one", Unit::Seconds, self.failing_seconds.clone());
        r.register("deliveries_deferred", "Deliveries owed to an endpoint whose breaker is open or which is paused", self.deferred.clone());
        r.register("deliveries_dead", "Deliveries given up, by reason", self.dead.clone());
        r.register("attempts_in_flight", "Requests in flight", self.in_flight.clone());
        r.register("events_unplanned", "Events without a plan", self.unplanned.clone());
        r.register("deliveries_pending", "Deliveries owed", self.pending.clone());
        r.register("deliveries_waiting_unconfigured", "Deliveries owed to endpoints that are not configured, as counted at the start", self.waiting_unconfigured.clone());
        r.register("dead_letters", "Dead letters in the store", self.dead_letters.clone());
        r.register_with_unit("oldest_dead_letter", "How long ago the oldest dead letter ended, 0 when there is none", Unit::Seconds, self.oldest_dead_letter_seconds.clone());
        r.register("quarantined", "Quarantined bodies in the store", self.quarantined.clone());
        r.register("store_errors", "Failed calls of the store", self.store_errors.clone());
        r.register("replays_running", "Replays that go on", self.replays_running.clone());
        r.register("replays_ended", "Replays that this host saw end, by state", self.replays_ended.clone());
        r.register("pruned", "Rows that retention removed, by kind", self.pruned.clone());
        r.register("endpoints_without_secret", "Endpoints that wait for a secret in the store", self.endpoints_without_secret.clone());
    }

    /// The text form, `application/openmetrics-text; version=1.0.0; charset=utf-8`.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = encode_registry(&mut text, &self.registry)
            .and_then(|()| self.plugins.write_own(&mut text, PREFIX))
            .and_then(|()| encode_eof(&mut text));
        text
    }

    /// Counts one answer of ingest.
    pub fn answered(&self, answer: &'static str, took: Duration) {
        self.ingest_answers.get_or_create(&AnswerLabel { answer }).inc();
        self.ingest_answer_seconds.observe(took.as_secs_f64());
    }
}

/// 0.5 ms to 65 s in powers of two.
fn seconds() -> Histogram {
    Histogram::new(std::iter::successors(Some(0.0005), |bound| Some(bound * 2.0)).take(18))
}

/// 1 to 1,024 in powers of two.
fn counts() -> Histogram {
    Histogram::new(std::iter::successors(Some(1.0), |bound| Some(bound * 2.0)).take(11))
}

/// The label for an event type: known types only.
pub fn kind_label(kind: &str) -> &'static str {
    livekit_webhook_wire::event_type::ALL
        .iter()
        .find(|known| **known == kind)
        .copied()
        .unwrap_or("other")
}
