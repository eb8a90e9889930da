//! Mistakes of `[plugins]` and of what a `[[plugin]]` is granted.

use super::mistakes::{SUBSCRIPTION, check};
use super::*;

/// A plugin with these lines must have exactly this problem.
#[track_caller]
fn refused(lines: &str, problem: &str) {
    let plugin =
        format!("{SUBSCRIPTION}[[plugin]]\nname = \"redact\"\nfile = \"redact.wasm\"\n{lines}");
    check(SUBSCRIPTION, &plugin, &[problem]);
}

#[test]
fn grants() {
    let rule = |rule: &str| format!("grant = {{ http = [{{ {rule} }}] }}");
    let host = "plugin[0].grant.http[0].host: expected a name, one whose first label is `*`, or an address, such as api.example.com, *.example.com or 10.0.0.1";
    for wrong in ["https://a.com", "a.com:443", "*.com", "a.*.com", "user@a.com", "*", "a..b"] {
        refused(&rule(&format!("host = {wrong:?}")), host);
    }
    for (lines, problem) in [
        ("methods = [\"POST\"]", "host: is missing, for example host = \"api.example.com\""),
        ("host = \"a.com\", port = 0", "port = 0: must be 1 to 65535"),
        ("host = \"a.com\", scheme = \"ftp\"", "scheme: expected \"https\" or \"http\""),
        (
            "host = \"a.com\", methods = [\"post\"]",
            "methods[0]: expected a method, such as \"POST\"",
        ),
        (
            "host = \"a.com\", path_prefix = \"v1\"",
            "path_prefix: expected a path that begins with a slash, such as \"/v1\"",
        ),
        (
            "host = \"a.com\", secrets = [\"token\"]",
            "secrets[0]: \"token\" is no secret of this plugin: add a [[plugin.secret]]",
        ),
        (
            "host = \"a.com\", path = \"/\"",
            "path: is not known; known here: scheme, host, port, methods, path_prefix, secrets",
        ),
    ] {
        refused(&rule(lines), &format!("plugin[0].grant.http[0].{problem}"));
    }
    for (grant, problem) in [
        ("state = \"write\"", "state: expected \"none\" or \"ro\" or \"rw\""),
        ("clock = 1", "clock: expected \"event\" or \"real\""),
        ("random = \"no\"", "random: expected \"seeded\" or \"system\""),
        (
            "livekit = [\"get\"]",
            "livekit[0]: expected one of get-room, list-participants, get-participant, list-egress",
        ),
        ("htp = []", "htp: is not known, did you mean `http`?"),
    ] {
        refused(&format!("grant = {{ {grant} }}"), &format!("plugin[0].grant.{problem}"));
    }
}

#[test]
fn secrets_of_plugins() {
    refused(
        "secret = [{ name = \"token\" }]",
        "plugin[0].secret[0].secret_file: is missing: give secret_file, secret_env or, for trying things out, secret",
    );
    refused(
        "secret = [{ name = \"a\", secret = \"x\" }, { name = \"a\", secret = \"y\" }]",
        "plugin[0].secret[1].name: \"a\" stands twice",
    );
}

#[test]
fn versions_beside() {
    for (lines, problem) in [
        ("instances = \"cold\"", "instances: expected \"fresh\" or \"warm\""),
        ("learn = 1", "learn: expected true or false, found a whole number"),
        ("shadow = { file = \"none.wasm\" }", "shadow.file: there is no file none.wasm"),
        (
            "canary = { file = \"redact.wasm\", percent = 0 }",
            "canary.percent = 0: must be 1 to 100",
        ),
    ] {
        refused(lines, &format!("plugin[0].{problem}"));
    }
}

#[test]
fn a_chain_is_that_of_every_subscription_that_names_none() {
    let plugin = "[[plugin]]\nname = \"redact\"\nfile = \"redact.wasm\"\n\
                  [[plugin]]\nname = \"other\"\nfile = \"redact.wasm\"\n";
    let folder = folder();
    let chains = |chain: &str| {
        let more = "[[subscription]]\nendpoint = \"billing\"\nplugins = [\"other\"]\n\
                    [[subscription]]\nendpoint = \"billing\"\nplugins = []\n";
        let text = format!("{chain}{BASE}{more}{plugin}");
        let config = parse(&text, folder.path()).unwrap();
        let chains = config.subscriptions.iter().map(|one| one.plugins().to_vec());
        chains.collect::<Vec<_>>()
    };
    let with = chains("[plugins]\nchain = [\"redact\", \"other\"]\n");
    assert_eq!(with, [vec!["redact", "other"], vec!["other"], vec![]]);
    assert_eq!(chains(""), [vec![], vec!["other"], vec![]]);
    let typo = format!("[plugins]\nchain = [\"redct\"]\n{BASE}{plugin}");
    let problems = parse(&typo, folder.path()).map(|config| config.dump()).unwrap_err();
    let expect = "plugins.chain[0]: \"redct\" is not configured; there is: redact, other";
    assert_eq!(problems, [expect]);
}

#[test]
fn the_folder_of_plugins() {
    let plugins = |line: &str| format!("\n[plugins]\n{line}\n[[source]]");
    for (line, problem) in [
        ("folder = \"\"", "plugins.folder: is empty, for example \"livekit-webhook-plugins\""),
        ("state_keys_max = 0", "plugins.state_keys_max = 0: must be 1 to 100000"),
        (
            "state_bytes_max = 999999999",
            "plugins.state_bytes_max = 999999999: must be 1 to 268435456",
        ),
        ("watch = 2", "plugins.watch: expected true or false, found a whole number"),
        ("wach = true", "plugins.wach: is not known, did you mean `watch`?"),
        ("chian = []", "plugins.chian: is not known, did you mean `chain`?"),
        ("chain = \"redact\"", "plugins.chain: expected a list of strings, found a string"),
        ("chain = [1]", "plugins.chain[0]: expected a string, found a whole number"),
        ("chain = [\"redact\"]", "plugins.chain[0]: \"redact\" is not configured; there is: none"),
    ] {
        check("\n[[source]]", &plugins(line), &[problem]);
    }
    let config = parse(BASE, Path::new("/etc/gateway")).unwrap();
    assert_eq!(config.deploy.folder, Path::new("/etc/gateway/livekit-webhook-plugins"));
    assert!(config.deploy.watch);
}
