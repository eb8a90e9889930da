//! Mistakes about order, batches, rates and retention.

use super::*;

/// The base with `lines` added to its endpoint must have exactly this problem.
#[track_caller]
fn check(place: &str, lines: &str, problem: &str) {
    let text = BASE.replacen(place, &format!("{place}{lines}\n"), 1);
    assert_ne!(text, BASE, "{place}");
    let found = parse(&text, Path::new("/nowhere")).map(|config| config.dump()).unwrap_err();
    assert_eq!(found, [problem], "{text}");
}

#[test]
fn of_endpoints() {
    let livekit =
        "signing = [\"livekit\", \"standard\"]\nlivekit = { api_key = \"A\", secret = \"s\" }\n";
    let table = [
        (
            "ordered = \"track\"",
            "endpoint[0].ordered: expected \"room\", or leave it out for no order",
        ),
        ("ordered = true", "endpoint[0].ordered: expected a string, found true or false"),
        ("skip_after = 3", "endpoint[0].skip_after: is not used without ordered = \"room\""),
        ("ordered = \"room\"\nskip_after = 0", "endpoint[0].skip_after = 0: must be 1 to 32"),
        (
            "ordered = \"room\"\nbatch = {}",
            "endpoint[0].batch: cannot be had together with ordered: a batch that fails in part could not be put in order again",
        ),
        ("batch = { events_max = 1 }", "endpoint[0].batch.events_max = 1: must be 2 to 1000"),
        ("batch = { wait = 2 }", "endpoint[0].batch.wait: expected a string, found a whole number"),
        (
            "batch = { wait = \"61s\" }",
            "endpoint[0].batch.wait: batch.wait is 61000 ms: must be 0 to 60000 ms",
        ),
        (
            "batch = { max = 2 }",
            "endpoint[0].batch.max: is not known; known here: events_max, wait",
        ),
        (
            "rate_per_second = 0",
            "endpoint[0].rate_per_second: 0 requests per second: must be one an hour to 10000 a second",
        ),
        (
            "rate_per_second = nan",
            "endpoint[0].rate_per_second: NaN requests per second: must be one an hour to 10000 a second",
        ),
        (
            "rate_per_second = \"10\"",
            "endpoint[0].rate_per_second: expected a number, found a string",
        ),
        ("burst = 10", "endpoint[0].burst: is not used without rate_per_second"),
        ("rate_per_second = 1\nburst = 0", "endpoint[0].burst = 0: must be 1 to 10000"),
        ("breaker = \"on\"", "endpoint[0].breaker: expected true or false, found a string"),
    ];
    for (lines, problem) in table {
        check("url = \"https://billing.example.com/livekit\"\n", lines, problem);
    }
    check(
        "url = \"https://billing.example.com/livekit\"\n",
        &format!("{livekit}batch = {{}}"),
        "endpoint[0].batch: cannot be had together with signing = [\"livekit\"]: its receivers take one event a request",
    );
}

#[test]
fn of_ingest_and_the_store() {
    let table = [
        ("[ingest]\nburst = 9", "ingest.burst: is not used without rate_per_second"),
        ("[ingest]\npeer_burst = 9", "ingest.peer_burst: is not used without peer_rate_per_second"),
        (
            "[ingest]\npeer_rate_per_second = -1",
            "ingest.peer_rate_per_second: -1 requests per second: must be one an hour to 10000 a second",
        ),
        (
            "[store]\nretention = { dead = \"59m\" }",
            "store.retention.dead: \"59m\": must be 1h to 3650d",
        ),
        (
            "[store]\nretention = { lanes = \"3651d\" }",
            "store.retention.lanes: \"3651d\": must be 1h to 3650d",
        ),
        (
            "[store]\nretention = { delivered = \"month\" }",
            "store.retention.delivered: \"month\": expected a whole number and a unit, such as 250ms, 5s, 30m, 2h, 1d",
        ),
        (
            "[store]\nretention = { bytes_max = -1 }",
            "store.retention.bytes_max = -1: must be 0 to 9223372036854775807",
        ),
    ];
    for (lines, problem) in table {
        check("\n", lines, problem);
    }
}

#[test]
fn a_batch_has_defaults_and_a_rate_a_burst() {
    let url = "url = \"https://billing.example.com/livekit\"\n";
    let text = BASE.replacen(url, &format!("{url}batch = {{}}\nrate_per_second = 7.2\n"), 1);
    let dump = parse(&text, Path::new("/nowhere")).unwrap().dump();
    for line in ["batch = { events_max = 100, wait = \"2s\" }", "burst = 8", "breaker = true"] {
        assert!(dump.lines().any(|one| one == line), "{line} is not in {dump}");
    }
    let defaults = parse(BASE, Path::new("/nowhere")).unwrap();
    assert!(defaults.ingest.options.source_rate.is_none(), "LiveKit would lose events");
    let day_ms = 24 * 3_600_000;
    let kept = defaults.store.retention;
    let kept_ms = [kept.delivered_ms, kept.dead_ms, kept.quarantined_ms, kept.lanes_ms];
    let days = kept_ms.map(|ms| ms / day_ms);
    assert_eq!((days, kept.bytes_max), ([30, 90, 30, 90], None));
}
