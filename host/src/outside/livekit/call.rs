//! The calls: a question to a request with its token, and what comes back to JSON.

use super::kept::Answer;
use super::{ANSWER_BYTES_MAX, Server, TIMEOUT, json, unavailable};
use crate::plugin::outside::{
    Fetch, FetchError, FetchRequest, FetchResponse, LiveKitError, Question,
};
use crate::plugin::permission::Scheme;
use bytes::Bytes;
use livekit_protocol as proto;
use livekit_webhook_wire::sign::{self, Grant};
use prost::Message;

/// How long a token lives, in seconds.
const TOKEN_LIFETIME_S: i64 = 60;
/// Pages of egresses that one question reads.
const PAGES_MAX: usize = 8;
/// Characters of the server's own words in an error.
const WORDS_MAX: usize = 200;
/// Headers of an answer, in bytes.
const HEADER_BYTES_MAX: usize = 32 * 1024;
/// The pool of connections.
const POOL: &str = "livekit-servers";
/// Twirp's code for what is not there. A path that is not there has another.
const NOT_FOUND: &str = "not_found";

/// What Twirp says instead of an answer.
#[derive(serde::Deserialize)]
struct Refusal {
    code: String,
    #[serde(default)]
    msg: String,
}

/// Asks the server. A room, a participant that is not there is `None`.
pub async fn answer(fetch: &dyn Fetch, server: &Server, question: &Question, now_s: i64) -> Answer {
    let twirp = Twirp { fetch, server, now_s };
    let found = match question {
        Question::Room(room) => {
            let request = proto::ListRoomsRequest { names: vec![room.clone()] };
            let grant = Grant::RoomList;
            let list: Option<proto::ListRoomsResponse> =
                twirp.call("RoomService/ListRooms", grant, &request).await?;
            let rooms = list.map(|list| list.rooms).unwrap_or_default();
            rooms.into_iter().find(|found| found.name == *room).map(json::room).transpose()?
        }
        Question::Participants(room) => {
            let request = proto::ListParticipantsRequest { room: room.clone() };
            let grant = Grant::RoomAdmin(room);
            let list: Option<proto::ListParticipantsResponse> =
                twirp.call("RoomService/ListParticipants", grant, &request).await?;
            let found = list.map(|list| list.participants).unwrap_or_default();
            Some(json::list(found, json::participant)?)
        }
        Question::Participant { room, identity } => {
            let (room, identity) = (room.clone(), identity.clone());
            let request = proto::RoomParticipantIdentity { room, identity, ..Default::default() };
            let grant = Grant::RoomAdmin(&request.room);
            let found: Option<proto::ParticipantInfo> =
                twirp.call("RoomService/GetParticipant", grant, &request).await?;
            found.map(json::participant).transpose()?
        }
        Question::Egress(room) => Some(json::list(twirp.egresses(room).await?, json::egress)?),
    };
    if found.as_ref().is_some_and(|found| found.len() > ANSWER_BYTES_MAX) {
        return Err(LiveKitError::TooLarge { max: ANSWER_BYTES_MAX });
    }
    Ok(found.map(Bytes::from))
}

/// One question's way to its server.
struct Twirp<'a> {
    fetch: &'a dyn Fetch,
    server: &'a Server,
    now_s: i64,
}

// === impl Twirp ===

impl Twirp<'_> {
    async fn egresses(&self, room: &str) -> Result<Vec<proto::EgressInfo>, LiveKitError> {
        let mut all = Vec::new();
        let mut page_token = None;
        for _ in 0..PAGES_MAX {
            let room_name = room.to_owned();
            let request = proto::ListEgressRequest { room_name, page_token, ..Default::default() };
            let page: Option<proto::ListEgressResponse> =
                self.call("Egress/ListEgress", Grant::RoomRecord, &request).await?;
            let Some(page) = page else { return Ok(all) };
            all.extend(page.items);
            page_token = page.next_page_token.filter(|next| !next.token.is_empty());
            if page_token.is_none() {
                return Ok(all);
            }
        }
        Err(LiveKitError::TooLarge { max: ANSWER_BYTES_MAX })
    }

    /// `None` when the server says that it is not there.
    async fn call<R: Message + Default>(
        &self,
        method: &str,
        grant: Grant<'_>,
        request: &impl Message,
    ) -> Result<Option<R>, LiveKitError> {
        let Server { url, api_key, secret, .. } = self.server;
        let token = sign::access_token(api_key, secret, grant, self.now_s, TOKEN_LIFETIME_S);
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let request = FetchRequest {
            pool: POOL.to_owned(),
            scheme: if url.is_https() { Scheme::Https } else { Scheme::Http },
            host: url.host().to_string(),
            port: url.port(),
            method: "POST".to_owned(),
            path: format!("/twirp/livekit.{method}"),
            headers: vec![
                header("content-type", "application/protobuf"),
                header("authorization", &format!("Bearer {token}")),
            ],
            body: request.encode_to_vec().into(),
            timeout: TIMEOUT,
            response_bytes_max: ANSWER_BYTES_MAX,
            header_bytes_max: HEADER_BYTES_MAX,
        };
        let response = self.fetch.fetch(request).await.map_err(failed)?;
        if response.status != 200 {
            return refused(&response);
        }
        R::decode(response.body).map(Some).map_err(|_| unavailable("its answer is no protobuf"))
    }
}

/// A stranger's words go no further than the plugin, and not all of them.
fn refused<R>(response: &FetchResponse) -> Result<Option<R>, LiveKitError> {
    let status = response.status;
    let Ok(Refusal { code, msg }) = serde_json::from_slice(&response.body) else {
        return Err(unavailable(&format!("status {status}, and not from LiveKit's server API")));
    };
    if code == NOT_FOUND {
        return Ok(None);
    }
    let words: String = format!("{code}: {msg}").chars().take(WORDS_MAX).collect();
    Err(unavailable(&format!("status {status}, {words}")))
}

fn failed(error: FetchError) -> LiveKitError {
    match error {
        FetchError::TooLarge { max, .. } => LiveKitError::TooLarge { max },
        other => LiveKitError::Unavailable(other.to_string()),
    }
}
