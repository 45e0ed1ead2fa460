//! Table `keys`: key records. What else is there under a tenant's name is in [`tenants`](crate::store::ops::tenants).

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::auth::{KeyId, KeyRecord};
use crate::limits::LAST_USED_RESOLUTION_SECONDS;
use crate::scim::resource::date_time;
use crate::store::dynamo::commit::CommitError;
use crate::store::dynamo::item::{Item, at, s};
use crate::store::dynamo::tables::Table;
use crate::store::dynamo::write::{Condition, Guard, Write};
use crate::store::model::admin_action::{AdminAction, AdminActionType, AdminAuthor, key_fields};
use crate::store::model::credential::{credential_item, credential_record};
use crate::store::model::tenant::credential_key;
use crate::store::ops::tenants::{changed, require_tenant_version};
use crate::store::{Store, StoreError};
use crate::tenant::TenantName;

/// Less than every key's id, and more than what else is kept of a tenant.
const BEFORE_KEYS: &str = "/";

impl Store {
    /// Stores a new key record, if the tenant is still what its copy says.
    ///
    /// # Errors
    /// [`StoreError::Contended`] if it is not, [`StoreError::Exists`] if a live key has that id, or the store's.
    pub async fn add_key(&self, record: &KeyRecord, by: impl Into<AdminAuthor>) -> Result<(), StoreError> {
        let (kind, id, after) = (AdminActionType::KeyCreated, record.id.as_str(), key_fields(record));
        let action = AdminAction { kind, id, before: Value::Null, after };
        let action = self.record_action(&record.tenant, &by.into(), &action);
        let writes = [put_key(record), require_tenant_version(&record.tenant, &record.config), action];
        self.commit(&writes, "").await.map_err(|error| match error {
            CommitError::Condition(Guard::KeyId, _) => StoreError::Exists,
            CommitError::Condition(..) => changed(),
            CommitError::Store(error) => error,
        })
    }

    /// Stores that a key was used now, unless that is stored already. Never fails: nobody waits for it.
    pub async fn record_last_used(&self, tenant: &TenantName, id: &KeyId, now: Timestamp) {
        let before = now - SignedDuration::from_secs(LAST_USED_RESOLUTION_SECONDS);
        let write = Write::update(Table::Keys, credential_key(tenant, id.as_str()))
            .set("used", at(now))
            .require(&Condition::Exists("tenant"))
            .require(&Condition::Absent("used").or(Condition::at_most("used", at(before))))
            .without_returning_old();
        if let Err(error) = self.commit_if_current(write).await {
            tracing::warn!(%error, "the use of a key was not stored");
        }
    }

    /// Has a key that was rotated stop working at a time (`until`), if it would not stop `before`, and with it the access tokens that
    /// were issued for it; `false` if no key has that id. The end that it was created with stays on record.
    ///
    /// # Errors
    /// A [`StoreError`] when DynamoDB fails or an item is corrupt.
    pub async fn expire_key_at(
        &self,
        tenant: &TenantName,
        (id, successor): (&KeyId, &KeyId),
        (before, until): (Option<Timestamp>, Timestamp),
        by: impl Into<AdminAuthor>,
    ) -> Result<bool, StoreError> {
        let after = json!({"ends": date_time(until), "successor": successor.as_str()});
        let before = before.map_or(Value::Null, |ends| json!({"ends": date_time(ends)}));
        let action = AdminAction { kind: AdminActionType::KeyRotated, id: id.as_str(), before, after };
        let action = self.record_action(tenant, &by.into(), &action);
        let end = Write::update(Table::Keys, credential_key(tenant, id.as_str()))
            .set("retires", at(until))
            .require(&Condition::Exists("tenant"))
            .require(&Condition::Absent("retires").or(Condition::greater("retires", at(until))));
        match self.commit(&[end, action], "").await {
            Ok(()) | Err(CommitError::Condition(_, Some(_))) => Ok(true),
            Err(CommitError::Condition(_, None)) => Ok(false),
            Err(CommitError::Store(error)) => Err(error),
        }
    }

    /// The record of a key.
    ///
    /// # Errors
    /// A [`StoreError`] when DynamoDB fails or an item is corrupt.
    pub async fn key(&self, tenant: &TenantName, id: &KeyId) -> Result<Option<KeyRecord>, StoreError> {
        self.key_item(tenant, id.as_str()).await?.map(|item| credential_record(&item)).transpose()
    }

    /// Every key of a tenant, oldest first.
    ///
    /// # Errors
    /// A [`StoreError`] when DynamoDB fails or an item is corrupt.
    pub async fn keys(&self, tenant: &TenantName) -> Result<Vec<KeyRecord>, StoreError> {
        let query = self.client.query().table_name(self.table(Table::Keys)).consistent_read(true);
        let query = query
            .key_condition_expression("#tenant = :tenant AND #keyId > :before")
            .expression_attribute_names("#tenant", "tenant")
            .expression_attribute_names("#keyId", "keyId")
            .expression_attribute_values(":tenant", s(tenant.as_str()))
            .expression_attribute_values(":before", s(BEFORE_KEYS));
        let mut items = query.into_paginator().items().send();
        let mut keys: Vec<KeyRecord> = Vec::new();
        while let Some(item) = items.next().await {
            let next = credential_record(&item.map_err(|e| StoreError::of(&e))?)?;
            keys.insert(keys.partition_point(|key| key.created <= next.created), next);
        }
        Ok(keys)
    }

    /// Revokes a key, if there is one of that id; as [`revoke`](Self::revoke).
    ///
    /// # Errors
    /// A [`StoreError`] when DynamoDB fails or an item is corrupt.
    pub async fn revoke_key(
        &self,
        tenant: &TenantName,
        id: &KeyId,
        by: impl Into<AdminAuthor>,
    ) -> Result<bool, StoreError> {
        match self.key(tenant, id).await? {
            Some(key) => self.revoke(&key, by).await.map(|()| true),
            None => Ok(false),
        }
    }

    /// Revokes a key, and with it the access tokens that were issued for it, from the next request on. Revoking twice
    /// keeps the first time.
    ///
    /// # Errors
    /// A [`StoreError`] when DynamoDB fails or an item is corrupt.
    pub async fn revoke(&self, key: &KeyRecord, by: impl Into<AdminAuthor>) -> Result<(), StoreError> {
        let by = by.into();
        let revoke = Write::update(Table::Keys, credential_key(&key.tenant, key.id.as_str()))
            .set("revoked", at(by.at))
            .require(&Condition::Exists("tenant").and(Condition::Absent("revoked")))
            .without_returning_old();
        let (kind, after) = (AdminActionType::KeyRevoked, json!({"revoked": date_time(by.at)}));
        let action = AdminAction { kind, id: key.id.as_str(), before: key_fields(key), after };
        match self.commit(&[revoke, self.record_action(&key.tenant, &by, &action)], "").await {
            // It was revoked before.
            Ok(()) | Err(CommitError::Condition(..)) => Ok(()),
            Err(CommitError::Store(error)) => Err(error),
        }
    }

    /// Opens two connections, by looking for what is not there: a request's key check and its first read go out
    /// together, and the handshakes are paid before the first request comes. The first request reports failures.
    pub async fn connect(&self) {
        let nobody = Item::from([("tenant".to_owned(), s("-")), ("keyId".to_owned(), s("-"))]);
        let get = || self.client.get_item().table_name(self.table(Table::Keys)).set_key(Some(nobody.clone())).send();
        let (first, second) = futures_util::future::join(get(), get()).await;
        for error in [first.err(), second.err()].into_iter().flatten() {
            tracing::warn!(error = %StoreError::of(&error), "could not connect to the store at start");
        }
    }

    pub(in crate::store) async fn key_item(&self, tenant: &TenantName, sort: &str) -> Result<Option<Item>, StoreError> {
        let get = self.client.get_item().table_name(self.table(Table::Keys)).consistent_read(true);
        let found = get.set_key(Some(credential_key(tenant, sort))).send().await.map_err(|e| StoreError::of(&e))?;
        Ok(found.item)
    }
}

/// The write of a new record; its condition fails if there is one of that id that is not revoked.
fn put_key(record: &KeyRecord) -> Write {
    // What is trusted of an identity provider has the same id again.
    Write::put(Table::Keys, credential_item(record))
        .require(&Condition::Absent("tenant").or(Condition::Exists("revoked")))
        .guard(Guard::KeyId)
}
