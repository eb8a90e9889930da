//! What must be true when nothing is owed any more.

use super::world::World;
use crate::store::{PlanState, StoredDelivery};
use livekit_webhook_core::attempt::Outcome;
use livekit_webhook_core::delivery::{DeadReason, State};
use livekit_webhook_core::id::EventId;
use std::collections::BTreeMap;

/// Checks every acknowledged event, every delivery and every attempt.
pub fn check(world: &World) {
    let mut wrong = Vec::new();
    let acknowledged = world.ledger().acknowledged.clone();
    world.store.look(|tables| {
        wrong.extend(tables.check().into_iter().map(|finding| finding.0));
        for (number, (body, first)) in &acknowledged {
            let is_it = |key: &str, stored: &[u8]| {
                key == format!("EV_{number}") && stored == body.as_bytes()
            };
            let mut rows = tables.events.values().map(|row| &row.stored);
            let row = rows.find(|row| is_it(&row.event.dedupe_key, &row.event.body));
            let Some(row) = row else {
                if !has_ended_everywhere(world, *first) {
                    wrong.push(format!("EV_{number} is lost"));
                }
                continue;
            };
            if row.plan != PlanState::Planned {
                wrong.push(format!("EV_{number} is {:?}", row.plan));
            }
            for endpoint in &world.endpoints {
                let rows = tables.deliveries.values().map(|row| &row.stored);
                let of_it = rows
                    .filter(|d| d.event == row.event.id && d.endpoint == endpoint.name.as_str());
                let of_it: Vec<&StoredDelivery> = of_it.collect();
                let planned = of_it.iter().filter(|d| d.replay.is_none()).count();
                if planned != 1 && !world.forgets {
                    wrong.push(format!("EV_{number} has {planned} plans for {}", endpoint.name));
                }
                let alive = of_it.iter().filter(|d| !matches!(d.state, State::Dead(_))).count();
                if alive > 1 {
                    wrong.push(format!("{} has it twice: EV_{number}", endpoint.name));
                }
            }
        }
        for row in tables.deliveries.values() {
            let numbers: Vec<u32> = row.attempts.iter().map(|attempt| attempt.number).collect();
            let expect: Vec<u32> = (1..=row.stored.attempts).collect();
            if numbers != expect {
                wrong.push(format!("attempts of {}: {numbers:?}", row.stored.id));
            }
            let outcomes: Vec<_> = row.attempts.iter().map(|a| a.outcome.clone()).collect();
            wrong.extend(has_no_reason(world, &row.stored, &outcomes));
        }
    });
    check_sequences(world, &mut wrong);
    wrong.into_iter().for_each(|line| world.accuse(line));
}

/// Whether a world that forgets may have forgotten it.
fn has_ended_everywhere(world: &World, event: EventId) -> bool {
    let ledger = world.ledger();
    let has_ended = |name: &str| ledger.ended_at.contains(&(event, name.to_owned()));
    world.forgets && world.endpoints.iter().all(|endpoint| has_ended(endpoint.name.as_str()))
}

/// Whether a delivery ended in a way that nothing accounts for.
fn has_no_reason(world: &World, delivery: &StoredDelivery, outcomes: &[Outcome]) -> Option<String> {
    let status = |range: std::ops::RangeInclusive<u16>| {
        world.ledger().statuses(delivery.id).iter().any(|status| range.contains(status))
    };
    let schedule = &world.endpoint(&delivery.endpoint).policy.schedule;
    let is_accounted_for = match delivery.state {
        State::Pending => false,
        State::Delivered => {
            let last = outcomes.last();
            status(200..=299) && matches!(last, Some(Outcome::Answered { status: 200..=299, .. }))
        }
        State::Dead(DeadReason::Exhausted) => delivery.attempts == schedule.attempts_max(),
        State::Dead(DeadReason::Gone) => status(410..=410),
        State::Dead(DeadReason::EndpointDisabled) => delivery.note.is_some(),
        State::Dead(DeadReason::Cancelled) => delivery.replay.is_some(),
        State::Dead(_) => false,
    };
    let (id, state) = (delivery.id, delivery.state);
    let at = &delivery.endpoint;
    let attempts = delivery.attempts;
    (!is_accounted_for).then(|| format!("{at}: {id} ended as {state:?} after {attempts} attempts"))
}

/// In each lane every place is taken once.
fn check_sequences(world: &World, wrong: &mut Vec<String>) {
    let mut lanes: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    world.store.look(|tables| {
        for stored in tables.events.values().map(|row| &row.stored) {
            if let (Some(lane), Some(sequence)) = (&stored.event.lane, stored.sequence) {
                lanes.entry(lane.clone()).or_default().push(sequence);
            }
        }
    });
    for (lane, mut sequences) in lanes {
        sequences.sort_unstable();
        let expect: Vec<i64> = (1..=sequences.len() as i64).collect();
        let is_twice = sequences.windows(2).any(|pair| pair[0] == pair[1]);
        if is_twice || (sequences != expect && !world.forgets) {
            wrong.push(format!("lane {lane} has the places {sequences:?}"));
        }
    }
}

/// After the replay of what was dead, with every endpoint well.
pub fn check_everybody_has_everything(world: &World) {
    if world.forgets {
        return;
    }
    let mut wrong = Vec::new();
    let acknowledged = world.ledger().acknowledged.clone();
    world.store.look(|tables| {
        for number in acknowledged.keys() {
            let key = format!("EV_{number}");
            for endpoint in &world.endpoints {
                let name = endpoint.name.as_str();
                let has_it = tables.deliveries.values().map(|row| &row.stored).any(|delivery| {
                    let event = tables.events.get(&delivery.event).map(|row| &row.stored.event);
                    delivery.endpoint == name
                        && delivery.state == State::Delivered
                        && event.is_some_and(|event| event.dedupe_key == key)
                });
                if !has_it {
                    wrong.push(format!("{name} never got {key}"));
                }
            }
        }
    });
    wrong.into_iter().for_each(|line| world.accuse(line));
}
