use super::*;
use proptest::prelude::*;

fn http<'a>(method: &'a str, host: &'a str, path: &'a str, secrets: &'a [&'a str]) -> Use<'a> {
    Use::Http { scheme: Scheme::Https, host, port: 443, method, path, secrets }
}

fn grant(uses: &[Use<'_>]) -> Permissions {
    let mut observed = Observed::default();
    for used in uses {
        observed.add(*used);
    }
    observed.grant()
}

#[track_caller]
fn check(uses: &[Use<'_>], expect: &str) {
    let expect: Permissions = toml::from_str(expect).unwrap();
    assert_eq!(grant(uses), expect);
}

#[test]
fn one_request_is_granted_and_nothing_more() {
    check(
        &[http("POST", "api.example.com", "/v1/users?x=1", &["token"])],
        r#"http = [{ host = "api.example.com", methods = ["POST"], path_prefix = "/v1/users",
            secrets = ["token"] }]"#,
    );
}

#[test]
fn paths_share_whole_segments() {
    for (paths, prefix) in [
        (&["/v1/a/x", "/v1/a/y"][..], Some("/v1/a")),
        (&["/v1/a", "/v1/ab"], Some("/v1")),
        (&["/v1/", "/v1"], Some("/v1")),
        (&["/v1", "/v1/x", "/v1?y"], Some("/v1")),
        (&["/v1", "/v2"], None),
        (&["/", "/v2"], None),
        (&["//a", "//b"], Some("/")),
    ] {
        let uses: Vec<_> = paths.iter().map(|path| http("GET", "a.com", path, &[])).collect();
        let found = grant(&uses).http[0].path_prefix.clone();
        assert_eq!(found.as_deref(), prefix, "{paths:?}");
    }
}

#[test]
fn hosts_ports_and_schemes_have_rules_of_their_own() {
    let uses = [
        http("GET", "a.com", "/", &[]),
        http("POST", "a.com", "/", &["one", "two"]),
        http("GET", "b.com", "/x", &[]),
        Use::Http {
            scheme: Scheme::Http,
            host: "a.com",
            port: 8080,
            method: "GET",
            path: "/",
            secrets: &[],
        },
        Use::Http {
            scheme: Scheme::Http,
            host: "a.com",
            port: 80,
            method: "GET",
            path: "/",
            secrets: &[],
        },
    ];
    check(
        &uses,
        r#"http = [
            { scheme = "http", host = "a.com", methods = ["GET"] },
            { host = "a.com", methods = ["GET", "POST"], secrets = ["one", "two"] },
            { scheme = "http", host = "a.com", port = 8080, methods = ["GET"] },
            { host = "b.com", methods = ["GET"], path_prefix = "/x" },
        ]"#,
    );
}

#[test]
fn state_and_livekit_as_far_as_they_were_used() {
    let read = Use::State(StateAccess::Read);
    check(&[read], "state = \"ro\"");
    check(&[Use::State(StateAccess::Write), read], "state = \"rw\"");
    let room = Use::LiveKit(LiveKitFunction::GetRoom);
    let egress = Use::LiveKit(LiveKitFunction::ListEgress);
    check(&[egress, room, egress], "livekit = [\"get-room\", \"list-egress\"]");
    check(&[], "");
}

#[test]
fn only_another_grant_is_a_change() {
    let mut observed = Observed::default();
    assert!(observed.add(http("GET", "a.com", "/v1/x", &[])));
    assert!(!observed.add(http("GET", "a.com", "/v1/x", &[])));
    assert!(observed.add(http("GET", "a.com", "/v1/y", &[])));
    assert!(!observed.add(http("GET", "a.com", "/v1/z", &[])));
    assert!(observed.add(http("GET", "a.com", "/v1/z", &["token"])));
    assert!(observed.add(Use::State(StateAccess::Write)));
    assert!(!observed.add(Use::State(StateAccess::Read)));
}

#[test]
fn what_is_observed_has_limits() {
    let mut observed = Observed::default();
    for number in 0..HOSTS_MAX + 5 {
        observed.add(http("GET", &format!("h{number}.com"), "/", &[]));
    }
    for number in 0..METHODS_MAX + 5 {
        observed.add(http(&format!("M{number}"), "h0.com", "/", &[]));
    }
    let grant = observed.grant();
    assert_eq!(grant.http.len(), HOSTS_MAX);
    let first = grant.http.iter().find(|rule| rule.host == "h0.com").unwrap();
    assert_eq!(first.methods, [""; 0], "any");
}

#[test]
fn the_file_is_as_an_operator_would_write_it_and_is_gone_on_with() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("crm").join("grant.toml");
    let learner = Learner::new(file.clone());
    learner.observe("crm", http("POST", "api.example.com", "/v1/users", &["token"]));
    learner.observe("crm", Use::State(StateAccess::Read));
    learner.observe("crm", Use::LiveKit(LiveKitFunction::GetRoom));
    let expect = "\
# What the plugin crm has used so far. Read it, put it below its [[plugin]] in the
# configuration, and take `learn = true` away.
[plugin.grant]
state = \"ro\"
livekit = [\"get-room\"]

[[plugin.grant.http]]
host = \"api.example.com\"
methods = [\"POST\"]
path_prefix = \"/v1/users\"
secrets = [\"token\"]
";
    assert_eq!(fs::read_to_string(&file).unwrap(), expect);
    // After a restart.
    let learner = Learner::new(file.clone());
    fs::remove_file(&file).unwrap();
    learner.observe("crm", Use::State(StateAccess::Read));
    assert!(!file.exists(), "nothing is new");
    learner.observe("crm", http("GET", "api.example.com", "/v1/rooms", &[]));
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.contains("methods = [\"GET\", \"POST\"]\npath_prefix = \"/v1\"\n"), "{text}");
    assert!(text.contains("livekit = [\"get-room\"]"), "{text}");
}

#[test]
fn everything_that_can_be_granted_is_read_as_it_was_written() {
    let grant: Permissions = toml::from_str(
        r#"state = "rw"
        livekit = ["list-participants", "get-participant"]
        clock = "real"
        random = "system"
        http = [
            { host = "b.com", port = 8443, methods = ["PUT"], path_prefix = "/a \"\\\u007f é" },
            { scheme = "http", host = "127.0.0.1", secrets = ["a", "b"] },
        ]"#,
    )
    .unwrap();
    let text = text("p", &grant);
    let read: Pasted = toml::from_str(&text).unwrap();
    assert_eq!(read.plugin.grant, grant, "{text}");
    let nothing: Pasted = toml::from_str(&super::text("p", &Permissions::default())).unwrap();
    assert!(nothing.plugin.grant.is_none());
}

#[test]
fn a_file_that_cannot_be_read_is_begun_anew_and_one_that_cannot_be_written_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("grant.toml");
    fs::write(&file, "grant = 7").unwrap();
    assert!(Learner::new(file).grant().is_none());
    let learner = Learner::new(folder.path().join("grant.toml").join("below a file"));
    learner.observe("crm", Use::State(StateAccess::Write));
    assert_eq!(learner.grant().state, StateAccess::Write);
}

#[test]
fn what_was_read_is_what_was_written() {
    let grant: Permissions = toml::from_str(
        r#"state = "rw"
        livekit = ["list-participants"]
        clock = "real"
        random = "system"
        http = [{ host = "*.example.com" }, { host = "b.com", port = 8443, methods = ["put"] }]"#,
    )
    .unwrap();
    let again = Observed::of(&grant).grant();
    assert_eq!((again.clock, again.random), (Clock::Real, Random::System));
    assert_eq!(grant.beyond(&again), [""; 0]);
    assert_eq!(again.beyond(&grant), [""; 0]);
}

proptest! {
    #[test]
    fn every_use_that_was_observed_is_granted(
        uses in prop::collection::vec(("[ab]\\.com", "(/[a-c]{0,2}){1,4}", "GET|PUT|POST"), 1..20),
    ) {
        let uses: Vec<_> =
            uses.iter().map(|(host, path, method)| http(method, host, path, &[])).collect();
        let grant = grant(&uses);
        for used in uses {
            let Use::Http { host, method, path, .. } = used else { continue };
            let is_granted = grant.http.iter().any(|rule| {
                rule.is_host(host) && rule.is_method(method) && rule.is_path(path)
            });
            prop_assert!(is_granted, "{used:?} by {grant:?}");
        }
    }
}
