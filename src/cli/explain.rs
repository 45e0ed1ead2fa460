//! `rollcall explain`: how a filter is answered, and what that reads.

use std::sync::atomic::{AtomicUsize, Ordering};

use clap::Args;
use http::Method;
use serde_json::{Value, json};

use super::{StoreAccess, StoreOptions, local_operator, operator};
use crate::admin::tenants;
use crate::auth::Tenant;
use crate::scim::filter::check::parse_for;
use crate::scim::filter::eval;
use crate::scim::filter::plan::plan;
use crate::scim::{ScimError, group, resource, user};
use crate::store::Store;
use crate::store::dynamo::meter::{Meter, StoreUsage};
use crate::store::model::user::User;
use crate::tenant::TenantName;

#[derive(Debug, Args)]
pub(super) struct ExplainOptions {
    /// The tenant
    tenant: TenantName,
    /// The filter, such as 'userName eq "bob"'
    filter: String,
    /// Explain a filter on groups, not on users
    #[arg(long)]
    groups: bool,
    #[command(flatten)]
    store: StoreOptions,
}

/// Prints the plan and what it reads, as a list by index would.
///
/// # Errors
/// What is wrong with the filter, or that it reads too much.
pub(super) async fn run(options: ExplainOptions) -> Result<(), String> {
    let ExplainOptions { tenant, filter, groups, store } = options;
    let text = match store.access().await? {
        StoreAccess::Here(store) => explained(&store, tenant, &filter, groups).await?,
        StoreAccess::Served(server) => {
            let asked = json!({"tenant": tenant.to_string(), "filter": filter, "groups": groups});
            let answer =
                operator::ask_server(&server, &Method::POST, local_operator::EXPLAIN, asked.to_string()).await?;
            answer.get("text").and_then(Value::as_str).unwrap_or_default().to_owned()
        }
    };
    out!("{text}");
    Ok(())
}

/// The plan and what it reads, as text.
///
/// # Errors
/// What is wrong with the filter, or that it reads too much.
pub(super) async fn explained(store: &Store, tenant: TenantName, filter: &str, groups: bool) -> Result<String, String> {
    let record = tenants::find(store, &tenant).await.map_err(|e| e.to_string())?;
    let profile = tenants::profile_of(store, &record).await.map_err(|e| e.to_string())?;
    let schemas = &profile.schemas;
    let (schema, indexed) = match groups {
        true => (&schemas.group, group::INDEXED),
        false => (&schemas.user, user::INDEXED),
    };
    let filter = parse_for(filter, schema).map_err(|e| e.detail)?;
    let access = plan(&filter, schema, indexed);
    let mut text = format!("filter\t{filter}\nplan\t{access}\n");
    let tenant = Tenant::of_item(tenant);
    let read = AtomicUsize::new(0);
    let reading = async {
        let found = match groups {
            true => {
                let candidates = store.find_groups(&tenant, &access).await?.len();
                read.store(candidates, Ordering::Relaxed);
                None
            }
            false => {
                let keep = |user: &User| {
                    read.fetch_add(1, Ordering::Relaxed);
                    let whole = resource::render(&user.record.document, &user.meta(), schema, "");
                    eval::matches(&filter, &whole, schema)
                };
                Some(store.find_users(&tenant, &access, keep).await?.len())
            }
        };
        Ok::<_, ScimError>(found)
    };
    let (found, StoreUsage { calls, round_trips, capacity, .. }) = Meter::measure(reading).await;
    let read = read.into_inner();
    text.push_str(&format!("read\t{read} candidates, {calls} calls in {round_trips} round trips, {capacity} units\n"));
    text.push_str(&match found.map_err(|e| e.detail)? {
        Some(found) => format!("found\t{found}\n"),
        None => "found\tunknown: members may have to be read for each\n".to_owned(),
    });
    Ok(text)
}
