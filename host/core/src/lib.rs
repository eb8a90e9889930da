//! The delivery domain. Pure: no IO, no clock, no dice, no async. Decisions are functions from
//! values to values; `now` and the dice are arguments.
//!
//! The cast: an *event* is one webhook from LiveKit, its bytes kept as received; a *subscription*
//! says which events an *endpoint* gets; a *delivery* is one event owed to one endpoint; an
//! *attempt* is one HTTP try of a delivery; a *dead letter* is a delivery we stopped trying.

pub mod time;

pub mod id;

pub mod subscription;

pub mod endpoint;

pub mod delivery;

pub mod attempt;

pub mod retry;

pub mod health;

pub mod plugin;

pub mod rate;

pub mod batch;

pub mod share;

pub mod replay;

pub mod signature;

pub mod address_policy;
