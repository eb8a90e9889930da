//! Answers that do not end, are not HTTP, or want us to do something.

use super::*;

#[tokio::test]
async fn an_answer_is_read_whole_and_its_connection_used_again() {
    let receiver = receiver(|mut stream| async move {
        while let Some(request) = read_request(&mut stream).await {
            assert!(request.starts_with("POST /path?secret=1 HTTP/1.1\r\n"), "{request}");
            let answer = b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\nX-Told: 1\r\n\r\nok";
            stream.write_all(answer).await.unwrap();
        }
    })
    .await;
    let transport = transport(&[]);
    let url = format!("http://{}/path?secret=1", receiver.address);
    for _ in 0..2 {
        let answered = transport.send(outgoing(&url, SOON)).await.unwrap();
        assert_eq!((answered.status, &answered.body_start[..]), (202, &b"ok"[..]));
        assert_eq!(answered.headers["x-told"], "1");
        assert_eq!(answered.way.address, Some(receiver.address));
    }
    assert_eq!(receiver.accepted.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn silence_and_dripping_end_with_the_deadline() {
    let silent = receiver(|mut stream| async move {
        read_request(&mut stream).await;
        let _ = stream.read(&mut [0; 1]).await;
    })
    .await;
    fails(send_to(&silent, SHORT).await, ErrorClass::Timeout);

    let mut dripping = receiver(|mut stream| async move {
        read_request(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nX-Drip: ").await;
        while stream.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    fails(send_to(&dripping, SHORT).await, ErrorClass::Timeout);
    // The connection was closed on it.
    tokio::time::timeout(SOON, dripping.ended.recv()).await.unwrap();
}

#[tokio::test]
async fn the_status_counts_when_the_body_does_not_end() {
    let mut dripping = receiver(|mut stream| async move {
        read_request(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n").await;
        while stream.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    let answered = send_to(&dripping, SHORT).await.unwrap();
    assert_eq!(answered.status, 200);
    assert!(answered.body_start.iter().all(|byte| *byte == b'x'));
    tokio::time::timeout(SOON, dripping.ended.recv()).await.unwrap();
}

#[tokio::test]
async fn an_endless_body_is_cut_and_its_connection_closed() {
    for head in ["Transfer-Encoding: chunked", "Connection: close"] {
        let mut endless = receiver(move |mut stream| async move {
            read_request(&mut stream).await;
            let head = format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n");
            let _ = stream.write_all(head.as_bytes()).await;
            let chunk = [b"4000\r\n".as_slice(), &[b'x'; 0x4000], b"\r\n"].concat();
            while stream.write_all(&chunk).await.is_ok() {}
        })
        .await;
        // The deadline is far: it is the count that ends the reading.
        let answered = tokio::time::timeout(SOON, send_to(&endless, SOON * 2)).await.unwrap();
        assert_eq!(answered.unwrap().body_start.len(), RESPONSE_BYTES_KEPT);
        tokio::time::timeout(SOON, endless.ended.recv()).await.unwrap();
    }
}

#[tokio::test]
async fn nothing_is_decompressed_nor_asked_to_be() {
    let (sender, mut requests) = mpsc::channel(1);
    let receiver = receiver(move |mut stream| {
        let sender = sender.clone();
        async move {
            let request = read_request(&mut stream).await.unwrap();
            let head = "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\n";
            let _ = stream.write_all(&[head.as_bytes(), &[0x1f, 0x8b, 8]].concat()).await;
            let _ = sender.try_send(request);
        }
    })
    .await;
    let answered = send_to(&receiver, SOON).await.unwrap();
    assert_eq!(answered.body_start, [0x1f, 0x8b, 8].as_slice());
    let request = requests.recv().await.unwrap().to_ascii_lowercase();
    assert!(!request.contains("accept-encoding"), "{request}");
}

#[tokio::test]
async fn a_head_over_its_limits_is_no_answer() {
    let fields: String = (0..1_000).map(|number| format!("X-{number}: 1\r\n")).collect();
    let long = format!("X-Long: {}\r\n", "x".repeat(300_000));
    for head in [fields, long] {
        let receiver = says(format!("HTTP/1.1 200 OK\r\n{head}Content-Length: 0\r\n\r\n")).await;
        fails(send_to(&receiver, SOON).await, ErrorClass::Protocol);
    }
}

#[tokio::test]
async fn what_is_not_http_is_no_answer() {
    for answer in
        ["SSH-2.0-OpenSSH_9.6\r\n\r\n", "\0\0\0\0garbage\r\n\r\n", "HTTP/3.0 200 OK\r\n\r\n"]
    {
        fails(send_to(&says(answer).await, SOON).await, ErrorClass::Protocol);
    }
}

#[tokio::test]
async fn a_connection_that_breaks_off() {
    for begun in ["", "HTTP/1.1 200 OK\r\nContent-"] {
        fails(send_to(&says(begun).await, SOON).await, ErrorClass::Io);
    }
    // After the head the status is known.
    let cut = says("HTTP/1.1 503 Busy\r\nContent-Length: 100\r\n\r\npart").await;
    let answered = send_to(&cut, SOON).await.unwrap();
    assert_eq!((answered.status, &answered.body_start[..]), (503, &b"part"[..]));
}

#[tokio::test]
async fn a_redirect_is_told_and_not_followed() {
    let away = receiver(|_| async {}).await;
    let answer = format!(
        "HTTP/1.1 307 Away\r\nLocation: http://{}/\r\nContent-Length: 0\r\n\r\n",
        away.address
    );
    let receiver = says(answer).await;
    assert_eq!(send_to(&receiver, SOON).await.unwrap().status, 307);
    assert_eq!(receiver.accepted.load(Ordering::SeqCst), 1);
    assert_eq!(away.accepted.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn nobody_listens_or_nobody_may_be_asked() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let url = format!("http://{closed}/");
    fails(transport(&[]).send(outgoing(&url, SOON)).await, ErrorClass::Connect);

    let receiver = says("HTTP/1.1 200 OK\r\n\r\n").await;
    let strict =
        HyperTransport::new(AddressPolicy::default(), Arc::new(SystemResolver), roots(&[]));
    for host in ["127.0.0.1", "localhost"] {
        let url = format!("https://{host}:{}/", receiver.address.port());
        fails(strict.send(outgoing(&url, SOON)).await, ErrorClass::AddressRefused);
    }
    assert_eq!(receiver.accepted.load(Ordering::SeqCst), 0);
}
