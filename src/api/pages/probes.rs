//! What an identity provider does first, by the same handlers and as dry runs: nothing is written, and no log has it.

use form_urlencoded::Serializer;
use http::Method;
use serde_json::{Value, json};

use super::super::{ScimResponse, dry_run};
use super::catalogue::fill;
use super::finding::PageFinding;
use super::frame::{items, text};
use super::session::PageSession;
use crate::scim::ScimError;

/// A name that no identity provider sends: RFC 2606 keeps its end free.
const NOBODY: &str = "rollcall-doctor@example.invalid";

/// The checks of SCIM.
///
/// # Errors
/// 503.
pub(super) async fn run(session: &PageSession<'_>, changes: &Value) -> Result<Vec<PageFinding>, ScimError> {
    let t = session.t;
    let mut findings = vec![documents(session).await, find(session).await];
    let user = json!({
        "userName": NOBODY, "externalId": NOBODY, "active": true, "displayName": "Rollcall Doctor",
        "name": {"givenName": "Rollcall", "familyName": "Doctor", "formatted": "Rollcall Doctor"},
        "emails": [{"type": "work", "primary": true, "value": NOBODY}],
    });
    let created = try_write(session, (Method::POST, "/Users"), &user).await;
    findings.push(outcome(session, t.check_create, created, t.check_create_remedy));
    findings.push(change(session, changes).await);
    if session.profile.schemas.group.is_enabled {
        let group = json!({"displayName": NOBODY, "externalId": NOBODY});
        let created = try_write(session, (Method::POST, "/Groups"), &group).await;
        findings.push(outcome(session, t.check_group, created, t.check_answer_remedy));
    }
    Ok(findings)
}

/// The documents by which a client learns what the endpoint is like.
async fn documents(session: &PageSession<'_>) -> PageFinding {
    let t = session.t;
    for document in ["/ServiceProviderConfig", "/ResourceTypes", "/Schemas"] {
        if let Err(error) = session.read_scim(document).await {
            return refused(session, t.check_documents, &error, t.check_answer_remedy);
        }
    }
    PageFinding::good(t.check_documents, t.check_answered)
}

/// Test Connection of Entra ID and Okta: a user that is not there.
async fn find(session: &PageSession<'_>) -> PageFinding {
    let t = session.t;
    let filter = format!("userName eq {}", Value::from(NOBODY));
    let query = Serializer::new(String::new()).append_pair("filter", &filter).finish();
    match session.read_scim(&format!("/Users?{query}")).await {
        Ok(list) if list.get("totalResults").and_then(Value::as_u64) == Some(0) => {
            PageFinding::good(t.check_find, t.check_answered)
        }
        Ok(_) => PageFinding::advice(t.check_find, t.check_find_taken, t.check_find_remedy),
        Err(error) => refused(session, t.check_find, &error, t.check_answer_remedy),
    }
}

/// The latest user that a request has changed, changed once more.
async fn change(session: &PageSession<'_>, changes: &Value) -> PageFinding {
    let t = session.t;
    let is_user = |entry: &&Value| {
        text(entry, "/resource/type") == "User" && matches!(text(entry, "/type"), "user.created" | "user.updated")
    };
    let user = items(changes, "entries").iter().find(is_user).map(|entry| text(entry, "/resource/id"));
    let Some(user) = user.filter(|user| !user.is_empty()) else {
        return PageFinding::skipped(t.check_change, t.check_change_nobody);
    };
    let patch = json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [{"op": "replace", "path": "displayName", "value": "Rollcall Doctor"}],
    });
    match try_write(session, (Method::PATCH, &format!("/Users/{user}")), &patch).await {
        // Somebody has deleted the user since.
        Err(error) if error.status() == 404 => PageFinding::skipped(t.check_change, t.check_change_nobody),
        other => outcome(session, t.check_change, other, t.check_answer_remedy),
    }
}

/// A write that is checked and answered as usual, and not written.
async fn try_write(
    session: &PageSession<'_>,
    (method, path): (Method, &str),
    content: &Value,
) -> Result<ScimResponse, ScimError> {
    let uri = format!("/{}/scim/v2{path}", session.tenant);
    Box::pin(dry_run::run(session.ask(method, &uri, Some(content), None))).await
}

fn outcome(
    session: &PageSession<'_>,
    title: &'static str,
    outcome: Result<ScimResponse, ScimError>,
    remedy: &'static str,
) -> PageFinding {
    match outcome {
        Ok(_) => PageFinding::good(title, session.t.check_answered),
        Err(error) => refused(session, title, &error, remedy),
    }
}

fn refused(session: &PageSession<'_>, title: &'static str, error: &ScimError, remedy: &'static str) -> PageFinding {
    let text = fill(session.t.check_refused, &[("status", error.status().to_string())]);
    PageFinding { reason: Some(error.detail.clone()), ..PageFinding::fault(title, text, remedy) }
}
