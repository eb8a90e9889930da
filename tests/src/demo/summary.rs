//! The counts at the end: what was expected, and what Envoy, the store and the receivers have seen.

use super::acts::{ACTS, Answer, Owed};
use super::checks::Checks;
use super::page::{Ink, Page};
use super::system::System;
use livekit_webhook::store::{DeliveryFilter, EventFilter, Status, Store as _};

/// Most rows read; the demo has far fewer.
const ROWS_MAX: usize = 1_000;

/// One line of the table.
struct Row {
    what: String,
    expected: usize,
    seen: usize,
}

/// Counts, checks and tells.
///
/// # Errors
/// When Envoy or the store cannot be read.
pub async fn tell(system: &System, page: &mut Page<'_>, checks: &mut Checks) -> anyhow::Result<()> {
    let mut rows = edge(system)?;
    rows.append(&mut host(system).await?);
    for place in &system.places {
        let owed = all_owed().filter(|owed| owed.endpoint == place.name);
        rows.push(Row {
            what: format!("requests at {}", place.name),
            expected: owed.map(|owed| owed.statuses.len()).sum(),
            seen: place.receiver.seen().len(),
        });
    }
    let head = format!("{:<44}{:>9}{:>7}", "In all", "expected", "seen");
    let head = page.paint(&head, Ink::Bold);
    page.line(format_args!("\n    {head}"))?;
    for Row { what, expected, seen } in rows {
        checks.equal(what.trim(), expected, seen);
        let ink = if expected == seen { Ink::Plain } else { Ink::Bad };
        let text = format!("{what:<44}{expected:>9}{seen:>7}");
        let text = page.paint(&text, ink);
        page.line(format_args!("    {text}"))?;
    }
    Ok(())
}

fn all_owed() -> impl Iterator<Item = &'static Owed> {
    ACTS.iter().flat_map(|act| act.owed)
}

fn edge(system: &System) -> anyhow::Result<Vec<Row>> {
    let count = |wanted: fn(Answer) -> bool| ACTS.iter().filter(|act| wanted(act.answer)).count();
    let row = |what: &str, counters: &[&str], expected| {
        let seen = system.envoy.counters(counters, u64::try_from(expected)?)?;
        let seen = usize::try_from(seen)?;
        anyhow::Ok(Row { what: what.to_owned(), expected, seen })
    };
    let upstream = Row {
        what: "requests from the edge to the host".to_owned(),
        expected: count(is_let_on),
        seen: usize::try_from(system.envoy.stat("cluster.host.upstream_rq_total")?)?,
    };
    let refused = ["rejected.sig", "rejected.sha_mismatch", "rejected.exp"];
    Ok(vec![
        row("events at the edge", &["requests"], ACTS.len())?,
        row("  refused: forged, tampered, expired", &refused, count(is_refused))?,
        row("  left out by type", &["filtered"], count(|answer| answer == Answer::Filtered))?,
        row("  let on to the host", &["accepted"], count(is_let_on))?,
        upstream,
    ])
}

fn is_refused(answer: Answer) -> bool {
    matches!(answer, Answer::Refused(_))
}

fn is_let_on(answer: Answer) -> bool {
    matches!(answer, Answer::Stored | Answer::Duplicate)
}

async fn host(system: &System) -> anyhow::Result<Vec<Row>> {
    let store = &system.store;
    let all = DeliveryFilter { limit: ROWS_MAX, ..DeliveryFilter::default() };
    let deliveries = store.deliveries(all.clone()).await?;
    let with = |status| DeliveryFilter { status: Some(status), ..all.clone() };
    let mut attempts = 0;
    for delivery in &deliveries {
        attempts += store.attempts(delivery.id).await?.len();
    }
    let row = |what: &str, expected, seen| Row { what: what.to_owned(), expected, seen };
    let dead = all_owed().filter(|owed| owed.dead.is_some()).count();
    let stored = ACTS.iter().filter(|act| act.is_stored()).count();
    let owed = all_owed().count();
    let tries = all_owed().map(|owed| owed.statuses.len()).sum();
    Ok(vec![
        row(
            "events on the host's disk",
            stored,
            store.events(EventFilter { limit: ROWS_MAX, ..Default::default() }).await?.len(),
        ),
        row("deliveries", owed, deliveries.len()),
        row("  delivered", owed - dead, store.deliveries(with(Status::Delivered)).await?.len()),
        row("  dead letters", dead, store.deliveries(with(Status::Dead)).await?.len()),
        row("  still owed", 0, store.deliveries(with(Status::Pending)).await?.len()),
        row("attempts", tries, attempts),
    ])
}
