//! What an operator looks at: `/metrics`, `/healthz`, `/readyz`. Bind it to a private address: it
//! asks for no password.

use crate::metrics::Metrics;
use crate::store::Store;
use crate::tasks::{Kind, Stop, Tasks};
use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
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
/// From accepting a connection to the end of its answer: whoever reads slowly does not keep his
/// place.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the store may take to say how it is.
const STORE_TIMEOUT: Duration = Duration::from_secs(2);
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
            let mut answer = text(StatusCode::METHOD_NOT_ALLOWED, TEXT, "GET only\n".to_owned());
            answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return answer;
        }
        match path {
            "/healthz" => text(StatusCode::OK, TEXT, "alive\n".to_owned()),
            "/readyz" => match self.is_ready().await {
                Ok(()) => text(StatusCode::OK, TEXT, "ready\n".to_owned()),
                Err(why) => text(StatusCode::SERVICE_UNAVAILABLE, TEXT, why),
            },
            "/metrics" => {
                self.look_at_store().await;
                text(StatusCode::OK, OPENMETRICS, self.metrics.text())
            }
            _ => text(StatusCode::NOT_FOUND, TEXT, "/metrics /healthz /readyz\n".to_owned()),
        }
    }

    async fn is_ready(&self) -> Result<(), String> {
        if !self.ready.load(Ordering::SeqCst) {
            return Err("not ready\n".to_owned());
        }
        match tokio::time::timeout(STORE_TIMEOUT, self.store.depth()).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(format!("{error}\n")),
            Err(_) => Err("the store does not answer\n".to_owned()),
        }
    }

    /// Without an answer in time the gauges stay as they were.
    async fn look_at_store(&self) {
        let depth = tokio::time::timeout(STORE_TIMEOUT, self.store.depth()).await;
        let Ok(Ok(depth)) = depth else { return };
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
                tasks.spawn(Kind::Visit, "admin", async move {
                    let _ = tokio::time::timeout(CONNECTION_TIMEOUT, connection).await;
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
    // One answer a connection, so that no place is held between two looks.
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

#[cfg(test)]
mod tests;
