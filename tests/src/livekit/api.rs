//! A double of LiveKit's server API: the four questions that a gateway asks for plugins, as protobuf
//! over Twirp.
//!
//! It believes a token only when LiveKit's own library does, and only for what the token grants, as
//! the real server. It counts what it is asked, and can be slow, broken or far too talkative.

#![expect(clippy::disallowed_methods, reason = "a fixture's tasks end with its runtime")]

use anyhow::Result;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, LOCATION};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use livekit_api::access_token::{Claims, TokenVerifier};
use livekit_protocol as proto;
use prost::Message;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Bytes of an answer that is far too long.
const HUGE_BYTES: usize = 8 * 1024 * 1024;
/// How long it is silent.
const SILENCE: Duration = Duration::from_secs(60);

/// How it behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// As it should.
    Well,
    /// It says nothing for a minute.
    Silent,
    /// It answers so much later.
    Slow(Duration),
    /// A page of some proxy before it, status 502.
    Broken,
    /// A message of 8 MiB.
    Huge,
    /// It sends everybody to itself.
    Redirecting,
}

/// What it knows.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// Rooms.
    pub rooms: Vec<proto::Room>,
    /// Participants, with the names of their rooms.
    pub participants: Vec<(String, proto::ParticipantInfo)>,
    /// Egresses.
    pub egresses: Vec<proto::EgressInfo>,
}

/// The server. It ends when it is dropped.
pub struct Api {
    address: SocketAddr,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

struct Shared {
    api_key: String,
    secret: String,
    state: Mutex<State>,
}

struct State {
    known: Known,
    mood: Mood,
    /// The path of each request.
    asked: Vec<String>,
    /// Why requests were refused.
    refused: Vec<String>,
}

/// Twirp's code and words.
type Refused = (StatusCode, &'static str, String);

// === impl Api ===

impl Api {
    /// Listens on a free loopback port.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start(api_key: &str, secret: &str, known: Known) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let (asked, refused) = (Vec::new(), Vec::new());
        let state = Mutex::new(State { known, mood: Mood::Well, asked, refused });
        let (api_key, secret) = (api_key.to_owned(), secret.to_owned());
        let shared = Arc::new(Shared { api_key, secret, state });
        let server = tokio::spawn(serve(listener, shared.clone()));
        Ok(Self { address, shared, server })
    }

    /// As `[[source]] server` has it.
    pub fn url(&self) -> String {
        format!("ws://{}", self.address)
    }

    /// Behaves so from now on.
    pub fn is(&self, mood: Mood) {
        self.shared.state().mood = mood;
    }

    /// Knows this from now on.
    pub fn knows(&self, known: Known) {
        self.shared.state().known = known;
    }

    /// What it was asked, such as `RoomService/ListRooms`, whatever it answered.
    pub fn asked(&self) -> Vec<String> {
        self.shared.state().asked.clone()
    }

    /// Why it refused requests.
    pub fn refused(&self) -> Vec<String> {
        self.shared.state().refused.clone()
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        self.server.abort();
    }
}

// === impl Shared ===

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let path = request.uri().path().to_owned();
        let method = path.strip_prefix("/twirp/livekit.").unwrap_or(&path).to_owned();
        self.state().asked.push(method.clone());
        let mood = self.state().mood;
        match mood {
            Mood::Well => {}
            Mood::Silent => tokio::time::sleep(SILENCE).await,
            Mood::Slow(wait) => tokio::time::sleep(wait).await,
            Mood::Broken => return said(StatusCode::BAD_GATEWAY, "text/html", "<html>502</html>"),
            Mood::Huge => {
                let metadata = "x".repeat(HUGE_BYTES);
                let room = proto::Room { metadata, ..Default::default() };
                return protobuf(&proto::ListRoomsResponse { rooms: vec![room] });
            }
            Mood::Redirecting => {
                let mut there = said(StatusCode::TEMPORARY_REDIRECT, "text/plain", "there");
                if let Ok(path) = path.parse() {
                    there.headers_mut().insert(LOCATION, path);
                }
                return there;
            }
        }
        match self.judged(&method, request).await {
            Ok(response) => response,
            Err((status, code, words)) => {
                self.state().refused.push(format!("{method}: {code}: {words}"));
                let body = serde_json::json!({ "code": code, "msg": words });
                said(status, "application/json", body.to_string())
            }
        }
    }

    async fn judged(
        &self,
        method: &str,
        request: Request<Incoming>,
    ) -> Result<Response<Full<Bytes>>, Refused> {
        let malformed = |words: &str| (StatusCode::BAD_REQUEST, "malformed", words.to_owned());
        let is_protobuf =
            request.headers().get(CONTENT_TYPE).is_some_and(|is| is == "application/protobuf");
        if request.method() != Method::POST || !is_protobuf {
            return Err((StatusCode::NOT_FOUND, "bad_route", "POST protobuf".to_owned()));
        }
        let claims = self.claims(&request)?;
        let body = request.into_body().collect().await;
        let body = body.map_err(|_| malformed("the body broke off"))?.to_bytes();
        let malformed = |_| malformed("the body is another message");
        let known = self.state().known.clone();
        match method {
            "RoomService/ListRooms" => {
                let asked = proto::ListRoomsRequest::decode(body).map_err(malformed)?;
                granted(claims.video.room_list, "roomList")?;
                let is_meant = |room: &proto::Room| asked.names.contains(&room.name);
                let rooms = known.rooms.into_iter().filter(is_meant).collect();
                Ok(protobuf(&proto::ListRoomsResponse { rooms }))
            }
            "RoomService/ListParticipants" => {
                let asked = proto::ListParticipantsRequest::decode(body).map_err(malformed)?;
                administers(&claims, &asked.room)?;
                let in_room =
                    known.participants.into_iter().filter(|(room, _)| *room == asked.room);
                let participants = in_room.map(|(_, participant)| participant).collect();
                Ok(protobuf(&proto::ListParticipantsResponse { participants }))
            }
            "RoomService/GetParticipant" => {
                let asked = proto::RoomParticipantIdentity::decode(body).map_err(malformed)?;
                administers(&claims, &asked.room)?;
                let found = known.participants.into_iter().find(|(room, participant)| {
                    *room == asked.room && participant.identity == asked.identity
                });
                let gone = || "participant does not exist".to_owned();
                let found = found.ok_or_else(|| (StatusCode::NOT_FOUND, "not_found", gone()))?;
                Ok(protobuf(&found.1))
            }
            "Egress/ListEgress" => {
                let asked = proto::ListEgressRequest::decode(body).map_err(malformed)?;
                granted(claims.video.room_record, "roomRecord")?;
                let is_meant = |egress: &proto::EgressInfo| egress.room_name == asked.room_name;
                let items = known.egresses.into_iter().filter(is_meant).collect();
                Ok(protobuf(&proto::ListEgressResponse { items, next_page_token: None }))
            }
            other => Err((StatusCode::NOT_FOUND, "bad_route", format!("no handler for {other}"))),
        }
    }

    fn claims(&self, request: &Request<Incoming>) -> Result<Claims, Refused> {
        let refused = |words: String| (StatusCode::UNAUTHORIZED, "unauthenticated", words);
        let header = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = header.and_then(|value| value.strip_prefix("Bearer "));
        let token = token.ok_or_else(|| refused("no token".to_owned()))?;
        let verifier = TokenVerifier::with_api_key(&self.api_key, &self.secret);
        verifier.verify(token).map_err(|error| refused(error.to_string()))
    }
}

fn administers(claims: &Claims, room: &str) -> Result<(), Refused> {
    granted(claims.video.room_admin && claims.video.room == room, "roomAdmin of this room")
}

fn granted(is_granted: bool, what: &str) -> Result<(), Refused> {
    let words = || format!("the token does not grant {what}");
    is_granted.then_some(()).ok_or_else(|| (StatusCode::FORBIDDEN, "permission_denied", words()))
}

fn protobuf(message: &impl Message) -> Response<Full<Bytes>> {
    said(StatusCode::OK, "application/protobuf", message.encode_to_vec())
}

fn said(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(kind));
    response
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        let shared = shared.clone();
        tokio::spawn(async move {
            let service =
                service_fn(|request| async { Ok::<_, Infallible>(shared.answer(request).await) });
            let connection = hyper::server::conn::http1::Builder::new();
            // A peer that goes away is its own business.
            let _ = connection.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}
