//! What an operator adds to requests, and what is said when it cannot be used.

use super::*;

const SIGNED: &str = "secret = \"whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\"";

/// The base with `lines` in place of the endpoint's secret must have exactly these problems.
#[track_caller]
fn check(lines: &str, expect: &[&str]) {
    let folder = folder();
    let text = BASE.replacen(SIGNED, lines, 1);
    let found = parse(&text, folder.path()).map(|config| config.dump()).unwrap_err();
    let path = format!("{}/", folder.path().display());
    let found: Vec<String> = found.iter().map(|problem| problem.replace(&path, "")).collect();
    assert_eq!(found, expect, "{lines}");
}

#[track_caller]
fn check_more(line: &str, expect: &str) {
    check(&format!("{SIGNED}\n{line}"), &[expect]);
}

#[test]
fn headers() {
    let own = "cannot be set here: a delivery sets it itself, or it is not a header name of a-z, 0-9, `-` and `_`";
    for name in ["Host", "connection", "Content-Length", "webhook-id", "authorization", "a b"] {
        let expect = format!("endpoint[0].headers.{name}: {own}");
        check_more(&format!("headers = {{ \"{name}\" = \"a\" }}"), &expect);
    }
    let value = "endpoint[0].headers.x-a: a value has 1 to 4096 printable ASCII characters";
    check_more("headers = { x-a = \"ä\" }", value);
    check_more("headers = { x-a = \"a\\nb\" }", value);
    check_more(
        "headers = { x-a = 1 }",
        "endpoint[0].headers.x-a: expected a string, or a table with secret_file or secret_env, found a whole number",
    );
    check_more(
        "headers = { x-a = { secret_env = \"NONE\" } }",
        "endpoint[0].headers.x-a.secret_env: the variable NONE is not set",
    );
    check_more(
        "headers = { x-a = { secret = \"a\", scret = \"b\" } }",
        "endpoint[0].headers.x-a.scret: is not known, did you mean `secret`?",
    );
    check_more(
        "headers = [\"x-a: b\"]",
        "endpoint[0].headers: expected a table, for example headers = { \"x-tenant\" = \"blue\" }, found a list",
    );
    check_more(
        "headers = { x-a = \"a\", X-A = \"b\" }",
        "endpoint[0].headers: the header x-a is set twice",
    );
}

#[test]
fn attribute_headers() {
    let check_at = |patterns: &str, key: &str, problem: &str| {
        let expect = format!("endpoint[0].attribute_headers{key}: {problem}");
        check_more(&format!("attribute_headers = {patterns}"), &expect);
    };
    let name = "matches no header that an attribute can be: a delivery sets it itself, or it has other than a-z, 0-9, `-`, `_` and `*`";
    for wrong in ["Ce-*", "content-type", "host", "webhook-*", "authorization", "a b"] {
        check_at(&format!("[\"x-*\", \"{wrong}\"]"), "[1]", name);
    }
    check_at("[\"\"]", "[0]", "the pattern is empty");
    check_at("\"ce-*\"", "", "expected a list of strings, found a string");
    check_at("[1]", "[0]", "expected a string, found a whole number");
    let two = ["[1]", "[2]"].map(|at| format!("endpoint[0].attribute_headers{at}: {name}"));
    check(
        &format!("{SIGNED}\nattribute_headers = [\"x-*\", \"A\", \"host\"]"),
        &[&two[0], &two[1]],
    );
    let many = vec!["\"a\""; 18].join(", ");
    check_at(&format!("[{many}]"), "[16]", "at most 16 patterns are allowed");
    check_at(
        "[\"ce-*\"]\nbatch = {}",
        "",
        "cannot be had together with batch: a batch has one head for many events",
    );
    let twice = "the header x-a is set twice";
    check_at("[\"x-a\"]\nheaders = { X-A = \"a\" }", "", twice);
    let signed = "signing = [\"hmac\"]\nhmac = { header = \"X-A\", secret = \"s\" }\n";
    let expect = format!("endpoint[0].attribute_headers: {twice}");
    check(&format!("{signed}attribute_headers = [\"x-a\"]"), &[&expect]);
}

#[test]
fn content_type() {
    let expect = "endpoint[0].content_type: must be a media type of at most 128 bytes, such as application/cloudevents+json, and none where deliveries are signed as LiveKit does";
    for wrong in ["", "json", "a/b/c", "a b/c", "a/\\n", "a/b; x=\\u00e4"] {
        check_more(&format!("content_type = \"{wrong}\""), expect);
    }
    check_more(&format!("content_type = \"a/{}\"", "b".repeat(127)), expect);
}

#[test]
fn auth() {
    let one = "endpoint[0].auth: give one of basic, bearer and oauth2, such as auth = { bearer = { secret_file = \"token\" } }";
    check_more("auth = {}", one);
    check_more("auth = { digest = {} }", one);
    check_more("auth = { bearer = { secret = \"a\" }, basic = { user = \"u\" } }", one);
    check_more(
        "auth = { basic = { user = \"a:b\", secret = \"hush\" } }",
        "endpoint[0].auth.basic.user: a user name has 1 to 1024 bytes, no colon and no control characters",
    );
    check_more(
        "auth = { bearer = { secret = \"a b\" } }",
        "endpoint[0].auth.bearer.secret: a token has printable ASCII characters and no spaces",
    );
    check_more(
        "auth = { bearer = { secret = \"a\", token = \"b\" } }",
        "endpoint[0].auth.bearer.token: is not known; known here: secret_file, secret_env, secret",
    );
    let oauth = |members: &str| {
        format!("auth = {{ oauth2 = {{ client_id = \"a\", secret = \"b\", {members} }} }}")
    };
    check_more(
        &oauth("scope = \"s\""),
        "endpoint[0].auth.oauth2.token_url: is missing, for example token_url = \"https://id.example.com/oauth/token\"",
    );
    check_more(
        &oauth("token_url = \"https://169.254.169.254/\""),
        "endpoint[0].auth.oauth2.token_url: 169.254.169.254 is in 169.254.0.0/16 (link-local, cloud metadata); [deliver] allow can make an exception by network and port",
    );
    check_more(
        &oauth("token_url = \"https://id.example.com/\", scope = \"a  b\""),
        "endpoint[0].auth.oauth2.scope: a scope is a list of words of printable ASCII, separated by single spaces",
    );
    check_more(
        &oauth("token_url = \"https://id.example.com/\", client_auth = \"jwt\""),
        "endpoint[0].auth.oauth2.client_auth: expected \"basic\" or \"body\"",
    );
    check(
        "signing = [\"livekit\"]\nlivekit = { api_key = \"a\", secret = \"b\" }\nauth = { bearer = { secret = \"a\" } }",
        &[
            "endpoint[0].auth: signing = [\"livekit\"] sends its token where auth would send its own: use only one",
        ],
    );
}

#[test]
fn tls() {
    let table = [
        (
            "ca_file = \"none.pem\"",
            "endpoint[0].ca_file: cannot read none.pem: No such file or directory (os error 2)",
        ),
        (
            "ca_file = \"client.key\"",
            "endpoint[0].ca_file: client.key holds no certificate in PEM form",
        ),
        (
            "client_certificate_file = \"client.pem\"",
            "endpoint[0].client_key_file: is missing: the certificate needs its key",
        ),
        (
            "client_key_file = \"client.key\"",
            "endpoint[0].client_certificate_file: is missing: the key needs its certificate",
        ),
        (
            "client_certificate_file = \"client.pem\"\nclient_key_file = \"client.pem\"",
            "endpoint[0].client_key_file: client.pem holds no private key in PEM form without a passphrase",
        ),
    ];
    for (lines, expect) in table {
        check_more(lines, expect);
    }
    if cfg!(unix) {
        let endless = "endpoint[0].ca_file: /dev/zero is over 262144 bytes";
        check_more("ca_file = \"/dev/zero\"", endless);
    }
}

#[test]
fn secrets_that_replace_each_other() {
    let secrets = |members: &str| format!("secrets = [{{ {SIGNED}, {members} }}]");
    let time = "expected a time with its offset, such as \"2026-12-01T00:00:00Z\"";
    let wrong = format!("endpoint[0].secrets[0].expires: {time}");
    check(&secrets("expires = \"tomorrow\""), &[&wrong]);
    check(&secrets("expires = 2026-12-01"), &[&wrong]);
    check(&secrets("expires = 1"), &[&format!("{wrong}, found a whole number")]);
    let gap = "endpoint[0].secrets: one secret must sign where another expires: leave out `expires` of the newest, or let another begin by then";
    check(&secrets("expires = 2026-12-01T00:00:00Z"), &[gap]);
    check(
        &secrets("begins = 2026-12-01T00:00:00Z, expires = 2026-11-01T00:00:00Z"),
        &["endpoint[0].secrets[0].expires: the secret expires before it begins"],
    );
    check(
        "secret = \"whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=\"",
        &[
            "endpoint[0].secret: a `whpk_` is the public key, which receivers verify with: give the `whsk_` here",
        ],
    );
    check(
        &format!("{SIGNED}\nexpires = 2026-12-01T00:00:00Z"),
        &[
            "endpoint[0].expires: is not known; known here: name, url, signing, secrets, secret_file, secret_env, secret, livekit, hmac, headers, attribute_headers, auth, content_type, ca_file, client_certificate_file, client_key_file, max_age, retry, client_errors, ordered, skip_after, batch, rate_per_second, burst, breaker, auto_disable, attempt_timeout_ms, in_flight_max",
        ],
    );
}
