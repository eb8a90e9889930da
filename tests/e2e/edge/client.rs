//! Clients that send exactly the bytes and frames a story asks for.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use hyper::header::{HeaderName, HeaderValue};
use hyper::{HeaderMap, Request};

/// How long an answer may take. Only a failing story waits so long.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// What came back.
#[derive(Debug, PartialEq, Eq)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// The `code` of the problem details.
    pub fn code(&self) -> String {
        let problem: serde_json::Value = serde_json::from_str(&self.body).unwrap_or_default();
        problem["code"].as_str().unwrap_or_default().to_owned()
    }
}

/// A POST as LiveKit sends it, with more headers.
pub fn post(authorization: &str, body: &[u8], more: &str) -> Vec<u8> {
    let head = format!(
        "POST /webhook HTTP/1.1\r\nhost: edge\r\ncontent-type: application/webhook+json\r\n\
         authorization: {authorization}\r\ncontent-length: {}\r\n{more}\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// The same with a chunked body, one chunk a piece, and trailer lines.
pub fn post_chunked(authorization: &str, pieces: &[&[u8]], trailers: &str) -> Vec<u8> {
    let mut request = format!(
        "POST /webhook HTTP/1.1\r\nhost: edge\r\nauthorization: {authorization}\r\n\
         transfer-encoding: chunked\r\n\r\n"
    )
    .into_bytes();
    for piece in pieces {
        request.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
        request.extend_from_slice(piece);
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(format!("0\r\n{trailers}\r\n").as_bytes());
    request
}

/// A connection for HTTP/1.1.
pub struct Http1(TcpStream);

impl Http1 {
    pub fn connect(edge: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect_timeout(&edge, ANSWER_MAX)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_MAX))?;
        stream.set_write_timeout(Some(ANSWER_MAX))?;
        Ok(Self(stream))
    }

    /// Writes all, or what the other side takes before it has answered and closed.
    pub fn send(&mut self, bytes: &[u8]) {
        // An early refusal closes while we write; the answer is what counts.
        let _ = self.0.write_all(bytes);
    }

    pub fn receive(&mut self) -> Result<Reply> {
        let (mut answer, mut piece) = (Vec::new(), [0; 4096]);
        loop {
            if let Some(reply) = parse(&answer)? {
                if reply.status != 100 {
                    return Ok(reply);
                }
                // What follows an interim answer may have come with it.
                let end = answer.windows(4).position(|window| window == b"\r\n\r\n");
                answer.drain(..end.map_or(answer.len(), |end| end + 4));
                continue;
            }
            let read = self.0.read(&mut piece).context("reading the answer")?;
            if read == 0 {
                bail!("closed without an answer after {:?}", String::from_utf8_lossy(&answer));
            }
            answer.extend(piece.iter().take(read));
        }
    }
}

/// One request on a connection of its own.
pub fn http1(edge: SocketAddr, request: &[u8]) -> Result<Reply> {
    let mut connection = Http1::connect(edge)?;
    connection.send(request);
    connection.receive()
}

fn parse(answer: &[u8]) -> Result<Option<Reply>> {
    let text = String::from_utf8_lossy(answer);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return Ok(None);
    };
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).context("no status")?;
    let header = |line: &str| {
        let (name, value) = line.split_once(':')?;
        Some((name.to_ascii_lowercase(), value.trim().to_owned()))
    };
    let headers = lines.filter_map(header).collect();
    let mut reply = Reply { status: status.parse()?, headers, body: String::new() };
    let length: usize = reply.header("content-length").unwrap_or("0").parse()?;
    if body.len() < length {
        return Ok(None);
    }
    reply.body = body.to_owned();
    Ok(Some(reply))
}

/// How an HTTP/2 request ends.
pub enum End<'a> {
    /// With the headers; there are no frames.
    Headers,
    /// With the last frame.
    Data,
    /// With an empty frame after the last.
    EmptyData,
    /// With this trailer.
    Trailer(&'a str, &'a str),
    /// With these trailers.
    Trailers(&'a [(Vec<u8>, Vec<u8>)]),
}

/// A POST as LiveKit sends it.
pub fn h2_post(authorization: &str) -> Result<Request<()>> {
    let request = Request::post("http://edge/webhook")
        .header("content-type", "application/webhook+json")
        .header("authorization", authorization);
    Ok(request.body(())?)
}

/// One HTTP/2 request, a DATA frame a piece, on a connection of its own.
pub fn http2(
    edge: SocketAddr,
    authorization: &str,
    pieces: &[&[u8]],
    end: End<'_>,
) -> Result<Reply> {
    http2_request(edge, h2_post(authorization)?, pieces, end)
}

/// The same with any head.
pub fn http2_request(
    edge: SocketAddr,
    request: Request<()>,
    pieces: &[&[u8]],
    end: End<'_>,
) -> Result<Reply> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let exchange = exchange(edge, request, pieces, end);
    runtime.block_on(async { tokio::time::timeout(ANSWER_MAX, exchange).await })?
}

async fn exchange(
    edge: SocketAddr,
    request: Request<()>,
    pieces: &[&[u8]],
    end: End<'_>,
) -> Result<Reply> {
    let stream = tokio::net::TcpStream::connect(edge).await?;
    let (sender, connection) = h2::client::handshake(stream).await?;
    let talk = async {
        let mut sender = sender.ready().await?;
        let (answer, mut body) = sender.send_request(request, matches!(end, End::Headers))?;
        // The answer may come before the body has gone; then the rest cannot be sent.
        let _ = send(&mut body, pieces, end).await;
        let (head, mut data) = answer.await?.into_parts();
        let mut text = Vec::new();
        while let Some(piece) = data.data().await {
            text.extend_from_slice(&piece?);
        }
        let header = |(name, value): (&HeaderName, &HeaderValue)| {
            (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        };
        let headers = head.headers.iter().map(header).collect();
        let body = String::from_utf8_lossy(&text).into_owned();
        anyhow::Ok(Reply { status: head.status.as_u16(), headers, body })
    };
    tokio::pin!(connection);
    tokio::select! {
        reply = talk => reply,
        ended = &mut connection => {
            ended?;
            bail!("the connection ended without an answer")
        }
    }
}

async fn send(body: &mut h2::SendStream<Bytes>, pieces: &[&[u8]], end: End<'_>) -> Result<()> {
    if matches!(end, End::Headers) {
        return Ok(());
    }
    for (index, piece) in pieces.iter().enumerate() {
        let last = index + 1 == pieces.len() && matches!(end, End::Data);
        body.send_data(Bytes::copy_from_slice(piece), last)?;
        // Lets the connection write this frame before the next one is made.
        tokio::task::yield_now().await;
    }
    match end {
        End::Headers | End::Data => {}
        End::EmptyData => body.send_data(Bytes::new(), true)?,
        End::Trailer(name, value) => {
            body.send_trailers(headers([(name.as_bytes(), value.as_bytes())])?)?;
        }
        End::Trailers(lines) => {
            body.send_trailers(headers(lines.iter().map(|(name, value)| (&**name, &**value)))?)?;
        }
    }
    Ok(())
}

/// A list as hyper wants it.
pub fn headers<'a>(lines: impl IntoIterator<Item = (&'a [u8], &'a [u8])>) -> Result<HeaderMap> {
    let mut map = HeaderMap::new();
    for (name, value) in lines {
        map.append(HeaderName::from_bytes(name)?, HeaderValue::from_bytes(value)?);
    }
    Ok(map)
}
