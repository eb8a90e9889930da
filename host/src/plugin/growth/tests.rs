use super::*;
use wasmtime::ResourceLimiter;

fn growth(memory_bytes: u64, budget: &Arc<Budget>) -> Growth {
    let limits = Limits::default().with(MEMORY_BYTES, memory_bytes).unwrap();
    Growth::new(&limits, budget.clone())
}

#[test]
fn memories_are_summed_and_a_refusal_is_remembered() {
    let mut growth = growth(100, &Arc::new(Budget::new(1000)));
    assert!(growth.memory_growing(0, 60, None).unwrap());
    assert!(!growth.memory_growing(0, 60, None).unwrap(), "a second memory shares the sum");
    assert_eq!(growth.refused(), Some(Refused::Limit));
    assert!(growth.memory_growing(60, 100, None).unwrap());
    assert_eq!(growth.memory_bytes(), 100);
    growth.renew();
    assert_eq!(growth.refused(), None);
}

#[test]
fn what_all_instances_have_is_bounded_and_comes_back() {
    let budget = Arc::new(Budget::new(150));
    let mut first = growth(100, &budget);
    let mut second = growth(100, &budget);
    assert!(first.memory_growing(0, 100, None).unwrap());
    assert!(!second.memory_growing(0, 60, None).unwrap());
    assert_eq!(second.refused(), Some(Refused::Budget));
    drop(first);
    assert!(second.memory_growing(0, 60, None).unwrap());
    drop(second);
    assert_eq!(budget.taken(), 0);
}

#[test]
fn a_table_has_its_own_limit() {
    let limits = Limits::default().with(TABLE_ELEMENTS, 10).unwrap();
    let mut growth = Growth::new(&limits, Arc::new(Budget::new(1)));
    assert!(growth.table_growing(0, 10, None).unwrap());
    assert!(!growth.table_growing(10, 11, None).unwrap());
    assert!(!growth.table_growing(0, 5, Some(4)).unwrap());
}
