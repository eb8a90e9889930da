use super::*;
use proptest::prelude::*;

fn candidate(deliveries: Vec<Fate>) -> Candidate {
    Candidate {
        event: EventId::new(1, 1),
        source: "prod".to_owned(),
        kind: "room_started".to_owned(),
        room: Some("r1".to_owned()),
        received_at: Timestamp::from_millis(1_000),
        deliveries,
    }
}

fn fate(number: u128, endpoint: &str, state: State) -> Fate {
    let webhook_id = "evt_1".to_owned();
    Fate { id: DeliveryId::new(1, number), endpoint: endpoint.to_owned(), webhook_id, state }
}

#[test]
fn what_was_delivered_or_is_owed_is_skipped_unless_told() {
    let dead = State::Dead(DeadReason::Exhausted);
    let event = candidate(vec![
        fate(1, "a", dead),
        fate(2, "b", State::Delivered),
        fate(3, "c", State::Pending),
    ]);
    let planned = Selection::default().plan(&event);
    assert_eq!(planned.again, [Again { of: DeliveryId::new(1, 1), endpoint: "a".to_owned() }]);
    assert_eq!(planned.skipped, 2);
    let all = Selection { include_succeeded: true, ..Selection::default() }.plan(&event);
    assert_eq!((all.again.len(), all.skipped), (3, 0));
}

#[test]
fn what_died_of_its_plugin_is_not_sent_as_it_arrived() {
    let event = candidate(vec![fate(1, "a", State::Dead(DeadReason::Plugin))]);
    for include_succeeded in [false, true] {
        let selection = Selection { include_succeeded, ..Selection::default() };
        assert_eq!(selection.plan(&event), Planned { again: Vec::new(), skipped: 1 });
    }
}

#[test]
fn a_dead_letter_that_was_replayed_with_success_is_not_sent_again() {
    let dead = State::Dead(DeadReason::Gone);
    let event = candidate(vec![fate(1, "a", dead), fate(2, "a", State::Delivered)]);
    let planned = Selection { status: Some(ReplayStatus::Dead), ..Selection::default() };
    assert_eq!(planned.plan(&event), Planned { again: Vec::new(), skipped: 1 });
}

fn endpoints(planned: &Planned) -> Vec<&str> {
    planned.again.iter().map(|again| again.endpoint.as_str()).collect()
}

#[test]
fn events_are_selected_by_every_field() {
    let event = candidate(vec![fate(1, "a", State::Dead(DeadReason::Gone))]);
    let at = Timestamp::from_millis;
    let glob = |text: &str| vec![Glob::parse(text).unwrap()];
    let any = Selection::default;
    for (selection, expect) in [
        (any(), true),
        (Selection { events: vec![EventId::new(1, 1)], ..any() }, true),
        (Selection { events: vec![EventId::new(1, 2)], ..any() }, false),
        (Selection { since: Some(at(1_000)), ..any() }, true),
        (Selection { since: Some(at(1_001)), ..any() }, false),
        (Selection { until: Some(at(1_001)), ..any() }, true),
        (Selection { until: Some(at(1_000)), ..any() }, false),
        (Selection { kinds: glob("room_*"), ..any() }, true),
        (Selection { kinds: glob("track_*"), ..any() }, false),
        (Selection { kinds: [glob("track_*"), glob("*")].concat(), ..any() }, true),
        (Selection { rooms: glob("r*"), ..any() }, true),
        (Selection { rooms: glob("x*"), ..any() }, false),
        (Selection { source: Some("prod".to_owned()), ..any() }, true),
        (Selection { source: Some("test".to_owned()), ..any() }, false),
    ] {
        assert_eq!(selection.matches(&event), expect, "{selection:?}");
        assert_eq!(selection.plan(&event).again.len(), usize::from(expect), "{selection:?}");
    }
    let no_room = Candidate { room: None, ..event };
    assert!(!Selection { rooms: glob("*"), ..any() }.matches(&no_room));
    assert!(any().matches(&no_room));
}

#[test]
fn deliveries_are_selected_by_endpoint_status_and_reason() {
    let event = candidate(vec![
        fate(1, "a", State::Dead(DeadReason::Exhausted)),
        fate(2, "b", State::Delivered),
        fate(3, "c", State::Pending),
        fate(4, "d", State::Dead(DeadReason::Gone)),
    ]);
    let any = Selection::default;
    let dead = || Selection { status: Some(ReplayStatus::Dead), ..any() };
    let delivered = || Selection { status: Some(ReplayStatus::Delivered), ..any() };
    let of = |name: &str| Some(name.to_owned());
    for (selection, again, skipped) in [
        (any(), vec!["a", "d"], 2),
        (dead(), vec!["a", "d"], 0),
        (Selection { reason: Some(DeadReason::Gone), ..any() }, vec!["d"], 0),
        (Selection { reason: Some(DeadReason::Gone), ..dead() }, vec!["d"], 0),
        (Selection { endpoint: of("a"), ..any() }, vec!["a"], 0),
        (Selection { endpoint: of("b"), ..any() }, vec![], 1),
        (Selection { endpoint: of("b"), ..dead() }, vec![], 0),
        // To ask for what was delivered is to want it again.
        (delivered(), vec!["b"], 0),
        (Selection { include_succeeded: true, ..any() }, vec!["a", "b", "c", "d"], 0),
        (Selection { endpoint: of("c"), include_succeeded: true, ..any() }, vec!["c"], 0),
        (Selection { reason: Some(DeadReason::Gone), ..delivered() }, vec![], 0),
    ] {
        let planned = selection.plan(&event);
        assert_eq!((endpoints(&planned), planned.skipped), (again, skipped), "{selection:?}");
    }
}

#[test]
fn another_endpoint_gets_what_it_does_not_have() {
    let dead = State::Dead(DeadReason::Exhausted);
    let to = |name: &str| Selection { to: Some(name.to_owned()), ..Selection::default() };
    let event = candidate(vec![fate(1, "a", dead), fate(2, "b", State::Delivered)]);
    // Once, from the first delivery that is selected.
    let planned = to("new").plan(&event);
    let again = Again { of: DeliveryId::new(1, 1), endpoint: "new".to_owned() };
    assert_eq!(planned, Planned { again: vec![again], skipped: 0 });
    assert_eq!(to("b").plan(&event), Planned { again: vec![], skipped: 1 });
    let only_b = Selection { endpoint: Some("b".to_owned()), ..to("new") };
    assert_eq!(only_b.plan(&event).again[0].of, DeliveryId::new(1, 2));
}

#[test]
fn parts_of_an_event_are_replayed_apart() {
    let dead = State::Dead(DeadReason::Exhausted);
    let part =
        |number, state| Fate { webhook_id: "evt_1.1".to_owned(), ..fate(number, "a", state) };
    let event = candidate(vec![fate(1, "a", dead), part(2, dead), fate(3, "a", State::Delivered)]);
    let planned = Selection::default().plan(&event);
    assert_eq!(planned.again, [Again { of: DeliveryId::new(1, 2), endpoint: "a".to_owned() }]);
    assert_eq!(planned.skipped, 1);
}

fn any_state() -> impl Strategy<Value = State> {
    prop::sample::select(vec![
        State::Pending,
        State::Delivered,
        State::Dead(DeadReason::Exhausted),
        State::Dead(DeadReason::Gone),
    ])
}

proptest! {
    /// The guarantee of the module: who has the event or is owed it gets nothing unless told, and
    /// nobody gets it twice from one replay.
    #[test]
    fn nobody_gets_what_he_has(
        fates in prop::collection::vec((0..3_usize, 0..2_u32, any_state()), 0..12),
        status in prop::option::of(prop::sample::select(
            vec![ReplayStatus::Delivered, ReplayStatus::Dead],
        )),
        to in prop::option::of(0..3_usize),
        include_succeeded: bool,
    ) {
        let name = |number: usize| ["a", "b", "c"][number].to_owned();
        let fates = fates.into_iter().zip(1..).map(|((endpoint, part, state), number)| Fate {
            id: DeliveryId::new(1, number),
            endpoint: name(endpoint),
            webhook_id: format!("evt_1.{part}"),
            state,
        });
        let event = candidate(fates.collect());
        let to = to.map(name);
        let selection = Selection { status, to, include_succeeded, ..Selection::default() };
        let planned = selection.plan(&event);
        let webhook_id = |of: DeliveryId| {
            event.deliveries.iter().find(|fate| fate.id == of).map(|fate| &fate.webhook_id)
        };
        let mut seen = Vec::new();
        for again in &planned.again {
            let part = (&again.endpoint, webhook_id(again.of));
            prop_assert!(!seen.contains(&part), "{part:?} twice");
            seen.push(part);
            let has_it = event.deliveries.iter().any(|fate| {
                fate.endpoint == again.endpoint
                    && Some(&fate.webhook_id) == part.1
                    && !matches!(fate.state, State::Dead(_))
            });
            let is_told = include_succeeded || status == Some(ReplayStatus::Delivered);
            prop_assert!(!has_it || is_told);
        }
    }
}
