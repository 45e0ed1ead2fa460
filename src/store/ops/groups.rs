//! Table `groups`: one item is one group, without its members. The name is unique by a row of its own in `links`,
//! written in the same transaction.

use crate::auth::Tenant;
use crate::store::dynamo::commit::CommitError;
use crate::store::dynamo::item::{Item, at, n, optional_text, s};
use crate::store::dynamo::tables::Table;
use crate::store::dynamo::write::{Condition, Guard, Write};
use crate::store::model::group::{Group, GroupError, group_key};
use crate::store::model::id::{GroupId, random_token};
use crate::store::model::record::{Author, Requests};
use crate::store::model::signature::Signature;
use crate::store::rows::name_row;
use crate::store::{Store, StoreError};

mod read;

impl Store {
    /// Writes the item of a group, and other items with it. Gives the writes' error its meaning. `attempt` numbers the
    /// tries of one request.
    pub(in crate::store) async fn write_group(
        &self,
        author: &Author,
        old: &Group,
        writes: &[Write],
        attempt: usize,
    ) -> Result<(), GroupError> {
        let writes = Signature::of(author).sign_memberships(writes);
        let mut committed = self.commit(&writes, &author.token(attempt)).await;
        if let Err(CommitError::Condition(Guard::Name, Some(row))) = &committed
            && let Some(holder) = self.gone_holder(row).await?
        {
            // Only after a restore: a group and its name end together. An id never comes again, so nobody else has it.
            let is_of_gone = Condition::equals("g", s(holder));
            let claim: Vec<_> = writes.into_iter().map(|write| write.allow(Guard::Name, &is_of_gone)).collect();
            committed = self.commit(&claim, &random_token()).await;
        }
        match committed {
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

impl Store {
    /// The group that a name belongs to, if it does not exist.
    async fn gone_holder(&self, name: &Item) -> Result<Option<String>, StoreError> {
        let tenant = optional_text(name, "pk").and_then(|pk| pk.split('#').next()?.parse().ok());
        let holder = optional_text(name, "g").and_then(GroupId::parse);
        let (Some(tenant), Some(holder)) = (tenant, holder) else { return Ok(None) };
        let group = self.group(&Tenant::of_item(tenant), &holder).await?;
        Ok(group.is_none().then(|| holder.as_str().to_owned()))
    }
}

/// What stands in the place of a group now.
fn changed(now: Option<Item>) -> Result<GroupError, StoreError> {
    let now = now.as_ref().map(Group::read).transpose()?;
    Ok(GroupError::Changed(now.map(Box::new)))
}

/// The writes of a new group: the item, and its name if nobody has it.
pub(in crate::store) fn creation(tenant: &Tenant, author: &Author, group: &Group) -> Vec<Write> {
    let put = Write::put(Table::Groups, group.item(tenant, author))
        .require(&Condition::Absent("tenant"))
        .guard(Guard::Version);
    vec![put, claim_name(tenant, group)]
}

/// What a group's item must still be for a change of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Precondition {
    /// Of the version that was read: nothing has changed.
    Version,
    /// With the document that was read, where the change writes another one.
    Document,
}

impl Precondition {
    /// Whether it holds of a group as it is now.
    pub(in crate::store) fn holds(self, old: &Group, now: &Group) -> bool {
        match self {
            Self::Version => old.record.version == now.record.version,
            Self::Document => old.document_version == now.document_version,
        }
    }
}

/// The writes of a group's next version: the item; second, if it is renamed, the new name, and then the old one's end.
/// The version counts on from whatever it is, and the time of the change is not before that of another one.
pub(in crate::store) fn update(
    tenant: &Tenant,
    author: &Author,
    (old, new): (&Group, &Group),
    precondition: Precondition,
) -> Vec<Write> {
    let is_same = old.record.document == new.record.document;
    let mut header = Write::update(Table::Groups, group_key(tenant, old.id.as_str()))
        .increment("ver")
        .set("modified", at(new.record.modified))
        .set("by", s(author.key.as_str()))
        .set("how", s(author.how()))
        .require(&Condition::Exists("id"))
        .require(&match &old.batch {
            Some(batch) => Condition::equals("memberBatch.req", s(&batch.request)),
            None => Condition::Absent("memberBatch"),
        })
        .require(&Condition::at_most("modified", at(new.record.modified)))
        .guard(Guard::Version);
    if precondition == Precondition::Version {
        header = header.require(&Condition::equals("ver", n(old.record.version.0)));
    }
    if !is_same {
        header = header
            .set("doc", s(new.record.document.to_stored()))
            .set("docVer", n(old.document_version + 1))
            .set("req", old.record.requests.with(author))
            .set("name", s(&new.keys.name))
            .set_or_remove("externalId", new.keys.external_id.as_ref().map(s))
            .require(&Condition::absent_or_equals("docVer", n(old.document_version)));
    }
    if let Some(batch) = &new.batch {
        header = header.set("memberBatch", batch.value());
    }
    let mut writes = vec![header];
    if old.keys.name != new.keys.name {
        writes.push(claim_name(tenant, new));
        writes.push(Write::delete(Table::Links, name_row(tenant, &old.keys.name)));
    }
    writes
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
