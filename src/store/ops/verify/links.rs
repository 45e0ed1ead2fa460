//! Examines the rows of table `links`: whether what each belongs to is there. The rows of a tenant are in partitions that
//! nothing names once that is gone, so the whole table is read, of every tenant.

use std::collections::{BTreeMap, BTreeSet};

use super::finding::Contradiction;
use super::{Examination, VerifyPosition, limit};
use crate::auth::Tenant;
use crate::limits::MAX_VERIFIED_ROWS;
use crate::scim::membership::Ids;
use crate::store::dynamo::item::{Item, optional_instant, optional_text, s};
use crate::store::dynamo::tables::Table;
use crate::store::dynamo::write::{Condition, Write};
use crate::store::model::damage::{DataCheck, Examined};
use crate::store::model::group::group_key;
use crate::store::model::id::GroupId;
use crate::store::model::job::DeferredJob;
use crate::store::model::member::member_kind;
use crate::store::model::member_item::Member;
use crate::store::rows::{batch_job, job_prefix, job_row, name_row};
use crate::store::{Store, StoreError};

/// What a row is, by its key.
#[derive(Debug)]
enum RowKind<'r> {
    Member { group: &'r str, member: &'r str },
    Name,
    Email { email: &'r str, user: &'r str },
    Batch { group: &'r str, request: &'r str },
    Task { id: &'r str },
    Tombstone { id: &'r str },
}

impl<'r> RowKind<'r> {
    /// Nothing for what has no other side: counts, windows of protection, idempotency keys.
    fn of(tenant: &Tenant, row: &'r Item) -> Option<Self> {
        let (pk, sk) = (optional_text(row, "pk")?, optional_text(row, "sk")?);
        let prefix = job_prefix(tenant);
        if pk.starts_with("job#") {
            return Some(Self::Task { id: sk.strip_prefix(prefix.as_str())? });
        }
        let (kind, rest) = pk.strip_prefix(prefix.as_str()).map(|rest| rest.split_once('#').unwrap_or((rest, "")))?;
        match kind {
            "member" => Some(Self::Member { group: rest, member: sk }),
            "name" => Some(Self::Name),
            "email" => Some(Self::Email { email: rest, user: sk }),
            "batch" => rest.split_once('#').map(|(group, request)| Self::Batch { group, request }),
            "tombstone" => Some(Self::Tombstone { id: sk }),
            _ => None,
        }
    }
}

impl Store {
    pub(super) async fn verify_links(
        &self,
        tenant: &Tenant,
        after: Option<&(String, String)>,
    ) -> Result<Examination, StoreError> {
        let key = |(pk, sk): &(String, String)| Item::from([("pk".to_owned(), s(pk)), ("sk".to_owned(), s(sk))]);
        let scan = self
            .client
            .scan()
            .table_name(self.table(Table::Links))
            .consistent_read(true)
            .filter_expression("begins_with(#pk, :tenant) OR (begins_with(#pk, :job) AND begins_with(#sk, :tenant))")
            .expression_attribute_names("#pk", "pk")
            .expression_attribute_names("#sk", "sk")
            .expression_attribute_values(":tenant", s(job_prefix(tenant)))
            .expression_attribute_values(":job", s("job#"))
            .set_exclusive_start_key(after.map(key))
            .limit(limit(MAX_VERIFIED_ROWS));
        let page = scan.send().await.map_err(|e| StoreError::of(&e))?;
        let text = |key: &Item, name: &str| optional_text(key, name).map(str::to_owned);
        let last = page.last_evaluated_key().and_then(|key| Some((text(key, "pk")?, text(key, "sk")?)));
        let next = last.map_or(VerifyPosition::Counts, |last| VerifyPosition::Links(Some(last)));
        let rows = page.items.unwrap_or_default();
        let mut findings = self.examine_member_rows(tenant, &rows).await?;
        let mut batches = BTreeMap::new();
        for row in &rows {
            findings.extend(match RowKind::of(tenant, row) {
                Some(RowKind::Name) => self.examine_name_row(tenant, row).await?,
                Some(RowKind::Email { email, user }) => self.examine_email_row(tenant, row, email, user).await?,
                Some(RowKind::Batch { group, request }) => {
                    let batch = (group, request);
                    let is_pending = match batches.get(&batch) {
                        Some(is_pending) => *is_pending,
                        None => self.is_pending_batch(tenant, row, batch).await?,
                    };
                    batches.insert(batch, is_pending);
                    (!is_pending).then(|| left_of_batch(row, group))
                }
                Some(RowKind::Task { id }) => job_finding(tenant, row, id),
                Some(RowKind::Tombstone { id }) => self.examine_tombstone(tenant, row, id).await?,
                Some(RowKind::Member { .. }) | None => None,
            });
        }
        let examined = Examined { rows: rows.len(), ..Examined::default() };
        Ok(Examination { findings, examined, next: Some(next) })
    }

    /// Members and groups are read many at a time; what does not fit is read again at one instant.
    async fn examine_member_rows(&self, tenant: &Tenant, rows: &[Item]) -> Result<Vec<Contradiction>, StoreError> {
        let pairs: Vec<(&str, &str, &Item)> = rows
            .iter()
            .filter_map(|row| match RowKind::of(tenant, row)? {
                RowKind::Member { group, member } => Some((group, member, row)),
                _ => None,
            })
            .collect();
        let ids: Ids = pairs.iter().map(|(_, member, _)| (*member).to_owned()).collect();
        let members = self.readable_members(tenant, &ids).await?;
        let groups: BTreeSet<&str> = pairs.iter().map(|(group, ..)| *group).collect();
        let keys = groups.iter().map(|group| group_key(tenant, group)).collect();
        let groups = self.items(Table::Groups, keys).await?;
        let groups: BTreeSet<&str> = groups.iter().filter_map(|group| optional_text(group, "id")).collect();
        let mut findings = Vec::new();
        for (group, member, row) in pairs {
            let is_sound = |there: &Member| {
                there.is_in(group) && there.kind == member_kind(row) && optional_instant(row, "created").is_some()
            };
            if !groups.contains(group) || !members.get(member).is_some_and(is_sound) {
                findings.extend(self.examine_membership(tenant, group, member).await?);
            }
        }
        Ok(findings)
    }

    /// The members of those ids that are there and can be read.
    async fn readable_members(&self, tenant: &Tenant, ids: &Ids) -> Result<BTreeMap<String, Member>, StoreError> {
        match self.prefetch_in_turn(tenant, ids).await {
            Err(StoreError::Corrupt(_)) => {}
            read => return read,
        }
        let read = |id: &str| {
            let id = id.to_owned();
            async move {
                match self.member(tenant, &id).await {
                    Err(StoreError::Corrupt(_)) => Ok(None),
                    read => read,
                }
            }
        };
        let members = self.map_concurrently(ids, read).await?;
        Ok(members.into_iter().flatten().map(|member| (member.id.clone(), member)).collect())
    }

    async fn examine_name_row(&self, tenant: &Tenant, row: &Item) -> Result<Option<Contradiction>, StoreError> {
        let holder = optional_text(row, "g").unwrap_or_default().to_owned();
        let gone = |detail: &str| {
            let write = match row.contains_key("g") {
                true => delete(row).map(|write| write.require(&Condition::equals("g", s(&holder)))),
                false => delete(row),
            };
            Some(Contradiction::new(DataCheck::NameRow, &holder, detail, write.into_iter().collect()))
        };
        if GroupId::parse(&holder).is_none() {
            return Ok(gone("the row names no group"));
        }
        let Some((group, Some(there))) = self.group_and_row(tenant, &holder, &key(row)).await? else { return Ok(None) };
        if optional_text(&there, "g") != Some(holder.as_str()) {
            return Ok(None);
        }
        Ok(match group {
            None => gone("the group does not exist"),
            Some(group) if name_pk(tenant, &group.keys.name).as_deref() != optional_text(row, "pk") => {
                gone("the group has another name")
            }
            Some(_) => None,
        })
    }

    async fn examine_email_row(
        &self,
        tenant: &Tenant,
        row: &Item,
        email: &str,
        user: &str,
    ) -> Result<Option<Contradiction>, StoreError> {
        let Some((found, Some(_))) = self.user_and_row(tenant, user, &key(row)).await? else { return Ok(None) };
        let detail = match &found {
            None => "the user does not exist",
            Some(user) if !user.further_emails().iter().any(|further| further == email) => "the user has it no more",
            Some(_) => return Ok(None),
        };
        let held = found.map(|user| Write::check(Table::Users, user.key(tenant)).require(&user.is_as_read()));
        let repair = delete(row).into_iter().chain(held).collect();
        Ok(Some(Contradiction::new(DataCheck::EmailRow, user, detail, repair)))
    }

    /// Whether a row is of a batch that is pending, or is to be discarded by its job.
    async fn is_pending_batch(
        &self,
        tenant: &Tenant,
        row: &Item,
        (group, request): (&str, &str),
    ) -> Result<bool, StoreError> {
        let job = batch_job(group, request);
        if self.has_job(tenant, &job).await? {
            return Ok(true);
        }
        let Some((group, there)) = self.group_and_row(tenant, group, &key(row)).await? else { return Ok(true) };
        let is_of_group = group.and_then(|group| group.batch).is_some_and(|batch| batch.request == request);
        // The row of work comes and goes with the last of these.
        Ok(is_of_group || there.is_none() || self.has_job(tenant, &job).await?)
    }

    async fn examine_tombstone(
        &self,
        tenant: &Tenant,
        row: &Item,
        id: &str,
    ) -> Result<Option<Contradiction>, StoreError> {
        let has_job = self.has_job(tenant, id).await?;
        let living = self.living(tenant, id, row).await?;
        if living {
            let job = has_job.then(|| Write::delete(Table::Links, job_row(tenant, id)));
            let repair = delete(row).into_iter().chain(job).collect();
            return Ok(Some(Contradiction::new(DataCheck::TombstoneLiving, id, "the user or group exists", repair)));
        }
        let is_left = !has_job && self.link(key(row)).await?.is_some() && !self.has_job(tenant, id).await?;
        let finding =
            || Contradiction::new(DataCheck::TombstoneJob, id, "the job is missing", delete(row).into_iter().collect());
        Ok(is_left.then(finding))
    }

    /// Whether a user or group is there while the row is.
    async fn living(&self, tenant: &Tenant, id: &str, row: &Item) -> Result<bool, StoreError> {
        if let Some((Some(_), Some(_))) = self.user_and_row(tenant, id, &key(row)).await? {
            return Ok(true);
        }
        Ok(matches!(self.group_and_row(tenant, id, &key(row)).await?, Some((Some(_), Some(_)))))
    }
}

fn job_finding(tenant: &Tenant, row: &Item, id: &str) -> Option<Contradiction> {
    if let Err(error) = DeferredJob::read(row) {
        if matches!(error, StoreError::Newer(_)) {
            return None;
        }
        // What the job was to do is found by the other checks.
        let repair = delete(row).into_iter().collect();
        return Some(Contradiction::new(DataCheck::JobUnreadable, id, error.to_string(), repair));
    }
    let right = job_row(tenant, id);
    if right.get("pk") == row.get("pk") {
        return None;
    }
    let mut moved = row.clone();
    moved.extend(right);
    let repair = std::iter::once(Write::put(Table::Links, moved)).chain(delete(row)).collect();
    Some(Contradiction::new(DataCheck::JobLane, id, "no worker finds it", repair))
}

fn left_of_batch(row: &Item, group: &str) -> Contradiction {
    let target = format!("{group} {}", optional_text(row, "sk").unwrap_or_default());
    Contradiction::new(DataCheck::BatchRow, &target, "the change is not pending", delete(row).into_iter().collect())
}

fn name_pk(tenant: &Tenant, name: &str) -> Option<String> {
    optional_text(&name_row(tenant, name), "pk").map(str::to_owned)
}

fn key(row: &Item) -> Item {
    ["pk", "sk"].into_iter().filter_map(|name| Some((name.to_owned(), row.get(name)?.clone()))).collect()
}

/// The end of a row that is there.
fn delete(row: &Item) -> Option<Write> {
    let key = key(row);
    (key.len() == 2).then(|| Write::delete(Table::Links, key).require(&Condition::Exists("pk")))
}
