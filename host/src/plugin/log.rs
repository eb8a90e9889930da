//! Lines of guests in our log: named, bounded, and unable to forge one of ours.
//!
//! Each line carries the plugin and the event. Control characters are escaped, so that a guest can
//! neither start a new line nor move the cursor of whoever reads it. What is past a limit is
//! dropped and its number told at the end.

use super::limits::{LOG_BYTES, LOG_LINE_BYTES, LOG_LINES, LOG_MINUTE_BYTES, Limits};
use super::witness::Tail;
use crate::metrics::own::Own;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The level of an ordinary line.
pub const INFO: u8 = 2;
/// The level of a warning.
pub const WARN: u8 = 3;
/// The level whose text becomes the fault's when a trap follows.
pub const FATAL: u8 = 5;

/// How long one [`Minute`] is.
const MINUTE: Duration = Duration::from_secs(60);

/// What all calls of a plugin have written together, minute by minute.
#[derive(Debug)]
pub struct Minute {
    bytes_max: usize,
    /// When it began, and what was written since.
    written: Mutex<(Instant, usize)>,
    /// Lines that were not written are counted there.
    own: Arc<Own>,
}

/// The log of one call.
#[derive(Debug)]
pub struct Lines {
    plugin: Arc<str>,
    event: String,
    minute: Arc<Minute>,
    line_bytes_max: usize,
    lines_left: u64,
    bytes_left: usize,
    dropped: u64,
    last_words: Option<String>,
    tail: Option<Tail>,
}

// === impl Minute ===

impl Minute {
    /// Begins now, for the plugin that these numbers are of.
    pub fn new(limits: &Limits, own: Arc<Own>) -> Self {
        let bytes_max = limits.size(LOG_MINUTE_BYTES);
        Self { bytes_max, written: Mutex::new((Instant::now(), 0)), own }
    }

    /// Takes a line of so many bytes, or says that there is no room for it.
    fn take(&self, bytes: usize) -> bool {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        if written.0.elapsed() >= MINUTE {
            *written = (Instant::now(), 0);
        }
        let sum = written.1.saturating_add(bytes);
        if sum > self.bytes_max {
            return false;
        }
        written.1 = sum;
        true
    }
}

// === impl Lines ===

impl Lines {
    /// An empty log of `plugin` about `event`.
    pub fn new(plugin: &Arc<str>, event: &str, limits: &Limits, minute: &Arc<Minute>) -> Self {
        Self {
            plugin: plugin.clone(),
            event: event.to_owned(),
            minute: minute.clone(),
            line_bytes_max: limits.size(LOG_LINE_BYTES),
            lines_left: limits.get(LOG_LINES),
            bytes_left: limits.size(LOG_BYTES),
            dropped: 0,
            last_words: None,
            tail: None,
        }
    }

    /// Lets somebody have the last lines.
    pub fn follow(&mut self, tail: Option<Tail>) {
        self.tail = tail;
    }

    /// Takes one line: writes it, or counts it as dropped.
    pub fn push(&mut self, level: u8, message: &str, fields: &[(String, String)]) {
        if level == FATAL {
            self.last_words = Some(escape(message, self.line_bytes_max));
        }
        let mut line = escape(message, self.line_bytes_max);
        for (name, value) in fields {
            if line.len() >= self.line_bytes_max {
                break;
            }
            let _ = write!(line, " {name}={value:?}");
        }
        let line = if fields.is_empty() { line } else { escape(&line, self.line_bytes_max) };
        let room = self.lines_left > 0 && line.len() <= self.bytes_left;
        if !room || !self.minute.take(line.len()) {
            self.dropped += 1;
            return;
        }
        self.lines_left -= 1;
        self.bytes_left -= line.len();
        self.write(level, &line);
    }

    /// Takes one line of standard output or error. What was printed as a warning or worse counts as
    /// last words too: that is how runtimes of other languages say why they end.
    pub fn print(&mut self, level: u8, line: &str) {
        self.push(level, line, &[]);
        if level >= WARN {
            self.last_words = Some(escape(line, self.line_bytes_max));
        }
    }

    /// Whose log it is.
    pub fn plugin(&self) -> &str {
        &self.plugin
    }

    /// What the guest said before it died, if it did.
    pub fn last_words(&self) -> Option<&str> {
        self.last_words.as_deref()
    }

    /// Lines that were not written.
    #[cfg(test)]
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    fn write(&self, level: u8, line: &str) {
        if let Some(tail) = &self.tail {
            tail.push(line);
        }
        let Self { plugin, event, .. } = self;
        let plugin = &**plugin;
        match level {
            0 => tracing::trace!(plugin, event, line, "plugin log"),
            1 => tracing::debug!(plugin, event, line, "plugin log"),
            WARN => tracing::warn!(plugin, event, line, "plugin log"),
            4 | FATAL => tracing::error!(plugin, event, line, "plugin log"),
            _ => tracing::info!(plugin, event, line, "plugin log"),
        }
    }
}

impl Drop for Lines {
    /// However the call ended, the log tells how many of its lines are missing.
    fn drop(&mut self) {
        if self.dropped > 0 {
            self.minute.own.log_lines_dropped.inc_by(self.dropped);
            let Self { plugin, event, dropped, .. } = self;
            let plugin = &**plugin;
            tracing::warn!(plugin, event, dropped, "plugin wrote more log than it may");
        }
    }
}

/// At most `bytes_max` bytes of `text`, cut on a character boundary, with control characters, line
/// separators and marks of text direction written as escapes.
pub fn escape(text: &str, bytes_max: usize) -> String {
    let mut out = String::with_capacity(text.len().min(bytes_max));
    for c in text.chars() {
        let hostile = c.is_control()
            || matches!(c, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}')
            || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        let width = if hostile { c.escape_default().count() } else { c.len_utf8() };
        if out.len() + width > bytes_max {
            break;
        }
        if hostile {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests;
