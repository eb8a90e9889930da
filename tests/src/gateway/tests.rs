use super::*;

#[test]
fn the_listening_line_is_found_in_both_layouts() {
    let nested = r#"{"level":"INFO","fields":{"message":"listening","server":"ingest","address":"127.0.0.1:4711"}}"#;
    let flat = r#"{"message":"listening","server":"ingest","address":"127.0.0.1:4711"}"#;
    for line in [nested, flat] {
        assert_eq!(listening(line, "ingest").map(|address| address.port()), Some(4711));
        assert_eq!(listening(line, "admin"), None);
    }
    assert_eq!(listening("listening", "ingest"), None);
}

#[test]
fn a_setup_becomes_the_documented_file() {
    let toml = Setup::new()
        .source("prod", "devkey", "sec\"ret")
        .plugin("redact", Path::new("/p/redact.wasm"), r#"{ fields = ["a"] }"#, Some("drop"))
        .endpoint("bill-ing", "http://127.0.0.1:81/x", "standard", "whsec_x", "retry = \"default\"")
        .subscription("bill-ing", &["room_*"], &[], &["redact"])
        .extra("[more]\na = 1")
        .to_toml(Path::new("/folder"));
    let expected = r#"[ingest]
listen = "127.0.0.1:0"

[store]
url = "sqlite:/folder/livekit-webhook.db"

[deliver]
allow = ["127.0.0.1:81"]

[[source]]
name = "prod"
keys = [{ api_key = "devkey", secret = "sec\"ret" }]

[[plugin]]
name = "redact"
file = "/p/redact.wasm"
config = { fields = ["a"] }
on_error = "drop"

[[endpoint]]
name = "bill-ing"
url = "http://127.0.0.1:81/x"
signing = ["standard"]
secret_env = "ENDPOINT_BILL_ING_SECRET"
retry = "default"

[[subscription]]
endpoint = "bill-ing"
events = ["room_*"]
plugins = ["redact"]

[more]
a = 1
"#;
    assert_eq!(toml, expected);
}
