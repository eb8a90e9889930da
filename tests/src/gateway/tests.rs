use super::*;

#[test]
fn the_listening_line_is_found() {
    let line = r#"{"level":"INFO","message":"listening","server":"ingest","address":"127.0.0.1:4711","target":"x"}"#;
    assert_eq!(listening(line, "ingest").map(|address| address.port()), Some(4711));
    assert_eq!(listening(line, "admin"), None);
    assert_eq!(listening("listening", "ingest"), None);
}

#[test]
fn a_setup_becomes_the_documented_file() {
    let setup = Setup::new()
        .ingest("body_timeout_ms = 300")
        .source("prod", "devkey", "sec\"ret", "")
        .plugin("redact", Path::new("/p/redact.wasm"), "config = { fields = [\"a\"] }")
        .endpoint("bill-ing", "http://127.0.0.1:81/x", "retry = \"default\"")
        .endpoint("plain", "http://127.0.0.1:82/x", "signing = []")
        .subscription("bill-ing", "plugins = [\"redact\"]");
    let expected = r#"[ingest]
listen = "127.0.0.1:0"
body_timeout_ms = 300

[admin]
listen = "127.0.0.1:0"

[store]
url = "sqlite:livekit-webhook.db"

[deliver]
allow = ["127.0.0.1:*"]

[[source]]
name = "prod"
keys = [{ api_key = "devkey", secret = "sec\"ret" }]

[[plugin]]
name = "redact"
file = "/p/redact.wasm"
config = { fields = ["a"] }

[[endpoint]]
name = "bill-ing"
url = "http://127.0.0.1:81/x"
secret_env = "ENDPOINT_BILL_ING_SECRET"
retry = "default"

[[endpoint]]
name = "plain"
url = "http://127.0.0.1:82/x"
signing = []

[[subscription]]
endpoint = "bill-ing"
plugins = ["redact"]

"#;
    assert_eq!(setup.to_toml(), expected);
    let variable = ("ENDPOINT_BILL_ING_SECRET".to_owned(), setup::STANDARD_SECRET.to_owned());
    assert_eq!(setup.environment(), [variable]);
}
