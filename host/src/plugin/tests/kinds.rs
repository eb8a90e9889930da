//! Which engine a component runs on, and what the engines have together.

use super::*;
use crate::plugin::engine::Kind;

/// A section that defines `task.cancel`, one of the async builtins. A component may have as many
/// sections as it likes, in any order.
const TASK_CANCEL: [u8; 4] = [8, 2, 1, 0x05];

fn with_async_builtin(name: &str) -> Bytes {
    let mut wasm = component(name).to_vec();
    wasm.extend(TASK_CANCEL);
    Bytes::from(wasm)
}

#[tokio::test]
async fn a_component_without_async_builtins_runs_on_the_lean_engine() {
    assert_eq!(plugin("evil", "", generous()).await.kind(), Kind::Lean);
}

#[tokio::test]
async fn one_with_them_runs_on_the_full_engine_with_the_same_limits() {
    let limits = generous().with(limits::CPU_PURE_MS, 20).unwrap();
    let wasm = with_async_builtin("evil");
    let plugin = Plugin::load(&ENGINE, "evil", wasm, options("", limits)).await.unwrap();
    assert_eq!(plugin.kind(), Kind::Full);
    let draft = one_draft(plugin.call(in_room("evil:nothing")).await);
    assert_eq!(draft.body.as_ref(), br#"{"calls":1}"#);
    let looped = plugin.call(in_room("evil:loop")).await;
    assert_eq!(looped, Err(Fault::CpuExceeded { limit_ms: 20 }));
    let too_much = plugin.call(in_room("evil:output")).await;
    assert!(matches!(too_much, Err(Fault::OutputExceeded { .. })), "{too_much:?}");
    assert!(matches!(plugin.call(in_room("evil:trap")).await, Err(Fault::Trap(_))));
    one_draft(plugin.call(in_room("evil:nothing")).await);
}

#[tokio::test]
async fn the_metered_engine_counts_the_same_for_the_same_work() {
    let mut counted = Vec::new();
    for _ in 0..2 {
        let engine = Engine::metered().unwrap();
        let options = options("", generous());
        let plugin = Plugin::load(&engine, "redact", component("redact"), options).await.unwrap();
        for _ in 0..2 {
            let (outputs, usage) = plugin.measure(in_room("demo-room")).await;
            one_draft(outputs);
            counted.push(usage.fuel.unwrap());
        }
    }
    assert!(counted[0] > 1000, "{counted:?}");
    assert!(counted.iter().all(|fuel| *fuel == counted[0]), "{counted:?}");
}

#[tokio::test]
async fn a_call_tells_what_it_took() {
    let plugin = plugin("evil", "", generous()).await;
    let (_, little) = plugin.measure(in_room("evil:nothing")).await;
    assert_eq!(little.fuel, None);
    assert!(little.memory_bytes >= 1 << 16, "{little:?}");
    assert!(!little.cpu.is_zero());
    let (outputs, much) = plugin.measure(in_room("evil:memory")).await;
    assert!(matches!(outputs, Err(Fault::MemoryExceeded { .. })), "{outputs:?}");
    assert!(much.memory_bytes > 32 << 20, "{much:?}");
}

#[tokio::test]
async fn memory_of_all_instances_comes_back() {
    let engine = Engine::on_demand().unwrap();
    let wasm = component("evil");
    let plugin = Plugin::load(&engine, "evil", wasm, options("", generous())).await.unwrap();
    for what in ["nothing", "memory", "trap"] {
        let _ = plugin.call(in_room(&format!("evil:{what}"))).await;
        assert_eq!(engine.budget().taken(), 0, "{what}");
    }
    let all = engine.budget().max();
    assert!(engine.budget().take(all));
    assert_eq!(plugin.call(in_room("evil:nothing")).await, Err(Fault::Unavailable));
    engine.budget().give_back(all);
    one_draft(plugin.call(in_room("evil:nothing")).await);
}
