//! `rollcall explain`: how a filter is answered, and what that reads.

use std::cell::Cell;

use clap::Args;

use super::StoreOptions;
use crate::admin::tenants;
use crate::auth::Tenant;
use crate::scim::filter::check::parse_for;
use crate::scim::filter::eval;
use crate::scim::filter::plan::plan;
use crate::scim::{ScimError, group, resource, user};
use crate::store::dynamo::meter::{Meter, StoreUsage};
use crate::store::model::user::User;
use crate::tenant::TenantName;

#[derive(Debug, Args)]
pub(super) struct ExplainOptions {
    /// The tenant
    tenant: TenantName,
    /// The filter, such as 'userName eq "bob"'
    filter: String,
    /// Of groups, not of users
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
    let store = options.store.open().await?;
    let tenant = tenants::find(&store, &options.tenant).await.map_err(|e| e.to_string())?;
    let profile = tenants::profile_of(&store, &tenant).await.map_err(|e| e.to_string())?;
    let schemas = &profile.schemas;
    let (schema, indexed) = match options.groups {
        true => (&schemas.group, group::INDEXED),
        false => (&schemas.user, user::INDEXED),
    };
    let filter = parse_for(&options.filter, schema).map_err(|e| e.detail)?;
    let access = plan(&filter, schema, indexed);
    println!("filter\t{filter}\nplan\t{access}");
    let tenant = Tenant::of_item(options.tenant);
    let read = Cell::new(0_usize);
    let reading = async {
        let found = match options.groups {
            true => {
                let candidates = store.find_groups(&tenant, &access).await?.len();
                read.set(candidates);
                None
            }
            false => {
                let keep = |user: &User| {
                    read.set(read.get() + 1);
                    let whole = resource::render(&user.record.document, &user.meta(), schema, "");
                    eval::matches(&filter, &whole, schema)
                };
                Some(store.find_users(&tenant, &access, keep).await?.len())
            }
        };
        Ok::<_, ScimError>(found)
    };
    let (found, StoreUsage { calls, round_trips, capacity, .. }) = Meter::measure(reading).await;
    println!("read\t{} candidates, {calls} calls in {round_trips} round trips, {capacity} units", read.get());
    match found.map_err(|e| e.detail)? {
        Some(found) => println!("found\t{found}"),
        None => println!("found\tnot told: members may have to be read for each"),
    }
    Ok(())
}
