//! What a guest prints, as lines of its log.
//!
//! A stream of WASI lives in the store's table and cannot reach the store's log, so what is written
//! waits here until the next call of WASI or the end of the plugin's call takes it. One write is
//! bounded by [`WRITE_BYTES_MAX`], and a line without an end by the same.

use crate::plugin::log::{INFO, Lines, WARN};
use bytes::Bytes;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError, StreamResult};

/// Bytes of one write, and of what waits for the end of its line.
const WRITE_BYTES_MAX: usize = 8 * 1024;

/// What was printed and is not in the log yet.
#[derive(Debug, Default)]
pub struct Output {
    pending: Mutex<[Vec<u8>; 2]>,
}

/// Standard output or error.
#[derive(Clone, Debug)]
pub struct Stream {
    output: Arc<Output>,
    level: u8,
}

// === impl Output ===

impl Output {
    /// Takes whole lines into `log`; at the `end` also what has no end of line.
    pub fn drain(&self, log: &mut Lines, end: bool) {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        for (pending, level) in pending.iter_mut().zip([INFO, WARN]) {
            let whole = match pending.iter().rposition(|byte| *byte == b'\n') {
                _ if end || pending.len() > WRITE_BYTES_MAX => pending.len(),
                Some(last) => last + 1,
                None => continue,
            };
            for line in pending[..whole].split(|byte| *byte == b'\n') {
                let line = String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line));
                if !line.is_empty() {
                    log.print(level, &line);
                }
            }
            pending.drain(..whole);
        }
    }

    fn write(&self, level: u8, bytes: &[u8]) {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        pending[usize::from(level == WARN)].extend_from_slice(bytes);
    }
}

// === impl Stream ===

impl Stream {
    /// Standard output.
    pub fn out(output: &Arc<Output>) -> Self {
        Self { output: output.clone(), level: INFO }
    }

    /// Standard error.
    pub fn err(output: &Arc<Output>) -> Self {
        Self { output: output.clone(), level: WARN }
    }
}

impl IsTerminal for Stream {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Stream {
    /// Only WASI 0.3 asks for this one, and that is not linked.
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(tokio::io::sink())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

impl OutputStream for Stream {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        if bytes.len() > WRITE_BYTES_MAX {
            return Err(StreamError::trap("wrote more than the stream permitted"));
        }
        self.output.write(self.level, &bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(WRITE_BYTES_MAX)
    }
}

#[async_trait::async_trait]
impl Pollable for Stream {
    async fn ready(&mut self) {}
}
