//! Table `links`: the members of groups; the names of groups, so that each is taken once; the second and further
//! e-mail addresses of a user, which the index of the users table cannot hold; and the work that a commit has left to be
//! done. Rows hold ids, so that a rename of a user touches none; each is written in the transaction of what it links.

use super::dynamo::item::{Item, s, text};
use super::dynamo::tables::Table;
use super::{Store, StoreError};
use crate::auth::Tenant;
use crate::limits::{JOB_LANES, MAX_SCANNED_PAGES};
use crate::store::dynamo::write::Write;
use crate::store::model::format::check_formats;

/// The rows to write and to delete when a user's further addresses change from `old` to `new`.
pub(super) fn email_changes(tenant: &Tenant, id: &str, old: &[String], new: &[String]) -> Vec<Write> {
    let deleted_member = old.iter().filter(|email| !new.contains(email));
    let come = new.iter().filter(|email| !old.contains(email));
    deleted_member
        .map(|email| Write::delete(Table::Links, email_row(tenant, email, id)))
        .chain(come.map(|email| Write::put(Table::Links, email_row(tenant, email, id))))
        .collect()
}

impl Store {
    /// The ids of the users who have that further address.
    pub(super) async fn users_with_further_email(
        &self,
        tenant: &Tenant,
        email: &str,
    ) -> Result<Vec<String>, StoreError> {
        let query = self.client.query().table_name(self.table(Table::Links)).consistent_read(true);
        let query = query.key_condition_expression("#pk = :pk").expression_attribute_names("#pk", "pk");
        let mut pages =
            query.expression_attribute_values(":pk", s(email_partition(tenant, email))).into_paginator().send();
        let mut ids = Vec::new();
        let mut read = 0;
        while let Some(page) = pages.next().await {
            let page = page.map_err(|e| StoreError::of(&e))?;
            read += 1;
            if read > MAX_SCANNED_PAGES {
                return Err(StoreError::TooMany(MAX_SCANNED_PAGES));
            }
            check_formats(page.items())?;
            for item in page.items() {
                ids.push(text(item, "sk")?.to_owned());
            }
        }
        Ok(ids)
    }
}

/// The key of the row of a further e-mail address.
pub(super) fn email_row(tenant: &Tenant, email: &str, id: &str) -> Item {
    Item::from([("pk".to_owned(), s(email_partition(tenant, email))), ("sk".to_owned(), s(id))])
}

fn email_partition(tenant: &Tenant, email: &str) -> String {
    format!("{}#email#{email}", tenant.as_str())
}

/// The partition of a group's members.
pub(super) fn member_partition(tenant: &Tenant, group: &str) -> String {
    format!("{}#member#{group}", tenant.as_str())
}

/// The key of a member's row.
pub(super) fn member_row(tenant: &Tenant, group: &str, member: &str) -> Item {
    Item::from([("pk".to_owned(), s(member_partition(tenant, group))), ("sk".to_owned(), s(member))])
}

/// The partition of the ids of a batch of members.
pub(super) fn batch_partition(tenant: &Tenant, group: &str, request: &str) -> String {
    format!("{}#batch#{group}#{request}", tenant.as_str())
}

/// The key of one of its rows: of the ids from that one on.
pub(super) fn batch_row(tenant: &Tenant, group: &str, request: &str, first: &str) -> Item {
    let pk = batch_partition(tenant, group, request);
    Item::from([("pk".to_owned(), s(pk)), ("sk".to_owned(), s(first))])
}

/// What the sort key of a member begins with that a later change has settled, in the partition of a batch: it is after
/// every id.
pub(super) const SETTLED: &str = "member#";

/// The key of the row that takes a member out of a batch: a later change has settled whether it is one.
pub(super) fn settled_row(tenant: &Tenant, group: &str, request: &str, member: &str) -> Item {
    let pk = batch_partition(tenant, group, request);
    Item::from([("pk".to_owned(), s(pk)), ("sk".to_owned(), s(format!("{SETTLED}{member}")))])
}

/// The id of the work that a batch of members is.
pub(super) fn batch_job(group: &str, request: &str) -> String {
    format!("{group}.{request}")
}

/// Whether a job carries a batch of members out.
pub(super) fn is_batch_job(id: &str) -> bool {
    id.contains('.')
}

/// The partition of one lane of the jobs of all tenants.
pub(super) fn job_lane(lane: u8) -> String {
    format!("job#{lane:02x}")
}

/// The lane of a tenant's batches. They share one: who deletes a user finds all of them with one read.
pub(super) fn batch_lane(tenant: &Tenant) -> u8 {
    lane_of(tenant.as_str())
}

/// How the sort keys of a tenant's jobs begin.
pub(super) fn job_prefix(tenant: &Tenant) -> String {
    format!("{}#", tenant.as_str())
}

/// The key of a job.
pub(super) fn job_row(tenant: &Tenant, id: &str) -> Item {
    let sk = format!("{}{id}", job_prefix(tenant));
    let lane = if is_batch_job(id) { batch_lane(tenant) } else { lane_of(&sk) };
    Item::from([("pk".to_owned(), s(job_lane(lane))), ("sk".to_owned(), s(sk))])
}

/// A hash that is the same in every version: keys depend on it.
fn lane_of(text: &str) -> u8 {
    let hash = text.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    // FNV-1a mixes its lowest bits least.
    u8::try_from((hash ^ (hash >> 16)) % u32::from(JOB_LANES)).unwrap_or(0)
}

/// The partition of deleted users that are still in lists of members.
pub(super) fn tombstone_partition(tenant: &Tenant) -> String {
    format!("{}#tombstone", tenant.as_str())
}

/// The key of the row that hides a deleted user from lists of members.
pub(super) fn tombstone_row(tenant: &Tenant, id: &str) -> Item {
    Item::from([("pk".to_owned(), s(tombstone_partition(tenant))), ("sk".to_owned(), s(id))])
}

/// The key of the row of a deletion that a restore has undone: it is undone once.
pub(super) fn revival_row(tenant: &Tenant, id: &str, version: u64) -> Item {
    let pk = format!("{}#revival", tenant.as_str());
    Item::from([("pk".to_owned(), s(pk)), ("sk".to_owned(), s(format!("{id}#{version}")))])
}

/// The key of the row that holds whose a group's name is.
pub(super) fn name_row(tenant: &Tenant, folded: &str) -> Item {
    Item::from([("pk".to_owned(), s(format!("{}#name#{folded}", tenant.as_str()))), ("sk".to_owned(), s("."))])
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_job_stays_in_its_lane_from_version_to_version() {
        let tenant = Tenant::of_item("acme".parse().unwrap());
        let pk = |id: &str| text(&job_row(&tenant, id), "pk").unwrap().to_owned();
        assert_eq!(
            [pk("a"), pk("b"), pk("c"), pk("a.1"), pk("b.2")],
            ["job#08", "job#05", "job#02", "job#02", "job#02"]
        );
        let lanes: BTreeSet<String> = (0..200).map(|id| pk(&id.to_string())).collect();
        assert_eq!(lanes, (0..JOB_LANES).map(job_lane).collect());
    }
}
