//! The plugins' HTTP over real sockets on loopback, against peers that do everything wrong.

mod addresses;
mod answers;
mod connections;
mod plugin;

use super::*;
use crate::tasks::{Kind, Tasks};
use livekit_webhook_core::endpoint::PlainHttp;
use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A bound for what must happen.
const SOON: Duration = Duration::from_secs(60);

/// A peer: whatever a test does with each connection. Ends with the test's runtime.
struct Peer {
    address: SocketAddr,
    accepted: Arc<AtomicUsize>,
    /// Heads and bodies as they came.
    requests: Arc<Mutex<Vec<String>>>,
}

/// Answers in order, the last one again and again.
struct Names(Mutex<VecDeque<Vec<IpAddr>>>);

#[async_trait]
impl Resolver for Names {
    async fn resolve(&self, _: &str) -> io::Result<Vec<IpAddr>> {
        let mut answers = self.0.lock().unwrap();
        let next = if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() };
        next.ok_or_else(|| io::Error::other("no such name"))
    }
}

fn names(answers: &[&[&str]]) -> Arc<Names> {
    let read = |texts: &&[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
    Arc::new(Names(Mutex::new(answers.iter().map(read).collect())))
}

async fn peer<F>(story: impl Fn(TcpStream) -> F + Clone + Send + Sync + 'static) -> Peer
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let accepted = Arc::new(AtomicUsize::new(0));
    let counter = accepted.clone();
    let tasks = Tasks::new();
    let connections = tasks.clone();
    tasks.spawn(Kind::Visit, "peer", async move {
        while let Ok((stream, _)) = listener.accept().await {
            counter.fetch_add(1, Ordering::SeqCst);
            connections.spawn(Kind::Visit, "connection", story(stream));
        }
    });
    Peer { address, accepted, requests: Arc::default() }
}

/// Reads one request without a body; its head, or `None` when the connection ended.
async fn read_head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    String::from_utf8(head).ok()
}

/// A peer that says `answer` to every request of a connection.
async fn says(answer: impl Into<Vec<u8>>) -> Peer {
    let answer: Arc<[u8]> = answer.into().into();
    let requests = Arc::new(Mutex::new(Vec::new()));
    let heads = requests.clone();
    let peer = peer(move |mut stream| {
        let (answer, heads) = (answer.clone(), heads.clone());
        async move {
            while let Some(head) = read_head(&mut stream).await {
                heads.lock().unwrap().push(head);
                if stream.write_all(&answer).await.is_err() {
                    return;
                }
            }
        }
    })
    .await;
    Peer { requests, ..peer }
}

/// An answer of status 200 with these headers, whose body ends where `content-length` says.
fn answer(headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n{headers}\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// May dial 127.0.0.1 at this port, and no other place that is not public.
fn fetch_to(port: u16, resolver: Arc<Names>) -> HyperFetch {
    let allow = format!("127.0.0.1:{port}").parse().unwrap();
    let policy = AddressPolicy::new(vec![allow], PlainHttp::Allowed);
    HyperFetch::new(policy, resolver, &RootCertStore::empty()).unwrap()
}

fn request(host: &str, port: u16) -> FetchRequest {
    FetchRequest {
        pool: "test".to_owned(),
        scheme: Scheme::Http,
        host: host.to_owned(),
        port,
        method: "GET".to_owned(),
        path: "/path".to_owned(),
        headers: Vec::new(),
        body: Bytes::new(),
        timeout: SOON,
        response_bytes_max: 1024 * 1024,
        header_bytes_max: 32 * 1024,
    }
}

async fn get(peer: &Peer) -> Result<FetchResponse, FetchError> {
    let port = peer.address.port();
    fetch_to(port, names(&[])).fetch(request("127.0.0.1", port)).await
}
