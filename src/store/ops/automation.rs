//! Automation users: in whose name keys act. A key works from when its user was activated.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::auth::KeyId;
use crate::store::dynamo::commit::CommitError;
use crate::store::dynamo::item::{Item, at, instant, missing_attribute, optional_instant, s, text};
use crate::store::dynamo::tables::Table;
use crate::store::dynamo::write::{Condition, Write};
use crate::store::model::admin_action::{AdminAction, AdminActionType, AdminAuthor};
use crate::store::model::tenant::credential_key;
use crate::store::{Store, StoreError};
use crate::tenant::TenantName;

/// An automation user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AutomationUser {
    /// Its name; that of a user of the tenant, where `/Me` is to be answered.
    pub name: String,
    /// When it was created.
    pub created: Timestamp,
    /// When it was activated: signed in for the first time.
    pub activated: Option<Timestamp>,
}

/// Before the name in the sort key; no key id has that form.
const PREFIX: &str = ".user#";

impl Store {
    /// Creates an automation user; `false` if it is there already.
    ///
    /// # Errors
    /// A [`StoreError`] when DynamoDB fails or an item is corrupt.
    pub async fn add_automation_user(
        &self,
        tenant: &TenantName,
        name: &str,
        by: impl Into<AdminAuthor>,
    ) -> Result<bool, StoreError> {
        let by = by.into();
        let mut item = place(tenant, name);
        item.insert("created".into(), at(by.at));
        item.insert("name".into(), s(name));
        let write = Write::put(Table::Keys, item).require(&Condition::Absent("tenant"));
        let (kind, after) = (AdminActionType::AutomationUserCreated, json!({"active": false}));
        let action = AdminAction { kind, id: name, before: Value::Null, after };
        match self.commit(&[write, self.record_action(tenant, &by, &action)], "").await {
            Ok(()) => Ok(true),
            Err(CommitError::Condition(..)) => Ok(false),
            Err(CommitError::Store(error)) => Err(error),
        }
    }

    /// An automation user.
    ///
    /// # Errors
    /// A [`StoreError`] when DynamoDB fails or an item is corrupt.
    pub async fn automation_user(&self, tenant: &TenantName, name: &str) -> Result<Option<AutomationUser>, StoreError> {
        let get = self.client.get_item().table_name(self.table(Table::Keys)).consistent_read(true);
        let got = get.set_key(Some(place(tenant, name))).send().await.map_err(|e| StoreError::of(&e))?;
        got.item.map(|item| user(&item)).transpose()
    }

    /// Every automation user of a tenant, by name.
    ///
    /// # Errors
    /// A [`StoreError`] when DynamoDB fails or an item is corrupt.
    pub async fn automation_users(&self, tenant: &TenantName) -> Result<Vec<AutomationUser>, StoreError> {
        let query = self.client.query().table_name(self.table(Table::Keys)).consistent_read(true);
        let query = query.key_condition_expression("#tenant = :tenant AND begins_with(#keyId, :prefix)");
        let query = query.expression_attribute_names("#tenant", "tenant").expression_attribute_names("#keyId", "keyId");
        let query = query.expression_attribute_values(":tenant", s(tenant.as_str()));
        let mut items = query.expression_attribute_values(":prefix", s(PREFIX)).into_paginator().items().send();
        let mut users = Vec::new();
        while let Some(item) = items.next().await {
            users.push(user(&item.map_err(|e| StoreError::of(&e))?)?);
        }
        Ok(users)
    }

    /// Activates an automation user, and with it the keys that wait for it; `false` if no user has that name.
    /// Doing it twice keeps the first time, and finishes what was not finished.
    ///
    /// # Errors
    /// A [`StoreError`] when DynamoDB fails or an item is corrupt.
    pub async fn activate_automation_user(
        &self,
        tenant: &TenantName,
        name: &str,
        by: impl Into<AdminAuthor>,
    ) -> Result<bool, StoreError> {
        let by = by.into();
        let write = Write::update(Table::Keys, place(tenant, name))
            .set("activated", at(by.at))
            .require(&Condition::Exists("tenant").and(Condition::Absent("activated")));
        let (kind, before, after) =
            (AdminActionType::AutomationUserActivated, json!({"active": false}), json!({"active": true}));
        let action = self.record_action(tenant, &by, &AdminAction { kind, id: name, before, after });
        match self.commit(&[write, action], "").await {
            // It was active before.
            Ok(()) | Err(CommitError::Condition(_, Some(_))) => {}
            Err(CommitError::Condition(..)) => return Ok(false),
            Err(CommitError::Store(error)) => return Err(error),
        }
        // A key that is created from here on finds the user active.
        for record in self.keys(tenant).await? {
            if record.awaiting_activation && record.automation.as_deref() == Some(name) {
                self.activate_key(tenant, &record.id).await?;
            }
        }
        Ok(true)
    }

    /// Ends a key's wait for its automation user.
    ///
    /// # Errors
    /// A [`StoreError`] when DynamoDB fails or an item is corrupt.
    pub async fn activate_key(&self, tenant: &TenantName, id: &KeyId) -> Result<(), StoreError> {
        let write = Write::update(Table::Keys, credential_key(tenant, id.as_str()))
            .remove("waiting")
            .require(&Condition::Exists("tenant"));
        self.commit_if_current(write).await
    }
}

fn place(tenant: &TenantName, name: &str) -> Item {
    credential_key(tenant, &format!("{PREFIX}{name}"))
}

fn user(item: &Item) -> Result<AutomationUser, StoreError> {
    let name = text(item, "name").map_err(|_| missing_attribute("name"))?.to_owned();
    Ok(AutomationUser { name, created: instant(item, "created")?, activated: optional_instant(item, "activated") })
}
