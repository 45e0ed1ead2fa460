//! What items mean: users, groups, members, records. Nothing here reads or writes a table.

pub mod admin_action;
pub mod chain;
pub mod change;
pub mod change_record;
pub(super) mod count_changes;
pub(super) mod credential;
pub mod damage;
pub mod format;
pub mod group;
pub(super) mod history;
pub mod hold;
pub mod id;
pub mod job;
pub mod member;
pub(super) mod member_batch;
pub(super) mod member_item;
pub mod notice;
pub mod outbox;
pub(super) mod page;
pub mod record;
pub mod refusal;
pub mod restore;
pub(super) mod signature;
pub mod tenant;
pub(super) mod token;
pub mod user;
