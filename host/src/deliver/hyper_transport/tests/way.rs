//! What is known of a request's way, however it ends, and when a request is made again.

use super::*;

async fn keeping() -> Receiver {
    receiver(|mut stream| async move {
        while read_request(&mut stream).await.is_some() {
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
            stream.write_all(answer).await.unwrap();
        }
    })
    .await
}

/// Which parts have a time.
fn parts(way: &Way) -> [bool; 4] {
    let Timings { dns_ms, connect_ms, tls_ms, first_byte_ms } = way.timings;
    [dns_ms, connect_ms, tls_ms, first_byte_ms].map(|part| part.is_some())
}

#[tokio::test]
async fn the_parts_of_a_first_request_and_of_one_that_finds_its_connection() {
    let receiver = keeping().await;
    for (host, dns) in [("127.0.0.1", false), ("localhost", true)] {
        // The double takes one connection at a time.
        let transport = transport(&[]);
        let url = format!("http://{host}:{}/", receiver.address.port());
        let first = transport.send(outgoing(&url, SOON)).await.unwrap().way;
        assert_eq!(parts(&first), [dns, true, false, true], "{host}");
        assert_eq!(first.address, Some(receiver.address));
        let second = transport.send(outgoing(&url, SOON)).await.unwrap().way;
        assert_eq!(parts(&second), [false, false, false, true], "{host}");
        assert_eq!(second.address, Some(receiver.address));
    }
}

#[tokio::test]
async fn a_failure_tells_how_far_it_came() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let url = format!("http://localhost:{}/", closed.port());
    let refused = transport(&[]).send(outgoing(&url, SOON)).await.unwrap_err();
    assert_eq!(parts(&refused.way), [true, false, false, false]);
    assert_eq!(refused.way.address.map(|address| address.port()), Some(closed.port()));

    let silent = receiver(|mut stream| async move {
        read_request(&mut stream).await;
        let _ = stream.read(&mut [0; 1]).await;
    })
    .await;
    let late = send_to(&silent, SHORT).await.unwrap_err();
    assert_eq!(late.text, "no answer within 300 ms");
    assert_eq!(parts(&late.way), [false, true, false, false]);
    assert_eq!(late.way.address, Some(silent.address));

    // A peer that takes the connection and does not shake hands.
    let url = format!("https://127.0.0.1:{}/", silent.address.port());
    let late = transport(&[]).send(outgoing(&url, SHORT)).await.unwrap_err();
    assert_eq!(
        (late.class, late.text.as_str()),
        (ErrorClass::Timeout, "no connection within 300 ms")
    );
    assert_eq!(late.way.address, Some(silent.address));
}

#[tokio::test]
async fn a_connection_that_died_in_the_pool_costs_no_attempt() {
    let mut receiver = receiver(|mut stream| async move {
        read_request(&mut stream).await;
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
        stream.write_all(answer).await.unwrap();
    })
    .await;
    let transport = transport(&[]);
    let url = format!("http://{}/", receiver.address);
    for round in 1..=20 {
        assert_eq!(transport.send(outgoing(&url, SOON)).await.unwrap().status, 200);
        // It closes now, with the connection in the pool; the reactor is given a turn to hear it.
        receiver.ended.recv().await;
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert_eq!(receiver.accepted.load(Ordering::SeqCst), round);
    }
}

#[tokio::test]
async fn what_may_have_arrived_is_not_sent_again() {
    let (sender, mut requests) = mpsc::channel(8);
    let receiver = receiver(move |mut stream| {
        let sender = sender.clone();
        async move {
            // Answers the first request of a connection and closes it on the second.
            for answer in [&b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"[..], b""] {
                let Some(request) = read_request(&mut stream).await else { return };
                sender.try_send(request).unwrap();
                stream.write_all(answer).await.unwrap();
            }
        }
    })
    .await;
    let transport = transport(&[]);
    let url = format!("http://{}/", receiver.address);
    assert_eq!(transport.send(outgoing(&url, SOON)).await.unwrap().status, 200);
    let failure = transport.send(outgoing(&url, SOON)).await.unwrap_err();
    assert_eq!(failure.class, ErrorClass::Io, "{failure}");
    assert_eq!(failure.way.address, Some(receiver.address));
    assert!(requests.try_recv().is_ok() && requests.try_recv().is_ok());
    assert!(requests.try_recv().is_err(), "it was sent a second time");
    assert_eq!(receiver.accepted.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn hints_without_end_are_cut_off() {
    let mut hinting = receiver(|mut stream| async move {
        read_request(&mut stream).await;
        while stream.write_all(b"HTTP/1.1 103 Early Hints\r\nX-A: 1\r\n\r\n").await.is_ok() {}
    })
    .await;
    let failure = send_to(&hinting, SOON).await.unwrap_err();
    assert_eq!(failure.class, ErrorClass::Protocol, "{failure}");
    assert_eq!(failure.text, "over 262144 bytes came for one request");
    tokio::time::timeout(SOON, hinting.ended.recv()).await.unwrap();
}
