//! A host that answers everything alike, 200 unless told otherwise, and remembers every byte it was
//! sent.
//!
//! It speaks just enough HTTP/1.1 to know where a request ends. What it cannot follow it still
//! records, because the stories ask above all that nothing came.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// How long [`Upstream::wait_for`] waits. Only a failing story waits so long.
const WAIT_MAX: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(5);

/// One request as it came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// Request line and headers, without the empty line.
    pub head: Vec<u8>,
    /// The body, without chunk frames.
    pub body: Vec<u8>,
}

/// The listener and what it has seen.
#[derive(Debug)]
pub struct Upstream {
    address: SocketAddr,
    seen: Arc<Seen>,
}

#[derive(Debug)]
struct Seen {
    ended: AtomicBool,
    status: AtomicU16,
    held: AtomicBool,
    log: Mutex<Log>,
}

#[derive(Debug, Default)]
struct Log {
    connections: usize,
    bytes: Vec<u8>,
    requests: Vec<Received>,
}

// === impl Received ===

impl Received {
    /// All headers, in order.
    pub fn lines(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        let lines = self.head.split(|byte| *byte == b'\n').skip(1);
        let line = |line: &[u8]| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            let (name, value) = line.split_at_checked(colon)?;
            Some((name.to_vec(), value.strip_prefix(b":")?.trim_ascii().to_vec()))
        };
        lines.filter_map(line).collect()
    }

    /// Every value of a header, in order. `name` in lower case.
    pub fn header(&self, name: &str) -> Vec<Vec<u8>> {
        let own = |(own, _): &(Vec<u8>, Vec<u8>)| own.eq_ignore_ascii_case(name.as_bytes());
        self.lines().into_iter().filter(own).map(|(_, value)| value).collect()
    }

    /// The only value of a header as text; `None` when there is none or more than one.
    pub fn only(&self, name: &str) -> Option<String> {
        let mut values = self.header(name);
        let value = values.pop()?;
        values.is_empty().then(|| String::from_utf8_lossy(&value).into_owned())
    }
}

// === impl Upstream ===

impl Upstream {
    /// Listens on a free loopback port.
    ///
    /// # Errors
    /// When no port can be had.
    pub fn start() -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let address = listener.local_addr()?;
        let seen = Arc::new(Seen {
            ended: AtomicBool::new(false),
            status: AtomicU16::new(200),
            held: AtomicBool::new(false),
            log: Mutex::default(),
        });
        let shared = Arc::clone(&seen);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if shared.ended.load(Ordering::SeqCst) {
                    return;
                }
                let shared = Arc::clone(&shared);
                shared.with(|log| log.connections += 1);
                std::thread::spawn(move || stream.map(|stream| shared.serve(stream)));
            }
        });
        Ok(Self { address, seen })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers with `status` from now on.
    pub fn answer(&self, status: u16) {
        self.seen.status.store(status, Ordering::SeqCst);
    }

    /// Keeps its answers back, or lets them go.
    pub fn hold(&self, held: bool) {
        self.seen.held.store(held, Ordering::SeqCst);
    }

    /// How many connections were opened.
    pub fn connections(&self) -> usize {
        self.seen.with(|log| log.connections)
    }

    /// Every byte of all connections, as it came in.
    pub fn bytes(&self) -> Vec<u8> {
        self.seen.with(|log| log.bytes.clone())
    }

    /// The requests that came whole.
    pub fn requests(&self) -> Vec<Received> {
        self.seen.with(|log| log.requests.clone())
    }

    /// Waits for this many whole requests and returns them.
    ///
    /// # Errors
    /// When they do not come in time.
    pub fn wait_for(&self, count: usize) -> Result<Vec<Received>> {
        let started = Instant::now();
        while started.elapsed() < WAIT_MAX {
            let requests = self.requests();
            if requests.len() >= count {
                return Ok(requests);
            }
            std::thread::sleep(POLL);
        }
        bail!("expected {count} requests upstream, saw {}", self.requests().len())
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.seen.ended.store(true, Ordering::SeqCst);
        self.hold(false);
        // Wakes the listener so that it sees the end.
        drop(TcpStream::connect(self.address));
    }
}

// === impl Seen ===

impl Seen {
    fn with<T>(&self, look: impl FnOnce(&mut Log) -> T) -> T {
        look(&mut self.log.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A 204 has no body and no length.
    fn answer(&self) -> Vec<u8> {
        match self.status.load(Ordering::SeqCst) {
            204 => b"HTTP/1.1 204 -\r\n\r\n".to_vec(),
            status => format!("HTTP/1.1 {status} -\r\ncontent-length: 0\r\n\r\n").into_bytes(),
        }
    }

    /// Reads until the other side closes.
    fn serve(&self, mut stream: TcpStream) {
        let (mut pending, mut piece) = (Vec::new(), [0; 16 * 1024]);
        loop {
            let read = stream.read(&mut piece).unwrap_or(0);
            let Some(piece) = piece.get(..read).filter(|piece| !piece.is_empty()) else {
                return;
            };
            pending.extend_from_slice(piece);
            self.with(|log| log.bytes.extend_from_slice(piece));
            while let Some((request, bytes)) = parse(&pending) {
                pending.drain(..bytes);
                self.with(|log| log.requests.push(request));
                while self.held.load(Ordering::SeqCst) && !self.ended.load(Ordering::SeqCst) {
                    std::thread::sleep(POLL);
                }
                if stream.write_all(&self.answer()).is_err() {
                    return;
                }
            }
        }
    }
}

/// The first whole request and its length in bytes.
fn parse(bytes: &[u8]) -> Option<(Received, usize)> {
    let head_bytes = find(bytes, b"\r\n\r\n")?;
    let (head, rest) = (bytes.get(..head_bytes)?, bytes.get(head_bytes + 4..)?);
    let mut request = Received { head: head.to_vec(), body: Vec::new() };
    let body_bytes = if request.only("transfer-encoding").as_deref() == Some("chunked") {
        let (body, used) = chunks(rest)?;
        request.body = body;
        used
    } else {
        let length = request.only("content-length").unwrap_or_default().parse().unwrap_or(0);
        request.body = rest.get(..length)?.to_vec();
        length
    };
    Some((request, head_bytes + 4 + body_bytes))
}

/// A chunked body, with trailers or without, and its length in bytes.
fn chunks(bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
    // Not the end yet: saves reading a large body again with every piece.
    bytes.ends_with(b"\r\n\r\n").then_some(())?;
    let (mut body, mut at) = (Vec::new(), 0);
    loop {
        let line = find(bytes.get(at..)?, b"\r\n")?;
        let size = std::str::from_utf8(bytes.get(at..at + line)?).ok()?;
        let size = usize::from_str_radix(size, 16).ok()?;
        at += line + 2;
        if size == 0 {
            break;
        }
        body.extend_from_slice(bytes.get(at..at + size)?);
        at += size + 2;
    }
    // Trailer lines, then an empty one.
    loop {
        let line = find(bytes.get(at..)?, b"\r\n")?;
        at += line + 2;
        if line == 0 {
            return Some((body, at));
        }
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}
