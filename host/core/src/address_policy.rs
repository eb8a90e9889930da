//! address_policy
