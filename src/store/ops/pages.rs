//! Links to the page and its sessions, in table `tokens`: whoever signs in needs no key, and the role of that function
//! must write none.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::auth::{KeyId, LinkRecord, PageSecret, SessionRecord};
use crate::limits::SESSION_SEEN_SECONDS;
use crate::scim::resource::date_time;
use crate::store::dynamo::commit::CommitError;
use crate::store::dynamo::item::{Item, at};
use crate::store::dynamo::tables::Table;
use crate::store::dynamo::write::{Condition, Write};
use crate::store::model::admin_action::{AdminAction, AdminActionType, AdminAuthor};
use crate::store::model::page::{
    access_fields, link_fields, link_item, link_key, link_record, session_item, session_key, session_record,
};
use crate::store::{Store, StoreError};
use crate::tenant::TenantName;

impl Store {
    /// Stores a new link.
    ///
    /// # Errors
    /// A [`StoreError`] when DynamoDB fails or an item is corrupt.
    pub async fn add_link(&self, link: &LinkRecord, by: impl Into<AdminAuthor>) -> Result<(), StoreError> {
        let (kind, id, after) = (AdminActionType::LinkCreated, link.id.as_str(), link_fields(link));
        let action = AdminAction { kind, id, before: Value::Null, after };
        let put = Write::put(Table::Tokens, link_item(link)).require(&Condition::Absent("tenant"));
        self.commit(&[put, self.record_action(&link.tenant, &by.into(), &action)], "").await.map_err(store_error)
    }

    /// Ends a link before anybody uses it; `false` if none of that id is left to end.
    ///
    /// # Errors
    /// A [`StoreError`] when DynamoDB fails or an item is corrupt.
    pub async fn revoke_link(
        &self,
        tenant: &TenantName,
        id: &KeyId,
        by: impl Into<AdminAuthor>,
    ) -> Result<bool, StoreError> {
        let by = by.into();
        let (kind, after) = (AdminActionType::LinkRevoked, json!({"revoked": date_time(by.at)}));
        let action = AdminAction { kind, id: id.as_str(), before: Value::Null, after };
        let revoke = Write::update(Table::Tokens, link_key(tenant, id))
            .set("revoked", at(by.at))
            .require(&Condition::Exists("tenant").and(Condition::Absent("revoked")).and(Condition::Absent("used")));
        is_done(self.commit(&[revoke.without_returning_old(), self.record_action(tenant, &by, &action)], "").await)
    }

    /// The link that a secret is of; none if nothing has that id and that hash.
    ///
    /// # Errors
    /// A [`StoreError`] when DynamoDB fails or an item is corrupt.
    pub async fn page_link(&self, tenant: &TenantName, secret: &PageSecret) -> Result<Option<LinkRecord>, StoreError> {
        let item = self.page_item(link_key(tenant, secret.id())).await?;
        let link = item.map(|item| link_record(&item)).transpose()?;
        Ok(link.filter(|link| secret.has_hash(&link.hash)))
    }

    /// Begins a session with a link, which works no more after it; `false` if somebody else was faster. One transaction
    /// does both: of two requests with one link, one signs in.
    ///
    /// # Errors
    /// A [`StoreError`] when DynamoDB fails or an item is corrupt.
    pub async fn begin_session(
        &self,
        link: &LinkRecord,
        session: &SessionRecord,
        by: AdminAuthor,
    ) -> Result<bool, StoreError> {
        let mut after = access_fields(&session.access);
        after.insert("link".to_owned(), json!(link.id.as_str()));
        let (kind, id) = (AdminActionType::SessionBegun, session.id.as_str());
        let action = AdminAction { kind, id, before: Value::Null, after: after.into() };
        let mark = Write::update(Table::Tokens, link_key(&link.tenant, &link.id))
            .set("used", at(by.at))
            .require(&Condition::Exists("tenant").and(Condition::Absent("revoked")).and(Condition::Absent("used")));
        let put = Write::put(Table::Tokens, session_item(session)).require(&Condition::Absent("tenant"));
        let action = self.record_action(&link.tenant, &by, &action);
        is_done(self.commit(&[mark.without_returning_old(), put, action], "").await)
    }

    /// The session that a secret is of; none if nothing has that id and that hash.
    ///
    /// # Errors
    /// A [`StoreError`] when DynamoDB fails or an item is corrupt.
    pub async fn page_session(
        &self,
        tenant: &TenantName,
        secret: &PageSecret,
    ) -> Result<Option<SessionRecord>, StoreError> {
        let item = self.page_item(session_key(tenant, secret.id())).await?;
        let session = item.map(|item| session_record(&item)).transpose()?;
        Ok(session.filter(|session| secret.has_hash(&session.hash)))
    }

    /// Stores that a session was used now, unless some minutes ago it was stored. Never fails: nobody waits for it.
    pub async fn record_session_seen(&self, session: &SessionRecord, now: Timestamp) {
        if now.duration_since(session.seen) < SignedDuration::from_secs(SESSION_SEEN_SECONDS) {
            return;
        }
        let write = Write::update(Table::Tokens, session_key(&session.tenant, &session.id))
            .set("seen", at(now))
            .require(&Condition::Exists("tenant"))
            .without_returning_old();
        if let Err(error) = self.commit_if_current(write).await {
            tracing::warn!(%error, "the use of a session was not stored");
        }
    }

    /// Ends a session.
    ///
    /// # Errors
    /// A [`StoreError`] when DynamoDB fails or an item is corrupt.
    pub async fn end_session(&self, session: &SessionRecord, by: AdminAuthor) -> Result<(), StoreError> {
        let end = Write::update(Table::Tokens, session_key(&session.tenant, &session.id))
            .set("ended", at(by.at))
            .require(&Condition::Exists("tenant").and(Condition::Absent("ended")))
            .without_returning_old();
        let (kind, after) = (AdminActionType::SessionEnded, json!({"ended": date_time(by.at)}));
        let action = AdminAction { kind, id: session.id.as_str(), before: Value::Null, after };
        is_done(self.commit(&[end, self.record_action(&session.tenant, &by, &action)], "").await).map(drop)
    }

    async fn page_item(&self, key: Item) -> Result<Option<Item>, StoreError> {
        let get = self.client.get_item().table_name(self.table(Table::Tokens)).consistent_read(true);
        let found = get.set_key(Some(key)).send().await.map_err(|e| StoreError::of(&e))?;
        Ok(found.item)
    }
}

fn is_done(outcome: Result<(), CommitError>) -> Result<bool, StoreError> {
    match outcome {
        Ok(()) => Ok(true),
        Err(CommitError::Condition(..)) => Ok(false),
        Err(CommitError::Store(error)) => Err(error),
    }
}

fn store_error(error: CommitError) -> StoreError {
    match error {
        CommitError::Condition(..) => StoreError::Exists,
        CommitError::Store(error) => error,
    }
}
