//! What comes back: as it is, decoded, or not at all.

use super::*;
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use std::io::Write;

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

#[track_caller]
fn too_large(sent: Result<FetchResponse, FetchError>, what: &str) {
    assert!(
        matches!(sent, Err(FetchError::TooLarge { what: told, .. }) if told == what),
        "{sent:?}"
    );
}

#[track_caller]
fn unreachable(sent: Result<FetchResponse, FetchError>, words: &str) {
    match sent {
        Err(FetchError::Unreachable(text)) => assert!(text.contains(words), "{text}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let target = says(answer("", b"secret")).await;
    let location = format!("location: http://{}/\r\ncontent-length: 0\r\n", target.address);
    for status in ["301 Moved", "302 Found", "303 See", "307 Again", "308 Again"] {
        let peer = says(format!("HTTP/1.1 {status}\r\n{location}\r\n")).await;
        let answer = get(&peer).await.unwrap();
        assert!((300..400).contains(&answer.status));
        assert!(answer.headers.iter().any(|(name, _)| name == "location"));
    }
    assert_eq!(target.accepted.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_compressed_body_comes_decompressed() {
    let text = b"hello hello hello";
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::best());
    zlib.write_all(text).unwrap();
    let members = [gzip(b"hello hello"), gzip(b" hello")].concat();
    for (encoding, body) in
        [("gzip", gzip(text)), ("X-GZIP", members), ("deflate", zlib.finish().unwrap())]
    {
        let peer = says(answer(&format!("content-encoding: {encoding}\r\n"), &body)).await;
        let got = get(&peer).await.unwrap();
        assert_eq!(got.body.as_ref(), text, "{encoding}");
        assert_eq!(got.headers, [], "nothing describes what the guest does not see");
    }
    let peer = says(answer("content-encoding: gzip\r\n", b"")).await;
    assert_eq!(get(&peer).await.unwrap().body.len(), 0);
}

#[tokio::test]
async fn a_decompression_bomb_goes_off_at_the_limit() {
    let bomb = gzip(&vec![0; 64 * 1024 * 1024]);
    assert!(bomb.len() < 100 * 1024);
    let peer = says(answer("content-encoding: gzip\r\n", &bomb)).await;
    too_large(get(&peer).await, "body");
}

#[tokio::test]
async fn what_cannot_be_decompressed_is_no_answer() {
    let good = gzip(b"hello hello hello");
    let cut = &good[..good.len() - 6];
    let mut wrong_sum = good.clone();
    *wrong_sum.last_mut().unwrap() ^= 1;
    for (encoding, body) in
        [("gzip", cut), ("gzip", &wrong_sum), ("deflate", b"nothing"), ("gzip", b"no")]
    {
        let peer = says(answer(&format!("content-encoding: {encoding}\r\n"), body)).await;
        unreachable(get(&peer).await, "cannot be decompressed");
    }
    for encoding in ["br", "gzip, gzip", "zstd"] {
        let peer = says(answer(&format!("content-encoding: {encoding}\r\n"), b"x")).await;
        unreachable(get(&peer).await, "content-encoding");
    }
}

#[tokio::test]
async fn a_body_over_the_limit_is_not_read_to_its_end() {
    let peer = says(answer("", &vec![b'x'; 1024 * 1024 + 1])).await;
    too_large(get(&peer).await, "body");
    // One without an end.
    let endless = super::peer(|mut stream| async move {
        read_head(&mut stream).await;
        let head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        let _ = stream.write_all(head).await;
        let chunk = format!("1000\r\n{}\r\n", "x".repeat(0x1000));
        while stream.write_all(chunk.as_bytes()).await.is_ok() {}
    })
    .await;
    too_large(get(&endless).await, "body");
    let exact = says(answer("", &vec![b'x'; 1024 * 1024])).await;
    assert_eq!(get(&exact).await.unwrap().body.len(), 1024 * 1024);
}

#[tokio::test]
async fn headers_over_the_limit_are_refused() {
    let one = format!("x: {}\r\n", "y".repeat(40 * 1024));
    let many = format!("x: {}\r\n", "y".repeat(1000)).repeat(40);
    for headers in [one, many] {
        let peer = says(answer(&headers, b"")).await;
        too_large(get(&peer).await, "headers");
    }
    let endless = super::peer(|mut stream| async move {
        read_head(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n").await;
        while stream.write_all(&b"x: y\r\n".repeat(100)).await.is_ok() {}
    })
    .await;
    assert!(get(&endless).await.is_err());
}

#[tokio::test]
async fn a_peer_that_is_slow_is_left_at_the_deadline() {
    let starts: [&[u8]; 3] =
        [b"", b"HTTP/1.1 200 OK\r\nx: ", b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nx"];
    for start in starts {
        let slow = peer(move |mut stream| async move {
            read_head(&mut stream).await;
            let _ = stream.write_all(start).await;
            // Until we hang up.
            let _ = stream.read_u8().await;
        })
        .await;
        let port = slow.address.port();
        let timeout = Duration::from_millis(200);
        let request = FetchRequest { timeout, ..request("127.0.0.1", port) };
        let sent = fetch_to(port, names(&[])).fetch(request).await;
        assert_eq!(sent, Err(FetchError::TimedOut(200)));
    }
}

#[tokio::test]
async fn what_is_no_http_is_unreachable() {
    for nonsense in ["220 smtp ready\r\n", "HTTP/1.1 OK\r\n\r\n", ""] {
        let peer = peer(move |mut stream| async move {
            read_head(&mut stream).await;
            let _ = stream.write_all(nonsense.as_bytes()).await;
        })
        .await;
        unreachable(get(&peer).await, "");
    }
    let upgrade = "HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n";
    let peer = says(upgrade).await;
    assert!(get(&peer).await.is_err());
}
