//! What the demo sends, and what must come of it. Pure data: everything that is expected stands
//! here.

/// One event and what is expected of it.
#[derive(Clone, Copy, Debug)]
pub struct Act {
    /// What it shows.
    pub title: &'static str,
    /// Type of the event.
    pub kind: &'static str,
    /// How it is sent.
    pub way: Way,
    /// What Envoy answers.
    pub answer: Answer,
    /// Every delivery that must come of it.
    pub owed: &'static [Owed],
}

/// How an event is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// As LiveKit does.
    Signed,
    /// The bytes of the first event again, under a new token, as LiveKit does after a lost answer.
    Again,
    /// Signed with a secret that is not the project's.
    Forged,
    /// A name is changed after signing.
    Tampered,
    /// Signed an hour ago.
    Expired,
}

/// What Envoy answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// 200: new, and on the host's disk.
    Stored,
    /// 200: the host knows it already.
    Duplicate,
    /// 200: nobody behind the edge wants this type.
    Filtered,
    /// 401 with this code.
    Refused(&'static str),
}

/// One delivery that must come of an event.
#[derive(Clone, Copy, Debug)]
pub struct Owed {
    /// Name of the endpoint.
    pub endpoint: &'static str,
    /// What each attempt is answered with.
    pub statuses: &'static [u16],
    /// `None`: delivered. Else the reason of its dead letter.
    pub dead: Option<&'static str>,
    /// What arrives.
    pub body: Body,
}

/// What arrives at an endpoint.
#[derive(Clone, Copy, Debug)]
pub enum Body {
    /// The bytes LiveKit sent.
    Same,
    /// The same but for these values, which `redact` removed.
    Redacted(&'static [&'static str]),
    /// A post for Slack, with these words in it.
    Post(&'static [&'static str]),
}

const TURN_PASSWORD: Body = Body::Redacted(&["room.turnPassword"]);
const STORAGE_KEYS: Body = Body::Redacted(&[
    "egressInfo.roomComposite.fileOutputs.0.s3.accessKey",
    "egressInfo.roomComposite.fileOutputs.0.s3.secret",
]);

/// All of it, in the order in which it is sent.
pub const ACTS: [Act; 12] = [
    Act {
        title: "the receiver is down at first",
        kind: "room_started",
        way: Way::Signed,
        answer: Answer::Stored,
        owed: &[Owed {
            endpoint: "billing",
            statuses: &[503, 503, 200],
            dead: None,
            body: TURN_PASSWORD,
        }],
    },
    Act {
        title: "a plugin makes a chat post of it",
        kind: "participant_joined",
        way: Way::Signed,
        answer: Answer::Stored,
        owed: &[Owed {
            endpoint: "team-chat",
            statuses: &[200],
            dead: None,
            body: Body::Post(&["*alice* joined *standup*"]),
        }],
    },
    Act {
        title: "for a receiver made with LiveKit's SDK",
        kind: "track_published",
        way: Way::Signed,
        answer: Answer::Stored,
        owed: &[Owed { endpoint: "live-map", statuses: &[200], dead: None, body: Body::Same }],
    },
    Act {
        title: "two endpoints, one of them broken",
        kind: "egress_ended",
        way: Way::Signed,
        answer: Answer::Stored,
        owed: &[
            Owed {
                endpoint: "team-chat",
                statuses: &[200],
                dead: None,
                body: Body::Post(&["Egress of *standup*", "rec/standup.mp4"]),
            },
            Owed {
                endpoint: "archive",
                statuses: &[500, 500],
                dead: Some("exhausted"),
                body: STORAGE_KEYS,
            },
        ],
    },
    Act {
        title: "the receiver refuses for good",
        kind: "participant_left",
        way: Way::Signed,
        answer: Answer::Stored,
        owed: &[Owed {
            endpoint: "crm",
            statuses: &[422],
            dead: Some("refused"),
            body: TURN_PASSWORD,
        }],
    },
    Act {
        title: "one copy redacted, one as it came",
        kind: "room_finished",
        way: Way::Signed,
        answer: Answer::Stored,
        owed: &[
            Owed { endpoint: "billing", statuses: &[200], dead: None, body: TURN_PASSWORD },
            Owed { endpoint: "live-map", statuses: &[200], dead: None, body: Body::Same },
        ],
    },
    Act {
        title: "nobody has subscribed to it",
        kind: "agent_job_started",
        way: Way::Signed,
        answer: Answer::Stored,
        owed: &[],
    },
    Act {
        title: "event 1 comes a second time",
        kind: "room_started",
        way: Way::Again,
        answer: Answer::Duplicate,
        owed: &[],
    },
    Act {
        title: "a type the edge leaves out",
        kind: "track_unpublished",
        way: Way::Signed,
        answer: Answer::Filtered,
        owed: &[],
    },
    Act {
        title: "forged",
        kind: "participant_joined",
        way: Way::Forged,
        answer: Answer::Refused("invalid_token"),
        owed: &[],
    },
    Act {
        title: "tampered with",
        kind: "participant_joined",
        way: Way::Tampered,
        answer: Answer::Refused("body_mismatch"),
        owed: &[],
    },
    Act {
        title: "an old token",
        kind: "room_finished",
        way: Way::Expired,
        answer: Answer::Refused("expired"),
        owed: &[],
    },
];

// === impl Act ===

impl Act {
    /// Whether the host keeps it as a new event.
    pub fn is_stored(&self) -> bool {
        self.answer == Answer::Stored
    }
}

// === impl Answer ===

impl Answer {
    /// The HTTP status.
    pub fn status(self) -> u16 {
        match self {
            Self::Refused(_) => 401,
            _ => 200,
        }
    }
}

// === impl Way ===

impl Way {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Signed => "signed with the project's key",
            Self::Again => "those of event 1, under a new token",
            Self::Forged => "signed with a guessed secret",
            Self::Tampered => "signed with the project's key, then a name was changed",
            Self::Expired => "signed with the project's key, but an hour ago",
        }
    }
}
