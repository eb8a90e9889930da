//! What the host itself keeps of attacks: nothing.

use super::*;

const ATTACKS: [&str; 8] =
    ["trap", "panic", "loop", "memory", "recursion", "output", "drafts", "thrash"];
/// Attacks of each kind here; the bench makes more, and looks at the memory of its whole process,
/// which here belongs to other tests too.
const TIMES: usize = 60;

#[tokio::test]
async fn after_hundreds_of_attacks_nothing_is_taken_and_others_are_served() {
    // An engine of its own, so that what is counted is this test's.
    let engine = Engine::new().unwrap();
    let load = |name: &'static str, limits: Limits| {
        Plugin::load(&engine, name, component(name), options("", limits))
    };
    let limits = generous().with(limits::CPU_PURE_MS, 5).unwrap();
    let limits = limits.with(limits::MEMORY_BYTES, 8 << 20).unwrap();
    let evil = load("evil", limits).await.unwrap();
    let redact = load("redact", generous()).await.unwrap();
    for what in ATTACKS.into_iter().cycle().take(TIMES * ATTACKS.len()) {
        let room = format!("evil:{what}");
        let (attacked, other) =
            tokio::join!(evil.call(in_room(&room)), redact.call(in_room("demo-room")));
        assert!(attacked.is_err(), "{what}");
        one_draft(other);
    }
    assert_eq!(engine.budget().taken(), 0);
    assert_eq!((evil.waiting(), redact.waiting()), (0, 0));
}
