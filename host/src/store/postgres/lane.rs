//! Lanes: who is held, and who goes next.
//!
//! In a lane of an endpoint only the first that is owed may be claimed, and only when every earlier
//! event of the lane has its plan for that endpoint. All others are *held*: the index that claims
//! go through does not show them, so a long lane costs a claim nothing. Whatever may change who is
//! first (a plan, the end of a delivery, its leaving the lane) does so under the lane's advisory
//! lock, which it takes before it looks, and then lets the first go. Locks are taken in the order
//! of their numbers and end with the transaction, so that nobody waits in a ring.

use super::connect::{execute, query};
use super::fault::Fault;
use super::types::encode;
use deadpool_postgres::Transaction;
use std::collections::BTreeSet;

/// Locks `lanes` against whoever else changes them, on any host, until the commit. Two lanes may
/// share a number: then they wait for each other.
pub async fn lock(tx: &Transaction<'_>, lanes: &BTreeSet<String>) -> Result<(), Fault> {
    if lanes.is_empty() {
        return Ok(());
    }
    let lanes: Vec<_> = lanes.iter().map(|lane| encode(lane)).collect();
    let sql = "SELECT DISTINCT hashtextextended(lane, 7) FROM unnest($1::TEXT[]) lane ORDER BY 1";
    let numbers = query(tx, sql, &[&lanes]).await?;
    let numbers = numbers.iter().map(|row| row.try_get(0));
    let numbers: Vec<i64> = numbers.collect::<Result<_, _>>()?;
    let sql = "SELECT pg_advisory_xact_lock(number) FROM unnest($1::BIGINT[]) number";
    query(tx, sql, &[&numbers]).await?;
    Ok(())
}

/// Lets the first of each lane go, at every endpoint, unless an earlier event has no plan yet, or
/// one was let go before: it may be under way, also when one with a smaller sequence comes late (to
/// a replay's lane, where hosts' clocks differ). The endpoints of a lane are found by stepping
/// through the index from one to the next, so the cost is that of the endpoints, not of what waits.
pub async fn let_go(tx: &Transaction<'_>, lanes: &BTreeSet<String>) -> Result<(), Fault> {
    if lanes.is_empty() {
        return Ok(());
    }
    let lanes: Vec<_> = lanes.iter().map(|lane| encode(lane)).collect();
    let sql = "UPDATE deliveries SET is_held = false FROM ( \
         SELECT h.id FROM unnest($1::TEXT[]) AS l(lane) \
         CROSS JOIN LATERAL ( \
           WITH RECURSIVE step AS ( \
             SELECT (SELECT min(d.endpoint) FROM deliveries d \
               WHERE d.lane = l.lane AND d.status = 0) AS endpoint \
             UNION ALL \
             SELECT (SELECT min(d.endpoint) FROM deliveries d WHERE d.lane = l.lane \
               AND d.status = 0 AND d.endpoint > step.endpoint) \
             FROM step WHERE step.endpoint IS NOT NULL) \
           SELECT endpoint FROM step WHERE endpoint IS NOT NULL) e \
         CROSS JOIN LATERAL ( \
           SELECT d.id, d.sequence, d.is_held FROM deliveries d WHERE d.lane = l.lane \
           AND d.endpoint = e.endpoint AND d.status = 0 ORDER BY d.sequence, d.id LIMIT 1) h \
         JOIN endpoints n ON n.id = e.endpoint \
         WHERE h.is_held AND NOT EXISTS ( \
           SELECT 1 FROM deliveries o WHERE o.lane = l.lane AND o.endpoint = e.endpoint \
           AND o.status = 0 AND NOT o.is_held) AND ( \
           SELECT p.event FROM plans p WHERE p.lane = l.lane AND p.state = 0 \
           AND p.sequence < h.sequence AND NOT n.name = ANY (string_to_array(p.settled, ',')) \
           ORDER BY p.lane, p.sequence LIMIT 1) IS NULL) next \
         WHERE deliveries.id = next.id";
    execute(tx, sql, &[&lanes]).await?;
    Ok(())
}
