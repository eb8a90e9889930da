use super::*;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::{Args as _, FromArgMatches as _};
use livekit_webhook_wire::sign;
use serde_json::Value;

const VECTORS: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/livekit-webhooks.jsonl");
const NOW_S: i64 = 1_795_435_200;

fn code(code: ExitCode) -> String {
    format!("{code:?}")
}

fn vectors(text: &[u8]) -> (String, String) {
    let mut out = Vec::new();
    let exit = vectors::run(text, false, &mut out).unwrap();
    (code(exit), String::from_utf8(out).unwrap())
}

fn pair() -> KeyPair {
    KeyPair { api_key: "k".into(), secret: b"c2VjcmV0LWZvci10ZXN0cw".to_vec() }
}

/// Signed with `signed_with` over `signed`, arrived as `arrived`.
fn capture(signed_with: &[u8], signed: &[u8], arrived: &[u8]) -> Capture {
    let token = sign::authorization("k", signed_with, signed, NOW_S);
    Capture {
        headers: vec![("Authorization".into(), token.into_bytes())],
        body: arrived.to_vec(),
        notes: Vec::new(),
    }
}

#[track_caller]
fn check(capture: &Capture, reason: &str, cause: &str) {
    let report = report::judge(capture, &[pair()], NOW_S).unwrap();
    assert_eq!(report.code(), Some(reason));
    let causes = report.causes();
    assert!(causes.iter().any(|found| found.contains(cause)), "{causes:?}");
}

#[test]
fn every_vector_is_judged_as_expected() {
    let (exit, out) = vectors(&std::fs::read(VECTORS).unwrap());
    assert!(!out.contains("DIFF"), "{out}");
    assert!(out.ends_with("137 judged, 0 differ from what is expected\n"), "{out}");
    assert_eq!(exit, code(ExitCode::SUCCESS));
}

#[test]
fn a_difference_and_a_bad_line_are_told() {
    let text = std::fs::read_to_string(VECTORS).unwrap();
    let first = text.lines().next().unwrap();
    let lied = first.replace(r#""expected":"accept""#, r#""expected":"reject""#);
    assert_ne!(first, lied);
    let (exit, out) = vectors(lied.as_bytes());
    assert_eq!(exit, code(ExitCode::FAILURE));
    assert!(out.starts_with("DIFF accept"), "{out}");
    for bad in ["{", "{}", r#"{"headers":[["a"]]}"#] {
        let (exit, out) = vectors(format!("{first}\n{bad}\n").as_bytes());
        assert_eq!(exit, code(ExitCode::from(USAGE)));
        assert!(out.contains("error: line 2: "), "{out}");
    }
}

/// What happened to each of these vectors is known, and must be named.
#[test]
fn the_cause_of_known_accidents_is_found() {
    let known = [
        ("bad/bearer-prefix", "Without it the request is authentic"),
        ("bad/secret-trailing-newline", "without the white space around it"),
        ("bad/duplicate-header-first-good", "added on the way"),
        ("bad/unknown-issuer", "The secret is right, the name is not"),
        ("bad/body-reserialized", "parsed and written again"),
        ("bad/body-appended-newline", "added at the end"),
        ("bad/body-crlf", "line ends"),
        ("bad/body-utf16", "UTF-16"),
        ("bad/body-of-other-event", "two different requests"),
        ("bad/authorize-header-only", "`Authorize`"),
        ("bad/expired", "expired"),
        ("bad/exp-milliseconds-nbf", "milliseconds"),
        ("bad/clock-nbf-61s-ahead", "61 s in the future"),
        ("bad/join-token-crafted-metadata", "room access token"),
    ];
    let text = std::fs::read_to_string(VECTORS).unwrap();
    for (name, cause) in known {
        let line = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let vector = line.into_iter().find(|vector| vector["name"] == name);
        let vector = vector.unwrap_or_else(|| panic!("no vector {name}"));
        let headers = vector["headers"].as_array().unwrap().iter();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let capture = Capture {
            headers: headers.map(|h| (text(&h[0]), text(&h[1]).into_bytes())).collect(),
            body: STANDARD.decode(vector["body_base64"].as_str().unwrap()).unwrap(),
            notes: Vec::new(),
        };
        let secret = text(&vector["secret"]).into_bytes();
        let pairs = [KeyPair { api_key: text(&vector["api_key"]), secret }];
        let report = report::judge(&capture, &pairs, vector["now"].as_i64().unwrap()).unwrap();
        let causes = report.causes().join("\n").to_lowercase();
        assert!(causes.contains(&cause.to_lowercase()), "{name}: {causes}");
    }
}

#[test]
fn a_secret_in_the_wrong_shape_is_recognised() {
    let body = br#"{"event":"room_started"}"#;
    let secret = pair().secret;
    let with = |signed_with: &[u8]| capture(signed_with, body, body);
    check(&with(&[&secret, b"\n".as_slice()].concat()), "sig", "with a line end after it");
    check(&with(b"secret-for-tests"), "sig", "after base64 decoding");
    check(&with(STANDARD.encode(&secret).as_bytes()), "sig", "after base64 encoding");
    check(&with(b"secret"), "sig", "livekit-server --dev");
    check(&with(b"quite another"), "sig", "another key or project");
}

#[test]
fn what_was_done_to_a_body_is_recognised() {
    let signed = "{\"event\":\"room_started\", \"room\":{\"name\":\"é\", \"n\":1}}";
    let arrives = |arrived: &str| capture(&pair().secret, signed.as_bytes(), arrived.as_bytes());
    check(&arrives(&format!("{signed}\n")), "sha_mismatch", "added at the end");
    check(&arrives(&format!("\u{feff}{signed}")), "sha_mismatch", "byte order mark");
    let rewritten = r#"{"event":"room_started","room":{"name":"\u00e9","n":1}}"#;
    check(&arrives(rewritten), "sha_mismatch", "parsed and written again");
    let quoted = serde_json::to_string(signed).unwrap();
    check(&arrives(&quoted), "sha_mismatch", "quoted as a JSON string");
    check(&arrives(&signed.replace("started", "finished")), "sha_mismatch", "changed in substance");
    let ended = capture(&pair().secret, b"{}\n", b"{}");
    check(&ended, "sha_mismatch", "The line end at the end was removed");
    check(&capture(&pair().secret, b"", b"{}"), "sha_mismatch", "request is empty");
}

#[test]
fn a_raw_request_is_read_as_http_reads_it() {
    #[track_caller]
    fn check(raw: &str, body: &str, notes: usize) {
        let capture = Capture::parse(raw.as_bytes()).unwrap();
        assert_eq!(String::from_utf8(capture.body).unwrap(), body);
        assert_eq!(capture.notes.len(), notes, "{:?}", capture.notes);
    }
    check("POST / HTTP/1.1\r\nHost: a\r\n\r\nbody", "body", 0);
    check("Host: a\n\nbody\n", "body\n", 0);
    check("Content-Length: 4\n\nbody\n", "body", 1);
    check("Content-Length: 9\n\nbody", "body", 1);
    check("Transfer-Encoding: chunked\r\n\r\n3\r\nbod\r\n1;x=y\r\ny\r\n0\r\n\r\n", "body", 0);
    check("Transfer-Encoding: chunked\n\nbody", "body", 1);
    let two = Capture::parse(b"authorization: a\nAuthorization:  b \n\n").unwrap();
    assert_eq!(two.values("AUTHORIZATION").collect::<Vec<_>>(), [b"a", b"b"]);
    assert_eq!(Capture::parse(b"A: b\nno header\n\n"), Err(capture::Error::Header { line: 2 }));
    let many = "A: b\n".repeat(capture::HEADERS_MAX + 1);
    assert_eq!(Capture::parse(many.as_bytes()), Err(capture::Error::TooManyHeaders));
}

#[test]
fn a_time_is_read() {
    for (text, seconds) in [
        ("1795435200", NOW_S),
        ("2026-11-23T12:00:00Z", NOW_S),
        ("2026-11-23t13:00:00.250+01:00", NOW_S),
        ("2026-11-23T11:30:00-00:30", NOW_S),
        ("1970-01-01T00:00:00Z", 0),
        ("2024-02-29T00:00:00Z", 1_709_164_800),
    ] {
        assert_eq!(past::parse_seconds(text), Ok(seconds), "{text}");
    }
    for bad in ["", "now", "2026-11-23", "2026-13-01T00:00:00Z", "2026-11-23T12:00:00", "é"] {
        assert!(past::parse_seconds(bad).is_err(), "{bad}");
    }
}

async fn run_with(arguments: &[&str]) -> (String, String) {
    let command = Options::augment_args(clap::Command::new("verify"));
    let arguments = [&["verify"], arguments].concat();
    let matches = command.try_get_matches_from(arguments).unwrap();
    let options = Options::from_arg_matches(&matches).unwrap();
    let mut out = Vec::new();
    let exit = run(options, &mut out).await.unwrap();
    (code(exit), String::from_utf8(out).unwrap())
}

#[tokio::test]
async fn the_command_reads_keys_and_requests_from_files() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let body = r#"{"event":"room_started"}"#;
    let token = sign::authorization("k", b"s3cr3t", body.as_bytes(), NOW_S);
    std::fs::write(file("keys"), "other: x\nk: s3cr3t\n").unwrap();
    std::fs::write(file("headers"), format!("Authorization: {token}\n")).unwrap();
    std::fs::write(file("body"), body).unwrap();
    let now = NOW_S.to_string();
    let parts = ["--headers", &file("headers"), "--body", &file("body"), "--keys", &file("keys")];
    let (exit, out) = run_with(&[parts.as_slice(), &["--now", &now]].concat()).await;
    assert!(out.contains("authentic: room_started"), "{out}");
    assert_eq!(exit, code(ExitCode::SUCCESS));
    let (exit, out) = run_with(&[parts.as_slice(), &["--now", "0", "--json"]].concat()).await;
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(report["reason"], "nbf");
    assert_eq!(report["checks"][5]["state"], "FAILED");
    assert_eq!(report["checks"][6]["state"], "not reached");
    assert_eq!(exit, code(ExitCode::FAILURE));
    let (exit, _) = run_with(&[]).await;
    assert_eq!(exit, code(ExitCode::from(USAGE)));
}

#[test]
fn an_empty_request_is_told_from_one_without_a_token() {
    assert_eq!(Capture::parse(b""), Err(capture::Error::Empty));
    assert!(Capture::parse(b"POST /webhook HTTP/1.1\r\n\r\n{}").is_ok());
}
