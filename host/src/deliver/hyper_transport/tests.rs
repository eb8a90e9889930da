//! The transport over real loopback sockets, against receivers that do everything wrong.

mod hostile;
mod http2;
mod names;
mod tls;
mod way;

use super::*;
use crate::connector::resolver::SystemResolver;
use crate::tasks::{Kind, Tasks};
use hyper::HeaderMap;
use livekit_webhook_core::endpoint::PlainHttp;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// A bound for what must happen.
const SOON: Duration = Duration::from_secs(60);
/// The deadline of an attempt that is meant to pass.
const SHORT: Duration = Duration::from_millis(300);
const BODY: &str = r#"{"event":"room_started"}"#;

/// A receiver: whatever a test does with each connection. Ends with the test's runtime.
struct Receiver {
    address: SocketAddr,
    accepted: Arc<AtomicUsize>,
    /// Says when a connection's story is over.
    ended: mpsc::Receiver<()>,
}

async fn receiver<F>(story: impl Fn(TcpStream) -> F + Send + Sync + 'static) -> Receiver
where
    F: Future<Output = ()> + Send,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let accepted = Arc::new(AtomicUsize::new(0));
    let counter = accepted.clone();
    let (sender, ended) = mpsc::channel(16);
    Tasks::new().spawn(Kind::Visit, "receiver", async move {
        while let Ok((stream, _)) = listener.accept().await {
            counter.fetch_add(1, Ordering::SeqCst);
            story(stream).await;
            let _ = sender.try_send(());
        }
    });
    Receiver { address, accepted, ended }
}

/// Reads one request; its head, or `None` when the connection ended.
async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut bytes = Vec::new();
    while !bytes.ends_with(BODY.as_bytes()) {
        let mut piece = [0; 4096];
        match stream.read(&mut piece).await {
            Ok(0) | Err(_) => return None,
            Ok(count) => bytes.extend_from_slice(&piece[..count]),
        }
    }
    Some(String::from_utf8(bytes).unwrap())
}

/// A receiver that reads a request and says `answer`, then closes.
async fn says(answer: impl Into<Vec<u8>>) -> Receiver {
    let answer: Arc<[u8]> = answer.into().into();
    receiver(move |mut stream| {
        let answer = answer.clone();
        async move {
            read_request(&mut stream).await;
            let _ = stream.write_all(&answer).await;
            let _ = stream.shutdown().await;
        }
    })
    .await
}

fn roots(trusted: &[&'static [u8]]) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    for certificate in trusted {
        roots.add((*certificate).into()).unwrap();
    }
    roots
}

/// This machine, all of it.
fn lenient() -> AddressPolicy {
    let allow = ["127.0.0.0/8:*", "[::1]:*"].map(|entry| entry.parse().unwrap());
    AddressPolicy::new(allow.into(), PlainHttp::Refused)
}

/// A transport that may dial this machine.
fn transport(trusted: &[&'static [u8]]) -> HyperTransport {
    HyperTransport::new(lenient(), Arc::new(SystemResolver), roots(trusted))
}

fn outgoing(url: &str, timeout: Duration) -> Outgoing {
    let body = Bytes::from_static(BODY.as_bytes());
    let (url, headers) = (url.parse().unwrap(), HeaderMap::new());
    Outgoing { url, headers, body, timeout, tls: Arc::default(), credentials: None }
}

async fn send_to(receiver: &Receiver, timeout: Duration) -> Result<Answered, Failure> {
    let url = format!("http://{}/path?secret=1", receiver.address);
    let sent = transport(&[]).send(outgoing(&url, timeout)).await;
    if let Err(failure) = &sent {
        assert!(!failure.text.contains("secret"), "{failure}");
    }
    sent
}

#[track_caller]
fn fails(sent: Result<Answered, Failure>, class: ErrorClass) {
    match sent {
        Err(failure) => assert_eq!(failure.class, class, "{failure}"),
        Ok(answered) => panic!("{answered:?}"),
    }
}
