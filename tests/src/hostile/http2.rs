//! HTTP/2, frame by frame, by those who mean harm. RFC 9113, section 6.

use super::{Manner, Told, until_closed};
use std::sync::atomic::Ordering;
use tokio::io::{AsyncReadExt as _, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
/// Flag of the last frame of a request.
const END_STREAM: u8 = 1;
/// `:status: 200`, from the static table of HPACK.
const STATUS_200: &[u8] = &[0x88];
/// Bytes that a client sends before its first frame.
const PREFACE_BYTES: usize = 24;

type Reads = ReadHalf<TlsStream<TcpStream>>;
type Writes = WriteHalf<TlsStream<TcpStream>>;

/// Takes a connection whose handshake is over.
pub async fn serve(peer: TlsStream<TcpStream>, manner: &Manner, told: &Told) -> anyhow::Result<()> {
    let (mut reads, mut writes) = tokio::io::split(peer);
    reads.read_exact(&mut [0; PREFACE_BYTES]).await?;
    told.say(&mut writes, &frame(SETTINGS, 0, 0, &[])).await?;
    match manner {
        Manner::GoesAway => {
            told.say(&mut writes, &frame(GOAWAY, 0, 0, &[0; 8])).await?;
            until_closed(&mut reads).await
        }
        Manner::Resets => loop {
            let stream = request(&mut reads, told).await?;
            // REFUSED_STREAM: it was not looked at, and may be sent again.
            told.say(&mut writes, &frame(RST_STREAM, 0, stream, &[0, 0, 0, 7])).await?;
        },
        Manner::Pings => {
            request(&mut reads, told).await?;
            flood(reads, writes, told, &frame(PING, 0, 0, &[7; 8])).await
        }
        Manner::Continuations => {
            let stream = request(&mut reads, told).await?;
            told.say(&mut writes, &frame(HEADERS, 0, stream, STATUS_200)).await?;
            // `x: y`, not to be indexed.
            let fields = [0, 1, b'x', 1, b'y'].repeat(1_000);
            flood(reads, writes, told, &frame(CONTINUATION, 0, stream, &fields)).await
        }
        _ => until_closed(&mut reads).await,
    }
}

/// The same frame again and again, until the other side hangs up.
async fn flood(
    mut reads: Reads,
    mut writes: Writes,
    told: &Told,
    frame: &[u8],
) -> anyhow::Result<()> {
    let many = frame.repeat(100);
    tokio::select! {
        ended = say_on(&mut writes, told, &many) => ended,
        ended = until_closed(&mut reads) => ended,
    }
}

async fn say_on(writes: &mut Writes, told: &Told, bytes: &[u8]) -> anyhow::Result<()> {
    loop {
        told.say(writes, bytes).await?;
    }
}

/// Reads frames up to the end of a request and gives its stream.
async fn request(reads: &mut Reads, told: &Told) -> anyhow::Result<u32> {
    let mut head = [0; 9];
    loop {
        reads.read_exact(&mut head).await?;
        let [high, middle, low, kind, flags, a, b, c, d] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, high, middle, low]) as usize];
        reads.read_exact(&mut payload).await?;
        if flags & END_STREAM != 0 && matches!(kind, DATA | HEADERS) {
            told.requests.fetch_add(1, Ordering::SeqCst);
            return Ok(u32::from_be_bytes([a, b, c, d]));
        }
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or_default().to_be_bytes();
    let [_, high, middle, low] = length;
    let head = [high, middle, low, kind, flags];
    [head.as_slice(), &stream.to_be_bytes(), payload].concat()
}
