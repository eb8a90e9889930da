//! The tables, and how an older file becomes a newer one. Forward only.

use super::OpenError;
use rusqlite::Connection;

/// One entry per version; a released one is never edited.
const MIGRATIONS: [&str; 4] = [
    include_str!("schema/1.sql"),
    include_str!("schema/2.sql"),
    include_str!("schema/3.sql"),
    include_str!("schema/4.sql"),
];

/// The version this binary writes.
pub const VERSION: i64 = MIGRATIONS.len() as i64;

/// Brings the file to [`VERSION`], each step in a transaction of its own.
pub fn migrate(conn: &mut Connection) -> Result<(), OpenError> {
    let found = version(conn)?;
    for (version, sql) in (1..).zip(MIGRATIONS).filter(|(version, _)| *version > found) {
        let tx = conn.transaction()?;
        tx.execute_batch(sql)?;
        tx.pragma_update(None, "user_version", version)?;
        tx.commit()?;
    }
    Ok(())
}

/// The file's version, refused when it is from the future.
pub fn version(conn: &Connection) -> Result<i64, OpenError> {
    let found = conn.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if !(0..=VERSION).contains(&found) {
        return Err(OpenError::Newer { found, known: VERSION });
    }
    Ok(found)
}
