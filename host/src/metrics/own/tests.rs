use super::*;
use proptest::prelude::*;
use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

fn label(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

#[test]
fn counters_add_up_and_observations_are_summed() {
    let own = Own::default();
    let label = vec![label("kind", "room_started")];
    own.count("seen", 2, label.clone());
    own.count("seen", 3, label);
    own.observe("took", 1.5, Vec::new());
    own.observe("took", 2.0, Vec::new());
    let values: Vec<_> = own.snapshot().into_iter().map(|(_, value)| value).collect();
    assert_eq!(values, [Value::Count(5), Value::Observed { count: 2, sum: 3.5 }]);
    assert_eq!(own.values_dropped.get(), 0);
}

#[track_caller]
fn check_dropped(send: impl FnOnce(&Own)) {
    let own = Own::default();
    own.count("one", 1, Vec::new());
    send(&own);
    assert_eq!((own.values_dropped.get(), own.snapshot()[0].1), (1, Value::Count(1)));
}

#[test]
fn what_is_past_a_limit_or_could_spoil_the_page_is_dropped() {
    check_dropped(|own| own.count("Bad name", 1, Vec::new()));
    check_dropped(|own| own.observe("took", f64::NAN, Vec::new()));
    check_dropped(|own| own.count(&"x".repeat(NAME_BYTES_MAX + 1), 1, Vec::new()));
    check_dropped(|own| own.count("x", 1, vec![label("a", "1"), label("a", "2")]));
    check_dropped(|own| own.count("x", 1, vec![label("a", "two\nlines")]));
    check_dropped(|own| own.count("x", 1, vec![label("__name__", "y")]));
    check_dropped(|own| {
        for n in 0..SERIES_MAX {
            own.count(&format!("s{n}"), 1, Vec::new());
        }
    });
}

#[test]
fn a_value_that_is_dropped_takes_no_place() {
    let own = Own::default();
    own.observe("took", f64::INFINITY, Vec::new());
    own.count("x", 1, vec![label("A", "")]);
    assert!(own.snapshot().is_empty());
}

fn page(plugins: Vec<(&str, Own)>) -> String {
    let named = |(name, own): (&str, Own)| (name.to_owned(), Arc::new(own));
    let mut out = String::new();
    text::write(&mut out, "lw", &plugins.into_iter().map(named).collect()).unwrap();
    out
}

#[test]
fn plugins_share_a_family_and_are_told_apart_by_a_label() {
    let (a, b) = (Own::default(), Own::default());
    a.count("removed", 2, Vec::new());
    a.count("removed", 1, vec![label("why", "a \"b\"\\")]);
    b.count("removed", 7, vec![label("plugin", "no"), label("exported_le", "x")]);
    b.observe("removed", -1.5, Vec::new());
    let expect = "\
# HELP lw_plugin_counted_removed A number that plugins keep themselves.
# TYPE lw_plugin_counted_removed counter
lw_plugin_counted_removed_total{plugin=\"a-1\"} 2
lw_plugin_counted_removed_total{plugin=\"a-1\",why=\"a \\\"b\\\"\\\\\"} 1
lw_plugin_counted_removed_total{plugin=\"b\",exported_exported_le=\"x\",exported_plugin=\"no\"} 7
# HELP lw_plugin_observed_removed A number that plugins keep themselves.
# TYPE lw_plugin_observed_removed summary
lw_plugin_observed_removed_sum{plugin=\"b\"} -1.5
lw_plugin_observed_removed_count{plugin=\"b\"} 1
";
    assert_eq!(page(vec![("b", b), ("a-1", a)]), expect);
}

/// What a strict reader asks of a page: no family twice, no sample's name in two families, no series
/// twice, no label twice.
fn is_readable(page: &str) {
    let (mut names, mut series) = (BTreeSet::new(), HashSet::new());
    for line in page.lines() {
        if let Some(line) = line.strip_prefix("# TYPE ") {
            let (family, kind) = line.split_once(' ').unwrap();
            let suffixes: &[&str] = match kind {
                "counter" => &["", "_total", "_created"],
                _ => &["", "_sum", "_count", "_created"],
            };
            for suffix in suffixes {
                assert!(names.insert(format!("{family}{suffix}")), "{family}{suffix}: {page}");
            }
        } else if !line.starts_with('#') {
            let (name, _) = line.rsplit_once(' ').unwrap();
            assert!(series.insert(name.to_owned()), "{name}: {page}");
            let labels = name.split_once('{').unwrap().1.trim_end_matches('}');
            let keys: Vec<_> = labels.split(',').map(|l| l.split('=').next().unwrap()).collect();
            let unique: HashSet<_> = keys.iter().collect();
            assert_eq!(unique.len(), keys.len(), "{name}");
        }
    }
}

proptest! {
    #[test]
    fn no_choice_of_names_makes_the_page_unreadable(
        numbers in proptest::collection::vec(
            (
                "(a|b)(_total|_sum|_count|_created|_)?(_total|_)?",
                proptest::collection::vec("(exported_)?(plugin|le|quantile|a)", 0..3),
                any::<bool>(),
                any::<bool>(),
            ),
            0..40,
        ),
    ) {
        let (first, second) = (Own::default(), Own::default());
        for (name, labels, is_count, is_first) in numbers {
            let own = if is_first { &first } else { &second };
            let labels = labels.iter().map(|name| label(name, "v")).collect();
            if is_count { own.count(&name, 1, labels) } else { own.observe(&name, 1.0, labels) }
        }
        is_readable(&page(vec![("p", first), ("q", second)]));
    }
}
