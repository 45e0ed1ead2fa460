//! A user as an item of table `users`, keyed by the folded `userName`.

use jiff::Timestamp;

use super::format::unknown_attributes;
use super::hold::{Hold, HoldError};
use super::id::UserId;
use super::record::{Author, Membership, Record, Revival};
use super::signature::FORMER;
use super::tenant::settings;
use crate::auth::Tenant;
use crate::scim::Document;
use crate::scim::resource::Meta;
use crate::scim::user::UserKeys;
use crate::store::StoreError;
use crate::store::dynamo::item::{Item, n, s, text};
use crate::store::dynamo::write::Condition;

/// A user as stored.
#[derive(Debug, Clone)]
pub struct User {
    /// The permanent id.
    pub id: UserId,
    /// The document and its version.
    pub record: Record,
    /// The folded `userName`: the sort key.
    pub(in crate::store) key: String,
    /// Every address that has an index entry or a row, the indexed one first.
    emails: Vec<String>,
    /// The groups, kept by membership writes, and their version.
    pub(in crate::store) membership: Membership,
    /// Attributes of a newer release: a rename carries them over.
    unknown: Item,
}

/// The attributes that this release writes. All others are a newer one's, the format among them.
const ATTRIBUTES: [&str; 18] = [
    "tenant",
    "userName",
    "id",
    "externalId",
    "email",
    "hour",
    "doc",
    "ver",
    "created",
    "modified",
    "by",
    "how",
    FORMER,
    "req",
    "settings",
    "groupIds",
    "gver",
    "mby",
];

/// Why a write of a user did not happen.
#[derive(Debug)]
pub enum UserWriteError {
    /// The `userName` belongs to another user.
    UserNameTaken,
    /// The user changed since it was read; as it is now, unless it is gone from where it was.
    Changed(Option<Box<User>>),
    /// The tenant's protection holds what takes access away.
    Held(Box<Hold>),
    /// Anything else.
    Store(StoreError),
}

impl From<HoldError> for UserWriteError {
    fn from(error: HoldError) -> Self {
        match error {
            HoldError::Held(hold) => Self::Held(hold),
            HoldError::Store(error) => Self::Store(error),
        }
    }
}

impl From<StoreError> for UserWriteError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl User {
    /// A user that is not stored yet.
    pub fn new(id: UserId, document: Document, keys: &UserKeys, now: Timestamp) -> Self {
        Self {
            id,
            record: Record::new(document, now),
            key: keys.user_name.clone(),
            emails: keys.emails.clone(),
            membership: Membership::default(),
            unknown: Item::new(),
        }
    }

    /// A deleted user that comes back, in no group yet.
    pub(in crate::store) fn revived(id: UserId, document: Document, keys: &UserKeys, revival: Revival) -> Self {
        Self { record: Record::revived(document, revival), ..Self::new(id, Document::default(), keys, revival.now) }
    }

    /// The next version, with another document.
    pub fn next(&self, document: Document, keys: &UserKeys, now: Timestamp) -> Self {
        Self {
            record: self.record.next(document, now),
            key: keys.user_name.clone(),
            emails: keys.emails.clone(),
            ..self.clone()
        }
    }

    /// Whether the user has access: who has no `active` does.
    pub(in crate::store) fn is_active(&self) -> bool {
        self.record.document.attributes().get("active").and_then(serde_json::Value::as_bool).unwrap_or(true)
    }

    /// What the server adds to the document.
    pub fn meta(&self) -> Meta {
        self.record.meta(&self.id.0)
    }

    pub(in crate::store) fn indexed_email(&self) -> Option<&String> {
        self.emails.first()
    }

    pub(in crate::store) fn further_emails(&self) -> &[String] {
        self.emails.get(1..).unwrap_or_default()
    }

    pub(in crate::store) fn item(&self, tenant: &Tenant, keys: &UserKeys, author: &Author) -> Item {
        let mut item = self.unknown.clone();
        item.extend(user_key(tenant, &self.key));
        item.insert("id".into(), s(self.id.as_str()));
        item.insert("hour".into(), s(hour(self.record.modified)));
        self.record.write(&mut item, author);
        item.insert("settings".into(), settings(author.settings));
        item.extend(keys.external_id.as_ref().map(|id| ("externalId".to_owned(), s(id))));
        item.extend(self.indexed_email().map(|email| ("email".to_owned(), s(email))));
        self.membership.write(&mut item);
        item
    }

    /// The ids of the groups that the user is a direct member of.
    pub fn group_ids(&self) -> impl Iterator<Item = &str> {
        self.membership.groups.iter().map(String::as_str)
    }

    /// That nobody has written the document since it was read.
    pub(in crate::store) fn is_as_read(&self) -> Condition {
        Condition::equals("id", s(self.id.as_str())).and(Condition::equals("ver", n(self.record.version.0)))
    }

    /// The key of the user's item.
    pub(in crate::store) fn key(&self, tenant: &Tenant) -> Item {
        user_key(tenant, &self.key)
    }

    pub(in crate::store) fn read(item: &Item) -> Result<Self, StoreError> {
        let record = Record::read(item)?;
        let keys = UserKeys::of(&record.document).map_err(|e| StoreError::Corrupt(e.to_string()))?;
        Ok(Self {
            id: UserId(text(item, "id")?.to_owned()),
            record,
            key: text(item, "userName")?.to_owned(),
            emails: keys.emails,
            membership: Membership::read(item),
            unknown: unknown_attributes(item, &ATTRIBUTES),
        })
    }
}

/// The hour of an instant, such as `2026-01-31T12`: hours sort as their texts do.
pub(in crate::store) fn hour(instant: Timestamp) -> String {
    instant.to_string().chars().take("2026-01-31T12".len()).collect()
}

/// The key of the user of a folded name.
pub(in crate::store) fn user_key(tenant: &Tenant, folded_user_name: &str) -> Item {
    Item::from([("tenant".to_owned(), s(tenant.as_str())), ("userName".to_owned(), s(folded_user_name))])
}
