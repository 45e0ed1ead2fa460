//! Table `keys`, under a tenant's name: its own record, the copies of it on its keys, and the texts of its own profiles.

use futures_util::future::try_join_all;
use serde_json::Value;

use crate::auth::KeyRecord;
use crate::auth::record::State;
use crate::limits::KEYS_AT_ONCE;
use crate::store::dynamo::commit::CommitError;
use crate::store::dynamo::item::{Item, at, n, s, text};
use crate::store::dynamo::tables::Table;
use crate::store::dynamo::write::{Condition, Guard, Write};
use crate::store::model::admin_action::{AdminAction, AdminActionType, AdminAuthor, tenant_fields};
use crate::store::model::tenant::{
    PROFILE, TENANT_RECORD, TenantRecord, credential_key, notice_settings, tenant_record, write_config,
};
use crate::store::ops::counts::Counts;
use crate::store::{Store, StoreError};
use crate::tenant::{NoticeSettings, ProfileRef, Settings, TenantConfig, TenantName};

impl Store {
    /// Creates a tenant; `false` if it is there already.
    ///
    /// # Errors
    /// A [`StoreError`] when DynamoDB fails or an item is corrupt.
    pub async fn add_tenant(
        &self,
        tenant: &TenantName,
        config: &TenantConfig,
        by: impl Into<AdminAuthor>,
    ) -> Result<bool, StoreError> {
        self.create_tenant(tenant, config, &NoticeSettings::default(), by).await
    }

    /// As [`add_tenant`](Self::add_tenant), with who hears of its notices.
    ///
    /// # Errors
    /// As that.
    pub async fn create_tenant(
        &self,
        tenant: &TenantName,
        config: &TenantConfig,
        notices: &NoticeSettings,
        by: impl Into<AdminAuthor>,
    ) -> Result<bool, StoreError> {
        let by = by.into();
        let mut item = credential_key(tenant, TENANT_RECORD);
        item.insert("created".into(), at(by.at));
        item.insert("shards".into(), n(1));
        item.insert("notices".into(), notice_settings(notices));
        write_config(&mut item, &TenantConfig { version: 1, ..config.clone() });
        let record = Write::put(Table::Keys, item).require(&Condition::Absent("tenant"));
        let (kind, id, after) = (AdminActionType::TenantCreated, tenant.as_str(), tenant_fields(config, notices));
        let action = self.record_action(tenant, &by, &AdminAction { kind, id, before: Value::Null, after });
        match self.commit(&[record, Counts::of_nobody(tenant), action], "").await {
            Ok(()) => Ok(true),
            Err(CommitError::Condition(..)) => Ok(false),
            Err(CommitError::Store(error)) => Err(error),
        }
    }

    /// The tenant of that name.
    ///
    /// # Errors
    /// A [`StoreError`] when DynamoDB fails or an item is corrupt.
    pub async fn tenant(&self, tenant: &TenantName) -> Result<Option<TenantRecord>, StoreError> {
        self.key_item(tenant, TENANT_RECORD).await?.map(|item| tenant_record(&item)).transpose()
    }

    /// Every tenant. Reads the whole keys table: for operators, not for requests.
    ///
    /// # Errors
    /// A [`StoreError`] when DynamoDB fails or an item is corrupt.
    pub async fn tenants(&self) -> Result<Vec<TenantRecord>, StoreError> {
        let scan = self.client.scan().table_name(self.table(Table::Keys)).consistent_read(true);
        let scan = scan.filter_expression("#keyId = :tenant").expression_attribute_names("#keyId", "keyId");
        let mut items = scan.expression_attribute_values(":tenant", s(TENANT_RECORD)).into_paginator().items().send();
        let mut tenants: Vec<TenantRecord> = Vec::new();
        while let Some(item) = items.next().await {
            let next = tenant_record(&item.map_err(|e| StoreError::of(&e))?)?;
            tenants.insert(tenants.partition_point(|tenant| tenant.name < next.name), next);
        }
        Ok(tenants)
    }

    /// Changes a tenant's profile and settings, as [`change_tenant`](Self::change_tenant) does.
    ///
    /// # Errors
    /// As that.
    pub async fn set_tenant(
        &self,
        old: &TenantRecord,
        profile: ProfileRef,
        settings: Settings,
        by: impl Into<AdminAuthor>,
    ) -> Result<usize, StoreError> {
        self.change_tenant(old, (profile, settings), old.notices.clone(), by).await
    }

    /// Changes what a tenant is like, first in its own record, then in the copies on its keys that may still work, some at
    /// once; how many of those were behind. Access tokens have no copy: they follow their client's. Done again with the
    /// same, after a crash in between say, it does what is left.
    ///
    /// # Errors
    /// [`StoreError::Contended`] if the record is another one than `old`, or the store's.
    pub async fn change_tenant(
        &self,
        old: &TenantRecord,
        (profile, settings): (ProfileRef, Settings),
        notices: NoticeSettings,
        by: impl Into<AdminAuthor>,
    ) -> Result<usize, StoreError> {
        let by = by.into();
        let mut config = TenantConfig { profile, settings, version: old.config.version };
        if config != old.config || notices != old.notices {
            config.version += 1;
            let update = update_config(&old.name, TENANT_RECORD, &config).set("notices", notice_settings(&notices));
            let is_same = is_version(update, old.config.version);
            let (kind, id) = (AdminActionType::TenantChanged, old.name.as_str());
            let (before, after) = (tenant_fields(&old.config, &old.notices), tenant_fields(&config, &notices));
            let action = self.record_action(&old.name, &by, &AdminAction { kind, id, before, after });
            match self.commit(&[is_same, action], "").await {
                Ok(()) => {}
                Err(CommitError::Condition(..)) => return Err(changed()),
                Err(CommitError::Store(error)) => return Err(error),
            }
        }
        let records = self.keys(&old.name).await?;
        let has_ended = |key: &KeyRecord| matches!(key.state(by.at), State::Revoked | State::Expired);
        let is_behind = |key: &&KeyRecord| key.config.version < config.version && !has_ended(key);
        let behind: Vec<_> = records.iter().filter(is_behind).collect();
        for some in behind.chunks(KEYS_AT_ONCE) {
            // Whoever changed the tenant after this has renewed the copy already.
            let renewals = some.iter().map(|key| {
                let renewal = update_config(&old.name, key.id.as_str(), &config)
                    .require(&Condition::Exists("tenant"))
                    .require(&Condition::Absent("ver").or(Condition::less("ver", n(config.version))));
                self.commit_if_current(renewal)
            });
            try_join_all(renewals).await?;
        }
        Ok(behind.len())
    }

    /// Keeps the text of a profile of a tenant's own. It is never deleted: a key's copy may still name it.
    ///
    /// # Errors
    /// A [`StoreError`] when DynamoDB fails or an item is corrupt.
    pub async fn add_profile(&self, tenant: &TenantName, digest: &str, json: &str) -> Result<(), StoreError> {
        let mut item = credential_key(tenant, &format!("{PROFILE}{digest}"));
        item.insert("profile".into(), s(json));
        self.commit_if_current(Write::put(Table::Keys, item)).await
    }

    /// The text of a profile of a tenant's own.
    ///
    /// # Errors
    /// A [`StoreError`] when DynamoDB fails or an item is corrupt.
    pub async fn profile(&self, tenant: &TenantName, digest: &str) -> Result<Option<String>, StoreError> {
        let item = self.key_item(tenant, &format!("{PROFILE}{digest}")).await?;
        item.map(|item| text(&item, "profile").map(str::to_owned)).transpose()
    }
}

/// That the tenant is still what the copy on a new key says.
pub(in crate::store) fn require_tenant_version(tenant: &TenantName, config: &TenantConfig) -> Write {
    is_version(Write::check(Table::Keys, credential_key(tenant, TENANT_RECORD)), config.version)
}

/// A write that was computed from an older record of the tenant failed: it can be tried again.
pub(in crate::store) fn changed() -> StoreError {
    StoreError::Contended(1)
}

/// A tenant of before there were profiles has no version.
fn is_version(write: Write, version: u64) -> Write {
    let is_current = match version {
        0 => Condition::Absent("ver"),
        _ => Condition::equals("ver", n(version)),
    };
    write.require(&Condition::Exists("tenant").and(is_current)).guard(Guard::TenantVersion)
}

fn update_config(tenant: &TenantName, sort: &str, config: &TenantConfig) -> Write {
    let mut values = Item::new();
    write_config(&mut values, config);
    let write = Write::update(Table::Keys, credential_key(tenant, sort));
    values.into_iter().fold(write, |write, (name, value)| write.set(&name, value))
}
