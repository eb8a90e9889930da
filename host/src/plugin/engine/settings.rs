//! Everything that decides what compiled code looks like, and how large a pool is. Set here and
//! nowhere else: code that was compiled with other settings does not load.

use super::{INSTANCES_MAX, Kind};
use crate::plugin::limits;
use crate::plugin::warm::WARM_MAX;
use std::num::NonZeroUsize;
use wasmtime::{Config, Enabled, InstanceAllocationStrategy, PoolingAllocationConfig};

/// Memory that stays mapped in a free slot, in bytes: it is cleared instead of given back to the
/// kernel.
const MEMORY_KEEP_BYTES: usize = 1024 * 1024;
/// The same for tables.
const TABLE_KEEP_BYTES: usize = 64 * 1024;
/// The same for the stacks of fibers: without it every call gives its stack back to the kernel.
const STACK_KEEP_BYTES: usize = 64 * 1024;
/// Frames kept of a trap.
const FRAMES_MAX: usize = 20;

/// The settings of one kind, with or without a pool.
pub fn config(kind: Kind, metered: bool, pooled: bool) -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .concurrency_support(kind == Kind::Full)
        .epoch_interruption(true)
        .consume_fuel(metered)
        .max_wasm_stack(limits::WASM_STACK_BYTES)
        .async_stack_size(limits::ASYNC_STACK_BYTES)
        .wasm_backtrace_max_frames(NonZeroUsize::new(FRAMES_MAX));
    if pooled {
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool()));
    }
    config
}

/// Room for so many of the largest instance, running or kept. This is address space, not memory.
const SLOTS: u32 = INSTANCES_MAX + WARM_MAX;

fn pool() -> PoolingAllocationConfig {
    let warm_slots = 2 * std::thread::available_parallelism().map_or(1, usize::from);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(SLOTS)
        .total_core_instances(SLOTS * limits::CORE_INSTANCES_MAX)
        .total_memories(SLOTS * limits::MEMORIES_MAX)
        .total_tables(SLOTS * limits::TABLES_MAX)
        .total_stacks(SLOTS)
        .max_core_instances_per_component(limits::CORE_INSTANCES_MAX)
        .max_memories_per_component(limits::MEMORIES_MAX)
        .max_tables_per_component(limits::TABLES_MAX)
        .max_memories_per_module(limits::MEMORIES_MAX)
        .max_tables_per_module(limits::TABLES_MAX)
        .max_component_instance_size(limits::INSTANCE_BYTES_MAX)
        .max_core_instance_size(limits::INSTANCE_BYTES_MAX)
        .max_memory_size(usize::try_from(limits::MEMORY_BYTES.cap).unwrap_or(usize::MAX))
        .table_elements(usize::try_from(limits::TABLE_ELEMENTS.cap).unwrap_or(usize::MAX))
        .max_unused_warm_slots(u32::try_from(warm_slots).unwrap_or(u32::MAX))
        .linear_memory_keep_resident(MEMORY_KEEP_BYTES)
        .table_keep_resident(TABLE_KEEP_BYTES)
        .async_stack_keep_resident(STACK_KEEP_BYTES)
        .pagemap_scan(Enabled::Auto);
    pool
}
