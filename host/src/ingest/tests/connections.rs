//! Places, silence and the end.

use super::*;

#[tokio::test]
async fn the_next_connection_waits_for_a_place() {
    let options = Options { connections_max: 1, ..options() };
    let stage = stage_with(options, keys(), &[]).await;
    let mut first = stage.connect().await;
    let body = BODY.as_bytes();
    let keep = String::from_utf8(signed(body)).unwrap().replace("Connection: close\r\n", "");
    first.write_all(keep.as_bytes()).await.unwrap();
    let mut begin = [0; 12];
    tokio::time::timeout(SOON, first.read_exact(&mut begin)).await.unwrap().unwrap();
    assert_eq!(&begin, b"HTTP/1.1 200");

    let mut second = stage.connect().await;
    second.write_all(&signed(body)).await.unwrap();
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(stage.tasks.running(Kind::Connection), 1);
    assert_eq!(stage.answers("duplicate"), 0);
    drop(first);
    assert!(read_reply(&mut second).await.has("webhook-duplicate: true"));
}

#[tokio::test]
async fn silence_gives_its_place_back() {
    let options = Options { header_timeout: Duration::from_millis(50), ..options() };
    let stage = stage_with(options, keys(), &[]).await;
    // Nothing, the beginning of HTTP/2, and the beginning of a head.
    for said in ["", "PRI * HT", "POST /webhook HTTP/1.1\r\nHost:"] {
        let mut stream = stage.connect().await;
        stream.write_all(said.as_bytes()).await.unwrap();
        let mut rest = Vec::new();
        let ended = tokio::time::timeout(SOON, stream.read_to_end(&mut rest)).await;
        assert!(ended.is_ok(), "{said:?} keeps its place");
    }
    assert!(stage.tasks.idle(Kind::Connection, SOON).await);
    stage.send(&signed(BODY.as_bytes())).await.is(200, "");
}

#[tokio::test]
async fn an_idle_http2_connection_gives_its_place_back() {
    let options = Options { header_timeout: Duration::from_millis(50), ..options() };
    let stage = stage_with(options, keys(), &[]).await;
    let stream = TokioIo::new(stage.connect().await);
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), stream);
    let (mut sender, connection) = handshake.await.unwrap();
    let asked = async {
        let request = hyper::Request::post("http://host/nowhere");
        let request = request.body(http_body_util::Empty::<bytes::Bytes>::new()).unwrap();
        let status = sender.send_request(request).await.unwrap().status();
        // Kept, so that it is the host that ends the connection.
        (status, sender)
    };
    let ended = tokio::time::timeout(SOON, async { tokio::join!(connection, asked) }).await;
    let (_, (status, _sender)) = ended.expect("the connection keeps its place");
    assert_eq!(status, 404);
    assert!(stage.tasks.idle(Kind::Connection, SOON).await);
}

#[tokio::test]
async fn at_the_end_a_request_under_way_is_finished() {
    let stage = stage().await;
    let body = BODY.as_bytes();
    let mut idle = stage.connect().await;
    let mut stream = stage.connect().await;
    let expect = format!("Expect: 100-continue\r\nAuthorization: {}\r\n", token(body));
    let request = post("/webhook", &expect, body);
    let (head, rest) = request.split_at(request.len() - body.len());
    stream.write_all(head).await.unwrap();
    // "Go on" means that the request is being read.
    let mut go_on = [0; 25];
    tokio::time::timeout(SOON, stream.read_exact(&mut go_on)).await.unwrap().unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");

    stage.tasks.begin_shutdown();
    stage.stopper.stop();
    assert!(stage.tasks.idle(Kind::Serve, SOON).await);
    assert!(TcpStream::connect(stage.address).await.is_err(), "nobody listens any more");
    stream.write_all(rest).await.unwrap();
    read_reply(&mut stream).await.is(200, "");
    assert_eq!(stage.events().await.len(), 1);
    // An idle connection does not hold up the end.
    assert!(stage.tasks.idle(Kind::Connection, SOON).await);
    assert_eq!(idle.read(&mut [0; 1]).await.unwrap_or(0), 0);
}
