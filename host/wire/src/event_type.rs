//! The event names LiveKit sends today. Unknown names are data, not errors.

/// All fourteen, in the order of LiveKit's own list (livekit/protocol, `webhook/consts.go`).
pub const ALL: [&str; 14] = [
    "room_started",
    "room_finished",
    "participant_joined",
    "participant_left",
    "participant_connection_aborted",
    "track_published",
    "track_unpublished",
    "egress_started",
    "egress_updated",
    "egress_ended",
    "ingress_started",
    "ingress_ended",
    "agent_job_started",
    "agent_job_ended",
];

/// Whether LiveKit is known to send this name.
pub fn is_known(name: &str) -> bool {
    ALL.contains(&name)
}
