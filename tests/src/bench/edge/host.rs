//! A host that reads a request and says 200, as cheaply as it can.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

/// It ends with the program.
pub struct Host(SocketAddr);

// === impl Host ===

impl Host {
    /// Listens on a free loopback port, a thread for each connection.
    ///
    /// # Errors
    /// When no port can be had.
    pub fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let address = listener.local_addr()?;
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                thread::spawn(move || serve(stream));
            }
        });
        Ok(Self(address))
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.0
    }
}

/// One request after the other; Envoy sends none before the answer to the last.
fn serve(mut stream: TcpStream) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let (mut buffer, mut filled) = (vec![0; 64 * 1024], 0);
    loop {
        let read = stream.read(buffer.get_mut(filled..)?).ok().filter(|read| *read > 0)?;
        filled += read;
        let bytes = buffer.get(..filled)?;
        let Some(head) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
            continue;
        };
        if filled >= head + 4 + length(bytes.get(..head)?) {
            stream.write_all(ANSWER).ok()?;
            filled = 0;
        }
    }
}

fn length(head: &[u8]) -> usize {
    let name = b"content-length: ";
    let start = head.windows(name.len()).position(|window| window == name);
    let digits = start.and_then(|start| head.get(start + name.len()..)).unwrap_or_default();
    let digits = digits.iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold(0, |length, digit| length * 10 + usize::from(digit - b'0'))
}
