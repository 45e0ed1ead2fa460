//! What a tenant has, does and costs, for operators.

use serde_json::{Value, json};

use super::RequestContext;
use crate::scim::ScimError;
use crate::tenant::TenantName;

/// What a user costs a month, in billionths of a dollar: the last column of `infra/costs.md`, of which a test keeps this
/// in step. Prices and traffic are the assumptions of that page.
pub const USER_MONTH_NANODOLLARS: u64 = 30_860;

/// The load of a tenant, and what it is likely to cost.
///
/// # Errors
/// 503.
pub(super) async fn render(context: &RequestContext<'_>, tenant: &TenantName) -> Result<Value, ScimError> {
    let load = Box::pin(context.app().store.tenant_load(tenant)).await?;
    Ok(json!({"users": load.users, "events": load.events, "monthlyCostUsd": load.users.map(monthly_cost)}))
}

/// In dollars, to the cent.
#[allow(clippy::cast_precision_loss, reason = "cents of a sum that no tenant reaches are exact in a double")]
fn monthly_cost(users: usize) -> f64 {
    const NANODOLLARS_PER_CENT: u64 = 10_000_000;
    let nanodollars = u64::try_from(users).unwrap_or(u64::MAX).saturating_mul(USER_MONTH_NANODOLLARS);
    (nanodollars.saturating_add(NANODOLLARS_PER_CENT / 2) / NANODOLLARS_PER_CENT) as f64 / 100.0
}
