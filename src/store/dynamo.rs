//! How Rollcall speaks DynamoDB: the client, tables, items, commits, and what they cost.

pub(super) mod batch;
pub mod client;
pub(super) mod commit;
pub mod dry_run;
#[cfg(feature = "local")]
pub mod embedded;
pub(super) mod item;
pub mod meter;
pub(super) mod page;
mod signer;
#[cfg(feature = "local")]
pub mod streams;
pub mod tables;
mod thrift;
pub(super) mod write;
