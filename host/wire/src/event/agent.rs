//! Agent jobs. Times are unix nanoseconds on the wire.

use super::participant::ParticipantInfo;
use super::room::Room;
use super::view::{Open, Texts, enums, messages};

messages! {
    /// What LiveKit calls a job: an agent sent to a room.
    Job {
        /// `AJ_…`.
        id: Option<&'e str> = "id",
        /// `AD_…`.
        dispatch_id: Option<&'e str> = "dispatchId",
        /// Absent: for a room.
        r#type: Open<'e, JobType> = "type",
        /// The room.
        room: Option<Room<'e>> = "room",
        /// The participant it is for.
        participant: Option<ParticipantInfo<'e>> = "participant",
        /// Of older servers.
        namespace: Option<&'e str> = "namespace",
        /// The application's own.
        metadata: Option<&'e str> = "metadata",
        /// Which agent.
        agent_name: Option<&'e str> = "agentName",
        /// How far it is.
        state: Option<JobState<'e>> = "state",
        /// Whether it is recorded.
        enable_recording: bool = "enableRecording",
        /// Which deployment of the agent.
        deployment: Option<&'e str> = "deployment",
        /// The application's own.
        attributes: Option<Texts<'e>> = "attributes",
        /// Whether what it says is redacted.
        enable_redaction: bool = "enableRedaction",
    }

    /// How far a job is.
    JobState {
        /// Absent: pending.
        status: Open<'e, JobStatus> = "status",
        /// Why it failed.
        error: Option<&'e str> = "error",
        /// Unix nanoseconds.
        started_at: Option<i64> = "startedAt",
        /// Unix nanoseconds.
        ended_at: Option<i64> = "endedAt",
        /// Unix nanoseconds.
        updated_at: Option<i64> = "updatedAt",
        /// The agent's own.
        participant_identity: Option<&'e str> = "participantIdentity",
        /// `AW_…`.
        worker_id: Option<&'e str> = "workerId",
        /// `A_…`.
        agent_id: Option<&'e str> = "agentId",
    }
}

impl JobState<'_> {
    /// Unix milliseconds.
    pub fn started_at_ms(self) -> Option<i64> {
        self.started_at().map(super::ns_to_ms)
    }

    /// Unix milliseconds.
    pub fn ended_at_ms(self) -> Option<i64> {
        self.ended_at().map(super::ns_to_ms)
    }
}

enums! {
    /// What an agent is sent for.
    JobType {
        /// A room.
        Room = "JT_ROOM" 0,
        /// One who publishes.
        Publisher = "JT_PUBLISHER" 1,
        /// A participant.
        Participant = "JT_PARTICIPANT" 2,
    }

    /// Where a job is in its life.
    JobStatus {
        /// Not taken yet.
        Pending = "JS_PENDING" 0,
        /// Running.
        Running = "JS_RUNNING" 1,
        /// Done.
        Success = "JS_SUCCESS" 2,
        /// Failed.
        Failed = "JS_FAILED" 3,
    }
}
