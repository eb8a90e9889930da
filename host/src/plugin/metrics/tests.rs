use super::*;

#[test]
fn counters_add_up_and_observations_are_summed() {
    let metrics = Metrics::default();
    let label = vec![("kind".to_owned(), "room_started".to_owned())];
    metrics.count("seen", 2, label.clone());
    metrics.count("seen", 3, label);
    metrics.observe("took", 1.5, Vec::new());
    metrics.observe("took", 2.0, Vec::new());
    let values: Vec<_> = metrics.snapshot().into_iter().map(|(_, value)| value).collect();
    assert_eq!(values, [Value::Count(5), Value::Observed { count: 2, sum: 3.5 }]);
    assert_eq!(metrics.dropped(), 0);
}

#[track_caller]
fn check_dropped(send: impl FnOnce(&Metrics)) {
    let metrics = Metrics::default();
    metrics.count("one", 1, Vec::new());
    send(&metrics);
    assert_eq!((metrics.dropped(), metrics.snapshot()[0].1), (1, Value::Count(1)));
}

#[test]
fn what_is_past_a_limit_or_of_another_kind_is_dropped() {
    check_dropped(|metrics| metrics.count("Bad name", 1, Vec::new()));
    check_dropped(|metrics| metrics.observe("one", 1.0, Vec::new()));
    check_dropped(|metrics| metrics.observe("took", f64::NAN, Vec::new()));
    check_dropped(|metrics| metrics.count(&"x".repeat(NAME_BYTES_MAX + 1), 1, Vec::new()));
    check_dropped(|metrics| {
        for n in 0..SERIES_MAX {
            metrics.count(&format!("s{n}"), 1, Vec::new());
        }
    });
}
