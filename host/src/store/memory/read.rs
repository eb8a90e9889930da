//! Pages for people.

use super::tables::Tables;
use crate::store::{
    DeliveryFilter, EventFilter, PAGE_MAX, SealedSecret, Status, StoredDelivery, StoredEvent,
};
use livekit_webhook_core::delivery::State;
use std::cmp::Reverse;

impl Tables {
    pub fn events(&self, filter: &EventFilter) -> Vec<StoredEvent> {
        let newest_first = self.events.values().rev().map(|row| &row.stored);
        let page = newest_first.filter(|stored| event_fits(filter, stored));
        page.take(filter.limit.clamp(1, PAGE_MAX)).cloned().collect()
    }

    pub fn deliveries(&self, filter: &DeliveryFilter) -> Vec<StoredDelivery> {
        let newest_first = self.deliveries.values().rev().map(|row| &row.stored);
        let page = newest_first.filter(|stored| {
            let event = self.events.get(&stored.event).map(|row| &row.stored);
            delivery_fits(filter, stored) && event.is_some_and(|event| of_event(filter, event))
        });
        page.take(filter.limit.clamp(1, PAGE_MAX)).cloned().collect()
    }

    pub fn secrets(&self) -> Vec<SealedSecret> {
        let mut secrets: Vec<_> = self.secrets.values().cloned().collect();
        secrets.sort_by_key(|secret| Reverse((secret.created_at, secret.id)));
        secrets
    }
}

fn event_fits(filter: &EventFilter, stored: &StoredEvent) -> bool {
    let event = &stored.event;
    filter.source.as_ref().is_none_or(|source| *source == event.source)
        && filter.kind.as_ref().is_none_or(|kind| *kind == event.kind)
        && filter.room.as_ref().is_none_or(|room| event.room.as_ref() == Some(room))
        && filter.since.is_none_or(|since| event.received_at >= since)
        && filter.until.is_none_or(|until| event.received_at < until)
        && filter.before.is_none_or(|before| event.id < before)
}

fn delivery_fits(filter: &DeliveryFilter, delivery: &StoredDelivery) -> bool {
    let status = match delivery.state {
        State::Pending => Status::Pending,
        State::Delivered => Status::Delivered,
        State::Dead(_) => Status::Dead,
    };
    filter.endpoint.as_ref().is_none_or(|endpoint| *endpoint == delivery.endpoint)
        && filter.event.is_none_or(|event| event == delivery.event)
        && filter.status.is_none_or(|wanted| wanted == status)
        && filter.reason.is_none_or(|reason| delivery.state == State::Dead(reason))
        && filter.kind.as_ref().is_none_or(|kind| *kind == delivery.kind)
        && filter.replay.is_none_or(|replay| delivery.replay == Some(replay))
        && filter.since.is_none_or(|since| delivery.created_at >= since)
        && filter.until.is_none_or(|until| delivery.created_at < until)
        && filter.before.is_none_or(|before| delivery.id < before)
}

fn of_event(filter: &DeliveryFilter, stored: &StoredEvent) -> bool {
    let event = &stored.event;
    filter.source.as_ref().is_none_or(|source| *source == event.source)
        && filter.room.as_ref().is_none_or(|room| event.room.as_ref() == Some(room))
}
