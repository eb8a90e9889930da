use super::*;

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(ms)
}

#[test]
fn a_disabled_endpoint_gets_nothing() {
    let disabled = Some(Disabled { reason: DisabledReason::Gone, at: at(1) });
    let health = Health { disabled, ..Health::default() };
    assert_eq!(health.gate(at(i64::MAX)), Gate::Closed(None));
}
