//! Examines groups: their index attributes, their names, their pending changes, and the groups that they are members of.

use super::finding::Contradiction;
use super::repair;
use crate::auth::Tenant;
use crate::store::dynamo::item::{Item, optional_text, s};
use crate::store::dynamo::tables::Table;
use crate::store::dynamo::write::{Condition, Write};
use crate::store::model::damage::DataCheck;
use crate::store::model::group::{Group, group_key};
use crate::store::model::id::GroupId;
use crate::store::model::job::{DeferredJob, complete};
use crate::store::model::member_batch::MemberBatch;
use crate::store::rows::{batch_job, batch_partition, name_row};
use crate::store::{Store, StoreError};

/// The attribute that names a pending change of many members.
const BATCH: &str = "memberBatch";

impl Store {
    pub(super) async fn examine_groups(
        &self,
        tenant: &Tenant,
        items: &[Item],
    ) -> Result<Vec<Contradiction>, StoreError> {
        let mut findings = self.examine_parents(tenant, items).await?;
        let mut groups = Vec::new();
        for item in items {
            match Group::read(item) {
                Ok(group) => groups.push((group, item)),
                Err(error) => findings.push(unreadable(tenant, item, &error)),
            }
        }
        let rows = groups.iter().map(|(group, _)| name_row(tenant, &group.keys.name)).collect();
        let rows = self.rows_there(rows).await?;
        for (group, item) in groups {
            findings.extend(repair::of_group(tenant, &group, item));
            let row = name_row(tenant, &group.keys.name);
            let holder = rows.iter().find(|there| there.get("pk") == row.get("pk"));
            if holder.and_then(|there| optional_text(there, "g")) != Some(group.id.as_str()) {
                findings.extend(self.examine_name(tenant, group.id.as_str(), &row).await?);
            }
            if group.batch.is_some() {
                findings.extend(self.examine_batch(tenant, &group.id).await?);
            }
        }
        Ok(findings)
    }

    /// A group that does not own its name.
    async fn examine_name(&self, tenant: &Tenant, id: &str, row: &Item) -> Result<Option<Contradiction>, StoreError> {
        let Some((Some(group), there)) = self.group_and_row(tenant, id, row).await? else { return Ok(None) };
        if name_row(tenant, &group.keys.name).get("pk") != row.get("pk") {
            return Ok(None);
        }
        let mut claim = row.clone();
        claim.insert("g".into(), s(id));
        let held = Write::check(Table::Groups, group_key(tenant, id))
            .require(&Condition::equals("id", s(id)))
            .require(&Condition::equals("name", s(&group.keys.name)));
        let put = Write::put(Table::Links, claim);
        let holder = there.as_ref().and_then(|there| optional_text(there, "g"));
        let (detail, put) = match holder {
            Some(holder) if holder == id => return Ok(None),
            None => ("the row is missing", put.require(&Condition::Absent("g"))),
            Some(holder) => {
                let other = match GroupId::parse(holder) {
                    Some(holder) => self.group(tenant, &holder).await?,
                    None => None,
                };
                if other.is_some_and(|other| other.keys.name == group.keys.name) {
                    let detail = format!("the group {holder} has the same name");
                    return Ok(Some(Contradiction::new(DataCheck::GroupNameShared, id, detail, Vec::new())));
                }
                ("the row names a group that does not have the name", put.require(&Condition::equals("g", s(holder))))
            }
        };
        Ok(Some(Contradiction::new(DataCheck::GroupNameRow, id, detail, vec![put, held])))
    }

    /// The job and the ids of a pending change.
    async fn examine_batch(&self, tenant: &Tenant, id: &GroupId) -> Result<Vec<Contradiction>, StoreError> {
        let Some(group) = self.group(tenant, id).await? else { return Ok(Vec::new()) };
        let Some(batch) = &group.batch else { return Ok(Vec::new()) };
        let job = batch_job(id.as_str(), &batch.request);
        let has_job = self.has_job(tenant, &job).await?;
        let rows = self.partition_of(batch_partition(tenant, id.as_str(), &batch.request)).await?;
        // It may have been carried out meanwhile.
        let is_pending = self.group(tenant, id).await?.is_some_and(|now| now.batch == group.batch);
        let pending = Condition::equals("memberBatch.req", s(&batch.request));
        let mut findings = Vec::new();
        if is_pending && !has_job {
            let held = Write::check(Table::Groups, group_key(tenant, id.as_str())).require(&pending);
            let put = new_job(tenant, &job, batch).row().require(&Condition::Absent("pk"));
            findings.push(Contradiction::new(DataCheck::BatchJob, id.as_str(), "the job is missing", vec![put, held]));
        }
        if is_pending && rows.is_empty() && !batch.is_whole {
            let header = Write::update(Table::Groups, group_key(tenant, id.as_str()));
            let end = header.remove(BATCH).increment("ver").require(&pending);
            let end = vec![end, complete(tenant, &job, &batch.request)];
            // Without a job, there is none to end.
            let end = if has_job { end } else { end.into_iter().take(1).collect() };
            findings.push(Contradiction::new(
                DataCheck::BatchEmpty,
                id.as_str(),
                "the ids are missing; the change is lost",
                end,
            ));
        }
        Ok(findings)
    }
}

/// The job that carries a batch out, ready at once.
fn new_job(tenant: &Tenant, id: &str, batch: &MemberBatch) -> DeferredJob {
    DeferredJob::of_lost_batch(tenant, id, &batch.request, batch.at)
}

fn unreadable(tenant: &Tenant, item: &Item, error: &StoreError) -> Contradiction {
    let id = optional_text(item, "id").unwrap_or("-");
    let without: Item = item.iter().filter(|(name, _)| *name != BATCH).map(|(n, v)| (n.clone(), v.clone())).collect();
    if MemberBatch::read(item).is_err() && Group::read(&without).is_ok() {
        let header = Write::update(Table::Groups, group_key(tenant, id)).remove(BATCH).increment("ver");
        let end = repair::at_version(header, item);
        return Contradiction::new(DataCheck::BatchUnreadable, id, "the change is lost", vec![end]);
    }
    Contradiction::new(DataCheck::GroupUnreadable, id, error.to_string(), Vec::new())
}
