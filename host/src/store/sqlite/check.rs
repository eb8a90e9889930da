//! Whether a file is whole and agrees with itself.

use super::lanes;
use crate::store::Finding;
use rusqlite::{Connection, Result};

/// Most findings of SQLite's own check.
const DAMAGES_MAX: i64 = 100;

/// Each counts rows that must not be there.
const RULES: [(&str, &str); 22] = [
    (
        "events have no body",
        "SELECT count(*) FROM events e WHERE NOT EXISTS (SELECT 1 FROM bodies WHERE id = e.body)",
    ),
    (
        "events share a place in their lane",
        "SELECT count(*) FROM (SELECT 1 FROM events WHERE sequence IS NOT NULL \
         GROUP BY source, lane, sequence HAVING count(*) > 1)",
    ),
    (
        "events are ahead of the last place of their lane",
        "SELECT count(*) FROM events e WHERE sequence IS NOT NULL AND NOT EXISTS \
         (SELECT 1 FROM lanes l WHERE l.source = e.source AND l.key = e.lane \
         AND l.last >= e.sequence)",
    ),
    (
        "lanes count other events than there are",
        "SELECT count(*) FROM lanes l LEFT JOIN (SELECT source, lane, count(*) AS count FROM events \
         WHERE sequence IS NOT NULL GROUP BY source, lane) e ON e.source = l.source \
         AND e.lane = l.key WHERE l.events != coalesce(e.count, 0)",
    ),
    (
        "deliveries have no event",
        "SELECT count(*) FROM deliveries d WHERE NOT EXISTS \
         (SELECT 1 FROM events WHERE id = d.event)",
    ),
    (
        "deliveries have no endpoint",
        "SELECT count(*) FROM deliveries d WHERE NOT EXISTS \
         (SELECT 1 FROM endpoints WHERE id = d.endpoint)",
    ),
    (
        "deliveries have lost the body that is their own",
        "SELECT count(*) FROM deliveries d WHERE body IS NOT NULL AND NOT EXISTS \
         (SELECT 1 FROM bodies WHERE id = d.body)",
    ),
    (
        "deliveries have no replay",
        "SELECT count(*) FROM deliveries d WHERE replay IS NOT NULL AND NOT EXISTS \
         (SELECT 1 FROM replays WHERE id = d.replay)",
    ),
    (
        "deliveries were delivered without an attempt",
        "SELECT count(*) FROM deliveries d WHERE status = 1 AND NOT EXISTS \
         (SELECT 1 FROM attempts WHERE delivery = d.id)",
    ),
    (
        "deliveries count other attempts than there are",
        "SELECT count(*) FROM deliveries d WHERE attempts != \
         coalesce((SELECT max(number) FROM attempts WHERE delivery = d.id), 0)",
    ),
    (
        "attempts have no delivery",
        "SELECT count(*) FROM attempts a WHERE NOT EXISTS \
         (SELECT 1 FROM deliveries WHERE id = a.delivery)",
    ),
    (
        "quarantined items have no body",
        "SELECT count(*) FROM quarantine q WHERE NOT EXISTS \
         (SELECT 1 FROM bodies WHERE id = q.body)",
    ),
    (
        "bodies belong to nobody",
        "SELECT count(*) FROM bodies WHERE id NOT IN (SELECT body FROM events) \
         AND id NOT IN (SELECT body FROM deliveries WHERE body IS NOT NULL) \
         AND id NOT IN (SELECT body FROM quarantine)",
    ),
    (
        "lanes have more than one delivery that may go",
        "SELECT count(*) FROM (SELECT 1 FROM deliveries \
         WHERE status = 0 AND lane IS NOT NULL AND held = 0 \
         GROUP BY lane, endpoint HAVING count(*) > 1)",
    ),
    (
        "deliveries are held outside of a lane",
        "SELECT count(*) FROM deliveries \
         WHERE status = 0 AND held = 1 AND lane IS NULL",
    ),
    (
        "events without a plan are counted wrong",
        "SELECT abs(unplanned - (SELECT count(*) FROM events WHERE plan = 0)) FROM store",
    ),
    (
        "deliveries that are owed are counted wrong",
        "SELECT abs(pending - (SELECT count(*) FROM deliveries WHERE status = 0)) FROM store",
    ),
    (
        "dead letters are counted wrong",
        "SELECT abs(dead - (SELECT count(*) FROM deliveries WHERE status = 2)) FROM store",
    ),
    (
        "quarantined items are counted wrong",
        "SELECT abs(quarantined - (SELECT count(*) FROM quarantine)) FROM store",
    ),
    (
        "keys of plugins are in no space",
        "SELECT count(*) FROM plugin_state s WHERE NOT EXISTS \
         (SELECT 1 FROM plugin_spaces WHERE id = s.space)",
    ),
    (
        "spaces of plugins count other keys than there are",
        "SELECT count(*) FROM plugin_spaces p WHERE (keys, bytes) IS NOT \
         (SELECT count(*), coalesce(sum(length(key) + length(value)), 0) \
         FROM plugin_state WHERE space = p.id)",
    ),
    (
        "keys of plugins are ahead of the last version of their space",
        "SELECT count(*) FROM plugin_state s JOIN plugin_spaces p ON p.id = s.space \
         WHERE s.version > p.version",
    ),
];

/// Lanes of which nothing may go.
const STUCK: &str = "SELECT lane, endpoint FROM deliveries WHERE status = 0 AND lane IS NOT NULL \
     GROUP BY lane, endpoint HAVING min(held) = 1";

/// One finding for each thing that is wrong, in words.
pub fn check(conn: &mut Connection) -> Result<Vec<Finding>> {
    let tx = conn.transaction()?;
    let mut findings = Vec::new();
    let mut statement = tx.prepare(&format!("PRAGMA integrity_check({DAMAGES_MAX})"))?;
    let damages = statement.query_map([], |row| row.get::<_, String>(0))?;
    for damage in damages {
        findings.extend(Some(damage?).filter(|words| words != "ok").map(Finding));
    }
    for (words, sql) in RULES {
        let count: i64 = tx.query_row(sql, [], |row| row.get(0))?;
        if count > 0 {
            findings.push(Finding(format!("{count} {words}")));
        }
    }
    let stuck = stuck_lanes(&tx)?;
    if stuck > 0 {
        findings.push(Finding(format!("{stuck} lanes stand still with nothing before them")));
    }
    Ok(findings)
}

fn stuck_lanes(tx: &Connection) -> Result<u64> {
    let mut count = 0;
    let mut statement = tx.prepare(STUCK)?;
    let mut found = statement.query([])?;
    while let Some(row) = found.next()? {
        let (lane, endpoint): (String, i64) = (row.get(0)?, row.get(1)?);
        count += u64::from(lanes::is_stuck(tx, &lane, endpoint)?);
    }
    Ok(count)
}
