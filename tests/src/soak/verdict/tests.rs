use super::*;

fn request(event: &str, webhook_id: &str) -> Request {
    let (event, room) = (event.to_owned(), "r".to_owned());
    Request { event, room, webhook_id: webhook_id.to_owned() }
}

fn delivery(webhook_id: &str) -> Delivery {
    let webhook_id = webhook_id.to_owned();
    Delivery { webhook_id, state: State::Delivered, attempts: 1, recorded: 1 }
}

/// Two events, one kill, everything as promised.
fn well() -> Evidence {
    let endpoint = Endpoint {
        name: "all".to_owned(),
        in_flight_max: 2,
        is_ordered: true,
        requests: vec![request("EV_1", "one"), request("EV_2", "two")],
        deliveries: vec![delivery("one"), delivery("two")],
    };
    let sent = vec!["EV_1".to_owned(), "EV_2".to_owned()];
    let acknowledged = sent.iter().cloned().collect();
    let endpoints = vec![endpoint];
    Evidence { sent, acknowledged, endpoints, kills: 1, ..Evidence::default() }
}

#[track_caller]
fn check(change: impl FnOnce(&mut Evidence), words: &str) {
    let mut evidence = well();
    change(&mut evidence);
    let verdict = judge(&evidence);
    let [violation] = verdict.violations.as_slice() else {
        panic!("expected one violation with {words:?}: {verdict:?}");
    };
    assert!(violation.contains(words), "{violation}");
}

#[test]
fn what_was_kept_is_no_violation() {
    let verdict = judge(&well());
    let (acknowledged, repeated_max) = (2, 2);
    assert_eq!(verdict, Verdict { acknowledged, repeated_max, ..Verdict::default() });
}

#[test]
fn what_a_kill_may_repeat_is_counted_and_no_violation() {
    let mut evidence = well();
    evidence.endpoints[0].requests.push(request("EV_2", "two"));
    let verdict = judge(&evidence);
    assert_eq!((verdict.repeated, verdict.violations.len()), (1, 0), "{verdict:?}");
}

#[test]
fn a_lost_event_is_found() {
    check(
        |evidence| evidence.acknowledged.extend(["EV_3".to_owned()]),
        "EV_3 was acknowledged and never came",
    );
}

#[test]
fn every_broken_promise_has_its_words() {
    check(|evidence| evidence.mistaken.push("401".to_owned()), "told to forget: 401");
    check(|evidence| evidence.findings.push("torn".to_owned()), "own check: torn");
    check(
        |evidence| evidence.endpoints[0].deliveries[1].state = State::Pending,
        "two ended as Pending",
    );
    check(|evidence| evidence.endpoints[0].deliveries[1].attempts = 2, "counts 2 attempts");
    check(|evidence| evidence.endpoints[0].deliveries.push(delivery("two")), "owed twice");
    check(|evidence| drop(evidence.endpoints[0].deliveries.pop()), "not in the store");
    check(
        |evidence| {
            let row = &mut evidence.endpoints[0].deliveries[1];
            (row.attempts, row.recorded) = (2, 2);
        },
        "has 2 attempts, 1 came",
    );
}

#[test]
fn an_event_under_two_ids_is_found() {
    check(
        |evidence| {
            evidence.endpoints[0].requests.push(request("EV_2", "again"));
            evidence.endpoints[0].deliveries.push(delivery("again"));
        },
        "EV_2 came under 2 ids",
    );
}

#[test]
fn more_repeats_than_were_in_flight_are_found() {
    check(
        |evidence| {
            evidence.endpoints[0].in_flight_max = 1;
            evidence.endpoints[0].is_ordered = false;
            let again = [request("EV_1", "one"), request("EV_2", "two")];
            evidence.endpoints[0].requests.extend(again);
        },
        "2 repeats, 1 were in flight",
    );
    check(
        |evidence| {
            let again = [request("EV_2", "two"), request("EV_2", "two")];
            evidence.endpoints[0].requests.extend(again);
        },
        "cut off 2 times by 1 kills",
    );
}

#[test]
fn a_lane_out_of_order_is_found() {
    let words = "EV_1 came behind its successor in r";
    check(|evidence| evidence.endpoints[0].requests.reverse(), words);
    check(|evidence| evidence.endpoints[0].requests.push(request("EV_1", "one")), words);
}
