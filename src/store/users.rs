//! Table `users`: one item is one user, keyed by the folded `userName`; so a name is taken by at most one, and every
//! write of a single user is one conditional call.

use std::fmt;

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::commit::{CommitError, Guard, Write};
use super::idempotency::IdempotencyKey;
use super::item::{Item, at, n, optional_text, s, text};
use super::jobs::DeferredJob;
use super::links::email_changes;
use super::record::{Membership, Record, Requests};
use super::tables::Table;
use super::tenants::settings;
use super::{Store, StoreError};
use crate::auth::Tenant;
use crate::limits::MAX_TRANSACTION_MEMBERS;
use crate::scim::Document;
use crate::scim::resource::Meta;
use crate::scim::user::UserKeys;

mod read;
mod walk;

pub use super::record::Author;
pub use read::Page;
pub use walk::{Position, UserOrder};

/// The permanent id of a user, as a UUID. Its first byte is a bucket: a hash of the name at creation, by which users
/// can be counted and, should a tenant outgrow a partition, spread.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct UserId(String);

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
    key: String,
    /// Every address that has an index entry or a row, the indexed one first.
    emails: Vec<String>,
    /// The groups, kept by membership writes, and their version.
    pub(super) membership: Membership,
}

/// Why a write of a user did not happen.
#[derive(Debug)]
pub enum WriteError {
    /// The `userName` belongs to another user.
    UserNameTaken,
    /// The user changed since it was read; as it is now, unless it is gone from where it was.
    Changed(Option<Box<User>>),
    /// Anything else.
    Store(StoreError),
}

impl From<StoreError> for WriteError {
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

    fn indexed_email(&self) -> Option<&String> {
        self.emails.first()
    }

    fn further_emails(&self) -> &[String] {
        self.emails.get(1..).unwrap_or_default()
    }

    fn item(&self, tenant: &Tenant, keys: &UserKeys, author: &Author) -> Item {
        let mut item = key(tenant, &self.key);
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
    pub(super) fn key(&self, tenant: &Tenant) -> Item {
        key(tenant, &self.key)
    }

    fn read(item: &Item) -> Result<Self, StoreError> {
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

impl Store {
    /// Stores a new user: one plain write, unless it has further e-mail addresses or an idempotency key.
    ///
    /// # Errors
    /// [`WriteError::UserNameTaken`] or the store's.
    pub async fn create_user(
        &self,
        tenant: &Tenant,
        author: &Author,
        (user, keys): (&User, &UserKeys),
        idempotency: Option<&IdempotencyKey>,
    ) -> Result<(), WriteError> {
        let put = Write::put(Table::Users, user.item(tenant, keys, author))
            .condition("attribute_not_exists(#tenant)")
            .name("tenant")
            .guard(Guard::Name);
        let mut writes = vec![put];
        writes.extend(email_changes(tenant, user.id.as_str(), &[], user.further_emails()));
        writes.extend(idempotency.map(|key| key.write(tenant, user.id.as_str())));
        match self.commit(&writes, &author.request).await {
            // The id is random: who has it was made by this request, whatever was written since.
            Err(CommitError::Condition(_, Some(old))) if optional_text(&old, "id") == Some(user.id.as_str()) => Ok(()),
            // Or another request with the same idempotency key came first: the caller looks for that.
            Err(CommitError::Condition(..)) => Err(WriteError::UserNameTaken),
            Err(CommitError::Store(error)) => Err(error.into()),
            Ok(()) => Ok(()),
        }
    }

    /// Writes the next version of a user, if `old` is still the current one. Plain, unless the name or further
    /// e-mail addresses change. `attempt` tells the tries of one request apart.
    ///
    /// # Errors
    /// As [`WriteError`] says.
    pub async fn update_user(
        &self,
        tenant: &Tenant,
        author: &Author,
        (old, new): (&User, &User),
        keys: &UserKeys,
        attempt: usize,
    ) -> Result<(), WriteError> {
        let is_rename = old.key != new.key;
        let mut writes = if is_rename {
            rename(tenant, author, (old, new), keys).to_vec()
        } else {
            vec![update(tenant, author, (old, new), keys)]
        };
        writes.extend(email_changes(tenant, new.id.as_str(), old.further_emails(), new.further_emails()));
        match self.commit(&writes, &author.token(attempt)).await {
            Ok(()) => Ok(()),
            Err(CommitError::Condition(_, Some(now))) if Requests::read(&now).contains(author) => Ok(()),
            Err(CommitError::Condition(Guard::Name, _)) => Err(WriteError::UserNameTaken),
            Err(CommitError::Condition(_, now)) => Err(changed(old, now)?),
            Err(CommitError::Store(error)) => Err(error.into()),
        }
    }

    /// Deletes a user, if `old` is still the current version, and with it its place in its groups. If those are many,
    /// it is hidden from them, and taken out by the work that is registered with the deletion.
    ///
    /// # Errors
    /// As [`WriteError`] says.
    pub async fn delete_user(
        &self,
        tenant: &Tenant,
        author: &Author,
        old: &User,
        attempt: usize,
    ) -> Result<(), WriteError> {
        let mut writes = vec![require_membership_version(Write::delete(Table::Users, key(tenant, &old.key)), old)];
        writes.extend(email_changes(tenant, old.id.as_str(), old.further_emails(), &[]));
        if old.membership.groups.len() > MAX_TRANSACTION_MEMBERS {
            let groups = old.membership.groups.clone();
            writes.extend(DeferredJob::of_user(tenant, author, old.id.as_str(), groups).enqueue());
        } else {
            self.bump_groups(tenant, &old.membership).await?;
            writes.extend(self.rows_in(tenant, old.id.as_str(), &old.membership));
        }
        match self.commit(&writes, &author.token(attempt)).await {
            Ok(()) => Ok(()),
            Err(CommitError::Condition(_, now)) => Err(changed(old, now)?),
            Err(CommitError::Store(error)) => Err(error.into()),
        }
    }
}

/// A change of named attributes: never a whole item, which could undo a membership write made meanwhile.
fn update(tenant: &Tenant, author: &Author, (old, new): (&User, &User), keys: &UserKeys) -> Write {
    let mut set = "SET #doc = :doc, #ver = :ver, #modified = :modified, #hour = :hour, #by = :by, #req = :req, \
                   #settings = :settings"
        .to_owned();
    let mut remove = Vec::new();
    let indexed = [("externalId", keys.external_id.as_ref()), ("email", new.indexed_email())];
    for (name, value) in indexed {
        match value {
            Some(_) => set.push_str(&format!(", #{name} = :{name}")),
            None => remove.push(format!("#{name}")),
        }
    }
    if !remove.is_empty() {
        set.push_str(&format!(" REMOVE {}", remove.join(", ")));
    }
    let mut write = Write::update(Table::Users, key(tenant, &old.key), set)
        .value("doc", s(new.record.document.to_stored()))
        .value("ver", n(new.record.version.0))
        .value("modified", at(new.record.modified))
        .value("hour", s(hour(new.record.modified)))
        .value("by", s(author.key.as_str()))
        .value("req", old.record.requests.with(author))
        .value("settings", settings(author.settings));
    for name in ["doc", "modified", "hour", "by", "req", "settings", "externalId", "email"] {
        write = write.name(name);
    }
    for (name, value) in indexed {
        if let Some(value) = value {
            write = write.value(name, s(value));
        }
    }
    require_version(write, old)
}

/// The old item goes and the new one comes, or neither.
fn rename(tenant: &Tenant, author: &Author, (old, new): (&User, &User), keys: &UserKeys) -> [Write; 2] {
    let delete = require_membership_version(Write::delete(Table::Users, key(tenant, &old.key)), old);
    let put = Write::put(Table::Users, new.item(tenant, keys, author))
        .condition("attribute_not_exists(#tenant)")
        .name("tenant")
        .guard(Guard::Name);
    [delete, put]
}

fn require_version(write: Write, old: &User) -> Write {
    write
        .condition("#id = :id AND #ver = :old")
        .name("id")
        .name("ver")
        .guard(Guard::Version)
        .value("id", s(old.id.as_str()))
        .value("old", n(old.record.version.0))
}

/// As [`require_version`], and no membership write came between: for what takes the item away.
fn require_membership_version(write: Write, old: &User) -> Write {
    require_version(write, old)
        .condition("#id = :id AND #ver = :old AND (attribute_not_exists(#gver) OR #gver = :gver)")
        .name("gver")
        .value("gver", n(old.membership.version))
}

/// What stands in the place of `old`: a newer version of the same user, or not that user any more.
fn changed(old: &User, now: Option<Item>) -> Result<WriteError, StoreError> {
    let now = match now {
        Some(item) if optional_text(&item, "id") == Some(old.id.as_str()) => Some(Box::new(User::read(&item)?)),
        _ => None,
    };
    Ok(WriteError::Changed(now))
}

/// The hour of an instant, such as `2026-01-31T12`: hours sort as their texts do.
fn hour(instant: Timestamp) -> String {
    instant.to_string().chars().take("2026-01-31T12".len()).collect()
}

fn key(tenant: &Tenant, folded_user_name: &str) -> Item {
    Item::from([("tenant".to_owned(), s(tenant.as_str())), ("userName".to_owned(), s(folded_user_name))])
}
