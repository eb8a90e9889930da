//! What an operator sees, over real sockets.

use super::*;
use crate::metrics::plugin::{self, CallLabel, NameLabel, PluginMetrics, ResultLabel};
use crate::metrics::{
    AnswerLabel, AttemptLabel, BreakerLabel, DeadLabel, DisabledLabel, EndpointLabel, EventLabel,
    PrunedLabel, ReasonLabel, ReplayLabel,
};
use crate::store::conformance::{delivery, event, planned};
use crate::store::memory::MemoryStore;
use crate::tasks::{Stopper, stop};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const SOON: Duration = Duration::from_secs(60);

/// Every metric, its type and its unit. A change here changes somebody's dashboards and alerts.
const NAMES: &str = include_str!("tests/metrics.golden");

struct Admin {
    address: SocketAddr,
    store: Arc<MemoryStore>,
    metrics: Arc<Metrics>,
    health: Arc<Health>,
    tasks: Tasks,
    stopper: Stopper,
}

async fn admin() -> Admin {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (store, metrics) = (Arc::new(MemoryStore::new(3_600_000)), Arc::new(Metrics::new()));
    let health = Arc::new(Health::new(store.clone(), metrics.clone()));
    let (stopper, stop) = stop();
    let tasks = Tasks::new();
    let serving = serve(listener, health.clone(), tasks.clone(), stop);
    tasks.spawn(Kind::Serve, "admin", serving);
    Admin { address, store, metrics, health, tasks, stopper }
}

impl Admin {
    /// The answer's head, in lower case, and its body.
    async fn ask(&self, method: &str, path: &str) -> (String, String) {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let request = format!("{method} {path} HTTP/1.1\r\nHost: h\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        let read = stream.read_to_string(&mut answer);
        tokio::time::timeout(SOON, read).await.unwrap().unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.to_ascii_lowercase(), body.to_owned())
    }

    async fn check(&self, method: &str, path: &str, status: u16, body: &str) {
        let (head, found) = self.ask(method, path).await;
        assert!(head.starts_with(&format!("http/1.1 {status} ")), "{method} {path}: {head}");
        assert_eq!(found, body, "{method} {path}");
    }
}

/// A family without a label set is not printed, so each gets one.
fn touch_all(metrics: &Metrics) {
    let endpoint = || "a".to_owned();
    metrics.ingest_answers.get_or_create(&AnswerLabel { answer: "stored" }).inc();
    metrics.ingest_refused.get_or_create(&ReasonLabel { reason: "sig" }).inc();
    metrics.ingest_limited.get_or_create(&ReasonLabel { reason: "peer_rate" }).inc();
    metrics.ingest_quarantined.get_or_create(&ReasonLabel { reason: "sig" }).inc();
    let label = EventLabel { source: "prod".to_owned(), kind: "room_started" };
    metrics.events.get_or_create(&label).inc();
    let label = EndpointLabel { endpoint: endpoint() };
    metrics.planned.get_or_create(&label).inc();
    metrics.attempt_seconds.get_or_create(&label).observe(0.1);
    metrics.delivery_lag_seconds.get_or_create(&label).observe(0.1);
    metrics.batch_events.get_or_create(&label).observe(3.0);
    metrics.pauses.get_or_create(&label).inc();
    for gauge in [
        &metrics.breaker,
        &metrics.paused,
        &metrics.disabled,
        &metrics.failing_seconds,
        &metrics.deferred,
    ] {
        gauge.get_or_create(&label).set(1);
    }
    let label = BreakerLabel { endpoint: endpoint(), to: "open" };
    metrics.breaker_changes.get_or_create(&label).inc();
    let label = DisabledLabel { endpoint: endpoint(), reason: "gone" };
    metrics.disablings.get_or_create(&label).inc();
    touch_plugins(&metrics.plugins);
    let label = AttemptLabel { endpoint: endpoint(), result: "2xx" };
    metrics.attempts.get_or_create(&label).inc();
    let label = DeadLabel { endpoint: "we\"ird\\\n".to_owned(), reason: "gone" };
    metrics.dead.get_or_create(&label).inc();
    metrics.replays_ended.get_or_create(&ReplayLabel { state: "done" }).inc();
    metrics.pruned.get_or_create(&PrunedLabel { kind: "events" }).inc();
}

fn touch_plugins(metrics: &PluginMetrics) {
    let plugin = || "redact".to_owned();
    let label = CallLabel { plugin: plugin(), outcome: "ok", role: "stable" };
    metrics.calls.get_or_create(&label).inc();
    metrics.used("redact", Duration::from_millis(1), 1);
    metrics.breaker.get_or_create(&NameLabel { plugin: plugin() }).set(1);
    let label = plugin::BreakerLabel { plugin: plugin(), to: "open" };
    metrics.breaker_changes.get_or_create(&label).inc();
    let label = ResultLabel { plugin: plugin(), result: "done" };
    for family in [&metrics.reloads, &metrics.shadows, &metrics.capsules] {
        family.get_or_create(&label).inc();
    }
    let own = metrics.own("redact");
    own.asked("http", "ok");
    own.count("removed", 1, Vec::new());
    own.observe("bytes", 2.5, Vec::new());
}

#[tokio::test]
async fn metrics_have_these_names_and_follow_the_store() {
    let admin = admin().await;
    touch_all(&admin.metrics);
    planned(&*admin.store, 1, vec![delivery(1, "a"), delivery(2, "a")]).await;
    admin.store.append(event(2)).await.unwrap();
    let (head, text) = admin.ask("GET", "/metrics").await;
    assert!(head.contains("content-type: application/openmetrics-text; version=1.0.0"), "{head}");
    let named = |line: &&str| line.starts_with("# TYPE ") || line.starts_with("# UNIT ");
    let names: String = text
        .lines()
        .filter(named)
        .map(|line| format!("{}\n", line.trim_start_matches("# ")))
        .collect();
    assert_eq!(names, NAMES, "found:\n{names}");
    assert!(text.contains("\nlivekit_webhook_deliveries_pending 2\n"), "{text}");
    assert!(text.contains("\nlivekit_webhook_events_unplanned 1\n"), "{text}");
    parses(&text);
}

/// The line grammar of OpenMetrics: comments, samples, one end.
#[track_caller]
fn parses(text: &str) {
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.last(), Some(&"# EOF"));
    for line in lines.iter().filter(|line| !line.starts_with("# ")) {
        let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line}"));
        value.parse::<f64>().unwrap_or_else(|_| panic!("{line}"));
        let name = series.split('{').next().unwrap();
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        assert!(name.starts_with("livekit_webhook_") && name.bytes().all(fits), "{line}");
        assert_eq!(series.contains('{'), series.ends_with('}'), "{line}");
    }
}

#[tokio::test]
async fn ready_from_when_ingest_takes_events_until_the_store_is_gone() {
    let admin = admin().await;
    admin.check("GET", "/healthz", 200, "alive\n").await;
    admin.check("GET", "/readyz", 503, "not ready\n").await;
    admin.health.set_ready(true);
    admin.check("GET", "/readyz", 200, "ready\n").await;
    admin.store.close().await.unwrap();
    admin.check("GET", "/readyz", 503, "the store is closed\n").await;
    admin.check("GET", "/healthz", 200, "alive\n").await;
    // The numbers are still told.
    assert!(admin.ask("GET", "/metrics").await.0.starts_with("http/1.1 200"));
    admin.health.set_ready(false);
    admin.check("GET", "/readyz", 503, "not ready\n").await;
}

#[tokio::test]
async fn everything_else_is_told_what_there_is() {
    let admin = admin().await;
    for path in ["/", "/metrics/", "/debug", "//healthz"] {
        admin.check("GET", path, 404, "/metrics /healthz /readyz\n").await;
    }
    let (head, _) = admin.ask("POST", "/metrics").await;
    assert!(head.starts_with("http/1.1 405 ") && head.contains("allow: get, head"), "{head}");
    let (head, body) = admin.ask("HEAD", "/healthz").await;
    assert!(head.starts_with("http/1.1 200 ") && body.is_empty(), "{head}");
}

#[tokio::test]
async fn an_open_connection_does_not_hold_up_the_end() {
    let admin = admin().await;
    let mut open = TcpStream::connect(admin.address).await.unwrap();
    // Accepted: the next one, which was accepted after it, has its answer.
    admin.check("GET", "/healthz", 200, "alive\n").await;
    assert!(admin.tasks.running(Kind::Visit) >= 1);
    assert_eq!(admin.tasks.running(Kind::Connection), 0, "shutdown waits for these");
    admin.tasks.begin_shutdown();
    admin.stopper.stop();
    assert!(admin.tasks.idle(Kind::Serve, SOON).await);
    assert_eq!(tokio::time::timeout(SOON, open.read(&mut [0; 1])).await.unwrap().unwrap_or(0), 0);
}
