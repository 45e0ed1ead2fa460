//! Table `keys`, under a tenant's name: its own record, the copies of it on its keys, and the texts of its own profiles.

use jiff::Timestamp;

use super::commit::{CommitError, Guard, Write};
use super::counts::Counts;
use super::item::{Item, at, instant, n, optional_number, optional_text, s, text};
use super::keys::{key, tenant_name};
use super::tables::Table;
use super::{Store, StoreError};
use crate::auth::{KeyRecord, Settings, TenantConfig, TenantName};
use crate::scim::ProfileRef;

use aws_sdk_dynamodb::types::AttributeValue;

/// The sort key of a tenant's own record. What is no key begins with a full stop, which no key's id does.
const TENANT_RECORD: &str = ".";

/// With it begins the sort key of a profile's text; the digest follows.
const PROFILE: &str = ".profile-";

/// A tenant, as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantRecord {
    /// The name.
    pub name: TenantName,
    /// When it was made.
    pub created: Timestamp,
    /// Its profile and settings.
    pub config: TenantConfig,
}

impl Store {
    /// Makes a tenant; `false` if it is there already.
    ///
    /// # Errors
    /// As the store's.
    pub async fn add_tenant(
        &self,
        tenant: &TenantName,
        config: &TenantConfig,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut item = key(tenant, TENANT_RECORD);
        item.insert("created".into(), at(now));
        item.insert("shards".into(), n(1));
        write_shape(&mut item, &TenantConfig { version: 1, ..config.clone() });
        let record = Write::put(Table::Keys, item).condition("attribute_not_exists(#tenant)").name("tenant");
        match self.commit(&[record, Counts::of_nobody(tenant)], "").await {
            Ok(()) => Ok(true),
            Err(CommitError::Condition(..)) => Ok(false),
            Err(CommitError::Store(error)) => Err(error),
        }
    }

    /// The tenant of that name.
    ///
    /// # Errors
    /// As the store's.
    pub async fn tenant(&self, tenant: &TenantName) -> Result<Option<TenantRecord>, StoreError> {
        self.key_item(tenant, TENANT_RECORD).await?.map(|item| record(&item)).transpose()
    }

    /// Every tenant. Reads the whole keys table: for operators, not for requests.
    ///
    /// # Errors
    /// As the store's.
    pub async fn tenants(&self) -> Result<Vec<TenantRecord>, StoreError> {
        let scan = self.client.scan().table_name(self.table(Table::Keys)).consistent_read(true);
        let scan = scan.filter_expression("#keyId = :tenant").expression_attribute_names("#keyId", "keyId");
        let mut items = scan.expression_attribute_values(":tenant", s(TENANT_RECORD)).into_paginator().items().send();
        let mut tenants: Vec<TenantRecord> = Vec::new();
        while let Some(item) = items.next().await {
            let next = record(&item.map_err(|e| StoreError::of(&e))?)?;
            tenants.insert(tenants.partition_point(|tenant| tenant.name < next.name), next);
        }
        Ok(tenants)
    }

    /// Changes what a tenant is like, first in its own record, then in the copies on its keys; how many of those were
    /// behind. Done again with the same, after a crash in between say, it does what is left.
    ///
    /// # Errors
    /// `Refused` if the record is another one than `old`, or as the store's.
    pub async fn set_tenant(
        &self,
        old: &TenantRecord,
        profile: ProfileRef,
        settings: Settings,
        now: Timestamp,
    ) -> Result<usize, StoreError> {
        let mut config = TenantConfig { profile, settings, version: old.config.version };
        if config != old.config {
            config.version += 1;
            let update = set_shape(&old.name, TENANT_RECORD, &config);
            let is_same = is_version(update, old.config.version);
            match self.commit(&[is_same], "").await {
                Ok(()) => {}
                Err(CommitError::Condition(..)) => return Err(changed()),
                Err(CommitError::Store(error)) => return Err(error),
            }
        }
        let mut behind = 0;
        let records = self.credentials(&old.name).await?;
        let is_behind = |key: &&KeyRecord| key.config.version < config.version && !key.is_expired_token(now);
        for key in records.iter().filter(is_behind) {
            // Whoever changed the tenant after this has renewed the copy already.
            let renewal = set_shape(&old.name, key.id.as_str(), &config)
                .condition("attribute_exists(#tenant) AND (attribute_not_exists(#ver) OR #ver < :ver)")
                .name("tenant");
            self.commit_if_current(renewal).await?;
            behind += 1;
        }
        Ok(behind)
    }

    /// Keeps the text of a profile of a tenant's own. It is never taken away: a key's copy may still name it.
    ///
    /// # Errors
    /// As the store's.
    pub async fn add_profile(&self, tenant: &TenantName, digest: &str, json: &str) -> Result<(), StoreError> {
        let mut item = key(tenant, &format!("{PROFILE}{digest}"));
        item.insert("profile".into(), s(json));
        self.commit_if_current(Write::put(Table::Keys, item)).await
    }

    /// The text of a profile of a tenant's own.
    ///
    /// # Errors
    /// As the store's.
    pub async fn profile(&self, tenant: &TenantName, digest: &str) -> Result<Option<String>, StoreError> {
        let item = self.key_item(tenant, &format!("{PROFILE}{digest}")).await?;
        item.map(|item| text(&item, "profile").map(str::to_owned)).transpose()
    }
}

/// That the tenant is still what the copy on a new key says.
pub(super) fn require_tenant_version(tenant: &TenantName, config: &TenantConfig) -> Write {
    is_version(Write::check(Table::Keys, key(tenant, TENANT_RECORD)), config.version)
}

/// Why something that was made from a tenant's record is not done: it can be done again.
pub(super) fn changed() -> StoreError {
    StoreError::Contended(1)
}

/// A tenant of before there were profiles has no version.
fn is_version(write: Write, version: u64) -> Write {
    let write = write.name("tenant").name("ver").guard(Guard::TenantVersion);
    match version {
        0 => write.condition("attribute_exists(#tenant) AND attribute_not_exists(#ver)"),
        _ => write.condition("attribute_exists(#tenant) AND #ver = :old").value("old", n(version)),
    }
}

fn set_shape(tenant: &TenantName, sort: &str, config: &TenantConfig) -> Write {
    let expression = "SET #profile = :profile, #settings = :settings, #ver = :ver".to_owned();
    let mut values = Item::new();
    write_shape(&mut values, config);
    let write = Write::update(Table::Keys, key(tenant, sort), expression);
    values.into_iter().fold(write, |write, (name, value)| write.name(&name).value(&name, value))
}

/// Writes a shape to a record, be it the tenant's or a key's.
pub(super) fn write_shape(item: &mut Item, config: &TenantConfig) {
    item.insert("profile".into(), s(config.profile.to_string()));
    item.insert("settings".into(), settings(config.settings));
    item.insert("ver".into(), n(config.version));
}

/// The settings as they stand in records, and in each user's item for who follows the changes.
pub(super) fn settings(settings: Settings) -> AttributeValue {
    let fields = [
        ("inviteAutomatically", AttributeValue::Bool(settings.invite_automatically)),
        ("onDeactivation", s(settings.on_deactivation.as_str())),
    ];
    AttributeValue::M(fields.map(|(name, value)| (name.to_owned(), value)).into())
}

/// Reads what [`write_shape`] wrote; the default where nothing was written.
pub(super) fn read_shape(item: &Item) -> TenantConfig {
    let profile = optional_text(item, "profile").and_then(|text| text.parse().ok()).unwrap_or_default();
    let fields = item.get("settings").and_then(|value| value.as_m().ok());
    let invite = fields.and_then(|fields| fields.get("inviteAutomatically")?.as_bool().ok());
    let on_deactivation = fields.and_then(|fields| optional_text(fields, "onDeactivation")?.parse().ok());
    TenantConfig {
        profile,
        settings: Settings {
            invite_automatically: invite.copied().unwrap_or_default(),
            on_deactivation: on_deactivation.unwrap_or_default(),
        },
        version: optional_number(item, "ver").unwrap_or(0),
    }
}

fn record(item: &Item) -> Result<TenantRecord, StoreError> {
    Ok(TenantRecord { name: tenant_name(item)?, created: instant(item, "created")?, config: read_shape(item) })
}
