//! State of plugins.

use super::*;
use crate::store::plugin_state::{
    Change, Changed, Entry, KEY_BYTES_MAX, Limits, Only, Page, Refusal, Space, VALUE_BYTES_MAX,
    What,
};
use std::task::Poll;

/// A value for a key of a plugin, for ever.
pub fn set(key: &str, value: &[u8]) -> Change {
    let space = Space { plugin: "session".to_owned(), source: "prod".to_owned() };
    let (value, only) = (Bytes::copy_from_slice(value), Only::Always);
    let what = What::Set { value, expires_at: None, only };
    Change { space, key: key.to_owned(), what, limits: Limits::default() }
}

fn space() -> Space {
    set("", b"").space
}

fn with(change: Change, only: Only, expires_at: Option<Timestamp>) -> Change {
    let What::Set { value, .. } = change.what else { return change };
    Change { what: What::Set { value, expires_at, only }, ..change }
}

fn over_at(key: &str, value: &[u8], millis: i64) -> Change {
    with(set(key, value), Only::Always, Some(later(millis)))
}

fn delete(key: &str) -> Change {
    Change { what: What::Delete, ..set(key, b"") }
}

fn add(key: &str, delta: i64, expires_at: Option<Timestamp>) -> Change {
    Change { what: What::Add { delta, expires_at }, ..set(key, b"") }
}

fn limited(change: Change, keys_max: u64, bytes_max: u64) -> Change {
    Change { limits: Limits { keys_max, bytes_max }, ..change }
}

async fn change(store: &dyn Store, now: Timestamp, change: Change) -> Changed {
    store.change_plugin_state(now, change).await.unwrap()
}

/// Sets, and gives the version.
async fn version_of(store: &dyn Store, setting: Change) -> u64 {
    match change(store, START, setting).await {
        Changed::Set(version) => version,
        other => unreachable!("{other:?}"),
    }
}

async fn get(store: &dyn Store, now: Timestamp, key: &str) -> Option<Entry> {
    store.plugin_state(now, &space(), key).await.unwrap()
}

async fn value(store: &dyn Store, now: Timestamp, key: &str) -> Option<Bytes> {
    get(store, now, key).await.map(|entry| entry.value)
}

fn page(prefix: &str, after: Option<&str>, limit: usize) -> Page {
    let (prefix, after) = (prefix.to_owned(), after.map(str::to_owned));
    Page { space: space(), prefix, after, limit }
}

async fn keys(store: &dyn Store, prefix: &str) -> Vec<String> {
    store.plugin_state_keys(START, page(prefix, None, 100)).await.unwrap()
}

/// Runs them side by side.
async fn together<T>(futures: impl Iterator<Item = impl Future<Output = T> + Unpin>) -> Vec<T> {
    let mut running: Vec<_> = futures.map(|future| (future, None)).collect();
    std::future::poll_fn(|context| {
        let mut is_done = true;
        for (future, output) in running.iter_mut().filter(|(_, output)| output.is_none()) {
            match Pin::new(future).poll(context) {
                Poll::Ready(value) => *output = Some(value),
                Poll::Pending => is_done = false,
            }
        }
        if is_done { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    running.into_iter().filter_map(|(_, output)| output).collect()
}

/// Something for a copy: two spaces, a NUL, a time that is over, a version far from the others.
pub async fn fill(store: &dyn Store) {
    for round in 0..3 {
        change(store, START, set("PA_1", &[round, 0, 255])).await;
    }
    change(store, START, over_at("a\0b é", b"", 1)).await;
    let other = Space { plugin: "other".to_owned(), source: "staging".to_owned() };
    change(store, START, Change { space: other, ..add("PA_1", -5, Some(later(9))) }).await;
}

pub async fn set_get_and_delete(store: &dyn Store) {
    assert_eq!(get(store, START, "k").await, None);
    assert_eq!(change(store, START, delete("k")).await, Changed::Deleted(false));
    let version = version_of(store, set("k", b"one")).await;
    let entry = Entry { value: Bytes::from_static(b"one"), version };
    assert_eq!(get(store, START, "k").await, Some(entry));
    version_of(store, set("k", b"another")).await;
    assert_eq!(value(store, START, "k").await.unwrap(), "another");
    assert_eq!(change(store, START, delete("k")).await, Changed::Deleted(true));
    assert_eq!(change(store, START, delete("k")).await, Changed::Deleted(false));
    assert_eq!(get(store, START, "k").await, None);
}

pub async fn every_change_makes_another_version(store: &dyn Store) {
    let mut versions = vec![
        version_of(store, set("k", b"same")).await,
        version_of(store, set("k", b"same")).await,
        version_of(store, set("other", b"same")).await,
    ];
    assert_eq!(change(store, START, add("n", 1, None)).await, Changed::Sum(1));
    versions.push(get(store, START, "n").await.unwrap().version);
    assert_eq!(change(store, START, add("n", 0, None)).await, Changed::Sum(1));
    versions.push(get(store, START, "n").await.unwrap().version);
    assert!(versions.is_sorted_by(|a, b| a < b), "{versions:?}");
}

pub async fn a_swap_needs_what_it_expects(store: &dyn Store) {
    let swap = |value: &'static [u8], only| with(set("k", value), only, None);
    assert_eq!(change(store, START, swap(b"1", Only::Version(1))).await, Changed::Stale);
    let first = version_of(store, swap(b"1", Only::Absent)).await;
    assert_eq!(change(store, START, swap(b"2", Only::Absent)).await, Changed::Stale);
    let second = version_of(store, swap(b"2", Only::Version(first))).await;
    assert_eq!(change(store, START, swap(b"3", Only::Version(first))).await, Changed::Stale);
    let entry = Entry { value: Bytes::from_static(b"2"), version: second };
    assert_eq!(get(store, START, "k").await, Some(entry));
    // What is over is absent.
    change(store, START, over_at("k", b"4", 10)).await;
    let version = get(store, START, "k").await.unwrap().version;
    let late = change(store, later(10), swap(b"5", Only::Version(version))).await;
    assert_eq!(late, Changed::Stale);
    let late = change(store, later(10), swap(b"5", Only::Absent)).await;
    assert!(matches!(late, Changed::Set(_)), "{late:?}");
    assert_eq!(value(store, later(99), "k").await.unwrap(), "5");
}

pub async fn of_concurrent_swaps_one_wins(store: &dyn Store) {
    let mut only = Only::Absent;
    for round in 0..5_u8 {
        let swaps = (0..12_u8).map(|number| {
            let swap = with(set("k", &[round, number]), only, None);
            store.change_plugin_state(START, swap)
        });
        let changed = together(swaps).await;
        let changed: Vec<Changed> = changed.into_iter().map(Result::unwrap).collect();
        let won: Vec<usize> = (0..12).filter(|&at| changed[at] != Changed::Stale).collect();
        assert_eq!(won.len(), 1, "{changed:?}");
        let entry = get(store, START, "k").await.unwrap();
        assert_eq!(changed[won[0]], Changed::Set(entry.version));
        assert_eq!(entry.value[..], [round, won[0] as u8]);
        only = Only::Version(entry.version);
    }
}

/// Not even when the key, or all keys, were gone in between.
pub async fn no_version_comes_twice(store: &dyn Store) {
    let first = version_of(store, set("k", b"")).await;
    change(store, START, delete("k")).await;
    let second = version_of(store, set("k", b"")).await;
    assert!(second > first);
    change(store, START, over_at("k", b"", 1)).await;
    let third = get(store, START, "k").await.unwrap().version;
    let pruned = store.prune(later(5), &Retention::default(), 10).await.unwrap();
    assert_eq!(pruned.plugin_state, 1);
    assert!(version_of(store, set("k", b"")).await > third);
}

pub async fn add_counts_what_many_add(store: &dyn Store) {
    let adds = (1..=40).map(|delta| store.change_plugin_state(START, add("n", delta, None)));
    let sums = together(adds).await;
    let mut sums: Vec<i64> = sums
        .into_iter()
        .map(|changed| match changed.unwrap() {
            Changed::Sum(sum) => sum,
            other => unreachable!("{other:?}"),
        })
        .collect();
    sums.sort_unstable();
    sums.dedup();
    assert_eq!((sums.len(), sums.last()), (40, Some(&820)));
    assert_eq!(change(store, START, add("n", -821, None)).await, Changed::Sum(-1));
    assert_eq!(value(store, START, "n").await.unwrap(), "-1");
}

pub async fn add_keeps_the_time_of_a_key(store: &dyn Store) {
    change(store, START, add("n", 1, Some(later(10)))).await;
    change(store, START, add("n", 1, Some(later(99)))).await;
    change(store, START, add("n", 1, None)).await;
    assert_eq!(value(store, later(9), "n").await.unwrap(), "3");
    assert_eq!(get(store, later(10), "n").await, None);
    // It begins anew.
    assert_eq!(change(store, later(10), add("n", 5, None)).await, Changed::Sum(5));
    assert_eq!(value(store, later(999), "n").await.unwrap(), "5");
}

pub async fn only_numbers_are_added_to(store: &dyn Store) {
    version_of(store, set("k", b"\xff")).await;
    let refused = change(store, START, add("k", 1, None)).await;
    assert_eq!(refused, Changed::Refused(Refusal::NoNumber));
    assert_eq!(value(store, START, "k").await.unwrap()[..], *b"\xff");
    change(store, START, add("n", i64::MAX, None)).await;
    let refused = change(store, START, add("n", 1, None)).await;
    assert_eq!(refused, Changed::Refused(Refusal::Overflow));
    assert_eq!(change(store, START, add("n", i64::MIN, None)).await, Changed::Sum(-1));
}

pub async fn what_is_over_is_gone(store: &dyn Store) {
    change(store, START, over_at("k", b"v", 10)).await;
    change(store, START, set("kept", b"v")).await;
    assert!(get(store, later(9), "k").await.is_some());
    assert_eq!(get(store, later(10), "k").await, None);
    let listed = store.plugin_state_keys(later(9), page("", None, 9)).await.unwrap();
    assert_eq!(listed, ["k", "kept"]);
    let listed = store.plugin_state_keys(later(10), page("", None, 9)).await.unwrap();
    assert_eq!(listed, ["kept"]);
    assert_eq!(change(store, later(10), delete("k")).await, Changed::Deleted(false));
    // A time that is over at once.
    change(store, later(50), over_at("at once", b"v", 50)).await;
    assert_eq!(get(store, later(50), "at once").await, None);
    // One that was given anew.
    change(store, START, over_at("kept", b"v", 10)).await;
    change(store, START, set("kept", b"v")).await;
    assert!(get(store, later(99), "kept").await.is_some());
}

pub async fn what_is_over_frees_its_room(store: &dyn Store) {
    for key in ["a", "b", "c"] {
        change(store, START, limited(over_at(key, b"1234", 10), 3, 15)).await;
    }
    let refused = change(store, later(9), limited(set("d", b""), 3, 99)).await;
    assert_eq!(refused, Changed::Refused(Refusal::Keys(3)));
    let refused = change(store, later(9), limited(set("d", b"1"), 9, 15)).await;
    assert_eq!(refused, Changed::Refused(Refusal::Bytes(15)));
    for key in ["d", "e", "f"] {
        let set = change(store, later(10), limited(set(key, b"1234"), 3, 15)).await;
        assert!(matches!(set, Changed::Set(_)), "{key}: {set:?}");
    }
    let listed = store.plugin_state_keys(later(10), page("", None, 9)).await.unwrap();
    assert_eq!(listed, ["d", "e", "f"]);
}

pub async fn a_full_space_is_refused(store: &dyn Store) {
    let limited = |change| limited(change, 2, 20);
    version_of(store, limited(set("a", b"12345"))).await;
    version_of(store, limited(set("b", b"12345"))).await;
    let refused = change(store, START, limited(set("c", b""))).await;
    assert_eq!(refused, Changed::Refused(Refusal::Keys(2)));
    let refused = change(store, START, limited(add("c", 1, None))).await;
    assert_eq!(refused, Changed::Refused(Refusal::Keys(2)));
    let refused = change(store, START, limited(set("a", b"12345678901234"))).await;
    assert_eq!(refused, Changed::Refused(Refusal::Bytes(20)));
    assert_eq!(value(store, START, "a").await.unwrap(), "12345");
    // Up to the limit, and again once there is room.
    version_of(store, limited(set("a", b"1234567890123"))).await;
    assert_eq!(change(store, START, delete("b")).await, Changed::Deleted(true));
    version_of(store, limited(set("c", b"12345"))).await;
    // Another's space is not full.
    let theirs = Space { source: "staging".to_owned(), ..space() };
    version_of(store, Change { space: theirs, ..limited(set("c", b"12345")) }).await;
    // What was allowed before stays, and may get smaller.
    let limits = Limits { keys_max: 1, bytes_max: 1 };
    version_of(store, Change { limits, ..set("a", b"1") }).await;
    assert_eq!(value(store, START, "c").await.unwrap(), "12345");
}

pub async fn lengths_have_limits(store: &dyn Store) {
    let key = "é".repeat(KEY_BYTES_MAX / 2);
    version_of(store, set(&key, &vec![7; VALUE_BYTES_MAX])).await;
    assert_eq!(value(store, START, &key).await.unwrap(), vec![7; VALUE_BYTES_MAX]);
    let long = format!("{key}a");
    let refused = change(store, START, set(&long, b"")).await;
    assert_eq!(refused, Changed::Refused(Refusal::Key));
    let refused = change(store, START, set("k", &vec![7; VALUE_BYTES_MAX + 1])).await;
    assert_eq!(refused, Changed::Refused(Refusal::Value));
    assert_eq!(get(store, START, &long).await, None);
}

pub async fn spaces_are_apart(store: &dyn Store) {
    let others =
        [("session", "staging"), ("other", "prod"), ("sessio", "nprod"), ("prod", "session")];
    version_of(store, set("k", b"mine")).await;
    for (plugin, source) in others {
        let theirs = Space { plugin: plugin.to_owned(), source: source.to_owned() };
        assert_eq!(store.plugin_state(START, &theirs, "k").await.unwrap(), None);
        let deleted = Change { space: theirs.clone(), ..delete("k") };
        assert_eq!(change(store, START, deleted).await, Changed::Deleted(false));
        let setting = with(set("k", b"theirs"), Only::Absent, None);
        version_of(store, Change { space: theirs.clone(), ..setting }).await;
        let listed = Page { space: theirs, ..page("", None, 9) };
        assert_eq!(store.plugin_state_keys(START, listed).await.unwrap(), ["k"]);
    }
    assert_eq!(value(store, START, "k").await.unwrap(), "mine");
}

pub async fn keys_in_the_order_of_their_bytes(store: &dyn Store) {
    let mut all = [
        "",
        "a",
        "A",
        "a\0",
        "a%",
        "a%b",
        "a_",
        "a_b",
        "aab",
        "ab",
        "b",
        "é",
        "e",
        "z",
        "\u{e000}",
        "\u{10ffff}",
        "😀",
        "a\u{10ffff}",
        "10",
        "9",
        "a\\",
    ];
    for key in all {
        version_of(store, set(key, b"")).await;
    }
    all.sort_unstable_by_key(|key| key.as_bytes());
    assert_eq!(keys(store, "").await, all);
    for prefix in ["a", "a%", "a_", "a\0", "é", "\u{10ffff}", "\u{e000}", "nothing", "a\\"] {
        let expected: Vec<&str> = all.into_iter().filter(|key| key.starts_with(prefix)).collect();
        assert_eq!(keys(store, prefix).await, expected, "{prefix:?}");
    }
}

pub async fn keys_by_page(store: &dyn Store) {
    for number in 0..7 {
        version_of(store, set(&format!("p{number}"), b"")).await;
    }
    version_of(store, set("q", b"")).await;
    let listed = async |after: Option<&str>| {
        store.plugin_state_keys(START, page("p", after, 3)).await.unwrap()
    };
    assert_eq!(listed(None).await, ["p0", "p1", "p2"]);
    assert_eq!(listed(Some("p2")).await, ["p3", "p4", "p5"]);
    assert_eq!(listed(Some("p5")).await, ["p6"]);
    assert_eq!(listed(Some("p6")).await, [""; 0]);
    // A key that is not there, and ones outside of the prefix.
    assert_eq!(listed(Some("p2x")).await, ["p3", "p4", "p5"]);
    assert_eq!(listed(Some("a")).await, ["p0", "p1", "p2"]);
    assert_eq!(listed(Some("z")).await, [""; 0]);
    let one = store.plugin_state_keys(START, page("p", None, 0)).await.unwrap();
    assert_eq!(one, ["p0"]);
}

pub async fn values_are_any_bytes(store: &dyn Store) {
    let all: Vec<u8> = (0..=255).collect();
    for (key, bytes) in
        [("empty", &[][..]), ("all", &all), ("not text", &[0xc3, 0x28]), ("0", &[0])]
    {
        version_of(store, set(key, bytes)).await;
        assert_eq!(value(store, START, key).await.unwrap()[..], *bytes, "{key}");
    }
}

pub async fn retention_removes_what_is_over(store: &dyn Store) {
    for number in 0..5 {
        change(store, START, over_at(&format!("{number}"), b"v", 10)).await;
        let theirs = Space { plugin: format!("plugin {number}"), ..space() };
        change(store, START, Change { space: theirs, ..over_at("k", b"v", 20) }).await;
    }
    change(store, START, set("kept", b"v")).await;
    let step = async |now| store.prune(now, &Retention::default(), 3).await.unwrap();
    assert_eq!(step(later(9)).await, Pruned::default());
    let first = step(later(10)).await;
    assert_eq!((first.plugin_state, first.is_more), (3, true));
    assert_eq!(step(later(10)).await, Pruned { plugin_state: 2, ..Pruned::default() });
    assert_eq!(step(later(10)).await, Pruned::default());
    assert_eq!(step(later(20)).await.plugin_state, 3);
    assert_eq!(step(later(20)).await.plugin_state, 2);
    assert_eq!(step(later(99_999)).await, Pruned::default());
    assert_eq!(keys(store, "").await, ["kept"]);
    // What was removed is not counted.
    version_of(store, limited(set("two", b""), 2, 99)).await;
}
