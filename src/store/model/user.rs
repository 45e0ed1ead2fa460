//! A user as an item of table `users`, keyed by the folded `userName`.

use std::fmt;

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::record::{Author, Membership, Record};
use super::tenant::settings;
use crate::auth::Tenant;
use crate::scim::Document;
use crate::scim::resource::Meta;
use crate::scim::user::UserKeys;
use crate::store::StoreError;
use crate::store::dynamo::item::{Item, s, text};

/// The permanent id of a user, as a UUID. Its first byte is a bucket: a hash of the name at creation, by which users
/// can be counted and, should a tenant outgrow a partition, spread.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct UserId(pub(in crate::store) String);

impl UserId {
    /// A new id for a user of that folded name.
    ///
    /// # Errors
    /// When the system has no random numbers.
    pub fn new(folded_user_name: &str) -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)?;
        let digest: [u8; 32] = Sha256::digest(folded_user_name.as_bytes()).into();
        let [bucket, ..] = digest;
        let [first, ..] = &mut bytes;
        *first = bucket;
        Ok(Self(uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()))
    }

    /// Reads an id from a URL; `None` for what cannot be one, so that it need not be looked up.
    pub fn parse(text: &str) -> Option<Self> {
        let uuid = uuid::Uuid::try_parse(text).ok()?;
        Some(Self(uuid.to_string()))
    }

    /// The id in its canonical form.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

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
}

/// Why a write of a user did not happen.
#[derive(Debug)]
pub enum UserWriteError {
    /// The `userName` belongs to another user.
    UserNameTaken,
    /// The user changed since it was read; as it is now, unless it is gone from where it was.
    Changed(Option<Box<User>>),
    /// Anything else.
    Store(StoreError),
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
        }
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
        let mut item = user_key(tenant, &self.key);
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
