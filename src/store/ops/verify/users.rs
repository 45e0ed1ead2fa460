//! Examines users: their index attributes, the rows of their addresses, and their side of memberships.

use std::collections::BTreeSet;

use super::finding::Contradiction;
use super::repair;
use crate::auth::Tenant;
use crate::store::dynamo::item::{Item, optional_text};
use crate::store::dynamo::tables::Table;
use crate::store::dynamo::write::{Condition, Write};
use crate::store::model::damage::DataCheck;
use crate::store::model::record::id_set;
use crate::store::model::user::User;
use crate::store::rows::{email_row, member_row};
use crate::store::{Store, StoreError};

/// A row that must be there.
struct Expected {
    row: Item,
    id: String,
    /// The group, for a row of a member.
    group: Option<String>,
}

impl Store {
    pub(super) async fn examine_users(
        &self,
        tenant: &Tenant,
        items: &[Item],
    ) -> Result<Vec<Contradiction>, StoreError> {
        let mut findings: Vec<Contradiction> = items.iter().flat_map(|item| repair::of_user(tenant, item)).collect();
        let expected = items.iter().flat_map(|item| expected_rows(tenant, item)).collect();
        for missing in self.missing_rows(expected).await? {
            let finding = match &missing.group {
                Some(group) => self.examine_membership(tenant, group, &missing.id).await?,
                None => self.examine_email(tenant, &missing).await?,
            };
            findings.extend(finding);
        }
        Ok(findings)
    }

    /// Looks at the memberships of a group in other groups, as at those of a user.
    pub(super) async fn examine_parents(
        &self,
        tenant: &Tenant,
        items: &[Item],
    ) -> Result<Vec<Contradiction>, StoreError> {
        let mut findings = Vec::new();
        let expected = items.iter().flat_map(|item| expected_members(tenant, item)).collect();
        for missing in self.missing_rows(expected).await? {
            if let Some(group) = &missing.group {
                findings.extend(self.examine_membership(tenant, group, &missing.id).await?);
            }
        }
        Ok(findings)
    }

    /// What is wrong with a membership, if anything is.
    pub(super) async fn examine_membership(
        &self,
        tenant: &Tenant,
        group: &str,
        member: &str,
    ) -> Result<Option<Contradiction>, StoreError> {
        let state = self.membership_state(tenant, group, member).await?;
        Ok(state.and_then(|state| repair::of_membership(tenant, group, member, &state)))
    }

    async fn examine_email(&self, tenant: &Tenant, missing: &Expected) -> Result<Option<Contradiction>, StoreError> {
        let Some((Some(user), None)) = self.user_and_row(tenant, &missing.id, &missing.row).await? else {
            return Ok(None);
        };
        let is_expected = email_rows(tenant, &user).contains(&missing.row);
        let held = Write::check(Table::Users, user.key(tenant)).require(&user.is_as_read());
        let put = Write::put(Table::Links, missing.row.clone()).require(&Condition::Absent("pk"));
        let finding =
            || Contradiction::new(DataCheck::UserEmailRow, &missing.id, "the row is missing", vec![put, held]);
        Ok(is_expected.then(finding))
    }

    /// Those of the rows that are there. Each is asked for once: two damaged items may name one row.
    pub(super) async fn rows_there(&self, mut keys: Vec<Item>) -> Result<Vec<Item>, StoreError> {
        let key = |row: &Item| ["pk", "sk"].map(|name| optional_text(row, name).map(str::to_owned));
        keys.sort_by_key(key);
        keys.dedup();
        self.items(Table::Links, keys).await
    }

    /// Those of the rows that are not there.
    async fn missing_rows(&self, expected: Vec<Expected>) -> Result<Vec<Expected>, StoreError> {
        let rows = self.rows_there(expected.iter().map(|expected| expected.row.clone()).collect()).await?;
        let key =
            |row: &Item| (optional_text(row, "pk").map(str::to_owned), optional_text(row, "sk").map(str::to_owned));
        let there: BTreeSet<_> = rows.iter().map(key).collect();
        Ok(expected.into_iter().filter(|expected| !there.contains(&key(&expected.row))).collect())
    }
}

fn expected_rows(tenant: &Tenant, item: &Item) -> Vec<Expected> {
    let emails = User::read(item).map(|user| {
        let id = user.id.as_str().to_owned();
        email_rows(tenant, &user).into_iter().map(move |row| Expected { row, id: id.clone(), group: None })
    });
    emails.into_iter().flatten().chain(expected_members(tenant, item)).collect()
}

fn expected_members(tenant: &Tenant, item: &Item) -> Vec<Expected> {
    let Some(id) = optional_text(item, "id") else { return Vec::new() };
    let groups = id_set(item, "groupIds").into_iter();
    let row = |group: String| Expected { row: member_row(tenant, &group, id), id: id.to_owned(), group: Some(group) };
    groups.map(row).collect()
}

fn email_rows(tenant: &Tenant, user: &User) -> Vec<Item> {
    user.further_emails().iter().map(|email| email_row(tenant, email, user.id.as_str())).collect()
}
