//! A job that one commit has decided and that is carried out after it, as a row of table `links`.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::format::check_format;
use super::id::GroupId;
use super::member_batch::MemberBatch;
use super::record::{Author, id_set, id_set_value};
use crate::auth::Tenant;
use crate::limits::{BATCH_LEASE_SECONDS, JOB_GRACE_SECONDS, MAX_JOB_RETRY_SECONDS};
use crate::store::StoreError;
use crate::store::dynamo::item::{
    Item, at, instant, missing_attribute, optional_instant, optional_number, optional_text, s, text,
};
use crate::store::dynamo::tables::Table;
use crate::store::dynamo::write::{Condition, Write};
use crate::store::rows::{batch_job, job_row, tombstone_row};
use crate::tenant::TenantName;

pub(in crate::store) const LEASE: SignedDuration = SignedDuration::from_secs(BATCH_LEASE_SECONDS);

pub(in crate::store) const SETTLES: SignedDuration = SignedDuration::from_secs(JOB_GRACE_SECONDS);

/// What is still to be done for one group or user.
#[derive(Debug, Clone)]
pub struct DeferredJob {
    pub(in crate::store) tenant: Tenant,
    pub(in crate::store) id: String,
    pub(in crate::store) kind: JobKind,
    /// The groups in whose lists the deleted resource still stands.
    pub(in crate::store) groups: BTreeSet<String>,
    pub(in crate::store) request: String,
    pub(in crate::store) since: Timestamp,
    /// Of a batch: who carries it out, and until when nobody else does.
    pub(in crate::store) lease: Option<Lease>,
    /// Of a batch: how many of its moves are done.
    pub(in crate::store) done: usize,
    /// Of a job that failed: when it is tried again.
    pub(in crate::store) retry: Option<Timestamp>,
}

/// The right to carry a batch out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) struct Lease {
    pub(in crate::store) holder: String,
    pub(in crate::store) until: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum JobKind {
    /// The rows of the members of a deleted group.
    Group,
    /// A pending change of many members.
    Batch,
    /// A deleted user.
    User,
    /// A tenant that ends.
    Tenant,
    /// A user or group that is out of every list, but may be in what somebody is just reading.
    Tombstone,
}

/// The kind of a tombstone, as it stands in a row.
const TOMBSTONE: &str = "tombstone";

const KINDS: [(JobKind, &str); 5] = [
    (JobKind::Group, "group"),
    (JobKind::Batch, "batch"),
    (JobKind::User, "user"),
    (JobKind::Tenant, "tenant"),
    (JobKind::Tombstone, TOMBSTONE),
];

/// The id of the job that ends a tenant. No user or group has it.
pub(in crate::store) const TENANT_JOB: &str = "tenant";

/// Takes a row of work away, unless a later request has put its own there.
pub(in crate::store) fn complete(tenant: &Tenant, id: &str, request: &str) -> Write {
    Write::delete(Table::Links, job_row(tenant, id)).require(&Condition::equals("req", s(request)))
}

impl DeferredJob {
    /// The members of a group that is deleted, to be released. `groups` are those that it leaves behind.
    pub(in crate::store) fn of_group(tenant: &Tenant, author: &Author, id: &str, groups: BTreeSet<String>) -> Self {
        Self::new(tenant, author, id, JobKind::Group, groups)
    }

    /// A deleted user's place in its groups.
    pub(in crate::store) fn of_user(tenant: &Tenant, author: &Author, id: &str, groups: BTreeSet<String>) -> Self {
        Self::new(tenant, author, id, JobKind::User, groups)
    }

    /// A group's pending batch, which its request carries out at first.
    pub(in crate::store) fn of_batch(tenant: &Tenant, author: &Author, group: &GroupId, batch: &MemberBatch) -> Self {
        let id = batch_job(group.as_str(), &batch.request);
        let lease = Some(Lease { holder: author.request.clone(), until: author.now() + LEASE });
        let job = Self::new(tenant, author, &id, JobKind::Batch, BTreeSet::new());
        Self { request: batch.request.clone(), lease, ..job }
    }

    /// The end of a tenant at a time. Before it, the job is not ready.
    pub(in crate::store) fn of_tenant(tenant: &TenantName, closes: Timestamp) -> Self {
        let request = closes.as_millisecond().to_string();
        Self::at(&Tenant::of_item(tenant.clone()), (TENANT_JOB, JobKind::Tenant), &request, closes)
    }

    /// The job of a group's pending batch that has none any more.
    pub(in crate::store) fn of_lost_batch(tenant: &Tenant, id: &str, request: &str, since: Timestamp) -> Self {
        Self::at(tenant, (id, JobKind::Batch), request, since)
    }

    fn at(tenant: &Tenant, (id, kind): (&str, JobKind), request: &str, since: Timestamp) -> Self {
        Self {
            tenant: tenant.clone(),
            id: id.to_owned(),
            kind,
            groups: BTreeSet::new(),
            request: request.to_owned(),
            since,
            lease: None,
            done: 0,
            retry: None,
        }
    }

    fn new(tenant: &Tenant, author: &Author, id: &str, kind: JobKind, groups: BTreeSet<String>) -> Self {
        Self { groups, ..Self::at(tenant, (id, kind), &author.request, author.at) }
    }

    /// The writes that belong into the commit: the row, and what hides the resource from the groups it is still in.
    pub(in crate::store) fn enqueue(&self) -> Vec<Write> {
        let row = self.row();
        match self.groups.is_empty() {
            true => vec![row],
            false => vec![row, Write::put(Table::Links, tombstone_row(&self.tenant, &self.id))],
        }
    }

    pub(in crate::store) fn row(&self) -> Write {
        let mut row = job_row(&self.tenant, &self.id);
        let kind = KINDS.iter().find(|(kind, _)| *kind == self.kind);
        row.extend(kind.map(|(_, name)| ("work".to_owned(), s(*name))));
        row.insert("req".into(), s(&self.request));
        row.insert("at".into(), at(self.since));
        row.extend(id_set_value(&self.groups).map(|ids| ("groupIds".to_owned(), ids)));
        if let Some(lease) = &self.lease {
            row.extend([("holder".to_owned(), s(&lease.holder)), ("until".to_owned(), at(lease.until))]);
        }
        Write::put(Table::Links, row)
    }

    /// The write that has the job of a deleted resource become its tombstone, whose time begins anew.
    pub(in crate::store) fn become_tombstone(&self) -> Write {
        let row = Write::update(Table::Links, job_row(&self.tenant, &self.id))
            .set("work", s(TOMBSTONE))
            .set("at", at(self.since + SETTLES))
            .remove("groupIds")
            .remove("retry");
        row.require(&Condition::equals("req", s(&self.request)))
    }

    pub(in crate::store) fn read(item: &Item) -> Result<Self, StoreError> {
        check_format(item)?;
        let kind = text(item, "work")?;
        let kind = KINDS.iter().find(|(_, name)| *name == kind);
        let wrong = || StoreError::Corrupt("a row of work without a tenant".to_owned());
        let (name, id) = text(item, "sk")?.split_once('#').ok_or_else(wrong)?;
        let name = name.parse().map_err(|_| wrong())?;
        Ok(Self {
            tenant: Tenant::of_item(name),
            id: id.to_owned(),
            kind: kind.map(|(kind, _)| *kind).ok_or_else(|| missing_attribute("work"))?,
            groups: id_set(item, "groupIds"),
            request: text(item, "req")?.to_owned(),
            since: instant(item, "at")?,
            lease: optional_text(item, "holder")
                .zip(optional_instant(item, "until"))
                .map(|(holder, until)| Lease { holder: holder.to_owned(), until }),
            done: optional_number(item, "done").unwrap_or(0),
            retry: optional_instant(item, "retry"),
        })
    }

    /// The tenant that it is of.
    pub fn tenant(&self) -> &TenantName {
        self.tenant.name()
    }

    /// Whether the worker may carry it out: no request can be under way that began before the commit, so that what such a
    /// request adds to a deleted group is swept, too; nobody else carries it out; and if it failed, time has passed.
    pub fn is_ready(&self, now: Timestamp) -> bool {
        let is_free = self.lease.as_ref().is_none_or(|lease| lease.until < now);
        is_free && self.age(now) >= SETTLES && self.retry.is_none_or(|retry| retry <= now)
    }

    /// How long ago it was committed.
    pub fn age(&self, now: Timestamp) -> SignedDuration {
        now.duration_since(self.since)
    }

    /// The write that puts off a job that failed, by its own age: a job that always fails is tried ever more rarely.
    pub(in crate::store) fn postpone(&self, now: Timestamp) -> Write {
        let pause = self.age(now).clamp(SETTLES, SignedDuration::from_secs(MAX_JOB_RETRY_SECONDS));
        let row = Write::update(Table::Links, job_row(&self.tenant, &self.id)).set("retry", at(now + pause));
        row.require(&Condition::equals("req", s(&self.request)))
    }
}
