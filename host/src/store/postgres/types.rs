//! Values on their way into PostgreSQL and back: ids as `UUID`, texts without NUL.
//!
//! PostgreSQL's texts hold every character but NUL, and a room's name may have one: JSON allows it.
//! It is written as two characters that begin with [`ESCAPE`], which stands for itself in the same
//! way, so that what was written is what is read and equal texts stay equal.

use super::fault::Fault;
use bytes::BytesMut;
use livekit_webhook_core::time::Timestamp;
use std::borrow::Cow;
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

/// For private use, and the last there is: hardly ever met.
const ESCAPE: char = '\u{10fffd}';

type Failed = Box<dyn std::error::Error + Sync + Send>;

/// 128 bits, as `UUID`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(pub [u8; 16]);

// === impl Id ===

impl ToSql for Id {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Failed> {
        out.extend_from_slice(&self.0);
        Ok(IsNull::No)
    }

    fn accepts(of: &Type) -> bool {
        *of == Type::UUID
    }

    to_sql_checked!();
}

impl FromSql<'_> for Id {
    fn from_sql(_: &Type, raw: &[u8]) -> Result<Self, Failed> {
        Ok(Self(raw.try_into()?))
    }

    fn accepts(of: &Type) -> bool {
        *of == Type::UUID
    }
}

/// As PostgreSQL can hold it.
pub fn encode(text: &str) -> Cow<'_, str> {
    if !text.contains(['\0', ESCAPE]) {
        return Cow::Borrowed(text);
    }
    let mut encoded = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        match character {
            '\0' => encoded.extend([ESCAPE, '0']),
            ESCAPE => encoded.extend([ESCAPE, '1']),
            other => encoded.push(other),
        }
    }
    Cow::Owned(encoded)
}

/// The reverse of [`encode`].
pub fn decode(text: &str) -> String {
    if !text.contains(ESCAPE) {
        return text.to_owned();
    }
    let mut decoded = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            ESCAPE if characters.next() == Some('0') => decoded.push('\0'),
            other => decoded.push(other),
        }
    }
    decoded
}

/// As PostgreSQL can hold it, if there is one.
pub fn maybe(text: Option<&String>) -> Option<Cow<'_, str>> {
    text.map(|text| encode(text))
}

pub fn text(row: &Row, column: usize) -> Result<String, Fault> {
    Ok(decode(row.try_get(column)?))
}

pub fn maybe_text(row: &Row, column: usize) -> Result<Option<String>, Fault> {
    Ok(row.try_get::<_, Option<&str>>(column)?.map(decode))
}

pub fn time(row: &Row, column: usize) -> Result<Timestamp, Fault> {
    Ok(Timestamp::from_millis(row.try_get(column)?))
}

pub fn maybe_time(row: &Row, column: usize) -> Result<Option<Timestamp>, Fault> {
    Ok(row.try_get::<_, Option<i64>>(column)?.map(Timestamp::from_millis))
}

/// A count, which is never negative.
pub fn count(row: &Row, column: usize) -> Result<u64, Fault> {
    Ok(u64::try_from(row.try_get::<_, i64>(column)?).unwrap_or(0))
}

/// For a column of 64 bits; what is larger cannot be counted anyway.
pub fn big(value: usize) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// For a column of 32 bits.
pub fn int(value: u32) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests;
