use super::*;
use tokio::net::TcpListener;

/// What a proxy that answers `answer` is asked, and what comes of it.
async fn asked(answer: &'static [u8]) -> (String, io::Result<TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = Proxy::at(listener.local_addr().unwrap());
    let serve = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            stream.read_buf(&mut request).await.unwrap();
        }
        stream.write_all(answer).await.unwrap();
        String::from_utf8(request).unwrap()
    };
    tokio::join!(serve, proxy.tunnel("203.0.113.5:443".parse().unwrap()))
}

#[tokio::test]
async fn the_address_is_asked_for_and_a_2xx_opens_the_tunnel() {
    let (request, tunnel) = asked(b"HTTP/1.1 200 OK\r\nserver: envoy\r\n\r\n").await;
    assert!(request.starts_with("CONNECT 203.0.113.5:443 HTTP/1.1\r\n"), "{request}");
    assert!(tunnel.is_ok());
}

#[tokio::test]
async fn any_other_answer_is_an_error() {
    for (answer, text) in [
        (&b"HTTP/1.1 403 Forbidden\r\n\r\n"[..], "with 403"),
        (b"HTTP/1.1 301 Moved\r\n\r\n", "with 301"),
        (b"HTTP/1.0 200 OK\r\n\r\n", "HTTP/1.1"),
        (b"SSH-2.0-x\r\n\r\n", "HTTP/1.1"),
        (b"HTTP/1.1 200 OK\r\n\r\nmore", "as it should"),
        (b"HTTP/1.1 200 OK\r\n", "closed"),
        (&[b'x'; 9_000], "as it should"),
    ] {
        let (_, tunnel) = asked(answer).await;
        let error = tunnel.unwrap_err().to_string();
        assert!(error.contains(text), "{error}");
    }
}
