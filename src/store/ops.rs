//! What is done with tenants' data: each file has the operations of one kind of resource.

pub mod automation;
pub mod changes;
pub mod counts;
pub mod group_members;
mod groups;
mod hold;
pub mod idempotency;
pub mod jobs;
mod keys;
pub mod log;
pub mod members;
mod outbox;
mod pages;
mod rate;
mod tenants;
pub mod tokens;
pub mod users;
