//! Who changed something, in which request and how, next to what was changed: for the feed. A document's stands in its
//! item, a membership's in the member's item, and that of a deletion in a row of its own, written in the same
//! transaction, for an item that is gone says nothing.

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;
use serde_json::Value;

use super::record::{Author, MEMBERSHIP_SIGNATURE, OF_BULK, Version};
use crate::auth::Tenant;
use crate::limits::{DELETION_AUTHOR_SECONDS, MAX_FORMER_BYTES};
use crate::scim::Document;
use crate::scim::deviation::trace::Rules;
use crate::store::dynamo::item::{Item, at, n, optional_instant, optional_number, optional_text, s};
use crate::store::dynamo::tables::{DELETION_LANE, Table};
use crate::store::dynamo::write::Write;

/// The attribute of a renamed user's item that holds what the rename has changed, as it was: the item of the old name
/// is another one.
pub(in crate::store) const FORMER: &str = "former";

/// Who, in which request, and how.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::store) struct Signature {
    /// The id of the key.
    pub(in crate::store) key: Option<String>,
    pub(in crate::store) request: Option<String>,
    /// The route, the kind of client and the rules: what [`Manner`] reads.
    pub(in crate::store) how: Option<String>,
    pub(in crate::store) at: Option<Timestamp>,
    /// The group whose deletion has taken its members out.
    pub(in crate::store) deleted_group: Option<String>,
}

/// How something was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) struct Manner<'s> {
    /// The route, such as `groups.patch`.
    route: &'s str,
    is_of_bulk: bool,
    /// The kind of client, such as `entra`.
    pub(in crate::store) client: &'s str,
    /// The deviation rules that the request has needed.
    pub(in crate::store) rules: Rules,
}

impl<'s> Manner<'s> {
    fn read(how: &'s str) -> Option<Self> {
        let mut words = how.split(' ');
        let (route, client) = (words.next()?, words.next()?);
        let rules = Rules::of_letters(words.next().unwrap_or_default());
        let of_bulk = route.strip_prefix(OF_BULK);
        Some(Self { route: of_bulk.unwrap_or(route), is_of_bulk: of_bulk.is_some(), client, rules })
    }

    /// The method, such as `patch`, or `bulk`.
    pub(in crate::store) fn kind(self) -> &'s str {
        if self.is_of_bulk { "bulk" } else { self.method() }
    }

    /// The method of an operation of a Bulk.
    pub(in crate::store) fn method_in_bulk(self) -> Option<&'s str> {
        self.is_of_bulk.then(|| self.method())
    }

    /// Whether a group was deleted.
    pub(in crate::store) fn is_group_deletion(self) -> bool {
        self.route == "groups.delete"
    }

    fn method(self) -> &'s str {
        match self.route.rsplit('.').next() {
            Some("create") => "post",
            Some("replace") => "put",
            Some(other) => other,
            None => self.route,
        }
    }
}

impl Signature {
    /// How it was done; none for what the worker does.
    pub(in crate::store) fn manner(&self) -> Option<Manner<'_>> {
        Manner::read(self.how.as_deref()?)
    }

    pub(in crate::store) fn of(author: &Author) -> Self {
        Self {
            key: Some(author.key.as_str().to_owned()),
            request: Some(author.request.clone()),
            how: Some(author.how()),
            // As it is read again.
            at: Timestamp::from_millisecond(author.at.as_millisecond()).ok(),
            deleted_group: None,
        }
    }

    /// Of what the worker does after a group was deleted: by whom, the row of the deletion says.
    pub(in crate::store) fn of_deleted_group(group: &str) -> Self {
        Self { deleted_group: Some(group.to_owned()), ..Self::default() }
    }

    /// Of the last write of a document.
    pub(in crate::store) fn of_document(item: &Item) -> Self {
        let request = item.get("req").and_then(|requests| requests.as_l().ok()?.first()?.as_s().ok());
        Self { request: request.cloned(), at: optional_instant(item, "modified"), ..Self::of_map(item) }
    }

    /// Of the last change of a member's memberships.
    pub(in crate::store) fn of_membership(item: &Item) -> Self {
        item.get(MEMBERSHIP_SIGNATURE).map(Self::read).unwrap_or_default()
    }

    /// Of the deletion of that version of a resource, from the row that the deletion has left.
    pub(in crate::store) fn of_deletion(row: &Item, version: u64) -> Option<Self> {
        (optional_number(row, "ver") == Some(version)).then(|| Self::of_map(row))
    }

    /// Of a deletion, whatever version it found.
    pub(in crate::store) fn of_map(map: &Item) -> Self {
        let owned = |name: &str| optional_text(map, name).map(str::to_owned);
        Self {
            key: owned("by"),
            request: owned("req"),
            how: owned("how"),
            at: optional_instant(map, "at"),
            deleted_group: owned("group"),
        }
    }

    pub(in crate::store) fn read(value: &AttributeValue) -> Self {
        value.as_m().map(Self::of_map).unwrap_or_default()
    }

    pub(in crate::store) fn value(&self) -> AttributeValue {
        AttributeValue::M(self.map())
    }

    fn map(&self) -> Item {
        let texts = [("by", &self.key), ("req", &self.request), ("how", &self.how), ("group", &self.deleted_group)];
        let texts = texts.into_iter().filter_map(|(name, text)| Some((name.to_owned(), s(text.as_ref()?))));
        texts.chain(self.at.map(|instant| ("at".to_owned(), at(instant)))).collect()
    }

    /// The writes, those that change the groups of a member with the signature in them.
    pub(in crate::store) fn sign_memberships(&self, writes: &[Write]) -> Vec<Write> {
        let sign = |write: &Write| match write.updates("groupIds") {
            true => write.clone().set(MEMBERSHIP_SIGNATURE, self.value()),
            false => write.clone(),
        };
        writes.iter().map(sign).collect()
    }
}

/// The write that says who deletes a resource of that version, and goes with the deletion.
pub(in crate::store) fn deletion(tenant: &Tenant, author: &Author, id: &str, version: Version) -> Write {
    let mut row = deletion_row(tenant.as_str(), id);
    row.extend(Signature::of(author).map());
    row.insert("ver".into(), n(version.0));
    row.insert("ttl".into(), n(author.at.as_second() + DELETION_AUTHOR_SECONDS));
    Write::put(Table::Changes, row)
}

/// The key of the row of a deletion.
pub(in crate::store) fn deletion_row(tenant: &str, id: &str) -> Item {
    Item::from([("pk".to_owned(), s(format!("{tenant}{DELETION_LANE}"))), ("sk".to_owned(), s(id))])
}

/// The attributes that a rename changes, as they were, and null for those that were not there, as JSON; none if they are
/// too long to be kept.
pub(in crate::store) fn former(old: &Document, new: &Document) -> Option<String> {
    let (old, new) = (old.attributes(), new.attributes());
    let changed = old.iter().filter(|(name, value)| new.get(*name) != Some(value));
    let added = new.keys().filter(|name| !old.contains_key(*name)).map(|name| (name.clone(), Value::Null));
    let all = changed.map(|(name, value)| (name.clone(), value.clone())).chain(added);
    let text = Value::Object(all.collect()).to_string();
    (text.len() <= MAX_FORMER_BYTES).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manner_says_method_client_and_rules_and_of_a_bulk_both() {
        let read = |how| Manner::read(how).map(|it| (it.kind(), it.method_in_bulk(), it.client, it.rules.letters()));
        assert_eq!(read("users.create okta"), Some(("post", None, "okta", String::new())));
        assert_eq!(read("bulk/groups.patch entra ac"), Some(("bulk", Some("patch"), "entra", "ac".to_owned())));
        assert_eq!(read("users.create"), None);
        assert!(Manner::read("bulk/groups.delete other").is_some_and(Manner::is_group_deletion));
    }
}
