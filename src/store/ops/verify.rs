//! Examines a tenant's data: one walk over users, groups, keys of users, rows of table `links` and counts, in pages. What
//! seems wrong is read again at one instant before it counts as damage, so that requests under way do no harm. A repair
//! writes under the condition that the damage is still there.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::auth::Tenant;
use crate::limits::{MAX_VERIFIED_GROUPS, MAX_VERIFIED_KEYS, MAX_VERIFIED_USERS};
use crate::store::dynamo::commit::CommitError;
use crate::store::dynamo::item::{Item, optional_text, s};
use crate::store::dynamo::tables::BY_ID;
use crate::store::model::damage::{Damage, DataCheck, Examined};
use crate::store::model::format::check_format;
use crate::store::model::id::{UserId, random_token};
use crate::store::model::user::user_key;
use crate::store::{Store, StoreError};
use crate::tenant::TenantName;

mod finding;
mod groups;
mod links;
mod repair;
mod stable;
mod users;

use finding::Contradiction;

/// How far an examination has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum VerifyPosition {
    /// Users, after one of that folded name.
    Users(Option<String>),
    /// Groups, after one of that id.
    Groups(Option<String>),
    /// Keys of users, from one of that id on.
    Ids(Option<String>),
    /// Rows of table `links`, after that one.
    Links(Option<(String, String)>),
    /// The counts.
    Counts,
}

impl VerifyPosition {
    /// Where an examination begins.
    pub fn start() -> Self {
        Self::Users(None)
    }

    /// As a cursor.
    pub fn to_text(&self) -> String {
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).unwrap_or_default())
    }

    /// Reads a cursor.
    pub fn parse(text: &str) -> Option<Self> {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok()
    }
}

/// What one request of an examination has found.
#[derive(Debug, Default)]
pub struct VerifyPage {
    /// The damage.
    pub damages: Vec<Damage>,
    /// How much was looked at.
    pub examined: Examined,
    /// Where to go on, if there is more.
    pub next: Option<VerifyPosition>,
}

/// A page of one kind of items, examined.
#[derive(Debug, Default)]
pub(super) struct Examination {
    findings: Vec<Contradiction>,
    examined: Examined,
    next: Option<VerifyPosition>,
}

impl Store {
    /// Examines the next part of a tenant's data, and mends what it finds if asked to.
    ///
    /// # Errors
    /// A [`StoreError`] when DynamoDB fails. An item that cannot be read is damage, and no error.
    pub async fn verify_page(
        &self,
        tenant: &TenantName,
        position: &VerifyPosition,
        is_repair: bool,
    ) -> Result<VerifyPage, StoreError> {
        let owner = &Tenant::of_item(tenant.clone());
        let examination = match position {
            VerifyPosition::Users(after) => self.verify_users(owner, after.as_deref()).await?,
            VerifyPosition::Groups(after) => self.verify_groups(owner, after.as_deref()).await?,
            VerifyPosition::Ids(from) => self.verify_ids(owner, from.as_deref()).await?,
            VerifyPosition::Links(after) => self.verify_links(owner, after.as_ref()).await?,
            VerifyPosition::Counts => return self.verify_counts(tenant, is_repair).await,
        };
        let Examination { findings, examined, next } = examination;
        let (mut damages, mut seen) = (Vec::new(), BTreeSet::new());
        for finding in findings {
            if !seen.insert(finding.key()) {
                continue;
            }
            let is_mended = is_repair && self.mend(&finding).await?;
            damages.push(Damage { is_mended, ..finding.damage });
        }
        Ok(VerifyPage { damages, examined, next })
    }

    /// Whether a repair was written. A condition that does not hold says that somebody has changed it.
    async fn mend(&self, finding: &Contradiction) -> Result<bool, StoreError> {
        if finding.repair.is_empty() {
            return Ok(false);
        }
        match self.commit(&finding.repair, &random_token()).await {
            Ok(()) => Ok(true),
            Err(CommitError::Condition(..)) => Ok(false),
            Err(CommitError::Store(error)) => Err(error),
        }
    }

    async fn verify_users(&self, tenant: &Tenant, after: Option<&str>) -> Result<Examination, StoreError> {
        let page = self.partition(tenant).set_exclusive_start_key(after.map(|name| user_key(tenant, name)));
        let page = page.limit(limit(MAX_VERIFIED_USERS)).send().await.map_err(|e| StoreError::of(&e))?;
        let next = page.last_evaluated_key().and_then(|key| optional_text(key, "userName"));
        let next = match next {
            Some(last) => VerifyPosition::Users(Some(last.to_owned())),
            None => VerifyPosition::Groups(None),
        };
        let items = page.items.unwrap_or_default();
        items.iter().try_for_each(check_format)?;
        let findings = self.examine_users(tenant, &items).await?;
        let examined = Examined { users: items.len(), ..Examined::default() };
        Ok(Examination { findings, examined, next: Some(next) })
    }

    async fn verify_groups(&self, tenant: &Tenant, after: Option<&str>) -> Result<Examination, StoreError> {
        let page = self.groups_query(tenant, after).limit(limit(MAX_VERIFIED_GROUPS));
        let page = page.send().await.map_err(|e| StoreError::of(&e))?;
        let next = match page.last_evaluated_key().and_then(|key| optional_text(key, "id")) {
            Some(last) => VerifyPosition::Groups(Some(last.to_owned())),
            None => VerifyPosition::Ids(None),
        };
        let items = page.items.unwrap_or_default();
        items.iter().try_for_each(check_format)?;
        let findings = self.examine_groups(tenant, &items).await?;
        let examined = Examined { groups: items.len(), ..Examined::default() };
        Ok(Examination { findings, examined, next: Some(next) })
    }

    /// Looks for two items of one id: they lie next to each other in the index of ids.
    async fn verify_ids(&self, tenant: &Tenant, from: Option<&str>) -> Result<Examination, StoreError> {
        // Greater than every id.
        let page = self.user_ids_between(tenant, from.unwrap_or(" "), "~").limit(limit(MAX_VERIFIED_KEYS)).send().await;
        let page = page.map_err(|e| StoreError::of(&e))?;
        let is_last = page.last_evaluated_key().is_none();
        let items = page.items.unwrap_or_default();
        let ids: Vec<&str> = items.iter().filter_map(|item| optional_text(item, "id")).collect();
        let twice = ids.windows(2).filter_map(|pair| match pair {
            [a, b] if a == b => Some(*a),
            _ => None,
        });
        let mut findings = Vec::new();
        for id in twice.collect::<BTreeSet<_>>() {
            findings.extend(self.user_twice(tenant, id).await?);
        }
        let next = match ids.last().filter(|_| !is_last) {
            // Once more: its double may be on the next page.
            Some(last) => VerifyPosition::Ids(Some((*last).to_owned())),
            None => VerifyPosition::Links(None),
        };
        Ok(Examination { findings, next: Some(next), ..Examination::default() })
    }

    async fn user_twice(&self, tenant: &Tenant, id: &str) -> Result<Option<Contradiction>, StoreError> {
        let items = self.items_of_user(tenant, id).await?;
        Ok(repair::older_double(tenant, id, &items))
    }

    /// Every item that has the id of a user.
    async fn items_of_user(&self, tenant: &Tenant, id: &str) -> Result<Vec<Item>, StoreError> {
        let Some(id) = UserId::parse(id) else { return Ok(Vec::new()) };
        let query = self
            .partition(tenant)
            .index_name(BY_ID)
            .select(aws_sdk_dynamodb::types::Select::AllAttributes)
            .key_condition_expression("#tenant = :tenant AND #id = :id")
            .expression_attribute_names("#id", "id")
            .expression_attribute_values(":id", s(id.as_str()));
        Ok(query.send().await.map_err(|e| StoreError::of(&e))?.items.unwrap_or_default())
    }

    async fn verify_counts(&self, tenant: &TenantName, is_repair: bool) -> Result<VerifyPage, StoreError> {
        let report = self.check_counts(tenant, is_repair).await?;
        let detail = match report.is_missing {
            true => format!("no count is stored, and there are {} users", report.users),
            false => format!("the stored counts are off by {} users; there are {}", report.drift, report.users),
        };
        let damage = Damage { is_mended: report.is_corrected, ..Damage::new(DataCheck::Count, "users", detail) };
        Ok(VerifyPage { damages: report.is_wrong().then_some(damage).into_iter().collect(), ..VerifyPage::default() })
    }
}

fn limit(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}
