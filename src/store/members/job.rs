//! What is too much for one transaction: a change of many members, committed by one write and carried out after it, and
//! the sweeping of a deleted group. Every step may be done twice.

use aws_sdk_dynamodb::types::AttributeValue;

use super::{Member, join_group, leave_group};
use crate::auth::Tenant;
use crate::limits::{MAX_TRANSACTION_MEMBERS, MAX_WRITE_ATTEMPTS};
use crate::scim::membership::Ids;
use crate::store::commit::{CommitError, Write, pause};
use crate::store::groups::{self, Group, GroupId};
use crate::store::item::{lacks, n, s, text};
use crate::store::links::member_row;
use crate::store::record::{Author, id_bytes};
use crate::store::tables::Table;
use crate::store::{Store, StoreError};

/// A change of more members than a transaction takes, kept in the group's item from the write that commits it until
/// it is carried out. Readers take it into account; whoever is to write next carries it out first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) struct Job {
    pub(super) add: Ids,
    pub(super) remove: Ids,
    request: String,
}

impl Job {
    /// The job for a change that does not fit a transaction; none for one that does.
    pub(super) fn for_many(author: &Author, joining: &[Member], leaving: &[Member]) -> Option<Self> {
        let ids = |members: &[Member]| members.iter().map(|member| member.id.clone()).collect();
        (joining.len() + leaving.len() > MAX_TRANSACTION_MEMBERS).then(|| Self {
            add: ids(joining),
            remove: ids(leaving),
            request: author.request.clone(),
        })
    }

    pub(in crate::store) fn value(&self) -> AttributeValue {
        let mut map = std::collections::HashMap::from([("req".to_owned(), s(&self.request))]);
        for (name, ids) in [("add", &self.add), ("remove", &self.remove)] {
            let bytes: Vec<_> = ids.iter().filter_map(|id| id_bytes(id)).collect();
            if !bytes.is_empty() {
                map.insert(name.to_owned(), AttributeValue::Bs(bytes));
            }
        }
        AttributeValue::M(map)
    }

    pub(in crate::store) fn read(value: &AttributeValue) -> Option<Self> {
        let map = value.as_m().ok()?;
        let ids = |name: &str| -> Ids {
            let bytes = map.get(name).and_then(|ids| ids.as_bs().ok());
            bytes
                .into_iter()
                .flatten()
                .filter_map(|id| Some(uuid::Uuid::from_slice(id.as_ref()).ok()?.to_string()))
                .collect()
        };
        Some(Self { add: ids("add"), remove: ids("remove"), request: map.get("req")?.as_s().ok()?.clone() })
    }
}

impl Store {
    /// Carries out a group's job, if it has one. Every step may be done again, and none is done once somebody else has
    /// finished the job: what was written since must stand.
    pub(in crate::store) async fn finish(&self, tenant: &Tenant, group: &Group) -> Result<(), StoreError> {
        let Some(job) = &group.job else { return Ok(()) };
        let step = |joins| move |id| self.roll_forward(tenant, &group.id, id, (joins, Some(job)));
        self.each(&job.add, step(true)).await?;
        self.each(&job.remove, step(false)).await?;
        let done = Write::update(Table::Groups, groups::key(tenant, group.id.as_str()), "REMOVE #job".to_owned())
            .condition("#job.#req = :req")
            .name("job")
            .name("req")
            .value("req", s(&job.request));
        self.unless_changed(done).await
    }

    /// Makes one member join or leave, if it has not yet; for a job only as long as that is pending.
    pub(super) async fn roll_forward(
        &self,
        tenant: &Tenant,
        group: &GroupId,
        id: &str,
        (joins, job): (bool, Option<&Job>),
    ) -> Result<(), StoreError> {
        for attempt in 0..MAX_WRITE_ATTEMPTS {
            let Some(member) = self.member(tenant, id).await? else {
                // Gone, and with it its rows, but for those of a group that died while it joined.
                return match joins {
                    true => Ok(()),
                    false => {
                        self.unless_changed(Write::delete(Table::Links, member_row(tenant, group.as_str(), id))).await
                    }
                };
            };
            if member.membership.groups.contains(group.as_str()) == joins {
                return Ok(());
            }
            // Asked after the member was read: a change made since the job was finished has raised its `gver`.
            if let Some(job) = job
                && self.group(tenant, group).await?.and_then(|group| group.job).as_ref() != Some(job)
            {
                return Ok(());
            }
            let [row, item] =
                if joins { join_group(tenant, group, &member) } else { leave_group(tenant, group, &member) };
            match self.commit(&[row, unchanged(item, &member)], &random_token()).await {
                Ok(()) => return Ok(()),
                Err(CommitError::Condition(..)) => pause(attempt as u32).await,
                Err(CommitError::Store(StoreError::Throttled(_))) if attempt < 8 => pause(6).await,
                Err(CommitError::Store(error)) => return Err(error),
            }
        }
        Err(StoreError::Contended(0))
    }

    pub(super) async fn unless_changed(&self, write: Write) -> Result<(), StoreError> {
        match self.commit(&[write], "").await {
            Ok(()) | Err(CommitError::Condition(..)) => Ok(()),
            Err(CommitError::Store(error)) => Err(error),
        }
    }

    /// Removes every edge of a group that is marked as gone, and then its item. First those that others see.
    pub(super) async fn sweep(&self, tenant: &Tenant, group: &Group) -> Result<(), StoreError> {
        for row in self.rows_in(tenant, group.id.as_str(), &group.parents) {
            self.unless_changed(row).await?;
        }
        loop {
            let rows = self.some_member_rows(tenant, &group.id).await?;
            if rows.is_empty() {
                break;
            }
            let ids: Ids = rows.keys().cloned().collect();
            self.each(&ids, |id| self.roll_forward(tenant, &group.id, id, (false, None))).await?;
            // A row whose member does not know of it, such as a group that was its own member.
            self.each(&ids, |id| {
                self.unless_changed(Write::delete(Table::Links, member_row(tenant, group.id.as_str(), id)))
            })
            .await?;
        }
        self.unless_changed(Write::delete(Table::Groups, groups::key(tenant, group.id.as_str()))).await
    }

    /// Carries out every pending change of many members and sweeps every deleted group, of all tenants; how many there
    /// were. Reads the whole groups table: for the start of a local server, not for requests.
    ///
    /// # Errors
    /// As the store's.
    pub async fn recover(&self) -> Result<usize, StoreError> {
        let scan = self.client.scan().table_name(self.table(Table::Groups)).consistent_read(true);
        let scan = scan.filter_expression("attribute_exists(#job) OR attribute_exists(#gone)");
        let scan = scan.expression_attribute_names("#job", "job").expression_attribute_names("#gone", "gone");
        let mut items = scan.into_paginator().items().send();
        let mut recovered = 0;
        while let Some(item) = items.next().await {
            let item = item.map_err(|e| StoreError::of(&e))?;
            let tenant = text(&item, "tenant")?.parse().map_err(|_| lacks("tenant"))?;
            let (tenant, group) = (Tenant::of_item(tenant), Group::read(&item)?);
            if group.is_gone {
                self.sweep(&tenant, &group).await?;
            } else {
                self.finish(&tenant, &group).await?;
            }
            recovered += 1;
        }
        Ok(recovered)
    }
}

/// As [`edge`], if no membership of the member has changed since it was read.
fn unchanged(edge: Write, member: &Member) -> Write {
    edge.and_condition("(attribute_not_exists(#gver) OR #gver = :gver)").value("gver", n(member.membership.version))
}

fn random_token() -> String {
    format!("{:032x}", u128::from(getrandom::u64().unwrap_or(0)) << 64 | u128::from(getrandom::u64().unwrap_or(0)))
}
