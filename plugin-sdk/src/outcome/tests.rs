//! The shapes a plugin's functions may have. That this compiles natively is half of the test.

use crate::outcome::{IntoAttributes, IntoDestinations, IntoDone, IntoDrafts, IntoVerdict};
use crate::prelude::*;

fn event(body: &str) -> Event {
    Event::from_json(body).unwrap()
}

#[track_caller]
fn check_drafts(answer: impl IntoDrafts, expect: usize) {
    assert_eq!(answer.into_drafts().map(|drafts| drafts.len()), Ok(expect));
}

#[test]
fn a_filter_may_answer_plainly_or_fail() {
    assert_eq!(true.into_verdict(), Ok(true));
    assert_eq!(Err::<bool, _>("no").into_verdict(), Err(Failure::Other("no".to_owned())));
    let rejected = Err::<bool, _>(Failure::reject("never")).into_verdict();
    assert_eq!(rejected, Err(Failure::Reject("never".to_owned())));
}

#[test]
fn a_transform_may_give_none_one_or_several() {
    check_drafts(event("{}"), 1);
    check_drafts(None::<Event>, 0);
    check_drafts(vec![Draft::default(), Draft::default()], 2);
    check_drafts(Ok::<_, String>(Some(event("{}"))), 1);
    let failed = Err::<Draft, _>(Failure::Retry(Some(5))).into_drafts();
    assert_eq!(failed, Err(Failure::Retry(Some(5))));
}

#[test]
fn names_attributes_and_results_have_their_shapes() {
    assert_eq!("a".into_destinations(), Ok(vec!["a".to_owned()]));
    assert_eq!(None::<String>.into_destinations(), Ok(Vec::new()));
    assert_eq!(Ok::<_, String>(vec!["a", "b"]).into_destinations().map(|all| all.len()), Ok(2));
    let pair = ("a".to_owned(), "b".to_owned());
    assert_eq!([("a", "b")].into_attributes(), Ok(vec![pair.clone()]));
    assert_eq!(Some(("a", "b")).into_attributes(), Ok(vec![pair]));
    assert_eq!(().into_done(), Ok(Vec::new()));
    assert_eq!(serde_json::json!({ "a": 1 }).into_done(), Ok(b"{\"a\":1}".to_vec()));
}

#[test]
fn any_error_that_can_be_shown_is_a_failure() {
    fn parse(text: &str) -> Result<u32, Failure> {
        Ok(text.parse::<u32>()?)
    }
    assert_eq!(parse("7"), Ok(7));
    assert!(matches!(parse("x"), Err(Failure::Other(text)) if text.contains("invalid digit")));
}

#[test]
fn configuration_and_log_have_native_stand_ins() {
    #[derive(serde::Deserialize)]
    struct Config {
        limit: u32,
    }
    crate::native::set_config(&serde_json::json!({ "limit": 3 }));
    assert_eq!(config::<Config>().map(|config| config.limit), Ok(3));
    crate::native::set_config(&serde_json::json!({}));
    assert!(config::<Config>().is_err_and(|error| error.contains("missing field `limit`")));
    warn!("seen {}", 7);
    assert_eq!(crate::native::take_lines(), [(crate::Level::Warn, "seen 7".to_owned())]);
}
