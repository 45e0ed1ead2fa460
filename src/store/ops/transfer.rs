//! A tenant's users, groups and memberships as records that another tenant, table or engine takes: ids, times and
//! versions stay. A record of a membership is taken where both sides are there.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::auth::Tenant;
use crate::limits::MAX_EXPORTED_RESOURCES;
use crate::scim::Document;
use crate::scim::resource::date_time;
use crate::store::model::member::MemberKind;
use crate::store::model::record::Record;
use crate::store::ops::group_members::MembershipFilter;
use crate::store::ops::users::{Position, UserOrder};
use crate::store::{Store, StoreError};
use crate::tenant::TenantName;

mod import;

pub use import::{ImportError, ImportReport, TransferRecord};

/// How far an export has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ExportPosition {
    /// Users, after one of that id.
    Users(Option<String>),
    /// Groups, after one of that id.
    Groups(Option<String>),
    /// Memberships, after that of a group and a member.
    Members(Option<(String, String)>),
}

/// Some records, and from where to go on if there are more.
#[derive(Debug)]
pub struct ExportPage {
    /// The records.
    pub records: Vec<Value>,
    /// The place after them.
    pub next: Option<ExportPosition>,
}

impl Store {
    /// The next records of a tenant. Each resource is as it is when it is read; who comes and goes meanwhile may be left out.
    ///
    /// # Errors
    /// A [`StoreError`] when DynamoDB fails or an item is corrupt.
    pub async fn export_page(&self, tenant: &TenantName, position: &ExportPosition) -> Result<ExportPage, StoreError> {
        let owner = &Tenant::of_item(tenant.clone());
        match position {
            ExportPosition::Users(after) => {
                let after = after.clone().map(Position::Id);
                let users = self.users_after(owner, &UserOrder::ById, after.as_ref(), MAX_EXPORTED_RESOURCES, false);
                let (users, next) = users.await?;
                let next = match next {
                    Some(Position::Id(last)) => ExportPosition::Users(Some(last)),
                    _ => ExportPosition::Groups(None),
                };
                let records = users.iter().map(|user| resource("user", user.id.as_str(), &user.record)).collect();
                Ok(ExportPage { records, next: Some(next) })
            }
            ExportPosition::Groups(after) => {
                let groups = self.groups_after(owner, after.as_deref(), MAX_EXPORTED_RESOURCES, false);
                let (groups, next) = groups.await?;
                let next = next.map_or(ExportPosition::Members(None), |last| ExportPosition::Groups(Some(last)));
                let records = groups.iter().map(|group| resource("group", group.id.as_str(), &group.record)).collect();
                Ok(ExportPage { records, next: Some(next) })
            }
            ExportPosition::Members(after) => {
                let all = MembershipFilter::default();
                let page = self.group_members(owner, &all, after.as_ref(), MAX_EXPORTED_RESOURCES).await?;
                let record = |member: &crate::store::ops::group_members::GroupMember| {
                    let kind = if member.kind == MemberKind::User { "User" } else { "Group" };
                    json!({"type": "member", "group": member.group.as_str(), "member": member.member,
                        "memberType": kind, "created": date_time(member.created)})
                };
                let records = page.members.iter().map(record).collect();
                Ok(ExportPage { records, next: page.next.map(|next| ExportPosition::Members(Some(next))) })
            }
        }
    }
}

fn resource(kind: &str, id: &str, record: &Record) -> Value {
    json!({
        "type": kind,
        "id": id,
        "version": record.version.0,
        "created": date_time(record.created),
        "modified": date_time(record.modified),
        "document": record.document.attributes(),
    })
}

/// The document of a record.
fn document(fields: Map<String, Value>) -> Result<Document, serde_json::Error> {
    Document::from_stored(&Value::Object(fields).to_string())
}
