//! What an operator looks at: `/metrics`, `/healthz`, `/readyz`. Bind it to a private address: it asks for no password.

use crate::metrics::Metrics;
use crate::store::Store;
use crate::tasks::{Kind, Stop, Tasks};
use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tracing::warn;

/// Open connections.
const CONNECTIONS_MAX: usize = 64;
/// To receive a request's head.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause of the accept loop after an error.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
const TEXT: &str = "text/plain; charset=utf-8";
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Whether the host is well, and its numbers.
pub struct Health {
    ready: AtomicBool,
    store: Arc<dyn Store>,
    metrics: Arc<Metrics>,
}

// === impl Health ===

impl Health {
    /// Not ready yet.
    pub fn new(store: Arc<dyn Store>, metrics: Arc<Metrics>) -> Self {
        Self { ready: AtomicBool::new(false), store, metrics }
    }

    /// Whether ingest takes events.
    pub fn set_ready(&self, ready: bool) {
        self.ready.store(ready, Ordering::SeqCst);
    }

    async fn answer(&self, method: &Method, path: &str) -> Response<Full<Bytes>> {
        if method != Method::GET && method != Method::HEAD {
            return text(StatusCode::METHOD_NOT_ALLOWED, TEXT, "GET only\n".to_owned());
        }
        match path {
            "/healthz" => text(StatusCode::OK, TEXT, "alive\n".to_owned()),
            "/readyz" if self.ready.load(Ordering::SeqCst) => match self.store.depth().await {
                Ok(_) => text(StatusCode::OK, TEXT, "ready\n".to_owned()),
                Err(error) => text(StatusCode::SERVICE_UNAVAILABLE, TEXT, format!("{error}\n")),
            },
            "/readyz" => text(StatusCode::SERVICE_UNAVAILABLE, TEXT, "not ready\n".to_owned()),
            "/metrics" => {
                self.look_at_store().await;
                text(StatusCode::OK, OPENMETRICS, self.metrics.text())
            }
            _ => text(StatusCode::NOT_FOUND, TEXT, "/metrics /healthz /readyz\n".to_owned()),
        }
    }

    async fn look_at_store(&self) {
        let Ok(depth) = self.store.depth().await else { return };
        let gauge = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        self.metrics.unplanned.set(gauge(depth.unplanned));
        self.metrics.pending.set(gauge(depth.pending));
        self.metrics.dead_letters.set(gauge(depth.dead));
        self.metrics.quarantined.set(gauge(depth.quarantined));
    }
}

/// Serves until `stop`.
pub async fn serve(listener: TcpListener, health: Arc<Health>, tasks: Tasks, mut stop: Stop) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.given() => return,
        };
        // Full means closed at once: whoever looks here comes again.
        match (accepted, places.clone().try_acquire_owned()) {
            (Ok((stream, _)), Ok(place)) => {
                let connection = connection(stream, health.clone(), stop.clone());
                tasks.spawn(Kind::Connection, "admin", async move {
                    connection.await;
                    drop(place);
                });
            }
            (Ok(_), Err(_)) => {}
            (Err(error), _) => {
                warn!(%error, "accept failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, health: Arc<Health>, mut stop: Stop) {
    let service = service_fn(|request: Request<hyper::body::Incoming>| {
        let health = health.clone();
        async move { Ok::<_, Infallible>(health.answer(request.method(), request.uri().path()).await) }
    });
    // One answer a connection: nobody's idle connection holds up shutdown.
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        _ = connection => {}
        () = stop.given() => {}
    }
}

fn text(status: StatusCode, content_type: &'static str, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
