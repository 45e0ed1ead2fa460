//! Table `groups`: one item is one group, without its members. The name is unique by a row of its own in `links`,
//! written in the same transaction.

use std::collections::BTreeSet;

use crate::auth::Tenant;
use crate::store::dynamo::commit::CommitError;
use crate::store::dynamo::item::{Item, at, n, s};
use crate::store::dynamo::tables::Table;
use crate::store::dynamo::write::{Condition, Guard, Write};
use crate::store::model::group::{Group, GroupError, group_key};
use crate::store::model::job::DeferredJob;
use crate::store::model::record::{Author, Requests};
use crate::store::model::signature::sign_memberships;
use crate::store::rows::name_row;
use crate::store::{Store, StoreError};

mod read;

impl Store {
    /// Writes the header of a group, and `others` with it. Gives the writes' error its meaning.
    pub(in crate::store) async fn write_group(
        &self,
        author: &Author,
        old: &Group,
        writes: &[Write],
        attempt: usize,
    ) -> Result<(), GroupError> {
        match self.commit(&sign_memberships(writes, author), &author.token(attempt)).await {
            Ok(()) => Ok(()),
            Err(CommitError::Condition(Guard::Version, Some(now))) if Requests::read(&now).contains(author) => Ok(()),
            Err(CommitError::Condition(Guard::Version, now)) => Err(changed(now)?),
            Err(CommitError::Condition(Guard::Name, _)) => Err(GroupError::NameTaken),
            // A member went away or was renamed: it is looked up anew.
            Err(CommitError::Condition(..)) => Err(GroupError::Changed(Some(Box::new(old.clone())))),
            Err(CommitError::Store(error)) => Err(error.into()),
        }
    }
}

/// What stands in the place of a group now.
pub(in crate::store) fn changed(now: Option<Item>) -> Result<GroupError, StoreError> {
    let now = now.as_ref().map(Group::read).transpose()?;
    Ok(GroupError::Changed(now.map(Box::new)))
}

/// The writes of a new group: the item, and its name if nobody has it.
pub(in crate::store) fn creation(tenant: &Tenant, author: &Author, group: &Group) -> Vec<Write> {
    let put = Write::put(Table::Groups, group.item(tenant, author))
        .require(&Condition::Absent("tenant"))
        .guard(Guard::Version);
    let mut writes = vec![put, claim_name(tenant, group)];
    writes.extend(enqueue(tenant, author, group));
    writes
}

/// The writes of a group's next version: the item; second, if it is renamed, the new name, and then the old one's end.
pub(in crate::store) fn update(tenant: &Tenant, author: &Author, (old, new): (&Group, &Group)) -> Vec<Write> {
    let mut header = Write::update(Table::Groups, group_key(tenant, old.id.as_str()))
        .set("doc", s(new.record.document.to_stored()))
        .set("ver", n(new.record.version.0))
        .set("modified", at(new.record.modified))
        .set("by", s(author.key.as_str()))
        .set("how", s(author.how()))
        .set("req", old.record.requests.with(author))
        .set("name", s(&new.keys.name))
        .set_or_remove("externalId", new.keys.external_id.as_ref().map(s))
        .require(&Condition::equals("ver", n(old.record.version.0)))
        .require(&Condition::Absent("memberBatch"))
        .guard(Guard::Version);
    if let Some(job) = &new.job {
        header = header.set("memberBatch", job.value());
    }
    let mut writes = vec![header];
    if old.keys.name != new.keys.name {
        writes.push(claim_name(tenant, new));
        writes.push(Write::delete(Table::Links, name_row(tenant, &old.keys.name)));
    }
    writes.extend(enqueue(tenant, author, new));
    writes
}

/// Registers the group's job, if it has one, with those who finish what others have begun.
fn enqueue(tenant: &Tenant, author: &Author, group: &Group) -> Vec<Write> {
    let work = group.job.is_some().then(|| DeferredJob::of_group(tenant, author, group.id.as_str(), BTreeSet::new()));
    work.map_or(Vec::new(), |work| work.enqueue())
}

/// The writes that end a group: its item and its name.
pub(in crate::store) fn end(tenant: &Tenant, group: &Group) -> Vec<Write> {
    let header = Write::delete(Table::Groups, group_key(tenant, group.id.as_str()))
        .require(&Condition::equals("ver", n(group.record.version.0)))
        .require(&Condition::absent_or_equals("gver", n(group.parents.version)))
        .guard(Guard::Version);
    vec![header, Write::delete(Table::Links, name_row(tenant, &group.keys.name))]
}

fn claim_name(tenant: &Tenant, group: &Group) -> Write {
    let mut row = name_row(tenant, &group.keys.name);
    row.insert("g".into(), s(group.id.as_str()));
    Write::put(Table::Links, row)
        .require(&Condition::Absent("pk").or(Condition::equals("g", s(group.id.as_str()))))
        .guard(Guard::Name)
}
