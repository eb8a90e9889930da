//! One mistake, one sentence that says where and what would be right.

use super::*;

/// The base with `from` replaced by `to` must have exactly these problems.
#[track_caller]
pub fn check(from: &str, to: &str, expect: &[&str]) {
    assert!(BASE.contains(from), "{from}");
    let folder = folder();
    let text = BASE.replacen(from, to, 1);
    let found = parse(&text, folder.path()).map(|config| config.dump()).unwrap_err();
    let path = format!("{}/", folder.path().display());
    let found: Vec<String> = found.iter().map(|problem| problem.replace(&path, "")).collect();
    assert_eq!(found, expect, "{text}");
}

const ENDPOINT: &str = "name = \"billing\"\n";
const SOURCE: &str = "name = \"prod\"\n";
const KEYS: &str = "keys = [{ api_key = \"APIabc\", secret = \"hush\" }]";
const URL: &str = "url = \"https://billing.example.com/livekit\"";
const SIGNED: &str = "secret = \"whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\"";
const SERVER_SCHEME: &str =
    "source[0].server: expected a URL that begins with https:// (https, http, wss or ws)";
pub const SUBSCRIPTION: &str = "endpoint = \"billing\"\n";

#[test]
fn names_types_and_ranges() {
    let ingest = |line: &str| format!("\n[ingest]\n{line}\n[[source]]");
    let table = [
        ("lisen = \"x\"", "ingest.lisen: is not known, did you mean `listen`?"),
        ("listen = 8080", "ingest.listen: expected a string, found a whole number"),
        (
            "listen = \"8080\"",
            "ingest.listen: \"8080\": expected an address and a port, such as 127.0.0.1:8080 or [::]:8080",
        ),
        ("connections_max = 0", "ingest.connections_max = 0: must be 1 to 100000"),
        ("leeway_s = 301", "ingest.leeway_s = 301: must be 0 to 300"),
        ("leeway_s = 1.5", "ingest.leeway_s: expected a whole number, found a fraction"),
        (
            "accept_bearer_prefix = 1",
            "ingest.accept_bearer_prefix: expected true or false, found a whole number",
        ),
        ("on_unverified = \"keep\"", "ingest.on_unverified: expected \"reject\" or \"quarantine\""),
        (
            "body_bytes_in_flight_max = 4096",
            "ingest.body_bytes_in_flight_max = 4096: must be 8388608 to 17179869184",
        ),
    ];
    for (line, problem) in table {
        check("\n[[source]]", &ingest(line), &[problem]);
    }
    check(
        "\n[[source]]",
        "\ningest = 1\n[[source]]",
        &["ingest: expected a table, written [ingest], found a whole number"],
    );
    let unknown = "servers: is not known; known here: ingest, admin, store, deliver, source, plugins, plugin, secrets, endpoint, subscription";
    check("\n[[source]]", "\nservers = 1\n[[source]]", &[unknown]);
    let url = "store.url: expected sqlite: and a file, such as sqlite:livekit-webhook.db, or postgres://USER@HOST/DATABASE";
    check("\n[[source]]", "\n[store]\nurl = \"mysql://h\"\n[[source]]", &[url]);
}

#[test]
fn sources_and_keys() {
    check(SOURCE, "", &["source[0].name: is missing, for example name = \"prod\""]);
    check(
        SOURCE,
        "name = \"Prod 1\"\n",
        &["source[0].name: a name is 1 to 64 of a-z, 0-9, `-` and `_`"],
    );
    let missing = "source[0].keys: is missing, for example keys = [{ api_key = \"APIabc\", secret_file = \"livekit.secret\" }]";
    check(KEYS, "", &[missing]);
    let key = |members: &str| format!("keys = [{{ api_key = \"APIabc\", {members} }}]");
    let table = [
        (
            "secret_file = \"none\"",
            "source[0].keys[0].secret_file: cannot read none: No such file or directory (os error 2)",
        ),
        ("secret_file = \"empty.secret\"", "source[0].keys[0].secret_file: the secret is empty"),
        ("secret_env = \"NONE\"", "source[0].keys[0].secret_env: the variable NONE is not set"),
        ("secret_env = \"EMPTY\"", "source[0].keys[0].secret_env: the secret is empty"),
        ("secret = \"\"", "source[0].keys[0].secret: the secret is empty"),
        (
            "secret = \"a\", secret_env = \"OLD_SECRET\"",
            "source[0].keys[0].secret_file: give only one of secret_file, secret_env and secret",
        ),
        (
            "secrets = \"a\", secret = \"b\"",
            "source[0].keys[0].secrets: is not known, did you mean `secret`?",
        ),
    ];
    for (members, problem) in table {
        check(KEYS, &key(members), &[problem]);
    }
    if cfg!(unix) {
        let endless = "source[0].keys[0].secret_file: /dev/zero is over 65536 bytes";
        check(KEYS, &key("secret_file = \"/dev/zero\""), &[endless]);
    }
    let second = |name: &str| format!("{KEYS}\n[[source]]\nname = \"{name}\"\n{KEYS}");
    check(
        KEYS,
        &second("staging"),
        &["source[1].keys: the key APIabc belongs to source prod already"],
    );
    check(KEYS, &second("prod"), &["source[1].name: \"prod\" stands twice"]);
    check(
        "\n[[source]]\nname = \"prod\"\n",
        "\n[other]\n",
        &[
            "source: is missing: one [[source]] for each LiveKit project",
            "other: is not known; known here: ingest, admin, store, deliver, source, plugins, plugin, secrets, endpoint, subscription",
        ],
    );
}

#[test]
fn servers_of_sources() {
    let alone = "source[0].server: must be the address alone, such as https://lk.example.com";
    let table = [
        ("https://lk.example.com/rtc", alone),
        ("https://lk.example.com/?a=b", alone),
        ("lk.example.com", SERVER_SCHEME),
        ("ftp://lk.example.com", SERVER_SCHEME),
    ];
    for (url, problem) in table {
        check(KEYS, &format!("{KEYS}\nserver = \"{url}\""), &[problem]);
    }
    for url in ["http://127.0.0.1:7880", "ws://livekit", "wss://a.b/", "https://[::1]:7880"] {
        let server = format!("{KEYS}\nserver = \"{url}\"");
        parse(&BASE.replacen(KEYS, &server, 1), Path::new("/nowhere")).unwrap();
    }
}

#[test]
fn the_limit_of_keys_is_one_for_all_sources() {
    let keys = |source: &str, count: usize| {
        let key = |number| format!("{{ api_key = \"{source}{number}\", secret = \"s\" }}");
        (0..count).map(key).collect::<Vec<_>>().join(", ")
    };
    let two = |count| {
        format!(
            "keys = [{}]\n[[source]]\nname = \"b\"\nkeys = [{}]",
            keys("A", 32),
            keys("B", count)
        )
    };
    parse(&BASE.replacen(KEYS, &two(32), 1), Path::new("/nowhere")).unwrap();
    check(KEYS, &two(33), &["source[1].keys[32]: more than 64 keys"]);
}

#[test]
fn endpoints() {
    let table = [
        ("url = 1", "endpoint[0].url: expected a string, found a whole number"),
        (
            "",
            "endpoint[0].url: is missing, for example url = \"https://billing.example.com/livekit\"",
        ),
        ("url = \"billing\"", "endpoint[0].url: expected a URL that begins with https://"),
        (
            "url = \"http://billing.example.com\"",
            "endpoint[0].url: plain http is not allowed here: use https; [deliver] allow can make an exception by network and port, such as allow = [\"10.1.0.0/16:8080\"], and plain_http = true one for every public address",
        ),
        (
            "url = \"https://10.0.0.1/\"",
            "endpoint[0].url: 10.0.0.1 is in 10.0.0.0/8 (private); [deliver] allow can make an exception by network and port",
        ),
        (
            "url = \"https://localhost/\"",
            "endpoint[0].url: the host name localhost is local; [deliver] allow can make an exception by network and port",
        ),
    ];
    for (url, problem) in table {
        check(URL, url, &[problem]);
    }
    let retry = "endpoint[0].retry: expected \"default\", \"realtime\" or a list of waits such as [\"0s\", \"5s\", \"5m\"]";
    let table = [
        ("retry = \"often\"", retry),
        ("retry = 5", retry),
        ("retry = []", "endpoint[0].retry: a retry schedule has 1 to 32 steps, this one has 0"),
        (
            "retry = [\"0s\", 5]",
            "endpoint[0].retry[1]: expected a duration such as \"5s\", found a whole number",
        ),
        (
            "retry = [\"5\"]",
            "endpoint[0].retry[0]: \"5\": expected a whole number and a unit, such as 250ms, 5s, 30m, 2h, 1d",
        ),
        (
            "retry = [\"2d\"]",
            "endpoint[0].retry: step 1 is 172800000 ms, it must be 0 to 86400000 ms (24 hours)",
        ),
        (
            "max_age = \"0s\"",
            "endpoint[0].retry: max_age is 0 ms, it must be 1 to 1209600000 ms (14 days)",
        ),
        (
            "max_age = \"soon\"",
            "endpoint[0].max_age: \"soon\": expected a whole number and a unit, such as 250ms, 5s, 30m, 2h, 1d",
        ),
        ("client_errors = \"drop\"", "endpoint[0].client_errors: expected \"retry\" or \"final\""),
        ("in_flight_max = 1001", "endpoint[0].in_flight_max = 1001: must be 1 to 1000"),
        ("attempt_timeout_ms = 0", "endpoint[0].attempt_timeout_ms = 0: must be 1 to 120000"),
    ];
    for (line, problem) in table {
        check(URL, &format!("{URL}\n{line}"), &[problem]);
    }
    check(
        ENDPOINT,
        "name = \"x\"\n",
        &["subscription[0].endpoint: \"billing\" is not configured; there is: x"],
    );
    let twice = format!("{SIGNED}\n[[endpoint]]\n{ENDPOINT}{URL}\n{SIGNED}");
    check(SIGNED, &twice, &["endpoint[1].name: \"billing\" stands twice"]);
}

#[test]
fn signing() {
    let standard = "endpoint[0].secret: expected `whsec_` and the base64 of 24 to 64 bytes, or `whsk_` and the base64 of an Ed25519 private key";
    let none = "is missing: give secret_file, secret_env or, for trying things out, secret";
    let three = vec![format!("{{ {SIGNED} }}"); 5].join(", ");
    let table = [
        (String::new(), vec![format!("endpoint[0].secret_file: {none}")]),
        ("secret = \"hush\"".to_owned(), vec![standard.to_owned()]),
        (format!("signing = [\"md5\"]\n{SIGNED}"), vec![
            "endpoint[0].signing[0]: \"md5\": expected \"standard\", \"livekit\" or \"hmac\"".to_owned(),
            "endpoint[0].secret: is not used: signing does not name \"standard\"".to_owned(),
        ]),
        ("signing = [\"hmac\", \"hmac\"]\nhmac = { secret = \"a\" }".to_owned(),
            vec!["endpoint[0].signing[1]: \"hmac\" stands twice".to_owned()]),
        ("signing = [\"hmac\"]".to_owned(), vec![format!("endpoint[0].hmac.secret_file: {none}")]),
        ("signing = [\"hmac\"]\nhmac = { header = \"host\", secret = \"a\" }".to_owned(),
            vec!["endpoint[0].hmac.header: expected the name of a header that is not set otherwise, such as `x-signature`".to_owned()]),
        ("signing = [\"livekit\"]\nlivekit = { secret = \"a\" }".to_owned(),
            vec!["endpoint[0].livekit.api_key: is missing, for example api_key = \"APIreceiver\"".to_owned()]),
        (format!("signing = []\n{SIGNED}"),
            vec!["endpoint[0].secret: is not used: signing does not name \"standard\"".to_owned()]),
        (format!("{SIGNED}\nhmac = {{ secret = \"a\" }}"),
            vec!["endpoint[0].hmac: is not used: signing does not name \"hmac\"".to_owned()]),
        (format!("{SIGNED}\nsecrets = [{{ {SIGNED} }}]"),
            vec!["endpoint[0].secret: give either it or secrets, which holds all of them".to_owned()]),
        (format!("secrets = [{three}]"),
            vec!["endpoint[0].secrets: expected 1 to 4 secrets, found 5".to_owned()]),
    ];
    for (lines, problems) in table {
        let problems: Vec<&str> = problems.iter().map(String::as_str).collect();
        check(SIGNED, &lines, &problems);
    }
}

#[test]
fn subscriptions_and_plugins() {
    let long = "x".repeat(257);
    let table = [
        (
            "plugins = [\"redact\"]".to_owned(),
            "subscription[0].plugins[0]: \"redact\" is not configured; there is: none",
        ),
        (
            "sources = [\"prod\", \"test\"]".to_owned(),
            "subscription[0].sources[1]: \"test\" is not configured; there is: prod",
        ),
        (
            "events = [\"room_*\", \"\"]".to_owned(),
            "subscription[0].events[1]: the pattern is empty",
        ),
        (
            format!("rooms = [\"{long}\"]"),
            "subscription[0].rooms[0]: the pattern has 257 bytes, at most 256 are allowed",
        ),
        (
            "rooms = \"*\"".to_owned(),
            "subscription[0].rooms: expected a list of strings, found a string",
        ),
    ];
    for (line, problem) in table {
        check(SUBSCRIPTION, &format!("{SUBSCRIPTION}{line}"), &[problem]);
    }
    let plugin = |lines: &str| format!("{SUBSCRIPTION}[[plugin]]\nname = \"redact\"\n{lines}");
    let file = "file = \"redact.wasm\"\n";
    let table = [
        ("".to_owned(), "plugin[0].file: is missing, for example file = \"redact.wasm\""),
        ("file = \"none.wasm\"".to_owned(), "plugin[0].file: there is no file none.wasm"),
        (
            format!("{file}on_error = \"skip\""),
            "plugin[0].on_error: expected \"fail\", \"pass\" or \"drop\"",
        ),
        (
            format!("{file}config = {{ rate = nan }}"),
            "plugin[0].config: NaN: JSON has no such number",
        ),
        (
            format!("{file}limits = {{ cpu_pure_ms = \"1\" }}"),
            "plugin[0].limits.cpu_pure_ms: expected a whole number",
        ),
        (
            format!("{file}limits = 1"),
            "plugin[0].limits: expected a table, for example limits = { cpu_pure_ms = 100 }",
        ),
        (
            format!("{file}[[plugin]]\nname = \"redact\"\n{file}"),
            "plugin[1].name: \"redact\" stands twice",
        ),
    ];
    for (lines, problem) in table {
        check(SUBSCRIPTION, &plugin(&lines), &[problem]);
    }
    let allow = "deliver.allow[0]: expected a network and its ports, such as 10.1.0.0/16:8080 or [fd00::/8]:443";
    check("\n[[source]]", "\n[deliver]\nallow = [\"10.0.0.1\"]\n[[source]]", &[allow]);
}

#[test]
fn a_date_in_a_plugins_configuration_is_its_text() {
    let folder = folder();
    let plugin = "[[plugin]]\nname = \"redact\"\nfile = \"redact.wasm\"\nconfig = { since = 2026-01-02T03:04:05Z }";
    let config = parse(&format!("{BASE}\n{plugin}"), folder.path()).unwrap();
    assert_eq!(config.plugins[0].config, r#"{"since":"2026-01-02T03:04:05Z"}"#);
}

#[test]
fn what_is_not_toml_says_where() {
    let problems = parse("[ingest\nlisten = 1", Path::new("")).unwrap_err();
    assert_eq!(problems.len(), 1);
    assert!(problems[0].starts_with("not TOML: TOML parse error at line 1"), "{problems:?}");
}

#[test]
fn all_mistakes_are_told_at_once_in_the_order_of_the_sections() {
    let text = "admn = 1\n[ingest]\nconnections_max = 0\n[deliver]\ngrace_ms = \"25s\"\nproxy = \"http://egress:1\"\nhost = \"a b\"\n"
        .to_owned()
        + &BASE.replace("\"hush\"", "\"\"").replace("https://", "ftp://");
    assert_eq!(
        parse(&text, Path::new("/nowhere")).unwrap_err(),
        [
            "ingest.connections_max = 0: must be 1 to 100000",
            "deliver.grace_ms: expected a whole number, found a string",
            "deliver.proxy: must be `http://ADDRESS:PORT`, an address and not a name",
            "deliver.host: must be 1 to 255 printable characters, no spaces",
            "source[0].keys[0].secret: the secret is empty",
            "endpoint[0].url: expected a URL that begins with https://",
            "admn: is not known, did you mean `admin`?",
        ]
    );
}
