//! Hints between hosts, by `LISTEN` and `NOTIFY` on a connection of their own.
//!
//! A hint says only that it may be worth looking; whoever misses one looks a little later by
//! himself. So they are sent beside the writes and not with them, at most one of a kind in
//! [`QUIET`]: a `NOTIFY` inside a transaction would make all commits of the database wait for each
//! other. After a lost connection both kinds are heard once, since anything may have been missed.

use super::connect::{Address, OPERATION_MAX, within};
use super::fault::Fault;
use super::tls;
use crate::store::Hint;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{AsyncMessage, Client, Connection, Socket};
use tracing::debug;

/// Between two hints of this host.
const QUIET: Duration = Duration::from_millis(50);
/// Between two tries to connect.
const RECONNECT: Duration = Duration::from_secs(1);
const LISTEN: &str = "LISTEN livekit_webhook";
const EVENTS: &str = "events";
const DELIVERIES: &str = "deliveries";

/// What is to be said and what was heard. Cheap to clone.
#[derive(Clone)]
pub struct Hints(Arc<Inner>);

#[derive(Default)]
struct Inner {
    to_say: Kinds,
    speak: Notify,
    heard: Kinds,
    hear: Notify,
    stop: Notify,
    /// The server's process for our connection: what it says is our own.
    process: AtomicI32,
}

#[derive(Default)]
struct Kinds {
    events: AtomicBool,
    deliveries: AtomicBool,
}

// === impl Kinds ===

impl Kinds {
    fn add(&self, hint: Hint) {
        self.of(hint).store(true, Ordering::SeqCst);
    }

    fn take(&self, hint: Hint) -> bool {
        self.of(hint).swap(false, Ordering::SeqCst)
    }

    fn of(&self, hint: Hint) -> &AtomicBool {
        match hint {
            Hint::Events => &self.events,
            Hint::Deliveries => &self.deliveries,
        }
    }
}

// === impl Hints ===

impl Hints {
    pub fn new() -> Self {
        Self(Arc::default())
    }

    /// Tells the other hosts, soon.
    pub fn say(&self, hint: Hint) {
        self.0.to_say.add(hint);
        self.0.speak.notify_one();
    }

    /// The next hint of another host.
    ///
    /// # Cancel safety
    /// Safe: what was heard stays until it is taken.
    pub async fn heard(&self) -> Hint {
        loop {
            for hint in [Hint::Events, Hint::Deliveries] {
                if self.0.heard.take(hint) {
                    return hint;
                }
            }
            // A ring that came since then is kept for this wait.
            self.0.hear.notified().await;
        }
    }

    /// Ends [`Hints::run`].
    pub fn stop(&self) {
        self.0.stop.notify_one();
    }

    /// Says and hears until it is stopped; a lost connection is made again.
    pub async fn run(self, address: Address) {
        tokio::select! {
            () = self.connect_again_and_again(&address) => {}
            () = self.0.stop.notified() => {}
        }
    }

    async fn connect_again_and_again(&self, address: &Address) {
        loop {
            match tls::connector(address.tls()) {
                Ok(tls) => {
                    let lost = self.converse(address, tls).await;
                    debug!(error = ?lost, "no hints between hosts for now");
                }
                Err(error) => debug!(?error, "no hints between hosts for now"),
            }
            tokio::time::sleep(RECONNECT).await;
        }
    }

    /// Until the connection is lost.
    async fn converse<T>(&self, address: &Address, tls: T) -> Result<(), Fault>
    where
        T: MakeTlsConnect<Socket>,
    {
        let connecting = async { Ok(address.config().connect(tls).await?) };
        let (client, connection) = within(OPERATION_MAX, connecting).await?;
        tokio::select! {
            end = self.listen(connection) => end,
            end = self.speak(&client) => end,
        }
    }

    async fn listen<S, T>(&self, mut connection: Connection<S, T>) -> Result<(), Fault>
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
        T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    {
        while let Some(message) = poll_fn(|context| connection.poll_message(context)).await {
            let AsyncMessage::Notification(notification) = message? else { continue };
            if notification.process_id() == self.0.process.load(Ordering::SeqCst) {
                continue;
            }
            match notification.payload() {
                EVENTS => self.hear(Hint::Events),
                DELIVERIES => self.hear(Hint::Deliveries),
                _ => {}
            }
        }
        Ok(())
    }

    fn hear(&self, hint: Hint) {
        self.0.heard.add(hint);
        self.0.hear.notify_one();
    }

    async fn speak(&self, client: &Client) -> Result<(), Fault> {
        let row = within(OPERATION_MAX, async {
            client.batch_execute(LISTEN).await?;
            Ok(client.query_one("SELECT pg_backend_pid()", &[]).await?)
        });
        self.0.process.store(row.await?.try_get(0)?, Ordering::SeqCst);
        self.hear(Hint::Events);
        self.hear(Hint::Deliveries);
        loop {
            self.0.speak.notified().await;
            for (hint, word) in [(Hint::Events, EVENTS), (Hint::Deliveries, DELIVERIES)] {
                if self.0.to_say.take(hint) {
                    let sql = format!("NOTIFY livekit_webhook, '{word}'");
                    within(OPERATION_MAX, async { Ok(client.batch_execute(&sql).await?) }).await?;
                }
            }
            tokio::time::sleep(QUIET).await;
        }
    }
}
