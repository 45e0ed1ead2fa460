//! Every tenant, for operators: what it has, does and costs, a form for another one, and links to each.

use askama::Template;
use futures_util::future::try_join_all;
use http::{Method, StatusCode};
use serde_json::Value;

use super::super::ScimResponse;
use super::frame::{Frame, PageTime, TENANTS, items, text};
use super::reply;
use super::session::PageSession;
use crate::limits::MAX_PAGE_TENANTS;
use crate::scim::ScimError;
use crate::tenant::{OPERATOR_TENANT, Profile};

#[derive(Template)]
#[template(path = "tenants.html")]
struct TenantsPage {
    frame: Frame,
    tenants: Vec<TenantRow>,
    profiles: Vec<&'static str>,
    /// The last name of this page, if others follow.
    last: Option<String>,
}

/// A tenant in the table.
struct TenantRow {
    name: String,
    profile: String,
    created: PageTime,
    users: String,
    events: String,
    cost: String,
}

/// The screen.
///
/// # Errors
/// 403 for who is no operator, 503.
pub(super) async fn render(session: &PageSession<'_>) -> Result<ScimResponse, ScimError> {
    let reply = session.ask(Method::GET, &format!("/{OPERATOR_TENANT}/v1/tenants"), None, None).await?;
    let all = reply.outcome().1.cloned().unwrap_or_default();
    let after = session.context.query_param("after").unwrap_or_default();
    let mut rest = items(&all, "tenants").iter().map(|tenant| text(tenant, "/name")).filter(|name| **name > *after);
    let names: Vec<&str> = rest.by_ref().take(MAX_PAGE_TENANTS).collect();
    let last = rest.next().and(names.last()).map(|name| (*name).to_owned());
    let tenants = try_join_all(names.iter().map(|name| Box::pin(row(session, name)))).await?;
    let page = TenantsPage {
        frame: Frame::new(session, TENANTS, None),
        tenants: tenants.into_iter().flatten().collect(),
        profiles: Profile::shipped_names().collect(),
        last,
    };
    reply::html(session.key(), StatusCode::OK, &page)
}

/// None for a tenant that has ended meanwhile.
async fn row(session: &PageSession<'_>, name: &str) -> Result<Option<TenantRow>, ScimError> {
    let uri = format!("/{OPERATOR_TENANT}/v1/tenants/{name}?load=true");
    let reply = match session.ask(Method::GET, &uri, None, None).await {
        Ok(reply) => reply,
        Err(error) if error.status() == 404 => return Ok(None),
        Err(error) => return Err(error),
    };
    let tenant = reply.outcome().1.cloned().unwrap_or_default();
    let number = |pointer: &str| match tenant.pointer(pointer) {
        None | Some(Value::Null) => "–".to_owned(),
        Some(number) => number.to_string(),
    };
    Ok(PageTime::of(tenant.get("created")).map(|created| TenantRow {
        name: name.to_owned(),
        profile: text(&tenant, "/profile").to_owned(),
        created,
        users: number("/load/users"),
        events: number("/load/events"),
        cost: tenant.pointer("/load/monthlyCostUsd").and_then(Value::as_f64).map_or("–".to_owned(), cents),
    }))
}

fn cents(dollars: f64) -> String {
    format!("{dollars:.2}")
}
