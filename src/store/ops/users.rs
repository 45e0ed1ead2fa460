//! Table `users`: one item is one user, keyed by the folded `userName`; so a name is taken by at most one, and every
//! write of a single user is one conditional call.

use crate::auth::Tenant;
use crate::scim::user::UserKeys;
use crate::store::dynamo::commit::CommitError;
use crate::store::dynamo::dry_run;
use crate::store::dynamo::item::{Item, at, n, optional_text, s};
use crate::store::dynamo::tables::Table;
use crate::store::dynamo::write::{Condition, Guard, Write};
use crate::store::model::hold::{Loss, Protected};
use crate::store::model::job::DeferredJob;
use crate::store::model::record::{Author, Requests};
use crate::store::model::signature::{FORMER, deletion, former};
use crate::store::model::tenant::settings;
use crate::store::model::user::{User, UserWriteError, hour, user_key};
use crate::store::ops::idempotency::IdempotencyKey;
use crate::store::ops::members::change::{departure, max_departures};
use crate::store::rows::email_changes;
use crate::store::{Store, StoreError};

mod read;
mod walk;

/// What a user who loses access counts.
const ONE_USER: Loss = Loss { count: 1, is_most: false };

pub use read::UserPage;
pub use walk::{Position, UserOrder};

impl Store {
    /// Stores a new user: one plain write, unless it has further e-mail addresses or an idempotency key.
    ///
    /// # Errors
    /// [`UserWriteError::UserNameTaken`] or the store's.
    pub async fn create_user(
        &self,
        tenant: &Tenant,
        author: &Author,
        (user, keys): (&User, &UserKeys),
        idempotency: Option<&IdempotencyKey>,
    ) -> Result<(), UserWriteError> {
        let put = Write::put(Table::Users, user.item(tenant, keys, author))
            .require(&Condition::Absent("tenant"))
            .guard(Guard::Name);
        let mut writes = vec![put];
        writes.extend(email_changes(tenant, user.id.as_str(), &[], user.further_emails()));
        writes.extend(idempotency.map(|key| key.write(tenant, user.id.as_str())));
        dry_run::note_created(user.id.as_str());
        self.note_count_change(tenant);
        match self.commit(&writes, &author.request).await {
            // The id is random: this request created the user that has it, even if others wrote it since.
            Err(CommitError::Condition(_, Some(old))) if optional_text(&old, "id") == Some(user.id.as_str()) => Ok(()),
            // Or another request with the same idempotency key came first: the caller looks for that.
            Err(CommitError::Condition(..)) => Err(UserWriteError::UserNameTaken),
            Err(CommitError::Store(error)) => Err(error.into()),
            Ok(()) => Ok(()),
        }
    }

    /// Writes the next version of a user, if `old` is still the current one. Plain, unless the name or further
    /// e-mail addresses change. `attempt` numbers the tries of one request.
    ///
    /// # Errors
    /// As [`UserWriteError`] says.
    pub async fn update_user(
        &self,
        tenant: &Tenant,
        author: &Author,
        (old, new): (&User, &User),
        keys: &UserKeys,
        attempt: usize,
    ) -> Result<(), UserWriteError> {
        if old.is_active() && !new.is_active() {
            self.reserve(tenant, author, Protected::Users, ONE_USER).await?;
        }
        let is_rename = old.key != new.key;
        let mut writes = if is_rename {
            rename(tenant, author, (old, new), keys).to_vec()
        } else {
            vec![update(tenant, author, (old, new), keys)]
        };
        writes.extend(email_changes(tenant, new.id.as_str(), old.further_emails(), new.further_emails()));
        let committed = self.commit(&writes, &author.token(attempt)).await;
        let written = match committed {
            Ok(()) => Ok(()),
            Err(CommitError::Condition(_, Some(now))) if Requests::read(&now).contains(author) => Ok(()),
            Err(CommitError::Condition(Guard::Name, _)) => Err(UserWriteError::UserNameTaken),
            Err(CommitError::Condition(_, now)) => Err(changed(old, now)?),
            Err(CommitError::Store(error)) => Err(error.into()),
        };
        spend(author, written)
    }

    /// Deletes a user, if `old` is still the current version, and with it its place in its groups. If those are many,
    /// it is hidden from them, and taken out by the work that is registered with the deletion.
    ///
    /// # Errors
    /// As [`UserWriteError`] says.
    pub async fn delete_user(
        &self,
        tenant: &Tenant,
        author: &Author,
        old: &User,
        attempt: usize,
    ) -> Result<(), UserWriteError> {
        if old.is_active() {
            self.reserve(tenant, author, Protected::Users, ONE_USER).await?;
        }
        let mut writes = vec![require_membership_version(Write::delete(Table::Users, user_key(tenant, &old.key)), old)];
        writes.extend(email_changes(tenant, old.id.as_str(), old.further_emails(), &[]));
        writes.push(deletion(tenant, author, old.id.as_str(), old.record.version));
        if old.membership.groups.len() > max_departures(writes.len()) {
            let groups = old.membership.groups.clone();
            writes.extend(DeferredJob::of_user(tenant, author, old.id.as_str(), groups).enqueue());
        } else {
            let there = self.parents_there(tenant, &old.membership, attempt).await?;
            writes.extend(departure(tenant, old.id.as_str(), &old.membership, &there));
        }
        self.note_count_change(tenant);
        let committed = self.commit(&writes, &author.token(attempt)).await;
        let written = match committed {
            Ok(()) => self.leave_batches(tenant, author, old.id.as_str()).await.map_err(Into::into),
            // One of its groups is gone.
            Err(CommitError::Condition(Guard::Parent, _)) => Err(UserWriteError::Changed(Some(Box::new(old.clone())))),
            Err(CommitError::Condition(_, now)) => Err(changed(old, now)?),
            Err(CommitError::Store(error)) => Err(error.into()),
        };
        spend(author, written)
    }
}

/// What the request has counted stays counted, unless the store says that nothing was written.
fn spend(author: &Author, written: Result<(), UserWriteError>) -> Result<(), UserWriteError> {
    if !matches!(written, Err(UserWriteError::Changed(_) | UserWriteError::UserNameTaken)) {
        author.reservation.spend();
    }
    written
}

/// A change of named attributes: never a whole item, which could undo another request's membership write.
fn update(tenant: &Tenant, author: &Author, (old, new): (&User, &User), keys: &UserKeys) -> Write {
    let write = Write::update(Table::Users, user_key(tenant, &old.key))
        .set("doc", s(new.record.document.to_stored()))
        .set("ver", n(new.record.version.0))
        .set("modified", at(new.record.modified))
        .set("hour", s(hour(new.record.modified)))
        .set("by", s(author.key.as_str()))
        .set("how", s(author.how()))
        .remove(FORMER)
        .set("req", old.record.requests.with(author))
        .set("settings", settings(author.settings))
        .set_or_remove("externalId", keys.external_id.as_ref().map(s))
        .set_or_remove("email", new.indexed_email().map(s));
    require_version(write, old)
}

/// The old item goes and the new one comes, or neither.
fn rename(tenant: &Tenant, author: &Author, (old, new): (&User, &User), keys: &UserKeys) -> [Write; 2] {
    let delete = require_membership_version(Write::delete(Table::Users, user_key(tenant, &old.key)), old);
    let mut item = new.item(tenant, keys, author);
    item.extend(former(&old.record.document, &new.record.document).map(|former| (FORMER.to_owned(), s(former))));
    let put = Write::put(Table::Users, item).require(&Condition::Absent("tenant")).guard(Guard::Name);
    [delete, put]
}

fn require_version(write: Write, old: &User) -> Write {
    write
        .require(&Condition::equals("id", s(old.id.as_str())))
        .require(&Condition::equals("ver", n(old.record.version.0)))
        .guard(Guard::Version)
}

/// As [`require_version`], and no membership write came between: for what takes the item away.
fn require_membership_version(write: Write, old: &User) -> Write {
    require_version(write, old).require(&Condition::absent_or_equals("gver", n(old.membership.version)))
}

/// What stands in the place of `old`: a newer version of the same user, or not that user any more.
fn changed(old: &User, now: Option<Item>) -> Result<UserWriteError, StoreError> {
    let now = match now {
        Some(item) if optional_text(&item, "id") == Some(old.id.as_str()) => Some(Box::new(User::read(&item)?)),
        _ => None,
    };
    Ok(UserWriteError::Changed(now))
}
