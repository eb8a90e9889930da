//! HTTP/2 peers that follow the protocol to do harm, frame by frame.

use super::tls::{LOCALHOST, acceptor};
use super::*;
use tokio_rustls::server::TlsStream;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 4;
/// `:status: 200`, from the static table of HPACK.
const STATUS_200: &[u8] = &[0x88];

type Peer = TlsStream<TcpStream>;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Reads frames up to the end of the first request and gives its stream.
async fn request(peer: &mut Peer) -> Option<u32> {
    let mut head = [0; 9];
    loop {
        peer.read_exact(&mut head).await.ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        peer.read_exact(&mut payload).await.ok()?;
        let [.., a, b, c, d] = head;
        let is_last = head[4] & 1 == 1 && matches!(head[3], DATA | HEADERS);
        if is_last {
            return Some(u32::from_be_bytes([a, b, c, d]));
        }
    }
}

/// An HTTP/2 receiver that says `story` after the first request, or at once.
async fn peer<F>(story: impl Fn(Peer) -> F + Clone + Send + Sync + 'static) -> Receiver
where
    F: Future<Output = ()> + Send,
{
    let acceptor = acceptor(LOCALHOST, &[b"h2"], None);
    receiver(move |stream| {
        let (acceptor, story) = (acceptor.clone(), story.clone());
        async move {
            let Ok(mut peer) = acceptor.accept(stream).await else { return };
            let mut preface = [0; 24];
            if peer.read_exact(&mut preface).await.is_err() {
                return;
            }
            if peer.write_all(&frame(SETTINGS, 0, 0, &[])).await.is_ok() {
                story(peer).await;
            }
        }
    })
    .await
}

/// Sends `flood` again and again when the request is there, until we hang up.
async fn flooding(first: fn(u32) -> Vec<u8>, flood: fn(u32) -> Vec<u8>) -> Receiver {
    peer(move |mut peer| async move {
        let Some(stream) = request(&mut peer).await else { return };
        let _ = peer.write_all(&first(stream)).await;
        let flood = flood(stream).repeat(100);
        // Reading must not end when writing does: both go on until we hang up.
        let (mut reads, mut writes) = tokio::io::split(peer);
        tokio::select! {
            () = async { while writes.write_all(&flood).await.is_ok() {} } => {}
            () = async { while reads.read(&mut [0; 4096]).await.is_ok_and(|count| count > 0) {} } => {}
        }
    })
    .await
}

async fn send(receiver: &Receiver) -> Result<Answered, Failure> {
    let url = format!("https://localhost:{}/", receiver.address.port());
    transport(&[LOCALHOST.0]).send(outgoing(&url, SOON)).await
}

/// Within a bound, and the connection is closed on the peer.
async fn cut_off(mut receiver: Receiver, class: ErrorClass, words: &str) {
    let failure = tokio::time::timeout(SOON, send(&receiver)).await.unwrap().unwrap_err();
    assert_eq!(failure.class, class, "{failure}");
    assert!(failure.text.contains(words), "{failure}");
    assert_eq!(failure.way.address, Some(receiver.address));
    tokio::time::timeout(SOON, receiver.ended.recv()).await.unwrap();
    assert_eq!(receiver.accepted.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_flood_of_frames_that_mean_nothing_is_cut_off() {
    let words = "over 262144 bytes came for one request";
    let none: fn(u32) -> Vec<u8> = |_| Vec::new();
    let pings = flooding(none, |_| frame(PING, 0, 0, &[7; 8])).await;
    cut_off(pings, ErrorClass::Protocol, words).await;
    let unknown = flooding(none, |_| frame(0xee, 0, 0, &[7; 1_000])).await;
    cut_off(unknown, ErrorClass::Protocol, words).await;
}

#[tokio::test]
async fn headers_without_end_are_cut_off() {
    let begun: fn(u32) -> Vec<u8> = |stream| frame(HEADERS, 0, stream, STATUS_200);
    // `x: y` without indexing, many times in each frame.
    let endless = flooding(begun, |stream| {
        frame(CONTINUATION, 0, stream, &[0, 1, b'x', 1, b'y'].repeat(1_000))
    })
    .await;
    cut_off(endless, ErrorClass::Protocol, "").await;
    let empty = flooding(begun, |stream| frame(CONTINUATION, 0, stream, &[])).await;
    cut_off(empty, ErrorClass::Protocol, "").await;
}

#[tokio::test]
async fn a_small_block_that_unpacks_into_much_is_refused() {
    // An entry of 4,000 bytes for the dynamic table, then named 16,000 times by one byte each.
    let bomb = peer(|mut peer| async move {
        let Some(stream) = request(&mut peer).await else { return };
        let mut block = [STATUS_200, &[0x40, 1, b'x', 0x7f, 0xa1, 0x1e]].concat();
        block.extend_from_slice(&[b'a'; 4_000]);
        let named = vec![0xbe; 12_000];
        block.extend_from_slice(&named);
        let _ = peer.write_all(&frame(HEADERS, END_HEADERS, stream, &block)).await;
        while peer.read(&mut [0; 4_096]).await.is_ok_and(|count| count > 0) {}
    })
    .await;
    let failure = tokio::time::timeout(SOON, send(&bomb)).await.unwrap().unwrap_err();
    assert_eq!(failure.class, ErrorClass::Protocol, "{failure}");
}

#[tokio::test]
async fn a_body_past_its_window_is_cut_off() {
    let mut greedy = flooding(
        |stream| frame(HEADERS, END_HEADERS, stream, STATUS_200),
        |stream| frame(DATA, 0, stream, &[b'x'; 16_384]),
    )
    .await;
    let answered = tokio::time::timeout(SOON, send(&greedy)).await.unwrap().unwrap();
    assert_eq!(answered.status, 200);
    assert!(answered.body_start.len() <= RESPONSE_BYTES_KEPT);
    tokio::time::timeout(SOON, greedy.ended.recv()).await.unwrap();
}

#[tokio::test]
async fn a_stream_that_is_reset_is_not_asked_for_again() {
    let (sender, mut streams) = mpsc::channel(8);
    let resetting = peer(move |mut peer| {
        let sender = sender.clone();
        async move {
            while let Some(stream) = request(&mut peer).await {
                sender.try_send(stream).unwrap();
                // REFUSED_STREAM: it may be tried again, and we leave that to the next attempt.
                let _ = peer.write_all(&frame(RST_STREAM, 0, stream, &[0, 0, 0, 7])).await;
            }
        }
    })
    .await;
    let failure = tokio::time::timeout(SOON, send(&resetting)).await.unwrap().unwrap_err();
    assert_eq!(failure.class, ErrorClass::Io, "{failure}");
    assert!(streams.recv().await.is_some());
    assert!(streams.try_recv().is_err(), "it was asked for again");
}

#[tokio::test]
async fn a_peer_that_always_goes_away_ends_the_attempt() {
    let leaving = peer(|mut peer| async move {
        let _ = peer.write_all(&frame(GOAWAY, 0, 0, &[0; 8])).await;
        while peer.read(&mut [0; 4_096]).await.is_ok_and(|count| count > 0) {}
    })
    .await;
    let failure = tokio::time::timeout(SOON, send(&leaving)).await.unwrap().unwrap_err();
    assert!(matches!(failure.class, ErrorClass::Io | ErrorClass::Connect), "{failure}");
    let accepted = leaving.accepted.load(Ordering::SeqCst);
    assert!(accepted <= 2, "{accepted} connections for one attempt");
}
