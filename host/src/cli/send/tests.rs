use super::*;
use crate::cli::verify::{capture::Capture, report};
use clap::{Args as _, FromArgMatches as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Far more than any of these exchanges takes.
const BOUND: Duration = Duration::from_secs(20);

fn options(arguments: &[&str]) -> Result<Options, clap::Error> {
    let command = Options::augment_args(clap::Command::new("send"));
    let arguments = [&["send"], arguments].concat();
    Options::from_arg_matches(&command.try_get_matches_from(arguments)?)
}

async fn run_with(arguments: &[&str]) -> (String, String) {
    let mut out = Vec::new();
    let running = run(options(arguments).unwrap(), &mut out);
    let exit = tokio::time::timeout(BOUND, running).await.unwrap().unwrap();
    (format!("{exit:?}"), String::from_utf8(out).unwrap())
}

fn code(code: ExitCode) -> String {
    format!("{code:?}")
}

/// Reads one request from `socket`; `None` at the end of the stream.
async fn request(socket: &mut TcpStream) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
            if length.is_some_and(|length| length.parse() == Ok(body.len())) {
                return Some(bytes);
            }
        }
        match socket.read(&mut piece).await.unwrap() {
            0 => return None,
            read => bytes.extend_from_slice(&piece[..read]),
        }
    }
}

/// Answers every request with `answer`; after each of the first `closes` it ends the connection.
/// Returns what came, and over how many connections.
async fn serve(
    listener: TcpListener,
    requests: usize,
    answer: &str,
    closes: bool,
) -> (Vec<Vec<u8>>, u32) {
    let (mut seen, mut connections) = (Vec::new(), 0);
    while seen.len() < requests {
        let (mut socket, _) = listener.accept().await.unwrap();
        connections += 1;
        while let Some(bytes) = request(&mut socket).await {
            seen.push(bytes);
            socket.write_all(answer.as_bytes()).await.unwrap();
            if closes || seen.len() == requests {
                break;
            }
        }
    }
    (seen, connections)
}

async fn exchange(
    arguments: &[&str],
    n: usize,
    answer: &str,
    closes: bool,
) -> (String, String, Vec<Vec<u8>>, u32) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/webhook", listener.local_addr().unwrap());
    let arguments = [arguments, &["--to", &url]].concat();
    let server = tokio::time::timeout(BOUND, serve(listener, n, answer, closes));
    let ((exit, out), served) = tokio::join!(run_with(&arguments), server);
    let (seen, connections) = served.unwrap();
    (exit, out, seen, connections)
}

#[tokio::test]
async fn what_is_sent_is_what_livekit_sends() {
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
    let (exit, out, seen, _) = exchange(&["participant_joined"], 1, answer, false).await;
    assert_eq!(exit, code(ExitCode::SUCCESS), "{out}");
    assert!(out.contains("200 OK") && out.contains("counts this as delivered."), "{out}");
    assert!(out.contains("note: signed with devkey/secret"), "{out}");
    let text = String::from_utf8(seen[0].clone()).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let names: Vec<_> = head.lines().skip(1).filter_map(|line| line.split_once(':')).collect();
    let names: Vec<_> = names.iter().map(|(name, _)| *name).collect();
    assert!(head.starts_with("POST /webhook HTTP/1.1\r\n"), "{head}");
    for line in ["User-Agent: LiveKit", "Content-Type: application/webhook+json"] {
        assert!(head.lines().any(|found| found == line), "{head}");
    }
    assert_eq!(names.len(), 6, "{names:?}");
    assert!(!head.contains("Bearer"));
    assert!(body.starts_with(r#"{"event":"participant_joined","room":{"sid":"RM_"#));
    let capture = Capture::parse(&seen[0]).unwrap();
    let now_s = SystemClock.now().as_secs();
    assert!(report::judge(&capture, &[KeyPair::dev()], now_s).unwrap().accepted());
}

#[tokio::test]
async fn the_exit_code_and_the_words_follow_the_status() {
    for (status, words) in [
        ("401 Unauthorized", "the event is lost"),
        ("503 Service Unavailable", "sends this again"),
        ("302 Found", "without a body"),
    ] {
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
        let (exit, out, _, _) = exchange(&["room_started"], 1, &answer, true).await;
        assert_eq!(exit, code(ExitCode::FAILURE));
        assert!(out.contains(words), "{out}");
    }
}

#[tokio::test]
async fn many_go_over_one_connection_and_survive_its_end() {
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    let (exit, out, seen, connections) =
        exchange(&["room_started", "--count", "5"], 5, answer, false).await;
    assert_eq!((exit, connections), (code(ExitCode::SUCCESS), 1), "{out}");
    assert!(out.contains("5 sent in") && out.contains("5 × 200"), "{out}");
    let ids = seen.iter().map(|bytes| {
        let body = Capture::parse(bytes).unwrap().body;
        Envelope::parse(&body).unwrap().id.unwrap()
    });
    assert_eq!(ids.collect::<std::collections::BTreeSet<_>>().len(), 5);
    let closing = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    let (exit, out, _, connections) =
        exchange(&["room_started", "--count", "3", "--id", "EV_x"], 3, closing, true).await;
    assert_eq!((exit, connections), (code(ExitCode::SUCCESS), 3), "{out}");
}

#[tokio::test]
async fn a_flood_is_cut_and_silence_ends() {
    let length = post::RESPONSE_BYTES_MAX + 1;
    let flood =
        format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{}", "x".repeat(length));
    let (exit, out, _, _) = exchange(&["room_started"], 1, &flood, true).await;
    assert_eq!(exit, code(ExitCode::SUCCESS));
    assert!(out.contains("the rest was not read"), "{}", out.len());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let (exit, out) = run_with(&["room_started", "--to", &url, "--timeout-ms", "20"]).await;
    assert_eq!(exit, code(ExitCode::FAILURE));
    assert!(out.contains("no answer within 20 ms"), "{out}");
    drop(listener);
    let (exit, out) = run_with(&["room_started", "--to", &url]).await;
    assert_eq!(exit, code(ExitCode::FAILURE));
    assert!(out.contains("cannot connect to 127.0.0.1:"), "{out}");
}

#[tokio::test]
async fn what_is_printed_verifies() {
    for kind in event_type::ALL.into_iter().chain(["room_paused"]) {
        let (_, out) = run_with(&[kind, "--print", "--room", "it's"]).await;
        let capture = Capture::parse(out.as_bytes()).unwrap();
        let now_s = SystemClock.now().as_secs();
        assert!(report::judge(&capture, &[KeyPair::dev()], now_s).unwrap().accepted(), "{out}");
        assert!(capture.notes.is_empty());
    }
    let (exit, out) = run_with(&["room_started", "--room", "it's"]).await;
    assert_eq!(exit, code(ExitCode::SUCCESS));
    assert!(out.contains("curl ") && out.contains(r"it'\''s"), "{out}");
}

#[tokio::test]
async fn a_body_from_a_file_is_sent_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("body").to_string_lossy().into_owned();
    std::fs::write(&path, b"{\"event\":\"x\"}\r\n").unwrap();
    let (_, out) = run_with(&["--body", &path, "--print"]).await;
    assert!(out.ends_with("\r\n\r\n{\"event\":\"x\"}\r\n"), "{out:?}");
    let (_, out) = run_with(&["--body", &path]).await;
    assert!(out.contains(&format!("--data-binary '@{path}'")), "{out}");
}

#[test]
fn wrong_usage_is_refused() {
    for bad in [
        &[] as &[&str],
        &[""],
        &["room_started", "--to", "localhost:8080"],
        &["room_started", "--to", "ftp://a/"],
        &["room_started", "--to", "http://user:pw@a/"],
        &["room_started", "--count", "0"],
        &["room_started", "--rate", "0"],
        &["room_started", "--rate", "NaN"],
        &["room_started", "--body", "x"],
        &["room_started", "--timeout-ms", "0"],
    ] {
        assert!(options(bad).is_err(), "{bad:?}");
    }
    assert!(options(&["room_started", "--to", "https://[::1]:8443/x?y=z"]).is_ok());
}

/// Retried are 429 and 5xx except 501; all else counts as delivered.
#[test]
fn fates_are_livekits() {
    for (status, fate) in [
        (200, Fate::Delivered),
        (204, Fate::Delivered),
        (301, Fate::RedirectedWithoutBody),
        (304, Fate::Lost),
        (307, Fate::Redirected),
        (400, Fate::Lost),
        (401, Fate::Lost),
        (408, Fate::Lost),
        (410, Fate::Lost),
        (429, Fate::Retried),
        (500, Fate::Retried),
        (501, Fate::Lost),
        (502, Fate::Retried),
        (599, Fate::Retried),
    ] {
        assert_eq!(Fate::of(status), fate, "{status}");
    }
}

#[test]
fn a_strangers_text_cannot_drive_the_terminal() {
    assert_eq!(printable(b"a\x1b[2Jb\r\n\tc\xff\n\n"), "a\u{fffd}[2Jb\u{fffd}\n\tc\u{fffd}");
}
