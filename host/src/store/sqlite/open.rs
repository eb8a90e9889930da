//! Opening a file: the lock beside it, its version, its settings, its counters.

use super::writer::{QUEUE_COMMANDS_MAX, Writer};
use super::{READERS_MAX, Readers, Role, Shared, SqliteStore, schema};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, params};
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Semaphore;

/// How long the same event key is looked for, in milliseconds: 24 hours.
const DEDUPE_WINDOW_MS: i64 = 24 * 60 * 60 * 1_000;
/// How long a statement waits for a lock of another process (a backup, a shell), in milliseconds.
const BUSY_TIMEOUT_MS: u64 = 5_000;
/// Statements kept prepared per connection.
const STATEMENTS_MAX: usize = 64;
/// Low bits of a fence: claims of one opening.
const FENCE_BITS: u32 = 40;

/// What may be set.
#[derive(Clone, Debug)]
pub struct Options {
    /// How long the same event key is looked for, in milliseconds. Default 24 hours.
    pub dedupe_window_ms: i64,
}

/// Why a file could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process serves from it.
    #[error("{0} is in use by another process: only one may serve from a file")]
    InUse(PathBuf),
    /// The lock file cannot be made or locked.
    #[error("cannot lock {path}")]
    Lock {
        /// The lock file.
        path: PathBuf,
        /// The system's words.
        #[source]
        source: std::io::Error,
    },
    /// A newer binary wrote it.
    #[error(
        "the file has schema version {found}, this binary knows up to {known}: use a newer one"
    )]
    Newer {
        /// In the file.
        found: i64,
        /// In this binary.
        known: i64,
    },
    /// A reader cannot change the file.
    #[error("the file has schema version {found}, expected {known}: let the server open it once")]
    Older {
        /// In the file.
        found: i64,
        /// In this binary.
        known: i64,
    },
    /// SQLite's own.
    #[error("SQLite cannot use the file")]
    Sqlite(#[from] rusqlite::Error),
    /// The log beside the file cannot be opened.
    #[error("cannot open the file's log")]
    Log(#[source] std::io::Error),
    /// The system gave no thread.
    #[error("cannot start the writer")]
    Thread(#[source] std::io::Error),
}

impl Default for Options {
    fn default() -> Self {
        Self { dedupe_window_ms: DEDUPE_WINDOW_MS }
    }
}

impl SqliteStore {
    /// Opens or creates `path` as its one owner, and brings it to this binary's schema. Blocks: for
    /// start-up.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(path: &Path, options: &Options) -> Result<Self, OpenError> {
        let lock = lock(path)?;
        let mut conn = writable(path, OpenFlags::SQLITE_OPEN_CREATE)?;
        schema::version(&conn)?;
        // A few megabytes of log between two checkpoints spare a sync or two per commit; the log
        // file is cut back to the size limit after a burst.
        conn.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
             PRAGMA wal_autocheckpoint = 4000; PRAGMA journal_size_limit = 67108864; \
             PRAGMA cache_size = -16384;",
        )?;
        schema::migrate(&mut conn)?;
        let (opened, counters) = begin(&mut conn)?;
        let shared = shared(options, opened, counters);
        Self::start(path, conn, Some(lock), shared)
    }

    /// Opens `path` for a command: as its owner if there is none, else beside it
    /// ([`SqliteStore::role`] tells). Blocks: for start-up.
    ///
    /// # Errors
    /// [`OpenError`]. Beside an owner the file must have this binary's schema.
    pub fn open_beside(path: &Path, options: &Options) -> Result<Self, OpenError> {
        match Self::open(path, options) {
            Err(OpenError::InUse(_)) => {}
            opened => return opened,
        }
        let conn = writable(path, OpenFlags::empty())?;
        current(&conn)?;
        conn.execute_batch("PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0;")?;
        Self::start(path, conn, None, shared(options, 0, [0; 4]))
    }

    /// Opens `path` for reading, beside its owner if there is one. Writes and claims answer
    /// [`Error::Unavailable`](crate::store::Error::Unavailable). Blocks: for start-up.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open_reader(path: &Path) -> Result<Self, OpenError> {
        let readers = readers(path)?;
        if let Some(conn) = readers.idle.lock().ok().as_deref().and_then(|idle| idle.first()) {
            current(conn)?;
        }
        Ok(Self {
            shared: Arc::new(shared(&Options::default(), 0, [0; 4])),
            readers: Arc::new(readers),
            queue: Mutex::new(None),
            places: Arc::new(Semaphore::new(0)),
            thread: Mutex::new(None),
            role: Role::Reader,
        })
    }

    /// Starts the writer. Whoever has the lock is the owner.
    fn start(
        path: &Path,
        conn: Connection,
        lock: Option<File>,
        shared: Shared,
    ) -> Result<Self, OpenError> {
        let role = if lock.is_some() { Role::Owner } else { Role::Beside };
        let shared = Arc::new(shared);
        let (sender, queue) = mpsc::channel();
        let readers = Arc::new(readers(path)?);
        let log = File::open(beside(path, "-wal")).map_err(OpenError::Log)?;
        let writer = Writer::new(conn, Arc::clone(&shared), queue, log, lock);
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || writer.run())
            .map_err(OpenError::Thread)?;
        Ok(Self {
            shared,
            readers,
            queue: Mutex::new(Some(sender)),
            places: Arc::new(Semaphore::new(QUEUE_COMMANDS_MAX)),
            thread: Mutex::new(Some(thread)),
            role,
        })
    }
}

pub(super) fn writable(path: &Path, more: OpenFlags) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | more;
    let conn = Connection::open_with_flags(path, flags)?;
    set_up(&conn)?;
    Ok(conn)
}

/// Whoever is not the owner cannot change the schema.
fn current(conn: &Connection) -> Result<(), OpenError> {
    let found = schema::version(conn)?;
    if found < schema::VERSION {
        return Err(OpenError::Older { found, known: schema::VERSION });
    }
    Ok(())
}

/// A file beside the database, named after it.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// The lock is on a file of its own: SQLite's locks on the database come and go.
fn lock(path: &Path) -> Result<File, OpenError> {
    let lock_path = beside(path, ".lock");
    let failed = |source| OpenError::Lock { path: lock_path.clone(), source };
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&lock_path)
        .map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse(path.to_owned())),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

fn set_up(conn: &Connection) -> rusqlite::Result<()> {
    conn.busy_timeout(Duration::from_millis(BUSY_TIMEOUT_MS))?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    // A plan may not depend on bound values: else every new value compiles its statement anew, and
    // a claim's plan could change with the data.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    conn.execute_batch("PRAGMA temp_store = MEMORY;")
}

fn readers(path: &Path) -> rusqlite::Result<Readers> {
    let mut idle = Vec::with_capacity(READERS_MAX);
    for _ in 0..READERS_MAX {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let conn = Connection::open_with_flags(path, flags)?;
        set_up(&conn)?;
        idle.push(conn);
    }
    Ok(Readers { idle: Mutex::new(idle), permits: Arc::new(Semaphore::new(READERS_MAX)) })
}

/// Counts this opening, and counts anew what the counters say: indexes alone answer it.
fn begin(conn: &mut Connection) -> rusqlite::Result<(i64, [i64; 4])> {
    let tx = conn.transaction()?;
    let count = |sql: &str| tx.query_row(sql, [], |row| row.get::<_, i64>(0));
    let counters = [
        count("SELECT count(*) FROM events INDEXED BY events_unplanned WHERE plan = 0")?,
        count(
            "SELECT (SELECT count(*) FROM deliveries INDEXED BY deliveries_due \
             WHERE status = 0 AND held = 0) + (SELECT count(*) FROM deliveries \
             INDEXED BY deliveries_held WHERE status = 0 AND held = 1)",
        )?,
        count("SELECT count(*) FROM deliveries INDEXED BY deliveries_dead WHERE status = 2")?,
        count("SELECT count(*) FROM quarantine")?,
    ];
    let [unplanned, pending, dead, quarantined] = counters;
    let sql = "UPDATE store SET opened = opened + 1, unplanned = ?1, pending = ?2, dead = ?3, \
         quarantined = ?4 RETURNING opened";
    let values = params![unplanned, pending, dead, quarantined];
    let opened = tx.query_row(sql, values, |row| row.get(0))?;
    tx.commit()?;
    Ok((opened, counters))
}

pub(super) fn shared(options: &Options, opened: i64, counters: [i64; 4]) -> Shared {
    Shared {
        dedupe_window_ms: options.dedupe_window_ms,
        events: Mutex::default(),
        flights: Mutex::default(),
        walks: Mutex::default(),
        fence: AtomicU64::new(u64::try_from(opened).unwrap_or(0) << FENCE_BITS),
        queued_bytes: AtomicUsize::new(0),
        counters: counters.map(AtomicI64::new),
    }
}
