use super::*;

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
