//! Moving what is stored: to a file, from a file, from one store to another.
//!
//! The form of a file: one JSON object a line. The first names the form and its version, then one
//! line for each row in an order in which nothing points ahead, and a last one with their number,
//! so that a file that was cut off is known as such. See [`line`] for the members.
//!
//! Guarantee: a row comes over whole or not at all; what is there already is left as it is, so a
//! transfer that was interrupted can be begun again; at its end both sides are counted.
//! Non-guarantee: a source that is written to meanwhile is not seen at one moment.

mod line;

use crate::store::{self, CopyCursor, Record, Store};
use line::Line;
use livekit_webhook_core::time::Timestamp;
use std::io::{BufRead, Read, Write};

/// The version of the form that is written.
pub const VERSION: u32 = 1;
/// Rows written in one transaction.
const BATCH_RECORDS: usize = 500;
/// Bytes of bodies from which on a transaction takes no more.
const BATCH_BYTES: usize = 8 * 1024 * 1024;
/// Longest line, in bytes: the largest body in base64, and the rest.
const LINE_BYTES_MAX: u64 = 128 * 1024 * 1024;

/// How many rows of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Events.
    pub events: u64,
    /// Deliveries.
    pub deliveries: u64,
    /// Attempts.
    pub attempts: u64,
    /// Quarantined bodies.
    pub quarantined: u64,
    /// Healths of endpoints.
    pub healths: u64,
    /// Replays.
    pub replays: u64,
    /// Sealed secrets.
    pub secrets: u64,
    /// Lanes.
    pub lanes: u64,
    /// Keys of plugins.
    pub plugin_state: u64,
}

/// What a transfer did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// Rows read.
    pub read: Counts,
    /// Rows that were not there before.
    pub new: u64,
}

/// Why a transfer ended early.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The store that is read.
    #[error("cannot read from the source")]
    Source(#[source] store::Error),
    /// The store that is written.
    #[error("cannot write to the store; what is there stays, begin again when it is well")]
    Target(#[source] store::Error),
    /// The file.
    #[error("the file")]
    File(#[from] std::io::Error),
    /// Not an export, or of a newer form.
    #[error(
        "not an export of this form: the first line must be {{\"type\":\"livekit_webhook_export\",\"version\":{VERSION},…}}"
    )]
    Form,
    /// A line that is none.
    #[error("line {number}: {text}")]
    Line {
        /// Counted from 1.
        number: u64,
        /// What is wrong.
        text: String,
    },
    /// Cut off, or changed.
    #[error("the file has {found} rows and no last line that says so: it was cut off or changed")]
    CutOff {
        /// Rows up to there.
        found: u64,
    },
    /// Fewer on the other side.
    #[error(
        "the target has {target} {kind}, the source {source_count}: keep the source, and look for what the log says"
    )]
    Missing {
        /// What is missing.
        kind: &'static str,
        /// In the source.
        source_count: u64,
        /// In the target.
        target: u64,
    },
}

/// Writes everything in `store` to `file`.
///
/// # Errors
/// [`Error::Source`], [`Error::File`].
pub async fn export(
    store: &dyn Store,
    now: Timestamp,
    file: &mut (dyn Write + Send),
) -> Result<Counts, Error> {
    let mut counts = Counts::default();
    let exported_at_ms = now.as_millis();
    write_line(file, &Line::LivekitWebhookExport { version: VERSION, exported_at_ms })?;
    let mut after = None;
    loop {
        let (records, next) = store.export(after).await.map_err(Error::Source)?;
        for record in &records {
            counts.add(record);
            write_line(file, &line::line(record))?;
        }
        after = match next {
            Some(next) => Some(next),
            None => break,
        };
    }
    write_line(file, &Line::End { records: counts.total() })?;
    file.flush()?;
    Ok(counts)
}

fn write_line(file: &mut (dyn Write + Send), line: &Line) -> Result<(), Error> {
    serde_json::to_writer(&mut *file, line).map_err(std::io::Error::from)?;
    Ok(file.write_all(b"\n")?)
}

/// Reads an export into `store`.
///
/// # Errors
/// [`Error`]. What was read up to there is in the store; the same file can be read again.
pub async fn import(store: &dyn Store, file: &mut (dyn BufRead + Send)) -> Result<Moved, Error> {
    let mut batch = Batch::default();
    let mut number = 0;
    let is_form = matches!(
        read_line(file, &mut number)?,
        Some(Line::LivekitWebhookExport { version: VERSION, .. })
    );
    if !is_form {
        return Err(Error::Form);
    }
    while let Some(line) = read_line(file, &mut number)? {
        if let Line::End { records } = line {
            let found = batch.moved.read.total();
            if found != records || read_line(file, &mut number)?.is_some() {
                return Err(Error::CutOff { found });
            }
            batch.write(store).await?;
            return Ok(batch.moved);
        }
        let record = line::record(line).map_err(|text| Error::Line { number, text })?;
        let Some(record) = record else {
            return Err(Error::Line { number, text: "a second first line".to_owned() });
        };
        batch.push(record, store).await?;
    }
    batch.write(store).await?;
    Err(Error::CutOff { found: batch.moved.read.total() })
}

/// The next line, or `None` at the end.
fn read_line(file: &mut (dyn BufRead + Send), number: &mut u64) -> Result<Option<Line>, Error> {
    *number += 1;
    let mut text = Vec::new();
    Read::take(&mut *file, LINE_BYTES_MAX).read_until(b'\n', &mut text)?;
    if text.is_empty() {
        return Ok(None);
    }
    match serde_json::from_slice(&text) {
        Ok(line) => Ok(Some(line)),
        Err(_) if *number == 1 => Err(Error::Form),
        // A line without its end is where a file was cut off.
        Err(error) if text.last() != Some(&b'\n') => {
            let text = format!("the file ends here, or the line is too long ({error})");
            Err(Error::Line { number: *number, text })
        }
        Err(error) => Err(Error::Line { number: *number, text: error.to_string() }),
    }
}

/// Copies everything in `source` into `target`, and counts both at the end. `progress` is called
/// with what was read so far.
///
/// # Errors
/// [`Error`]. What was copied up to there is in `target`; the copy can be begun again.
pub async fn copy(
    source: &dyn Store,
    target: &dyn Store,
    mut progress: impl FnMut(&Counts),
) -> Result<(Moved, Counts), Error> {
    let mut batch = Batch::default();
    let mut after = None;
    loop {
        let (records, next) = source.export(after).await.map_err(Error::Source)?;
        for record in records {
            batch.push(record, target).await?;
        }
        progress(&batch.moved.read);
        after = match next {
            Some(next) => Some(next),
            None => break,
        };
    }
    batch.write(target).await?;
    let there = count(target).await?;
    batch.moved.read.are_all_in(&there)?;
    Ok((batch.moved, there))
}

/// Counts everything in `store`.
///
/// # Errors
/// [`Error::Target`].
pub async fn count(store: &dyn Store) -> Result<Counts, Error> {
    let mut counts = Counts::default();
    let mut after: Option<CopyCursor> = None;
    loop {
        let (records, next) = store.export(after).await.map_err(Error::Target)?;
        records.iter().for_each(|record| counts.add(record));
        after = match next {
            Some(next) => Some(next),
            None => return Ok(counts),
        };
    }
}

/// Rows on their way.
#[derive(Default)]
struct Batch {
    records: Vec<Record>,
    bytes: usize,
    moved: Moved,
}

// === impl Batch ===

impl Batch {
    async fn push(&mut self, record: Record, store: &dyn Store) -> Result<(), Error> {
        self.moved.read.add(&record);
        self.bytes += body_bytes(&record);
        self.records.push(record);
        if self.records.len() >= BATCH_RECORDS || self.bytes >= BATCH_BYTES {
            self.write(store).await?;
        }
        Ok(())
    }

    async fn write(&mut self, store: &dyn Store) -> Result<(), Error> {
        let records = std::mem::take(&mut self.records);
        self.bytes = 0;
        if !records.is_empty() {
            self.moved.new += store.import(records).await.map_err(Error::Target)?;
        }
        Ok(())
    }
}

fn body_bytes(record: &Record) -> usize {
    match record {
        Record::Event { event, .. } => event.body.len(),
        Record::Delivery { body, .. } => body.as_ref().map_or(0, bytes::Bytes::len),
        Record::Attempt { attempt, .. } => attempt.response_start.len(),
        Record::Quarantined(item) => item.body.len(),
        Record::PluginState { stored, .. } => stored.entry.value.len(),
        _ => 0,
    }
}

// === impl Counts ===

impl Counts {
    /// Kinds and numbers, in the order of a file.
    pub fn rows(&self) -> [(&'static str, u64); 9] {
        [
            ("events", self.events),
            ("deliveries", self.deliveries),
            ("attempts", self.attempts),
            ("quarantined", self.quarantined),
            ("healths", self.healths),
            ("replays", self.replays),
            ("secrets", self.secrets),
            ("lanes", self.lanes),
            ("plugin_state", self.plugin_state),
        ]
    }

    /// Of all kinds.
    pub fn total(&self) -> u64 {
        self.rows().iter().map(|(_, count)| count).sum()
    }

    fn add(&mut self, record: &Record) {
        *match record {
            Record::Event { .. } => &mut self.events,
            Record::Delivery { .. } => &mut self.deliveries,
            Record::Attempt { .. } => &mut self.attempts,
            Record::Quarantined(_) => &mut self.quarantined,
            Record::Health(_) => &mut self.healths,
            Record::Replay(_) => &mut self.replays,
            Record::Secret(_) => &mut self.secrets,
            Record::Lane { .. } => &mut self.lanes,
            Record::PluginState { .. } => &mut self.plugin_state,
        } += 1;
    }

    /// What the target had before is its own business; what the source has must be there.
    fn are_all_in(&self, target: &Self) -> Result<(), Error> {
        for ((kind, source_count), (_, target)) in self.rows().into_iter().zip(target.rows()) {
            if target < source_count {
                return Err(Error::Missing { kind, source_count, target });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
