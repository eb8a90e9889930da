//! Doubles of what `#[enrich]` and `#[action]` functions reach: scripted HTTP and LiveKit, and a
//! state in memory whose values stay for ever.

use crate::{http, livekit, state};
use serde_json::Value;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

/// Keys of one answer.
const KEYS_PAGE: usize = 100;

type Answer = Box<dyn FnMut(&http::Request) -> Result<http::Response, http::Error>>;

/// The value of each key, and the last version given.
#[derive(Default)]
struct Values {
    entries: BTreeMap<String, state::Entry>,
    version: u64,
}

thread_local! {
    static ANSWER: RefCell<Option<Answer>> = const { RefCell::new(None) };
    static REQUESTS: RefCell<Vec<http::Request>> = const { RefCell::new(Vec::new()) };
    static SECRETS: RefCell<BTreeSet<String>> = const { RefCell::new(BTreeSet::new()) };
    static LIVEKIT: RefCell<BTreeMap<String, Value>> = const { RefCell::new(BTreeMap::new()) };
    static VALUES: RefCell<Values> = RefCell::default();
}

pub fn on_http(answer: Answer) {
    ANSWER.set(Some(answer));
}

pub fn take_requests() -> Vec<http::Request> {
    REQUESTS.take()
}

pub fn set_secret(name: &str) {
    SECRETS.with_borrow_mut(|secrets| secrets.insert(name.to_owned()));
}

pub fn set_livekit(function: &str, answer: Value) {
    LIVEKIT.with_borrow_mut(|answers| answers.insert(function.to_owned(), answer));
}

pub fn send(request: http::Request) -> Result<http::Response, http::Error> {
    // Taken out while it answers, so that it may look at the requests itself.
    let answer = match ANSWER.take() {
        Some(mut answer) => {
            let answered = answer(&request);
            ANSWER.with_borrow_mut(|kept| {
                kept.get_or_insert(answer);
            });
            answered
        }
        None => Err(http::Error::Denied("nothing answers: see native::on_http".to_owned())),
    };
    REQUESTS.with_borrow_mut(|requests| requests.push(request));
    answer
}

pub fn stand_in(name: &str) -> Option<String> {
    SECRETS.with_borrow(|secrets| secrets.contains(name).then(|| format!("secret-{name}")))
}

pub fn get(key: &str) -> Result<Option<state::Entry>, state::Error> {
    Ok(VALUES.with_borrow(|values| values.entries.get(key).cloned()))
}

pub fn set(key: &str, value: &[u8], _: Option<u64>) -> Result<u64, state::Error> {
    Ok(VALUES.with_borrow_mut(|values| {
        values.version += 1;
        let entry = state::Entry { value: value.to_vec(), version: values.version };
        values.entries.insert(key.to_owned(), entry);
        values.version
    }))
}

pub fn swap(
    key: &str,
    expected: Option<u64>,
    value: &[u8],
    ttl_ms: Option<u64>,
) -> Result<Option<u64>, state::Error> {
    if get(key)?.map(|entry| entry.version) != expected {
        return Ok(None);
    }
    set(key, value, ttl_ms).map(Some)
}

pub fn add(key: &str, delta: i64, ttl_ms: Option<u64>) -> Result<i64, state::Error> {
    let number = match get(key)? {
        Some(entry) => str::from_utf8(&entry.value).ok().and_then(|text| text.parse::<i64>().ok()),
        None => Some(0),
    };
    let sum = number.and_then(|number| number.checked_add(delta));
    let sum = sum.ok_or_else(|| state::Error::Invalid(format!("{key} is no number")))?;
    set(key, sum.to_string().as_bytes(), ttl_ms)?;
    Ok(sum)
}

pub fn delete(key: &str) -> Result<bool, state::Error> {
    Ok(VALUES.with_borrow_mut(|values| values.entries.remove(key).is_some()))
}

pub fn keys(prefix: &str, after: Option<&str>) -> Result<Vec<String>, state::Error> {
    let is_meant =
        |key: &&String| key.starts_with(prefix) && after.is_none_or(|after| key.as_str() > after);
    Ok(VALUES.with_borrow(|values| {
        values.entries.keys().filter(is_meant).take(KEYS_PAGE).cloned().collect()
    }))
}

pub fn get_room(_: &str) -> Result<Option<Vec<u8>>, livekit::Error> {
    asked("get-room")
}

pub fn list_participants(_: &str) -> Result<Vec<u8>, livekit::Error> {
    listed("list-participants")
}

pub fn get_participant(_: &str, _: &str) -> Result<Option<Vec<u8>>, livekit::Error> {
    asked("get-participant")
}

pub fn list_egress(_: &str) -> Result<Vec<u8>, livekit::Error> {
    listed("list-egress")
}

fn listed(function: &str) -> Result<Vec<u8>, livekit::Error> {
    Ok(asked(function)?.unwrap_or_else(|| b"[]".to_vec()))
}

fn asked(function: &str) -> Result<Option<Vec<u8>>, livekit::Error> {
    match LIVEKIT.with_borrow(|answers| answers.get(function).cloned()) {
        Some(Value::Null) => Ok(None),
        Some(answer) => Ok(Some(answer.to_string().into_bytes())),
        None => {
            let text = format!("nothing answers {function}: see native::set_livekit");
            Err(livekit::Error::Denied(text))
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{http, livekit, native, state};

    #[test]
    fn state_swaps_by_version_and_adds_numbers_only() {
        assert_eq!(state::swap("a", Some(1), "x", None), Ok(None));
        let first = state::swap("a", None, "x", None).unwrap();
        assert!(first.is_some());
        assert_eq!(state::swap("a", None, "y", None), Ok(None));
        assert!(state::swap("a", first, "y", None).unwrap().is_some());
        assert_eq!(state::get("a"), Ok(Some(b"y".to_vec())));
        assert!(matches!(state::add("a", 1), Err(state::Error::Invalid(_))));
        assert_eq!(state::add("n", 2), Ok(2));
        assert_eq!(state::keys("", Some("a")), Ok(vec!["n".to_owned()]));
        assert_eq!(state::delete("n"), Ok(true));
        assert_eq!(state::delete("n"), Ok(false));
    }

    #[test]
    fn what_no_test_has_scripted_is_denied() {
        let sent = http::Request::get("https://example.com/").send();
        assert!(matches!(sent, Err(http::Error::Denied(_))), "{sent:?}");
        assert_eq!(native::take_requests().len(), 1);
        assert!(matches!(livekit::room("demo"), Err(livekit::Error::Denied(_))));
        native::set_livekit("get-room", serde_json::Value::Null);
        assert_eq!(livekit::room("demo"), Ok(None));
    }
}
