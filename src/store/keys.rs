//! Table `keys`: key records. What else is there under a tenant's name is in [`tenants`](super::tenants).

use jiff::Timestamp;

use super::commit::{CommitError, Write};
use super::item::{Item, at, b, instant, lacks, optional_instant, optional_text, s, text};
use super::tables::Table;
use super::tenants::{changed, is_still, read_shape, write_shape};
use super::{Store, StoreError};
use crate::auth::{KeyId, KeyRecord, Scope, TenantName};

use aws_sdk_dynamodb::types::AttributeValue;

/// Less than every key's id, and more than what else is kept of a tenant.
const BEFORE_KEYS: &str = "/";

impl Store {
    /// Stores a new key record, if the tenant is still what its copy says.
    ///
    /// # Errors
    /// `Refused` if it is not, or as the store's.
    pub async fn add_key(&self, record: &KeyRecord) -> Result<(), StoreError> {
        let mut item = key(&record.tenant, record.id.as_str());
        item.insert("hash".into(), b(&record.hash));
        let scopes = record.scopes.iter().map(|scope| scope.as_str().to_owned()).collect();
        item.insert("scopes".into(), AttributeValue::Ss(scopes));
        item.insert("description".into(), s(&record.description));
        item.insert("created".into(), at(record.created));
        write_shape(&mut item, &record.shape);
        item.extend(record.automation.as_ref().map(|user| ("automation".to_owned(), s(user))));
        item.extend(record.expires.map(|expires| ("expires".to_owned(), at(expires))));
        item.extend(record.revoked.map(|revoked| ("revoked".to_owned(), at(revoked))));
        let write = Write::put(Table::Keys, item).condition("attribute_not_exists(#tenant)").name("tenant");
        self.commit(&[write, is_still(&record.tenant, &record.shape)], "").await.map_err(|error| match error {
            CommitError::Condition(0, _) => StoreError::Refused("a key of that id exists".into()),
            CommitError::Condition(..) => changed(&record.tenant),
            CommitError::Store(error) => error,
        })
    }

    /// The record of a key.
    ///
    /// # Errors
    /// As the store's.
    pub async fn key(&self, tenant: &TenantName, id: &KeyId) -> Result<Option<KeyRecord>, StoreError> {
        self.key_item(tenant, id.as_str()).await?.map(|item| record(&item)).transpose()
    }

    /// Every key of a tenant, oldest first.
    ///
    /// # Errors
    /// As the store's.
    pub async fn keys(&self, tenant: &TenantName) -> Result<Vec<KeyRecord>, StoreError> {
        let query = self.client.query().table_name(self.table(Table::Keys)).consistent_read(true);
        let query = query
            .key_condition_expression("#tenant = :tenant AND #keyId > :before")
            .expression_attribute_names("#tenant", "tenant")
            .expression_attribute_names("#keyId", "keyId")
            .expression_attribute_values(":tenant", s(tenant.as_str()))
            .expression_attribute_values(":before", s(BEFORE_KEYS));
        let mut items = query.into_paginator().items().send();
        let mut keys = Vec::new();
        while let Some(item) = items.next().await {
            keys.push(record(&item.map_err(|e| StoreError::of(&e))?)?);
        }
        keys.sort_by_key(|key| key.created);
        Ok(keys)
    }

    /// Revokes a key from the next request on; `false` if there is none of that id. Revoking twice keeps the first time.
    ///
    /// # Errors
    /// As the store's.
    pub async fn revoke_key(&self, tenant: &TenantName, id: &KeyId, now: Timestamp) -> Result<bool, StoreError> {
        let expression = "SET #revoked = if_not_exists(#revoked, :now)".to_owned();
        let write = Write::update(Table::Keys, key(tenant, id.as_str()), expression)
            .condition("attribute_exists(#tenant)")
            .name("tenant")
            .name("revoked")
            .value("now", at(now));
        match self.commit(&[write], "").await {
            Ok(()) => Ok(true),
            Err(CommitError::Condition(..)) => Ok(false),
            Err(CommitError::Store(error)) => Err(error),
        }
    }

    /// Opens two connections, by looking for what is not there: a request's key check and its first read go out
    /// together, and the handshakes are paid before the first request comes. Failures show when it does.
    pub async fn connect(&self) {
        let nobody = Item::from([("tenant".to_owned(), s("-")), ("keyId".to_owned(), s("-"))]);
        let get = || self.client.get_item().table_name(self.table(Table::Keys)).set_key(Some(nobody.clone())).send();
        let (first, second) = futures_util::future::join(get(), get()).await;
        for error in [first.err(), second.err()].into_iter().flatten() {
            tracing::warn!(error = %StoreError::of(&error), "could not connect to the store at start");
        }
    }

    pub(super) async fn key_item(&self, tenant: &TenantName, sort: &str) -> Result<Option<Item>, StoreError> {
        let get = self.client.get_item().table_name(self.table(Table::Keys)).consistent_read(true);
        let found = get.set_key(Some(key(tenant, sort))).send().await.map_err(|e| StoreError::of(&e))?;
        Ok(found.item)
    }
}

pub(super) fn key(tenant: &TenantName, sort: &str) -> Item {
    Item::from([("tenant".to_owned(), s(tenant.as_str())), ("keyId".to_owned(), s(sort))])
}

pub(super) fn tenant_name(item: &Item) -> Result<TenantName, StoreError> {
    text(item, "tenant")?.parse().map_err(|_| lacks("tenant"))
}

fn record(item: &Item) -> Result<KeyRecord, StoreError> {
    let scopes = item.get("scopes").and_then(|v| v.as_ss().ok()).ok_or_else(|| lacks("scopes"))?;
    let hash = item.get("hash").and_then(|v| v.as_b().ok()).ok_or_else(|| lacks("hash"))?;
    Ok(KeyRecord {
        tenant: tenant_name(item)?,
        id: KeyId::parse(text(item, "keyId")?).ok_or_else(|| lacks("keyId"))?,
        hash: hash.as_ref().try_into().map_err(|_| lacks("hash"))?,
        scopes: scopes.iter().filter_map(|scope| scope.parse::<Scope>().ok()).collect(),
        description: text(item, "description")?.to_owned(),
        automation: optional_text(item, "automation").map(str::to_owned),
        created: instant(item, "created")?,
        expires: optional_instant(item, "expires"),
        revoked: optional_instant(item, "revoked"),
        shape: read_shape(item),
    })
}
