//! `/Bulk` (RFC 7644 section 3.7). Every operation goes to the handler that it would go to alone; here is decided when,
//! and what it answers.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use http::header::IF_MATCH;
use http::{HeaderValue, Request, StatusCode};
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use super::path::RequestTarget;
use super::response::Refusal;
use super::{RequestContext, Route, ScimResponse, dry_run, refusal};
use crate::auth::{Principal, Scope};
use crate::limits::{
    BULK_RESPONSE_DEADLINE_SECONDS, BULK_START_DEADLINE_SECONDS, MAX_BULK_AT_ONCE, MAX_BULK_OPERATIONS,
};
use crate::scim::bulk::order::{PlannedOperation, steps};
use crate::scim::bulk::{self, BulkOperation, BulkRequest, Method, OperationOutcome};
use crate::scim::{ErrorCode, ScimError, ScimType};

/// The endpoints whose resources an operation may write.
const ENDPOINTS: [&str; 3] = ["Users", "Groups", "GroupMembers"];

/// POST /Bulk. Rollcall authorizes the caller once; whatever becomes of the operations, the answer is 200.
///
/// # Errors
/// 400, 401, 403, 413, 503; then nothing was done. An operation that breaks a rule fails alone.
pub async fn post(context: RequestContext<'_>) -> Result<ScimResponse, ScimError> {
    let principal = context.authenticate().await?;
    let request = BulkRequest::parse(context.raw_body())?;
    let mut run = Run::new(&context, &principal, &request);
    run.carry_out().await;
    let outcomes = run.outcomes();
    let results = request.operations.iter().enumerate();
    let results = results.filter_map(|(index, operation)| Some((operation, outcomes.get(&index)?)));
    let body = bulk::response(results);
    Ok(ScimResponse::json(principal, StatusCode::OK, body))
}

/// Whether an operation may be one of that row.
pub(super) fn accepts(route: &Route) -> bool {
    let endpoint = route.path.split('/').nth(1).unwrap_or_default();
    route.scope == Scope::Write && ENDPOINTS.contains(&endpoint)
}

/// A Bulk on its way.
struct Run<'a> {
    context: &'a RequestContext<'a>,
    principal: &'a Principal,
    request: &'a BulkRequest,
    steps: Vec<(PlannedOperation<'a>, OperationState)>,
    /// Of what was created, by bulkId.
    ids: BTreeMap<&'a str, String>,
    errors: usize,
}

/// Where a step is.
enum OperationState {
    Waiting,
    /// With whether it will not be tried again.
    UnderWay(bool),
    /// To be tried once more when all before it have ended.
    Again,
    Done(OperationOutcome),
}

/// A step, and what its handler said.
type Ended = (usize, Result<ScimResponse, ScimError>);

/// An operation that can run: its row, the request, and the request's id.
struct Ready {
    route: &'static Route,
    target: RequestTarget,
    request: Request<Bytes>,
    request_id: String,
    /// Whether it will not be tried again.
    is_last_try: bool,
}

impl<'a> Run<'a> {
    fn new(context: &'a RequestContext<'a>, principal: &'a Principal, request: &'a BulkRequest) -> Self {
        let steps = steps(&request.operations).into_iter().map(|step| (step, OperationState::Waiting)).collect();
        Self { context, principal, request, steps, ids: BTreeMap::new(), errors: 0 }
    }

    /// Until all are done, there were too many errors, or the time is up.
    async fn carry_out(&mut self) {
        let deadline = self.context.started() + Duration::from_secs(BULK_RESPONSE_DEADLINE_SECONDS);
        let mut under_way = FuturesUnordered::new();
        loop {
            while under_way.len() < self.at_once()
                && let Some(number) = self.next()
            {
                match self.begin(number) {
                    Ok(ready) => under_way.push(perform(self.context, self.principal, number, ready)),
                    Err(refusal) => self.end(number, Err(refusal)),
                }
            }
            match timeout_at(deadline, under_way.next()).await {
                Ok(Some((number, said))) => self.end(number, said),
                Ok(None) | Err(_) => return,
            }
        }
    }

    /// How many may be under way. Never more than errors are still accepted: so there are never more than
    /// `failOnErrors`, and with 1 nothing is begun after the first.
    fn at_once(&self) -> usize {
        let accepted = self.request.fail_on_errors.map_or(usize::MAX, |limit| limit.saturating_sub(self.errors));
        MAX_BULK_AT_ONCE.min(accepted)
    }

    /// The first step that can be begun now.
    fn next(&self) -> Option<usize> {
        if self.context.started().elapsed() >= Duration::from_secs(BULK_START_DEADLINE_SECONDS) {
            return None;
        }
        let mut all_before = true;
        for (number, (step, state)) in self.steps.iter().enumerate() {
            match state {
                OperationState::Done(_) => continue,
                OperationState::Waiting if self.is_ready(step) => return Some(number),
                OperationState::Again if all_before => return Some(number),
                _ => all_before = false,
            }
        }
        None
    }

    fn is_ready(&self, step: &PlannedOperation<'_>) -> bool {
        step.refers.values().chain(&step.follows).all(|number| self.outcome(*number).is_some())
    }

    fn outcome(&self, number: usize) -> Option<&OperationOutcome> {
        match self.steps.get(number) {
            Some((_, OperationState::Done(outcome))) => Some(outcome),
            _ => None,
        }
    }

    fn operation(&self, step: &PlannedOperation<'_>) -> Option<&'a BulkOperation> {
        self.request.operations.get(step.index)
    }

    /// Prepares a step, or returns why it cannot run.
    fn begin(&mut self, number: usize) -> Result<Ready, ScimError> {
        let is_alone = (0..number).all(|before| self.outcome(before).is_some());
        let (step, state) = self.steps.get(number).ok_or_else(not_run)?;
        let is_again = matches!(state, OperationState::Again);
        let ready = Ready { is_last_try: is_again || is_alone, ..self.prepare(step, is_again)? };
        if let Some((_, state)) = self.steps.get_mut(number) {
            *state = OperationState::UnderWay(is_again || is_alone);
        }
        Ok(ready)
    }

    fn prepare(&self, step: &PlannedOperation<'_>, is_again: bool) -> Result<Ready, ScimError> {
        if let Some(refusal) = &step.refusal {
            return Err(refusal.clone());
        }
        for (bulk_id, number) in &step.refers {
            if let Some(error) = self.outcome(*number).and_then(|outcome| outcome.error.as_ref()) {
                return Err(depends(bulk_id, error));
            }
        }
        let operation = self.operation(step).ok_or_else(not_run)?;
        let path = operation.resolved_path(&self.ids).ok_or_else(not_run)?;
        if dry_run::is_on() && path != operation.path {
            return Err(not_tried(&operation.path));
        }
        let (route, target, mut request) = self.find(operation, &path)?;
        if let Some(version) = &operation.version {
            let version = HeaderValue::from_str(version);
            request.headers_mut().insert(IF_MATCH, version.map_err(|_| ScimError::version_mismatch())?);
        }
        match operation.resolved_data(&self.ids) {
            Value::Null => {}
            data => *request.body_mut() = Bytes::from(data.to_string()),
        }
        let try_number = step.index + if is_again { MAX_BULK_OPERATIONS } else { 0 };
        let request_id = sub_request_id(self.context.request_id(), try_number);
        Ok(Ready { route, target, request, request_id, is_last_try: is_again })
    }

    /// The row of the route table for an operation, if it may be one of a Bulk.
    fn find(
        &self,
        operation: &BulkOperation,
        path: &str,
    ) -> Result<(&'static Route, RequestTarget, Request<Bytes>), ScimError> {
        let method = operation.method.ok_or_else(not_run)?.as_str();
        // The answer does not repeat the resource: with this, its members are not read. A PATCH of a group answers without.
        let query = if operation.method == Some(Method::Patch) { "" } else { "?attributes=id" };
        let nothing = || {
            let excerpt: String = path.chars().take(128).collect();
            ScimError::new(
                ErrorCode::NoEndpoint,
                format!("path {excerpt} is not served in a Bulk; use /Users, /Groups or /GroupMembers"),
            )
        };
        let request = self.context.sub_request_builder(method, &format!("{path}{query}")).map_err(|_| nothing())?;
        let target = RequestTarget::parse(request.uri().path()).ok_or_else(nothing)?;
        let mut rows = self.context.routes().iter().filter(|route| accepts(route) && route.accepts(&target)).peekable();
        rows.peek().ok_or_else(nothing)?;
        let refused = || {
            ScimError::new(
                ErrorCode::MethodNotAllowed,
                format!("method {method} is not allowed at {path}; use one that the endpoint takes"),
            )
        };
        let route = rows.find(|route| route.method == *request.method()).ok_or_else(refused)?;
        Ok((route, target, request))
    }

    /// Notes what became of a step.
    fn end(&mut self, number: usize, said: Result<ScimResponse, ScimError>) {
        let Some((step, state)) = self.steps.get(number) else { return };
        let Some(operation) = self.operation(step) else { return };
        let state = match said {
            // The name may be that of a resource that an operation before this one was still to delete or rename.
            Err(error)
                if matches!(state, OperationState::UnderWay(false))
                    && error.scim_type() == Some(ScimType::Uniqueness) =>
            {
                OperationState::Again
            }
            Err(error) => {
                self.errors += 1;
                OperationState::Done(OperationOutcome::failed(error, self.location(operation)))
            }
            Ok(reply) => {
                let location = reply.location.or_else(|| self.location(operation));
                if operation.is_post() {
                    let id = location.as_ref().and_then(|location| location.rsplit('/').next());
                    self.ids.extend(operation.bulk_id.as_deref().zip(id.map(str::to_owned)));
                }
                OperationState::Done(OperationOutcome {
                    status: reply.status.as_u16(),
                    location,
                    version: reply.etag,
                    error: None,
                })
            }
        };
        if let Some((_, place)) = self.steps.get_mut(number) {
            *place = state;
        }
    }

    /// The resource of an operation. "MUST be returned for all operations except for failed POST operations" (RFC 7644
    /// section 3.7.3).
    fn location(&self, operation: &BulkOperation) -> Option<String> {
        match operation.path.as_str() {
            "" => None,
            _ if operation.is_post() => None,
            _ => Some(format!("{}{}", self.context.base_url(), operation.resolved_path(&self.ids)?)),
        }
    }

    /// The outcomes, by the index of their operation. Operations that did not start because of errors have none.
    fn outcomes(self) -> BTreeMap<usize, OperationOutcome> {
        let has_failed = self.request.fail_on_errors.is_some_and(|limit| self.errors >= limit);
        let outcome = |(step, state): &(PlannedOperation<'a>, OperationState)| {
            let location = || self.operation(step).and_then(|operation| self.location(operation));
            let outcome = match state {
                OperationState::Done(outcome) => outcome.clone(),
                OperationState::UnderWay(_) => OperationOutcome::failed(may_have_been_done(), location()),
                OperationState::Waiting | OperationState::Again if has_failed => return None,
                OperationState::Waiting | OperationState::Again => OperationOutcome::failed(not_run(), location()),
            };
            Some((step.index, outcome))
        };
        self.steps.iter().filter_map(outcome).collect()
    }
}

async fn perform<'a>(context: &'a RequestContext<'a>, principal: &'a Principal, number: usize, ready: Ready) -> Ended {
    let Ready { route, target, request, request_id, is_last_try } = ready;
    let (found, started) = ((route, target), Instant::now());
    let sub_request = context.sub_request(found.clone(), &request, &request_id, principal);
    let trace = sub_request.trace.clone();
    let outcome = RequestContext { is_of_bulk: true, ..sub_request }.answer().await.map_err(Refusal::from);
    let is_taken = |refusal: &Refusal| refusal.error.scim_type() == Some(ScimType::Uniqueness);
    if is_last_try || !outcome.as_ref().is_err_and(is_taken) {
        let milliseconds = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let written = refusal::write(context.app(), &found, &request, (&request_id, milliseconds), (&trace, &outcome));
        // In the heap, if it comes to it: few operations are refused.
        Box::pin(written).await;
    }
    (number, outcome.map_err(|refusal| refusal.error))
}

/// The id of a sub-request: of the same length, and never that of another operation or try.
fn sub_request_id(request_id: &str, number: usize) -> String {
    format!("{request_id:.28}{number:04x}")
}

/// What needs what failed fails with it, and in the same way: for good, or to be sent again.
fn depends(bulk_id: &str, error: &ScimError) -> ScimError {
    let excerpt: String = bulk_id.chars().take(128).collect();
    let status = error.status();
    let detail = format!(
        "bulkId:{excerpt} refers to an operation that failed with {status}; send both again, as this was not run"
    );
    match error.status() {
        429 | 500.. => ScimError::unavailable(detail),
        _ => ScimError::new(ErrorCode::BulkReference, detail),
    }
}

/// What an operation would do to a resource that the dry run has not created, nobody knows.
fn not_tried(path: &str) -> ScimError {
    let excerpt: String = path.chars().take(128).collect();
    ScimError::new(
        ErrorCode::BulkReference,
        format!(
            "path {excerpt} refers to a resource that this dry run did not create; this operation was not tried: send \
             the Bulk without Rollcall-Dry-Run to run it"
        ),
    )
}

fn not_run() -> ScimError {
    ScimError::retry(ErrorCode::TimedOut, "the request took too long and this operation did not run; send it again")
}

fn may_have_been_done() -> ScimError {
    ScimError::retry(
        ErrorCode::TimedOut,
        "the request took too long; this operation may have been done: read the resource, or send the operation again",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_inside_a_request_are_as_long_as_its_own_and_all_different() {
        let outer = "0123456789abcdef0123456789abcdef";
        let ids: std::collections::BTreeSet<_> =
            (0..2 * MAX_BULK_OPERATIONS).map(|n| sub_request_id(outer, n)).collect();
        assert_eq!(ids.len(), 2 * MAX_BULK_OPERATIONS);
        assert!(ids.iter().all(|id| id.len() == outer.len()));
    }
}
