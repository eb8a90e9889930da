//! The configuration as a whole: what a good one comes to, and what is said of a bad one.

mod database;
mod mistakes;
mod plugins;
mod properties;
mod requests;
mod sealing;
mod traffic;

use super::*;

const SAMPLE: &str = include_str!("tests/sample.toml");
const SAMPLE_DUMP: &str = include_str!("tests/sample.dump.toml");
/// A secret that every way of signing takes.
const SECRET: &str = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
/// The smallest configuration that delivers.
const BASE: &str = r#"
[[source]]
name = "prod"
keys = [{ api_key = "APIabc", secret = "hush" }]

[[endpoint]]
name = "billing"
url = "https://billing.example.com/livekit"
secret = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="

[[subscription]]
endpoint = "billing"
"#;

/// A folder with the files that the sample names.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("redact.wasm", "not looked into here"),
        ("livekit.secret", "from a file\r\n"),
        ("billing.secret", &format!("{SECRET}\n")),
        ("empty.secret", "\n"),
    ] {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let made = rcgen::generate_simple_self_signed(vec!["client.example".to_owned()]).unwrap();
    for name in ["ca.pem", "client.pem"] {
        std::fs::write(folder.path().join(name), made.cert.pem()).unwrap();
    }
    std::fs::write(folder.path().join("client.key"), made.signing_key.serialize_pem()).unwrap();
    folder
}

fn environment() -> Environment {
    Environment::of([("OLD_SECRET", SECRET), ("HMAC_SECRET", "from a variable"), ("EMPTY", "")])
}

fn parse(text: &str, folder: &Path) -> Result<Config, Vec<String>> {
    let parsed = Config::parse(text, folder, &environment());
    parsed.map_err(|problems| problems.iter().map(ToString::to_string).collect())
}

#[test]
fn the_sample_is_read_whole_and_printed_so_that_it_can_be_read_again() {
    let folder = folder();
    let config = parse(SAMPLE, folder.path()).unwrap();
    let dump = config.dump();
    let path = folder.path().display().to_string();
    assert_eq!(dump.replace(&path, "FOLDER"), SAMPLE_DUMP);
    for secret in ["hush", "from a", "whsec_", "whsk_", "PRIVATE"] {
        assert!(!dump.contains(secret), "{secret} is in {dump}");
        assert!(!format!("{config:?}").contains(secret), "{secret}");
    }
    // With secrets again, it is a configuration, and the same one, but for the public key, which
    // belonged to another secret.
    let again = parse(&dump.replace("[redacted]", SECRET), folder.path()).unwrap();
    let public = |line: &&str| !line.starts_with("# for its receivers: whpk_");
    let expect: Vec<&str> = dump.lines().filter(public).collect();
    assert_eq!(again.dump().lines().collect::<Vec<_>>(), expect);
    assert_eq!(dump.lines().count(), expect.len() + 1);
}

#[test]
fn secrets_come_from_a_file_a_variable_or_the_text() {
    let folder = folder();
    let config = parse(SAMPLE, folder.path()).unwrap();
    let secrets: Vec<_> = config.sources[0].keys.iter().map(|key| key.secret.reveal()).collect();
    // Without the line end, but with every other space.
    assert_eq!(secrets, [b"from a file".as_slice(), b" hush "]);
}

#[test]
fn what_is_not_said_has_a_default() {
    let config = parse(BASE, Path::new("/etc")).unwrap();
    let dump = config.dump();
    for line in [
        "listen = \"127.0.0.1:8080\"",
        "body_bytes_max = 8388608",
        "answer_timeout_ms = 3000",
        "on_unverified = \"reject\"",
        "url = \"sqlite:/etc/livekit-webhook.db\"",
        "dedupe_window_h = 24",
        "signing = [\"standard\"]",
        "retry = [\"0s\", \"5s\", \"5m\", \"30m\", \"2h\", \"5h\", \"10h\", \"14h\", \"20h\", \"1d\"]",
        "attempt_timeout_ms = 15000",
    ] {
        assert!(dump.lines().any(|one| one == line), "{line} is not in {dump}");
    }
    assert!(!dump.contains("[admin]"), "{dump}");
}

#[test]
fn a_file_is_read_within_its_limit() {
    let folder = folder();
    let path = folder.path().join("host.toml");
    let load = || Config::load(&path, &environment());
    assert!(matches!(load(), Err(Error::Read { .. })));
    let filler = "#".repeat(usize::try_from(FILE_BYTES_MAX).unwrap() - BASE.len() - 1);
    std::fs::write(&path, format!("{BASE}{filler}\n")).unwrap();
    load().unwrap();
    std::fs::write(&path, format!("{BASE}{filler}#\n")).unwrap();
    let expect = format!("{}: 1 problem\n  the file is over 1048576 bytes", path.display());
    assert_eq!(load().unwrap_err().to_string(), expect);
    std::fs::write(&path, b"a = \"\xff\"").unwrap();
    let expect = format!("{}: 1 problem\n  not TOML: the file is not UTF-8", path.display());
    assert_eq!(load().unwrap_err().to_string(), expect);
}
