//! Participants.

use super::track::{Encryption, TrackInfo, TrackSource};
use super::view::{Items, Object, Open, Texts, enums, messages};

messages! {
    /// A participant. On track events LiveKit sends only sid and identity, see
    /// [`ParticipantInfo::is_full`].
    ParticipantInfo {
        /// `PA_…`: one session. Key presence on this, never on the identity.
        sid: Option<&'e str> = "sid",
        /// Chosen by the application, unique within a room.
        identity: Option<&'e str> = "identity",
        /// Absent: joining.
        state: Open<'e, State> = "state",
        /// What it publishes.
        tracks: Items<'e, TrackInfo<'e>> = "tracks",
        /// The application's own, often JSON.
        metadata: Option<&'e str> = "metadata",
        /// Unix seconds.
        joined_at: Option<i64> = "joinedAt",
        /// Unix milliseconds. Older servers do not send it.
        joined_at_ms: Option<i64> = "joinedAtMs",
        /// For people to read.
        name: Option<&'e str> = "name",
        /// Counts changes.
        version: Option<u32> = "version",
        /// What it may do.
        permission: Option<Permission<'e>> = "permission",
        /// Where it is connected.
        region: Option<&'e str> = "region",
        /// Whether it has a connection to publish on.
        is_publisher: bool = "isPublisher",
        /// Absent: standard.
        kind: Open<'e, Kind> = "kind",
        /// The application's own.
        attributes: Option<Texts<'e>> = "attributes",
        /// Absent: unknown.
        disconnect_reason: Open<'e, DisconnectReason> = "disconnectReason",
        /// More on the kind.
        kind_details: Items<'e, Open<'e, KindDetail>> = "kindDetails",
        /// Its data tracks.
        data_tracks: Items<'e, DataTrackInfo<'e>> = "dataTracks",
        /// What its client speaks.
        client_protocol: Option<i32> = "clientProtocol",
    }

    /// What a participant may do.
    Permission {
        /// Receive tracks.
        can_subscribe: bool = "canSubscribe",
        /// Publish tracks.
        can_publish: bool = "canPublish",
        /// Publish data.
        can_publish_data: bool = "canPublishData",
        /// None: all.
        can_publish_sources: Items<'e, Open<'e, TrackSource>> = "canPublishSources",
        /// Not shown to others.
        hidden: bool = "hidden",
        /// A recorder; newer servers say so in the kind.
        recorder: bool = "recorder",
        /// Change its own metadata and attributes.
        can_update_metadata: bool = "canUpdateMetadata",
        /// An agent; newer servers say so in the kind.
        agent: bool = "agent",
        /// Receive metrics.
        can_subscribe_metrics: bool = "canSubscribeMetrics",
        /// Control an agent's session.
        can_manage_agent_session: bool = "canManageAgentSession",
    }

    /// A data track.
    DataTrackInfo {
        /// Chosen by the publisher.
        pub_handle: Option<u32> = "pubHandle",
        /// `DTR_…`.
        sid: Option<&'e str> = "sid",
        /// Unique per publisher.
        name: Option<&'e str> = "name",
        /// Absent: none.
        encryption: Open<'e, Encryption> = "encryption",
        /// The schema of its frames.
        schema: Option<&'e Object> = "schema",
    }
}

impl ParticipantInfo<'_> {
    /// Whether this is more than sid and identity, so that an absent field means its zero value.
    pub fn is_full(self) -> bool {
        self.joined_at().is_some()
    }

    /// Unix milliseconds of joining; of whole seconds where a server sends no more.
    pub fn joined_at_unix_ms(self) -> Option<i64> {
        self.joined_at_ms().or_else(|| self.joined_at()?.checked_mul(1000))
    }
}

enums! {
    /// Where a participant is in its session.
    State {
        /// Connected, nothing offered.
        Joining = "JOINING" 0,
        /// Offered.
        Joined = "JOINED" 1,
        /// Media can flow.
        Active = "ACTIVE" 2,
        /// Gone.
        Disconnected = "DISCONNECTED" 3,
    }

    /// What a participant is.
    Kind {
        /// A web or native client.
        Standard = "STANDARD" 0,
        /// Only brings streams in.
        Ingress = "INGRESS" 1,
        /// Only takes streams out.
        Egress = "EGRESS" 2,
        /// A phone.
        Sip = "SIP" 3,
        /// An agent.
        Agent = "AGENT" 4,
        /// A connector to another network.
        Connector = "CONNECTOR" 7,
        /// A bridge.
        Bridge = "BRIDGE" 8,
    }

    /// More on the kind.
    KindDetail {
        /// An agent hosted by LiveKit.
        CloudAgent = "CLOUD_AGENT" 0,
        /// Forwarded.
        Forwarded = "FORWARDED" 1,
        /// WhatsApp.
        ConnectorWhatsapp = "CONNECTOR_WHATSAPP" 2,
        /// Twilio.
        ConnectorTwilio = "CONNECTOR_TWILIO" 3,
        /// RTSP.
        BridgeRtsp = "BRIDGE_RTSP" 4,
        /// A simulation.
        Simulation = "SIMULATION" 5,
    }

    /// Why a participant left.
    DisconnectReason {
        /// Not told.
        Unknown = "UNKNOWN_REASON" 0,
        /// It wanted to.
        ClientInitiated = "CLIENT_INITIATED" 1,
        /// Another one joined under its identity.
        DuplicateIdentity = "DUPLICATE_IDENTITY" 2,
        /// The server stopped.
        ServerShutdown = "SERVER_SHUTDOWN" 3,
        /// `RemoveParticipant` was called.
        ParticipantRemoved = "PARTICIPANT_REMOVED" 4,
        /// `DeleteRoom` was called.
        RoomDeleted = "ROOM_DELETED" 5,
        /// It resumed a session the server does not know.
        StateMismatch = "STATE_MISMATCH" 6,
        /// It could not connect.
        JoinFailure = "JOIN_FAILURE" 7,
        /// Moved elsewhere by LiveKit Cloud.
        Migration = "MIGRATION" 8,
        /// The signal connection closed.
        SignalClose = "SIGNAL_CLOSE" 9,
        /// All others had left.
        RoomClosed = "ROOM_CLOSED" 10,
        /// Did not answer the phone.
        UserUnavailable = "USER_UNAVAILABLE" 11,
        /// Declined the call.
        UserRejected = "USER_REJECTED" 12,
        /// The phone network failed.
        SipTrunkFailure = "SIP_TRUNK_FAILURE" 13,
        /// Timed out.
        ConnectionTimeout = "CONNECTION_TIMEOUT" 14,
        /// Its media failed.
        MediaFailure = "MEDIA_FAILURE" 15,
        /// The agent failed.
        AgentError = "AGENT_ERROR" 16,
    }
}
