//! Secrets, the check of everything, and giving space back.

use super::connect::{Conn, execute, query};
use super::counters::{ATTEMPT_BYTES, DELIVERY_BYTES, EVENT_BYTES, QUARANTINED_BYTES, SUMS};
use super::fault::Fault;
use super::rows;
use super::types::{Id, encode};
use crate::store::{Finding, Recorded, SealedSecret};
use deadpool_postgres::{GenericClient, Transaction};
use livekit_webhook_core::id::SecretId;
use std::time::Duration;

/// How long a check of everything, or giving space back, may take.
pub const UPKEEP_MAX: Duration = Duration::from_secs(6 * 3_600);
/// Findings of one kind that are told; more say nothing new.
const FINDINGS_MAX: i64 = 100;

/// What must not be found. Each gives words for every row that breaks a rule.
const RULES: [&str; 13] = [
    "SELECT 'event ' || e.id || ' has no plan' FROM events e \
     WHERE NOT EXISTS (SELECT 1 FROM plans p WHERE p.event = e.id)",
    "SELECT 'plan of ' || p.event || ' has no event' FROM plans p \
     WHERE NOT EXISTS (SELECT 1 FROM events e WHERE e.id = p.event)",
    "SELECT 'delivery ' || d.id || ' has no event' FROM deliveries d \
     WHERE NOT EXISTS (SELECT 1 FROM events e WHERE e.id = d.event)",
    "SELECT 'delivery ' || d.id || ' has no endpoint' FROM deliveries d \
     WHERE NOT EXISTS (SELECT 1 FROM endpoints n WHERE n.id = d.endpoint)",
    "SELECT 'delivery ' || c.delivery || ' is under a claim and not owed' FROM claims c \
     WHERE NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.id = c.delivery AND d.status = 0)",
    "SELECT 'attempt ' || a.number || ' of ' || a.delivery || ' has no delivery' FROM attempts a \
     WHERE NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.id = a.delivery)",
    "SELECT 'event ' || p.event || ' shares its place in its lane' FROM plans p \
     JOIN plans o ON o.lane = p.lane AND o.sequence = p.sequence AND o.event <> p.event",
    "SELECT 'event ' || p.event || ' is ahead of its lane' FROM plans p \
     JOIN events e ON e.id = p.event LEFT JOIN lanes l ON l.source = e.source \
     AND l.key = e.lane WHERE p.sequence > coalesce(l.sequence, 0)",
    "SELECT 'the lane ' || l.key || ' of source ' || l.source || ' counts other events than there \
     are' FROM lanes l LEFT JOIN (SELECT e.source, e.lane, count(*) AS count FROM events e \
     JOIN plans p ON p.event = e.id WHERE p.sequence IS NOT NULL GROUP BY e.source, e.lane) e \
     ON e.source = l.source AND e.lane = l.key WHERE l.events <> coalesce(e.count, 0)",
    // The first of a lane goes when nothing before it waits for a plan, and nothing else goes.
    "SELECT 'delivery ' || d.id || CASE WHEN d.is_held THEN ' is held for nothing' \
     ELSE ' goes before its turn' END FROM (SELECT d.*, row_number() OVER \
     (PARTITION BY d.lane, d.endpoint ORDER BY d.sequence, d.id) AS place FROM deliveries d \
     WHERE d.status = 0 AND d.lane IS NOT NULL) d JOIN endpoints n ON n.id = d.endpoint \
     WHERE d.is_held = (d.place = 1 AND NOT EXISTS (SELECT 1 FROM plans p WHERE p.lane = d.lane \
     AND p.state = 0 AND p.sequence < d.sequence \
     AND NOT n.name = ANY (string_to_array(p.settled, ','))))",
    "SELECT 'a key of plugin space ' || s.space || ' is in no space' FROM plugin_state s \
     WHERE NOT EXISTS (SELECT 1 FROM plugin_spaces p WHERE p.id = s.space)",
    "SELECT 'the space of plugin ' || p.plugin || ' for source ' || p.source \
     || ' counts other keys than there are' FROM plugin_spaces p WHERE (p.keys, p.bytes) \
     <> (SELECT count(*), coalesce(sum(octet_length(s.key) + \
     octet_length(s.value)), 0)::BIGINT FROM plugin_state s WHERE s.space = p.id)",
    "SELECT 'a key of plugin ' || p.plugin || ' for source ' || p.source \
     || ' is ahead of its space' FROM plugin_state s JOIN plugin_spaces p ON p.id = s.space \
     WHERE s.version > p.version",
];

/// Looks at everything, in one snapshot.
pub async fn check(tx: &Transaction<'_>) -> Result<Vec<Finding>, Fault> {
    // It reads whole tables: here the server may plan as it likes, and takes its time.
    tx.batch_execute(
        "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SET LOCAL statement_timeout = 0; \
         SET LOCAL enable_seqscan = on; SET LOCAL enable_hashjoin = on; \
         SET LOCAL enable_mergejoin = on",
    )
    .await?;
    let mut findings = Vec::new();
    for rule in RULES {
        let sql = format!("{rule} LIMIT {FINDINGS_MAX}");
        for row in tx.query(&sql, &[]).await? {
            findings.push(Finding(row.try_get(0)?));
        }
    }
    let sql = format!(
        "SELECT (SELECT count(*) FROM plans WHERE state = 0), \
         (SELECT count(*) FROM deliveries WHERE status = 0), \
         (SELECT count(*) FROM deliveries WHERE status = 2), \
         (SELECT count(*) FROM quarantine), \
         (SELECT coalesce(sum(octet_length(body) + {EVENT_BYTES}), 0) FROM events)::BIGINT \
         + (SELECT coalesce(sum(coalesce(octet_length(headers), 0) + {DELIVERY_BYTES}), 0) \
         FROM deliveries)::BIGINT \
         + (SELECT coalesce(sum(octet_length(bytes)), 0) FROM bodies)::BIGINT \
         + (SELECT coalesce(sum(octet_length(request_headers) + octet_length(response_headers) \
         + octet_length(response_start) + {ATTEMPT_BYTES}), 0) FROM attempts)::BIGINT \
         + (SELECT coalesce(sum(octet_length(body) + {QUARANTINED_BYTES}), 0) \
         FROM quarantine)::BIGINT"
    );
    let (counted, kept) = (tx.query_one(&sql, &[]).await?, tx.query_one(SUMS, &[]).await?);
    for (column, name) in
        ["unplanned", "pending", "dead", "quarantined", "bytes"].into_iter().enumerate()
    {
        let (counted, kept): (i64, i64) = (counted.try_get(column)?, kept.try_get(column)?);
        if counted != kept {
            findings.push(Finding(format!("the counter {name} says {kept}, there are {counted}")));
        }
    }
    Ok(findings)
}

/// Gives space back, table by table. Each is locked while it is rewritten. The connection's limits are
/// lifted, so it must not be used again.
pub async fn vacuum(conn: &Conn) -> Result<(), Fault> {
    let client = conn.client()?;
    client.batch_execute("SET statement_timeout = 0; SET lock_timeout = 0").await?;
    let sql = "SELECT relname::TEXT FROM pg_class WHERE relkind = 'r' \
         AND relnamespace = 'livekit_webhook'::REGNAMESPACE ORDER BY relname";
    for row in query(client, sql, &[]).await? {
        let table: &str = row.try_get(0)?;
        client.batch_execute(&format!("VACUUM (FULL, ANALYZE) livekit_webhook.{table}")).await?;
    }
    Ok(())
}

/// Sealed secrets of all endpoints, newest first.
pub async fn secrets(client: &impl GenericClient) -> Result<Vec<SealedSecret>, Fault> {
    let sql = format!("{} ORDER BY s.created_at DESC, s.id DESC", rows::SECRET);
    let rows = query(client, &sql, &[]).await?;
    rows.iter().map(rows::secret).collect()
}

/// Keeps a secret. `replaces`: over one with the same id. Tells whether anything was written.
pub async fn put_secret(
    client: &impl GenericClient,
    secret: &SealedSecret,
    replaces: bool,
) -> Result<bool, Fault> {
    let conflict = match replaces {
        true => {
            "DO UPDATE SET endpoint = excluded.endpoint, key_id = excluded.key_id, \
             sealed = excluded.sealed, created_at = excluded.created_at, \
             expires_at = excluded.expires_at"
        }
        false => "DO NOTHING",
    };
    let sql = format!(
        "INSERT INTO secrets (id, endpoint, key_id, sealed, created_at, expires_at) \
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (id) {conflict}"
    );
    let written = execute(
        client,
        &sql,
        &[
            &Id(secret.id.to_bytes()),
            &encode(&secret.endpoint),
            &encode(&secret.key_id),
            &&*secret.sealed,
            &secret.created_at.as_millis(),
            &secret.expires_at.map(|at| at.as_millis()),
        ],
    )
    .await?;
    Ok(written == 1)
}

/// Removes a secret.
pub async fn remove_secret(client: &impl GenericClient, id: SecretId) -> Result<Recorded, Fault> {
    let sql = "DELETE FROM secrets WHERE id = $1";
    let removed = execute(client, sql, &[&Id(id.to_bytes())]).await?;
    Ok(if removed == 1 { Recorded::Done } else { Recorded::Stale })
}
