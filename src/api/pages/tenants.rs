//! Every tenant, for operators, and links to each.

use askama::Template;
use http::{Method, StatusCode};
use serde_json::Value;

use super::super::ScimResponse;
use super::frame::{Frame, PageTime, TENANTS, items, text};
use super::reply;
use super::session::PageSession;
use crate::scim::ScimError;
use crate::tenant::OPERATOR_TENANT;

#[derive(Template)]
#[template(path = "tenants.html")]
struct TenantsPage {
    frame: Frame,
    tenants: Vec<TenantRow>,
}

/// A tenant in the table.
struct TenantRow {
    name: String,
    profile: String,
    created: PageTime,
}

/// The screen.
///
/// # Errors
/// 403 for who is no operator, 503.
pub(super) async fn render(session: &PageSession<'_>) -> Result<ScimResponse, ScimError> {
    let reply = session.ask(Method::GET, &format!("/{OPERATOR_TENANT}/v1/tenants"), None, None).await?;
    let all = reply.outcome().1.cloned().unwrap_or_default();
    let row = |tenant: &Value| {
        let owned = |pointer: &str| text(tenant, pointer).to_owned();
        Some(TenantRow {
            name: owned("/name"),
            profile: owned("/profile"),
            created: PageTime::of(tenant.get("created"))?,
        })
    };
    let tenants = items(&all, "tenants").iter().filter_map(row).collect();
    reply::html(session.key(), StatusCode::OK, &TenantsPage { frame: Frame::new(session, TENANTS, None), tenants })
}
