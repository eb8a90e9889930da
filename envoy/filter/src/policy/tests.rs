use livekit_webhook_wire::keys::KeyRing;
use livekit_webhook_wire::verify;
use proptest::prelude::*;

use super::*;

fn policy(paths: &[&str]) -> Policy {
    let rules = |key: &str| {
        let every = vec![Glob::parse("*").unwrap()];
        let events = Events { include: every, exclude: Vec::new(), on_filtered: OnFiltered::Ack };
        Rc::new(Rules { shadow: false, keys: vec![key.to_owned()], events })
    };
    Policy {
        verifier: Verifier::new(KeyRing::new(), verify::Rules::default()),
        body_bytes_max: 1,
        hold_headers: true,
        dedupe: Ring { mode: Mode::Off, slots: 1, window_ms: 1, pending_ms: 1 },
        rate: None,
        default: rules("default"),
        routes: paths
            .iter()
            .map(|path| Route { path: (*path).to_owned(), rules: rules(path) })
            .collect(),
    }
}

/// Which route's rules hold; empty when none may.
#[track_caller]
fn check(paths: &[&str], path: &str, expected: &str) {
    let policy = policy(paths);
    let rules = policy.rules(path.as_bytes());
    let found = rules.map(|rules| rules.keys.concat()).unwrap_or_default();
    assert_eq!(found, expected, "{path}");
}

#[test]
fn the_first_route_that_fits_counts_and_paths_end_at_a_slash() {
    let paths = ["/prod/eu", "/prod", "/stage/"];
    for (path, expected) in [
        ("/prod", "/prod"),
        ("/prod/", "/prod"),
        ("/prod?a=/stage/", "/prod"),
        ("/prod/eu/x", "/prod/eu"),
        ("/prod/europe", "/prod"),
        ("/production", "default"),
        ("/stage", "default"),
        ("/stage/x", "/stage/"),
        ("/", "default"),
        ("*", "default"),
        ("", "default"),
    ] {
        check(&paths, path, expected);
    }
    check(&["/"], "/any/thing", "/");
}

#[test]
fn a_path_that_can_be_read_in_two_ways_has_no_rules_when_they_differ() {
    for path in ["/%70rod", "//prod", "/x/../prod", "/x/./prod", "/x\\prod", "/prod/.."] {
        check(&["/prod"], path, "");
        check(&[], path, "default");
    }
    // What follows the path is nobody's route.
    check(&["/prod"], "/prod?next=%2f..//", "/prod");
}

proptest! {
    #[test]
    fn no_path_panics_and_what_fits_begins_with_its_route(path: Vec<u8>) {
        let policy = policy(&["/a", "/b/"]);
        if let Some(rules) = policy.rules(&path)
            && rules.keys.concat() != "default"
        {
            prop_assert!(path.starts_with(rules.keys.concat().as_bytes()));
        }
    }
}
