//! One slice: as many requests as are answered in a given time, the same one over kept connections.

use super::CONNECTIONS;
use anyhow::{Context as _, ensure};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

/// Only a broken run waits so long.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// What one slice gave.
#[derive(Clone, Copy, Debug, Default)]
pub struct Slice {
    /// Requests answered.
    pub answered: usize,
    /// The same, a second.
    pub a_second: f64,
    /// Of the proxy, a request.
    pub cpu_us: f64,
}

/// Runs one slice.
///
/// # Errors
/// When an answer does not come or has another status.
pub fn run(at: SocketAddr, request: &[u8], status: u16, length: Duration) -> anyhow::Result<Slice> {
    let began = Instant::now();
    let answered: anyhow::Result<usize> = thread::scope(|scope| {
        let threads: Vec<_> = (0..CONNECTIONS)
            .map(|_| scope.spawn(move || sender(at, request, status, began, length)))
            .collect();
        let counts = threads
            .into_iter()
            .map(|thread| thread.join().map_err(|_| anyhow::anyhow!("a sender panicked"))?);
        counts.sum()
    });
    let answered = answered?;
    let a_second = answered as f64 / began.elapsed().as_secs_f64();
    Ok(Slice { answered, a_second, cpu_us: 0.0 })
}

fn sender(
    at: SocketAddr,
    request: &[u8],
    status: u16,
    began: Instant,
    length: Duration,
) -> anyhow::Result<usize> {
    let expected = format!("HTTP/1.1 {status} ").into_bytes();
    let (mut answered, mut buffer) = (0, [0; 4096]);
    let mut stream = connect(at)?;
    while began.elapsed() < length {
        stream.write_all(request)?;
        let mut filled = 0;
        let closes = loop {
            let read = stream.read(buffer.get_mut(filled..).unwrap_or_default())?;
            ensure!(read > 0, "closed without an answer");
            filled += read;
            let answer = buffer.get(..filled).unwrap_or_default();
            if let Some(closes) = whole(answer) {
                ensure!(answer.starts_with(&expected), "{}", String::from_utf8_lossy(answer));
                break closes;
            }
        };
        answered += 1;
        if closes {
            stream = connect(at)?;
        }
    }
    Ok(answered)
}

fn connect(at: SocketAddr) -> anyhow::Result<TcpStream> {
    let stream = TcpStream::connect(at).context("connecting")?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(ANSWER_MAX))?;
    Ok(stream)
}

/// Whether the answer is whole, and then whether its connection ends with it.
fn whole(answer: &[u8]) -> Option<bool> {
    let find = |what: &[u8]| answer.windows(what.len()).position(|window| window == what);
    let head = find(b"\r\n\r\n")?;
    let closes = find(b"connection: close").is_some();
    let name = b"content-length: ";
    let digits = answer.get(find(name)? + name.len()..)?;
    let digits = digits.iter().take_while(|byte| byte.is_ascii_digit());
    let length = digits.fold(0, |length, digit| length * 10 + usize::from(digit - b'0'));
    (answer.len() >= head + 4 + length).then_some(closes)
}
