//! What is done with tenants' data: each file has the operations of one kind of resource.

pub mod automation;
pub mod changes;
pub mod counts;
pub mod group_members;
mod groups;
pub mod history;
mod hold;
pub mod idempotency;
pub mod jobs;
mod keys;
pub mod load;
pub mod log;
pub mod members;
mod outbox;
mod pages;
mod purge;
mod rate;
pub mod restore;
mod tenants;
pub mod tokens;
pub mod transfer;
pub mod users;
pub mod verify;
