//! The least that a durable gateway does, and nothing of what makes it one: no verifying, no plan,
//! no attempt log.
//!
//! A request's body goes to the writer, a thread that takes all that wait, appends them to a plain
//! file, syncs once and lets all of them be answered. Then the body is posted to the sink, once for
//! each endpoint, by a fixed number of senders.

#![expect(clippy::disallowed_methods, reason = "its tasks end with the process")]

use super::CONNECTIONS;
use anyhow::Context as _;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1 as client;
use hyper::server::conn::http1 as server;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use std::fs::File;
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, mpsc, oneshot};

/// Bodies that may wait for a sync, and that may wait for a sender.
const QUEUE_MAX: usize = 100_000;
/// Bodies of one sync.
const GROUP_MAX: usize = 1_024;

type Waiting = (Bytes, oneshot::Sender<()>);

/// Serves until the process is ended; writes its address to `out` first.
///
/// # Errors
/// When there is no port, no file or no sink.
pub async fn run(
    sink: SocketAddr,
    endpoints: usize,
    file: &Path,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let file = File::create(file).context("the floor's file")?;
    let (to_disk, waiting) = mpsc::channel(QUEUE_MAX);
    std::thread::spawn(move || write(file, waiting));
    let (to_sink, bodies) = mpsc::channel(QUEUE_MAX);
    let bodies = Arc::new(Mutex::new(bodies));
    for _ in 0..CONNECTIONS {
        tokio::spawn(deliver(sink, bodies.clone()));
    }
    writeln!(out, "{}", listener.local_addr()?)?;
    out.flush()?;
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        let (to_disk, to_sink) = (to_disk.clone(), to_sink.clone());
        tokio::spawn(async move {
            let service =
                service_fn(|request| receive(request, endpoints, to_disk.clone(), to_sink.clone()));
            // The load closes its connections at the end of a round.
            let _ = server::Builder::new().serve_connection(TokioIo::new(socket), service).await;
        });
    }
}

async fn receive(
    request: Request<Incoming>,
    endpoints: usize,
    to_disk: mpsc::Sender<Waiting>,
    to_sink: mpsc::Sender<(usize, Bytes)>,
) -> anyhow::Result<Response<Full<Bytes>>> {
    let body = request.into_body().collect().await?.to_bytes();
    let (synced, wait) = oneshot::channel();
    to_disk.send((body.clone(), synced)).await?;
    wait.await?;
    for endpoint in 0..endpoints {
        to_sink.send((endpoint, body.clone())).await?;
    }
    Ok(Response::new(Full::default()))
}

/// One sync for all that wait. A failure drops them, and their requests end without an answer.
fn write(mut file: File, mut waiting: mpsc::Receiver<Waiting>) {
    let mut group = Vec::with_capacity(GROUP_MAX);
    let mut bytes = Vec::new();
    while let Some(first) = waiting.blocking_recv() {
        group.push(first);
        while let Some(next) = (group.len() < GROUP_MAX).then(|| waiting.try_recv().ok()).flatten()
        {
            group.push(next);
        }
        bytes.clear();
        group.iter().for_each(|(body, _)| bytes.extend_from_slice(body));
        if file.write_all(&bytes).and_then(|()| file.sync_data()).is_err() {
            return;
        }
        for (_, synced) in group.drain(..) {
            // A request that was given up needs no answer.
            let _ = synced.send(());
        }
    }
}

async fn deliver(
    sink: SocketAddr,
    bodies: Arc<Mutex<mpsc::Receiver<(usize, Bytes)>>>,
) -> anyhow::Result<()> {
    let socket = TcpStream::connect(sink).await?;
    socket.set_nodelay(true)?;
    let (mut sender, connection) = client::handshake(TokioIo::new(socket)).await?;
    tokio::spawn(connection);
    loop {
        let next = bodies.lock().await.recv().await;
        let Some((endpoint, body)) = next else { return Ok(()) };
        let request =
            Request::post(format!("/{endpoint}")).header("host", "sink").body(Full::new(body))?;
        sender.ready().await?;
        sender.send_request(request).await?.into_body().collect().await?;
    }
}
