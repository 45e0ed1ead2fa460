//! `/Groups`: until groups exist, a list that is empty, so that Entra's Test Connection passes
//! (pranems/SCIMServer, EXECUTION_ISSUES_AND_RCA issue 3).

use http::StatusCode;

use super::{Call, Reply};
use crate::scim::filter::check::parse_for;
use crate::scim::{ScimError, list};

/// GET /Groups
///
/// # Errors
/// 400, 401, 403, 503.
pub async fn list(call: Call<'_>) -> Result<Reply, ScimError> {
    let principal = call.authenticate().await?;
    let query = call.query()?;
    if let Some(filter) = &query.filter {
        parse_for(filter, &call.app().schemas.group)?;
    }
    Ok(Reply::json(principal, StatusCode::OK, list::response(Vec::new(), 0, query.start_index)))
}
