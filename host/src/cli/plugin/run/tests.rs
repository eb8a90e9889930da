use super::*;
use crate::plugin::manifest::Manifest;
use crate::plugin::tests::{component, component_path};
use std::io::Read as _;
use std::net::TcpListener;
use std::path::Path;

/// `evil-io` sends what its configuration says when the room is called `evil:send`.
const MANIFEST: &str = r#"
schema = 1
name = "sends"
version = "0.1.0"
[permissions]
http = [{ host = "a.com", methods = ["POST"], secrets = ["token"] }]
[[fixture]]
name = "told"
event = { event = "room_started", room = { name = "evil:send" } }
config = { method = "POST", url = "https://a.com/v1", headers = [["authorization", "{token}"]] }
http = [{ request = "POST https://a.com/v1", headers = { authorization = "test-secret-token" }, status = 201, answer = "thanks" }]
expect = { attributes = { told = "x" } }
[[fixture]]
name = "as configured"
event = { event = "room_started", room = { name = "evil:send" } }
http = [{ request = "POST https://a.com/v1", status = 201 }]
expect = { attributes = { told = "x" } }
"#;

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let manifest = Manifest::parse(MANIFEST, Path::new(".")).unwrap();
    let wasm = manifest.embed(&component("evil-io")).unwrap();
    std::fs::write(folder.path().join("sends.wasm"), wasm).unwrap();
    folder
}

fn text(path: &Path) -> Option<PathBuf> {
    Some(path.to_owned())
}

/// What the command prints, and whether the plugin came to a result.
async fn shown(options: &Options) -> (bool, Value) {
    let given = given::given(options).unwrap();
    let mut out = Vec::new();
    let code = show(given, true, &mut out).await.unwrap();
    (code == ExitCode::SUCCESS, serde_json::from_slice(&out).unwrap())
}

#[tokio::test]
async fn a_fixtures_answers_state_and_event_are_taken() {
    let folder = folder();
    let file = text(&folder.path().join("sends.wasm"));
    let options = Options { file, fixture: Some("told".to_owned()), ..Options::default() };
    let (ok, report) = shown(&options).await;
    assert!(ok, "{report:#}");
    let told = report["result"]["attributes"]["told"].as_str().unwrap();
    assert!(told.starts_with("201") && told.ends_with("thanks"), "{told}");
    assert_eq!(report["outside"][0]["asked"], "POST https://a.com:443/v1");
    assert_eq!(report["problems"], json!([]));
    let session = Options {
        file: Some(component_path("session")),
        fixture: Some("left".to_owned()),
        ..Options::default()
    };
    let (_, report) = shown(&session).await;
    assert_eq!(report["result"]["attributes"]["session.duration_s"], "5", "{report:#}");
    assert_eq!(report["outside"][0]["port"], "state", "{report:#}");
}

#[tokio::test]
async fn without_answers_nobody_is_there_and_a_grant_gives_less() {
    let folder = folder();
    let event = folder.path().join("event.json");
    std::fs::write(&event, r#"{"event":"room_started","room":{"name":"evil:send"}}"#).unwrap();
    let mut options = Options {
        file: text(&folder.path().join("sends.wasm")),
        event: Some(event.display().to_string()),
        config: Some(r#"{"method":"POST","url":"https://a.com/v1"}"#.to_owned()),
        ..Options::default()
    };
    let (_, report) = shown(&options).await;
    let told = |report: &Value| report["result"]["attributes"]["told"].to_string();
    assert!(told(&report).contains("unreachable"), "{report:#}");
    assert!(report["problems"][0].as_str().unwrap().contains("POST https://a.com/v1"));
    assert!(report["problems"][1].as_str().unwrap().contains("--fixture NAME"), "{report:#}");
    let grant = folder.path().join("grant.toml");
    std::fs::write(&grant, "[plugin.grant]\nhttp = [{ host = \"b.com\" }]\n").unwrap();
    options.grant = Some(grant.clone());
    let (_, report) = shown(&options).await;
    assert!(told(&report).contains("denied"), "{report:#}");
    assert_eq!(report["outside"], json!([]));
    std::fs::write(&grant, "htp = []\n").unwrap();
    let problem = given::given(&options).err().unwrap();
    assert!(problem.contains("grant.toml") && problem.contains("htp: unknown key"), "{problem}");
}

/// Answers one request, and gives what was asked.
fn server() -> (u16, std::thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let served = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut head = [0; 4096];
        let length = stream.read(&mut head).unwrap();
        let answer = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\nconnection: close\r\n\r\nreal";
        stream.write_all(answer.as_bytes()).unwrap();
        String::from_utf8_lossy(&head[..length]).into_owned()
    });
    (port, served)
}

/// A gateway's configuration with one plugin, which may send to `port`.
fn gateway(folder: &Path, port: u16, deliver: &str) -> PathBuf {
    let config = format!(
        "[deliver]\n{deliver}\n[[source]]\nname = \"prod\"\n\
         keys = [{{ api_key = \"APIx\", secret = \"a secret of thirty two characters\" }}]\n\
         [[plugin]]\nname = \"sends\"\nfile = \"sends.wasm\"\non_error = \"fail\"\n\
         config = {{ method = \"GET\", url = \"http://127.0.0.1:{port}/v1\", headers = [[\"authorization\", \"{{token}}\"]] }}\n\
         secret = [{{ name = \"token\", secret = \"the real one\" }}]\n\
         grant = {{ http = [{{ scheme = \"http\", host = \"127.0.0.1\", port = {port}, secrets = [\"token\"] }}] }}\n"
    );
    let manifest = MANIFEST.replace(
        "{ host = \"a.com\", methods = [\"POST\"], secrets = [\"token\"] }",
        &format!(
            "{{ scheme = \"http\", host = \"127.0.0.1\", port = {port}, secrets = [\"token\"] }}"
        ),
    );
    let manifest = Manifest::parse(&manifest, Path::new(".")).unwrap();
    let wasm = manifest.embed(&component("evil-io")).unwrap();
    std::fs::write(folder.join("sends.wasm"), wasm).unwrap();
    let file = folder.join("gateway.toml");
    std::fs::write(&file, config).unwrap();
    file
}

#[tokio::test]
async fn what_a_gateway_grants_is_really_reached_when_it_is_live() {
    let folder = tempfile::tempdir().unwrap();
    let event = folder.path().join("event.json");
    std::fs::write(&event, r#"{"event":"room_started","room":{"name":"evil:send"}}"#).unwrap();
    let (port, served) = server();
    let file = gateway(folder.path(), port, "allow = [\"127.0.0.1/32:*\"]\nplain_http = true");
    let mut options = Options {
        event: Some(event.display().to_string()),
        gateway: Some(file),
        ..Options::default()
    };
    // First with doubles: nobody is asked, and no secret is needed.
    let (_, report) = shown(&options).await;
    assert!(report["result"]["attributes"]["told"].to_string().contains("unreachable"));
    options.live = true;
    options.fixture = Some("as configured".to_owned());
    let (ok, report) = shown(&options).await;
    assert!(ok && report.to_string().contains("real"), "{report:#}");
    let asked = served.join().unwrap();
    assert!(asked.starts_with("GET /v1") && asked.contains("the real one"), "{asked}");
    assert!(!report.to_string().contains("the real one"), "{report:#}");
    assert_eq!(report["problems"], json!([]), "nothing was expected of the doubles");
    // Deliveries may not reach that address, so this may not either.
    options.gateway = Some(gateway(folder.path(), port, ""));
    let (_, report) = shown(&options).await;
    assert!(report.to_string().contains("address-refused"), "{report:#}");
}

#[test]
fn what_cannot_be_used_is_told_with_what_would_be_right() {
    let folder = folder();
    let wasm = folder.path().join("sends.wasm");
    let file = text(&wasm);
    let base = || Options {
        file: file.clone(),
        event: Some("room_started".to_owned()),
        ..Options::default()
    };
    let gateway = gateway(folder.path(), 1, "");
    let grant = folder.path().join("grant.toml");
    std::fs::write(&grant, "http = [{ host = \"a.com\", secrets = [\"token\"] }]\n").unwrap();
    let named = |name: &str| Some(name.to_owned());
    for (options, words) in [
        (Options { file: None, ..base() }, "give a component, or --gateway FILE"),
        (Options { event: None, ..base() }, "give --event"),
        (Options { event: named("room_satrted"), ..base() }, "did you mean room_started?"),
        (
            Options { event: named("calls"), ..base() },
            "no such type of event: there are room_started",
        ),
        (Options { config: named("{"), ..base() }, "--config is not JSON"),
        (Options { fixture: named("x"), ..base() }, "has no fixture \"x\"; there is: \"told\""),
        (Options { live: true, ..base() }, "--live needs --grant FILE or --gateway FILE"),
        (
            Options { live: true, grant: Some(grant), ..base() },
            "the grant names the secret token: give --secret token=FILE",
        ),
        (
            Options { gateway: Some(gateway), plugin: named("x"), ..base() },
            "no plugin \"x\" is configured; there is: sends",
        ),
        (Options { gateway: text(&wasm), ..base() }, "not TOML"),
    ] {
        let problem = given::given(&options).err().unwrap();
        assert!(problem.contains(words), "{words:?} is not in {problem:?}");
    }
}
