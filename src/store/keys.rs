//! Table `keys`: key records. What else is there under a tenant's name is in [`tenants`](super::tenants).

use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};

use super::commit::{CommitError, Guard, Write};
use super::item::{Item, at, b, instant, missing_attribute, n, optional_instant, optional_text, s, text};
use super::tables::Table;
use super::tenants::{changed, read_shape, require_tenant_version, write_shape};
use super::{Store, StoreError};
use crate::auth::jwt::{algorithm, algorithm_name};
use crate::auth::{Credential, FederatedIssuer, KeyId, KeyRecord, Scope, TenantName};
use crate::limits::{LAST_USED_RESOLUTION_SECONDS, TOKENS_AT_ONCE};

use aws_sdk_dynamodb::types::AttributeValue;

/// Less than every key's id, and more than what else is kept of a tenant.
const BEFORE_KEYS: &str = "/";

impl Store {
    /// Stores a new key record, if the tenant is still what its copy says.
    ///
    /// # Errors
    /// `Refused` if it is not, or as the store's.
    pub async fn add_key(&self, record: &KeyRecord) -> Result<(), StoreError> {
        let writes = [put_key(record), require_tenant_version(&record.tenant, &record.config)];
        self.commit(&writes, "").await.map_err(|error| match error {
            CommitError::Condition(Guard::KeyId, _) => StoreError::Exists,
            CommitError::Condition(..) => changed(),
            CommitError::Store(error) => error,
        })
    }

    /// Stores that a key was used now, unless that is stored already. Never fails: nobody waits for it.
    pub async fn record_last_used(&self, tenant: &TenantName, id: &KeyId, now: Timestamp) {
        let before = now - SignedDuration::from_secs(LAST_USED_RESOLUTION_SECONDS);
        let write = Write::update(Table::Keys, key(tenant, id.as_str()), "SET #used = :now".to_owned())
            .condition("attribute_exists(#tenant) AND (attribute_not_exists(#used) OR #used <= :before)")
            .name("tenant")
            .name("used")
            .value("now", at(now))
            .value("before", at(before))
            .without_returning_old();
        if let Err(error) = self.commit_if_current(write).await {
            tracing::warn!(%error, "the use of a key was not stored");
        }
    }

    /// Has a key, and the access tokens that were given for it, stop working at a time, if they would not stop before;
    /// `false` if there is none of that id.
    ///
    /// # Errors
    /// As the store's.
    pub async fn expire_key_at(
        &self,
        tenant: &TenantName,
        id: &KeyId,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let end = |id: &KeyId| {
            Write::update(Table::Keys, key(tenant, id.as_str()), "SET #expires = :until".to_owned())
                .condition("attribute_exists(#tenant) AND (attribute_not_exists(#expires) OR #expires > :until)")
                .name("tenant")
                .name("expires")
                .value("until", at(until))
        };
        match self.commit(&[end(id)], "").await {
            Ok(()) | Err(CommitError::Condition(_, Some(_))) => {}
            Err(CommitError::Condition(_, None)) => return Ok(false),
            Err(CommitError::Store(error)) => return Err(error),
        }
        self.each_token(tenant, id, now, end).await?;
        Ok(true)
    }

    /// Writes to each access token of a client that still works, some at once.
    async fn each_token(
        &self,
        tenant: &TenantName,
        client: &KeyId,
        now: Timestamp,
        write: impl Fn(&KeyId) -> Write,
    ) -> Result<(), StoreError> {
        let is_its =
            |record: &KeyRecord| matches!(&record.credential, Credential::Token { client: of, .. } if of == client);
        let all = self.credentials(tenant).await?;
        let tokens: Vec<_> = all.iter().filter(|record| is_its(record) && !record.is_expired_token(now)).collect();
        for some in tokens.chunks(TOKENS_AT_ONCE) {
            let writes = some.iter().map(|token| self.commit_if_current(write(&token.id)));
            join_all(writes).await.into_iter().collect::<Result<(), _>>()?;
        }
        Ok(())
    }

    /// The record of a key.
    ///
    /// # Errors
    /// As the store's.
    pub async fn key(&self, tenant: &TenantName, id: &KeyId) -> Result<Option<KeyRecord>, StoreError> {
        self.key_item(tenant, id.as_str()).await?.map(|item| record(&item)).transpose()
    }

    /// Every key of a tenant, oldest first; access tokens are none.
    ///
    /// # Errors
    /// As the store's.
    pub async fn keys(&self, tenant: &TenantName) -> Result<Vec<KeyRecord>, StoreError> {
        let mut keys = self.credentials(tenant).await?;
        keys.retain(|record| !matches!(record.credential, Credential::Token { .. }));
        Ok(keys)
    }

    /// Every key of a tenant, and every access token that DynamoDB has not taken away yet, oldest first.
    ///
    /// # Errors
    /// As the store's.
    pub(super) async fn credentials(&self, tenant: &TenantName) -> Result<Vec<KeyRecord>, StoreError> {
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
            let next = record(&item.map_err(|e| StoreError::of(&e))?)?;
            keys.insert(keys.partition_point(|key| key.created <= next.created), next);
        }
        Ok(keys)
    }

    /// Revokes a key, and what was given to it as a client, from the next request on; `false` if there is none of that
    /// id. Revoking twice keeps the first time, and finishes what was not finished.
    ///
    /// # Errors
    /// As the store's.
    pub async fn revoke_key(&self, tenant: &TenantName, id: &KeyId, now: Timestamp) -> Result<bool, StoreError> {
        let revoke = |id: &KeyId| {
            let expression = "SET #revoked = if_not_exists(#revoked, :now)".to_owned();
            Write::update(Table::Keys, key(tenant, id.as_str()), expression)
                .condition("attribute_exists(#tenant)")
                .name("tenant")
                .name("revoked")
                .value("now", at(now))
                .without_returning_old()
        };
        match self.commit(&[revoke(id)], "").await {
            Ok(()) => {}
            Err(CommitError::Condition(..)) => return Ok(false),
            Err(CommitError::Store(error)) => return Err(error),
        }
        // From here on the client is given no more tokens.
        self.each_token(tenant, id, now, revoke).await?;
        Ok(true)
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

/// The write of a new record; its condition fails if there is one of that id that is not revoked.
pub(super) fn put_key(record: &KeyRecord) -> Write {
    let mut item = key(&record.tenant, record.id.as_str());
    let scopes = record.scopes.iter().map(|scope| scope.as_str().to_owned()).collect();
    item.insert("scopes".into(), AttributeValue::Ss(scopes));
    item.insert("description".into(), s(&record.description));
    item.extend(record.automation.as_ref().map(|user| ("automation".to_owned(), s(user))));
    item.extend(record.awaiting_activation.then(|| ("waiting".to_owned(), AttributeValue::Bool(true))));
    let times = [
        ("created", Some(record.created)),
        ("notBefore", record.not_before),
        ("expires", record.expires),
        ("revoked", record.revoked),
        ("used", record.used),
    ];
    item.extend(times.into_iter().filter_map(|(name, time)| Some((name.to_owned(), at(time?)))));
    put_credential(&mut item, &record.credential);
    write_shape(&mut item, &record.config);
    if let (Credential::Token { .. }, Some(expires)) = (&record.credential, record.expires) {
        // DynamoDB takes it away when it gets to it.
        item.insert("ttl".into(), n(expires.as_second()));
    }
    // What is trusted of an identity provider has the same id again.
    Write::put(Table::Keys, item)
        .condition("attribute_not_exists(#tenant) OR attribute_exists(#revoked)")
        .name("tenant")
        .name("revoked")
        .guard(Guard::KeyId)
}

fn put_credential(item: &mut Item, credential: &Credential) {
    let mut put = |name: &str, value| item.insert(name.to_owned(), value);
    put("form", s(credential.form()));
    match credential {
        Credential::Bearer(hash) | Credential::Basic(hash) | Credential::Client(hash) => {
            put("hash", b(hash));
        }
        Credential::Token { hash, client, seal } => {
            put("hash", b(hash));
            put("client", s(client.as_str()));
            put("seal", b(seal));
        }
        Credential::Jwt { public_key, seal } => {
            put("publicKey", b(public_key));
            put("seal", b(seal));
        }
        Credential::Federation { trust, seal } => {
            put("issuer", s(&trust.issuer));
            put("audience", s(&trust.audience));
            if let Some(subject) = &trust.subject {
                put("subject", s(subject));
            }
            put("jwksUri", s(&trust.jwks_uri));
            put("algorithm", s(algorithm_name(trust.algorithm)));
            put("seal", b(seal));
        }
    }
}

pub(super) fn key(tenant: &TenantName, sort: &str) -> Item {
    Item::from([("tenant".to_owned(), s(tenant.as_str())), ("keyId".to_owned(), s(sort))])
}

pub(super) fn tenant_name(item: &Item) -> Result<TenantName, StoreError> {
    text(item, "tenant")?.parse().map_err(|_| missing_attribute("tenant"))
}

fn record(item: &Item) -> Result<KeyRecord, StoreError> {
    let scopes = item.get("scopes").and_then(|v| v.as_ss().ok()).ok_or_else(|| missing_attribute("scopes"))?;
    Ok(KeyRecord {
        tenant: tenant_name(item)?,
        id: KeyId::parse(text(item, "keyId")?).ok_or_else(|| missing_attribute("keyId"))?,
        credential: credential(item)?,
        scopes: scopes.iter().filter_map(|scope| scope.parse::<Scope>().ok()).collect(),
        description: text(item, "description")?.to_owned(),
        automation: optional_text(item, "automation").map(str::to_owned),
        awaiting_activation: item.contains_key("waiting"),
        created: instant(item, "created")?,
        not_before: optional_instant(item, "notBefore"),
        expires: optional_instant(item, "expires"),
        revoked: optional_instant(item, "revoked"),
        used: optional_instant(item, "used"),
        config: read_shape(item),
    })
}

fn credential(item: &Item) -> Result<Credential, StoreError> {
    let bytes = |name: &str| Some(item.get(name)?.as_b().ok()?.as_ref());
    let digest =
        |name: &str| bytes(name).and_then(|bytes| bytes.try_into().ok()).ok_or_else(|| missing_attribute(name));
    let owned = |name: &str| text(item, name).map(str::to_owned);
    // The first records had no form.
    match optional_text(item, "form").unwrap_or("bearer") {
        "bearer" => Ok(Credential::Bearer(digest("hash")?)),
        "basic" => Ok(Credential::Basic(digest("hash")?)),
        "client" => Ok(Credential::Client(digest("hash")?)),
        "token" => {
            let client = KeyId::parse(text(item, "client")?).ok_or_else(|| missing_attribute("client"))?;
            Ok(Credential::Token { hash: digest("hash")?, client, seal: digest("seal")? })
        }
        "jwt" => {
            let public_key = bytes("publicKey").ok_or_else(|| missing_attribute("publicKey"))?.to_vec();
            Ok(Credential::Jwt { public_key, seal: digest("seal")? })
        }
        "federation" => {
            let trust = FederatedIssuer {
                issuer: owned("issuer")?,
                audience: owned("audience")?,
                subject: optional_text(item, "subject").map(str::to_owned),
                jwks_uri: owned("jwksUri")?,
                algorithm: algorithm(text(item, "algorithm")?).ok_or_else(|| missing_attribute("algorithm"))?,
            };
            Ok(Credential::Federation { trust, seal: digest("seal")? })
        }
        _ => Err(missing_attribute("form")),
    }
}
