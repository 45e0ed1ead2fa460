//! A job that one commit has decided and that is carried out after it, as a row of table `links`.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::record::{Author, id_set, id_set_value};
use crate::auth::Tenant;
use crate::limits::JOB_GRACE_SECONDS;
use crate::store::StoreError;
use crate::store::dynamo::item::{Item, at, instant, missing_attribute, s, text};
use crate::store::dynamo::tables::Table;
use crate::store::dynamo::write::Write;
use crate::store::rows::{job_row, tombstone_row};

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
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum JobKind {
    /// A pending change of members; or, if the group is gone, the rows of its members.
    Group,
    /// A user that is gone.
    User,
    /// A user or group that is out of every list, but may be in what somebody is just reading.
    Tombstone,
}

const KINDS: [(JobKind, &str); 3] =
    [(JobKind::Group, "group"), (JobKind::User, "user"), (JobKind::Tombstone, "tombstone")];

impl DeferredJob {
    /// A group's members: to be changed, or to be released if it is deleted. `groups` are those that it leaves behind.
    pub(in crate::store) fn of_group(tenant: &Tenant, author: &Author, id: &str, groups: BTreeSet<String>) -> Self {
        Self::new(tenant, author, id, JobKind::Group, groups)
    }

    /// A deleted user's place in its groups.
    pub(in crate::store) fn of_user(tenant: &Tenant, author: &Author, id: &str, groups: BTreeSet<String>) -> Self {
        Self::new(tenant, author, id, JobKind::User, groups)
    }

    fn new(tenant: &Tenant, author: &Author, id: &str, kind: JobKind, groups: BTreeSet<String>) -> Self {
        let (request, since) = (author.request.clone(), author.at);
        Self { tenant: tenant.clone(), id: id.to_owned(), kind, groups, request, since }
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
        Write::put(Table::Links, row)
    }

    pub(in crate::store) fn read(item: &Item) -> Result<Self, StoreError> {
        let kind = text(item, "work")?;
        let kind = KINDS.iter().find(|(_, name)| *name == kind);
        let wrong = || StoreError::Corrupt("a row of work without a tenant".to_owned());
        let name = text(item, "pk")?.split('#').next().and_then(|name| name.parse().ok()).ok_or_else(wrong)?;
        Ok(Self {
            tenant: Tenant::of_item(name),
            id: text(item, "sk")?.to_owned(),
            kind: kind.map(|(kind, _)| *kind).ok_or_else(|| missing_attribute("work"))?,
            groups: id_set(item, "groupIds"),
            request: text(item, "req")?.to_owned(),
            since: instant(item, "at")?,
        })
    }

    /// How long to wait before it is carried out: until no request can be under way that began before the commit, so
    /// that what such a request adds to a deleted group is swept, too.
    pub fn ready_in(&self, now: Timestamp) -> std::time::Duration {
        (SETTLES - now.duration_since(self.since)).try_into().unwrap_or_default()
    }
}
