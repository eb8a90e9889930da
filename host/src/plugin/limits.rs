//! What a plugin may use. Every number has a name, a unit, a default and a cap.
//!
//! A [`Limits`] is made of defaults; the operator raises or lowers each value between 1 and its
//! cap. The memory of a call is summed over all memories of its store, so that a component of
//! several modules gets no more than one of one module: see [`super::growth`].

use std::time::Duration;

/// One row: what it is called in the configuration, its default and its cap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// With the unit last, as in the configuration.
    pub name: &'static str,
    /// When nobody says otherwise.
    pub default: u64,
    /// The most an operator can set.
    pub cap: u64,
    /// Its place in [`ROWS`], so that a call looks up no name.
    index: usize,
}

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

/// Size of a component's file, looked at before it is parsed. What Python's tool chain makes has
/// some 18 MiB and needs 24.
pub const COMPONENT_BYTES: Row = row(0, "component_bytes", 8 * MIB, 32 * MIB);
/// Linear memory, summed over all memories of one instance.
pub const MEMORY_BYTES: Row = row(1, "memory_bytes", 64 * MIB, 256 * MIB);
/// Elements of one table.
pub const TABLE_ELEMENTS: Row = row(2, "table_elements", 20_000, 100_000);
/// What a guest hands to the host in one crossing: one import called, or one result returned.
pub const CROSSING_BYTES: Row = row(3, "crossing_bytes", MIB, 8 * MIB);
/// Resource handles a guest holds at once.
pub const HANDLES: Row = row(4, "handles", 1024, 8192);
/// CPU of a call of `filter`, `transform` or `route`.
pub const CPU_PURE_MS: Row = row(5, "cpu_pure_ms", 50, 1000);
/// CPU of a call of `enrich` or `action`.
pub const CPU_IO_MS: Row = row(6, "cpu_io_ms", 250, 5000);
/// CPU to instantiate, and to check the configuration at load. Python needs up to a second.
pub const CPU_INIT_MS: Row = row(7, "cpu_init_ms", 250, 5000);
/// Wall clock of a call of `filter`, `transform` or `route`, with the wait for a free place.
pub const WALL_PURE_MS: Row = row(8, "wall_pure_ms", 250, 5000);
/// Wall clock of a call of `enrich` or `action`, with the wait for a free place.
pub const WALL_IO_MS: Row = row(9, "wall_io_ms", 5000, 60_000);
/// Body of one draft, or result of an action.
pub const BODY_BYTES: Row = row(10, "body_bytes", MIB, 8 * MIB);
/// Drafts of one event.
pub const DRAFTS: Row = row(11, "drafts", 32, 256);
/// Destinations of one event.
pub const DESTINATIONS: Row = row(12, "destinations", 16, 128);
/// Attributes added to one event or draft.
pub const ATTRIBUTES: Row = row(13, "attributes", 64, 512);
/// Name and value of one attribute together; also the name of a destination or of a type of event.
pub const ATTRIBUTE_BYTES: Row = row(14, "attribute_bytes", 4 * KIB, 32 * KIB);
/// One line of a plugin's log with its fields.
pub const LOG_LINE_BYTES: Row = row(15, "log_line_bytes", 4 * KIB, 40 * KIB);
/// Lines in the log an event.
pub const LOG_LINES: Row = row(16, "log_lines", 100, 1000);
/// All lines of an event.
pub const LOG_BYTES: Row = row(17, "log_bytes", 64 * KIB, 640 * KIB);
/// Calls of one plugin that run at once. The default, 0, stands for two a core.
pub const CONCURRENCY: Row = row(18, "concurrency", 0, 1024);
/// Calls that wait for one of those places. The next one is turned away.
pub const QUEUE: Row = row(19, "queue", 64, 65_536);
/// HTTP requests of one event, refused ones too.
pub const HTTP_REQUESTS: Row = row(20, "http_requests", 4, 32);
/// HTTP requests of one event that are under way at once. A further one waits.
pub const HTTP_CONCURRENT: Row = row(21, "http_concurrent", 2, 16);
/// Body of a request.
pub const HTTP_REQUEST_BYTES: Row = row(22, "http_request_bytes", 256 * KIB, 2 * MIB);
/// Body of an answer, after decompression.
pub const HTTP_RESPONSE_BYTES: Row = row(23, "http_response_bytes", MIB, 8 * MIB);
/// Headers of a request, and of an answer.
pub const HTTP_HEADER_BYTES: Row = row(24, "http_header_bytes", 32 * KIB, 256 * KIB);
/// A key of a plugin's state.
pub const STATE_KEY_BYTES: Row = row(25, "state_key_bytes", 256, 2 * KIB);
/// A value of it.
pub const STATE_VALUE_BYTES: Row = row(26, "state_value_bytes", 64 * KIB, 512 * KIB);
/// Operations on it of one event, refused ones too.
pub const STATE_OPERATIONS: Row = row(27, "state_operations", 64, 512);
/// Questions to LiveKit of one event.
pub const LIVEKIT_QUESTIONS: Row = row(28, "livekit_questions", 8, 64);
/// Name of a room or identity of a participant that is asked for.
pub const LIVEKIT_NAME_BYTES: Row = row(29, "livekit_name_bytes", KIB, 8 * KIB);
/// Answer to a question.
pub const LIVEKIT_ANSWER_BYTES: Row = row(30, "livekit_answer_bytes", MIB, 8 * MIB);
/// Wall clock of compiling a component, where a child does it: see [`super::compile`].
pub const COMPILE_MS: Row = row(31, "compile_ms", 30_000, 120_000);
/// All lines of a plugin in one minute.
pub const LOG_MINUTE_BYTES: Row = row(32, "log_bytes_per_minute", MIB, 10 * MIB);

/// Text of a guest's failure, cut on a character boundary. Fixed.
pub const ERROR_BYTES_MAX: usize = 2048;
/// Stack of wasm code, in bytes. Fixed; the same for every plugin of an engine.
pub const WASM_STACK_BYTES: usize = 512 * 1024;
/// Stack of a fiber: the wasm code's and the host's own frames, in bytes. Fixed.
pub const ASYNC_STACK_BYTES: usize = 2 * 1024 * 1024;
/// Memories, tables and core instances of one component. Fixed.
pub const MEMORIES_MAX: u32 = 4;
/// See [`MEMORIES_MAX`].
pub const TABLES_MAX: u32 = 8;
/// See [`MEMORIES_MAX`].
pub const CORE_INSTANCES_MAX: u32 = 48;
/// The host's own bookkeeping for one instance, in bytes. Fixed.
pub const INSTANCE_BYTES_MAX: usize = 10 * 1024 * 1024;

const fn row(index: usize, name: &'static str, default: u64, cap: u64) -> Row {
    Row { name, default, cap, index }
}

/// The rows an operator may set, in the order of [`Limits::rows`].
const ROWS: [Row; 33] = [
    COMPONENT_BYTES,
    MEMORY_BYTES,
    TABLE_ELEMENTS,
    CROSSING_BYTES,
    HANDLES,
    CPU_PURE_MS,
    CPU_IO_MS,
    CPU_INIT_MS,
    WALL_PURE_MS,
    WALL_IO_MS,
    BODY_BYTES,
    DRAFTS,
    DESTINATIONS,
    ATTRIBUTES,
    ATTRIBUTE_BYTES,
    LOG_LINE_BYTES,
    LOG_LINES,
    LOG_BYTES,
    CONCURRENCY,
    QUEUE,
    HTTP_REQUESTS,
    HTTP_CONCURRENT,
    HTTP_REQUEST_BYTES,
    HTTP_RESPONSE_BYTES,
    HTTP_HEADER_BYTES,
    STATE_KEY_BYTES,
    STATE_VALUE_BYTES,
    STATE_OPERATIONS,
    LIVEKIT_QUESTIONS,
    LIVEKIT_NAME_BYTES,
    LIVEKIT_ANSWER_BYTES,
    COMPILE_MS,
    LOG_MINUTE_BYTES,
];

/// The limits of one plugin: a value for every [`Row`], each within its cap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    values: [u64; ROWS.len()],
    /// Which of them somebody set.
    set: [bool; ROWS.len()],
}

/// Why a limit was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No row of this name.
    #[error("{name}: no such limit; there are {}", names())]
    Unknown {
        /// As given.
        name: String,
    },
    /// Zero, or over the cap.
    #[error("{name} = {value}: must be 1 to {cap}")]
    Range {
        /// Which.
        name: &'static str,
        /// As given.
        value: u64,
        /// The most there may be.
        cap: u64,
    },
}

// === impl Limits ===

impl Default for Limits {
    fn default() -> Self {
        Self { values: ROWS.map(|row| row.default), set: ROWS.map(|_| false) }
    }
}

impl Limits {
    /// Sets the row of this name, as the configuration does.
    ///
    /// # Errors
    /// When there is no such row, or the value is not between 1 and its cap.
    pub fn set(&mut self, name: &str, value: u64) -> Result<(), Error> {
        let Some(index) = ROWS.iter().position(|row| row.name == name) else {
            return Err(Error::Unknown { name: name.to_owned() });
        };
        let Row { name, cap, .. } = ROWS[index];
        if value == 0 || value > cap {
            return Err(Error::Range { name, value, cap });
        }
        self.values[index] = value;
        self.set[index] = true;
        Ok(())
    }

    /// Takes what a plugin's manifest asks for: less than the default, and only where nobody set
    /// the row. Anything else is ignored.
    pub fn lower(&mut self, name: &str, value: u64) {
        let Some(index) = ROWS.iter().position(|row| row.name == name) else {
            return;
        };
        let default = ROWS[index].default;
        if !self.set[index] && value > 0 && (value <= default || default == 0) {
            self.values[index] = value.min(ROWS[index].cap);
        }
    }

    /// As [`Limits::set`], for code that builds one.
    ///
    /// # Errors
    /// As [`Limits::set`].
    pub fn with(mut self, row: Row, value: u64) -> Result<Self, Error> {
        self.set(row.name, value)?;
        Ok(self)
    }

    /// The value of a row.
    pub fn get(&self, row: Row) -> u64 {
        self.values.get(row.index).copied().unwrap_or(row.default)
    }

    /// The value of a row that counts things in memory.
    pub fn size(&self, row: Row) -> usize {
        usize::try_from(self.get(row)).unwrap_or(usize::MAX)
    }

    /// The value of a row in milliseconds.
    pub fn time(&self, row: Row) -> Duration {
        Duration::from_millis(self.get(row))
    }

    /// Calls at once: as set, else two a core.
    pub fn concurrency(&self) -> usize {
        match self.size(CONCURRENCY) {
            0 => 2 * std::thread::available_parallelism().map_or(1, usize::from),
            set => set,
        }
    }

    /// Every row with its value, for `check --dump` and capsules.
    pub fn rows(&self) -> impl Iterator<Item = (Row, u64)> + '_ {
        ROWS.into_iter().zip(self.values)
    }
}

fn names() -> String {
    ROWS.map(|row| row.name).join(", ")
}

#[cfg(test)]
mod tests;
