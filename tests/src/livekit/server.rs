//! A real `livekit-server`, where one is on PATH.
//!
//! Without Redis and without media: rooms come and go by its API, and a participant that never gets
//! a connection needs only a websocket.

use crate::exchange::Reply;
use anyhow::{Context as _, Result, bail};
use livekit_api::access_token::{AccessToken, VideoGrants};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// How long it may take to be ready, and to answer.
const READY_MAX: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(50);

/// A running server. Dropping it kills the process.
pub struct Server {
    child: Child,
    address: SocketAddr,
    api_key: String,
    secret: String,
    _folder: tempfile::TempDir,
}

/// The binary, if there is one.
pub fn on_path() -> Option<PathBuf> {
    let output = std::process::Command::new("sh")
        .args(["-c", "command -v livekit-server"])
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let path = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| PathBuf::from(path.trim()))
}

// === impl Server ===

impl Server {
    /// Starts one that sends its webhooks to `webhook_url`, and waits until it is ready.
    ///
    /// # Errors
    /// When it ends, or is not ready in time.
    pub async fn start(
        binary: &Path,
        webhook_url: &str,
        api_key: &str,
        secret: &str,
    ) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        // It takes no port 0: these were free a moment ago.
        let [http, tcp, udp] = [free_port().await?, free_port().await?, free_port().await?];
        let yaml = format!(
            "port: {http}\nbind_addresses: [\"127.0.0.1\"]\n\
             rtc: {{ tcp_port: {tcp}, udp_port: {udp}, use_external_ip: false, \
             node_ip: 127.0.0.1, enable_loopback_candidate: true }}\n\
             keys: {{ {api_key}: {secret} }}\n\
             room: {{ empty_timeout: 2, departure_timeout: 1 }}\n\
             webhook:\n  api_key: {api_key}\n  urls: [\"{webhook_url}\"]\n"
        );
        let config = folder.path().join("livekit.yaml");
        std::fs::write(&config, yaml)?;
        let log = std::fs::File::create(folder.path().join("log"))?;
        let child = Command::new(binary)
            .arg("--config")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .context("starting livekit-server")?;
        let address = SocketAddr::from(([127, 0, 0, 1], http));
        let (api_key, secret) = (api_key.to_owned(), secret.to_owned());
        let mut server = Self { child, address, api_key, secret, _folder: folder };
        timeout(READY_MAX, server.ready()).await.context("livekit-server is not ready")??;
        Ok(server)
    }

    async fn ready(&mut self) -> Result<()> {
        loop {
            if let Some(status) = self.child.try_wait()? {
                bail!("livekit-server ended with {status}");
            }
            // 406 until the node knows its load.
            match crate::exchange::get(self.address, "/").await {
                Ok(reply) if reply.status == 200 => return Ok(()),
                _ => tokio::time::sleep(POLL).await,
            }
        }
    }

    /// A call of its room service with a JSON body.
    ///
    /// # Errors
    /// When it does not answer 200.
    pub async fn room_service(&self, method: &str, body: &str) -> Result<()> {
        let grants = VideoGrants { room_create: true, ..VideoGrants::default() };
        let token =
            AccessToken::with_api_key(&self.api_key, &self.secret).with_grants(grants).to_jwt()?;
        let bearer = format!("Bearer {token}");
        let path = format!("/twirp/livekit.RoomService/{method}");
        let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
        let request = super::raw::request(&path, &headers, body.as_bytes());
        let reply = crate::exchange::exchange(self.address, &request).await?;
        anyhow::ensure!(reply.status == 200, "{method}: {reply:?}");
        Ok(())
    }

    /// Joins as far as a websocket goes and leaves: a participant whose connection never came up.
    ///
    /// # Errors
    /// When there is no websocket.
    pub async fn join_and_vanish(&self, room: &str, identity: &str) -> Result<()> {
        let grants =
            VideoGrants { room_join: true, room: room.to_owned(), ..VideoGrants::default() };
        let token = AccessToken::with_api_key(&self.api_key, &self.secret)
            .with_identity(identity)
            .with_grants(grants)
            .to_jwt()?;
        let request = format!(
            "GET /rtc?access_token={token}&protocol=15&auto_subscribe=1 HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\n\
             Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            self.address
        );
        let mut socket = TcpStream::connect(self.address).await?;
        socket.write_all(request.as_bytes()).await?;
        let mut answer = vec![0; 64 * 1024];
        let mut filled = 0;
        // The answer's head and the first bytes of the first frame: it has been joined then.
        while !has_frame(&answer[..filled]) {
            let read = timeout(READY_MAX, socket.read(&mut answer[filled..])).await??;
            anyhow::ensure!(read > 0, "no websocket: {}", String::from_utf8_lossy(&answer));
            filled += read;
        }
        let reply = Reply::parse(&answer[..filled])?;
        anyhow::ensure!(reply.status == 101, "{reply:?}");
        Ok(())
    }
}

fn has_frame(answer: &[u8]) -> bool {
    let head = answer.windows(4).position(|window| window == b"\r\n\r\n");
    head.is_some_and(|head| answer.len() > head + 4)
}

async fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0").await?.local_addr()?.port())
}
