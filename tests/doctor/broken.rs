//! One fault each, as endpoints in the field have them.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use serde_json::{Value, json};

use super::endpoint::{Asked, Real};
use crate::support::ScimResponse;

pub type Broken = fn(Arc<Real>, Asked) -> Answering;
pub type Answering = Pin<Box<dyn Future<Output = ScimResponse> + Send>>;

pub fn not_at_all(real: Arc<Real>, asked: Asked) -> Answering {
    Box::pin(async move { real.answer(&asked).await })
}

pub fn no_match_is_404(real: Arc<Real>, asked: Asked) -> Answering {
    after(real, asked, |asked, reply| match filters(asked) && reply.body["totalResults"] == 0 {
        true => error(404, &reply),
        false => reply,
    })
}

pub fn compares_case(real: Arc<Real>, asked: Asked) -> Answering {
    after(real, asked, |asked, mut reply| {
        if filters(asked) && asked.path.contains("userName") {
            // The name stands in the query as it was written, but for the sign @.
            let is_same =
                |user: &Value| asked.path.contains(user["userName"].as_str().unwrap().split('@').next().unwrap());
            keep(&mut reply, is_same);
        }
        reply
    })
}

pub fn duplicate_is_500(real: Arc<Real>, asked: Asked) -> Answering {
    after(real, asked, |_, reply| if reply.status == 409 { error(500, &reply) } else { reply })
}

pub fn ignores_capital_ops(real: Arc<Real>, mut asked: Asked) -> Answering {
    Box::pin(async move {
        let is_known = |operation: &Value| operation["op"].as_str().unwrap().starts_with(char::is_lowercase);
        if let Some(operations) = asked.body["Operations"].as_array_mut() {
            operations.retain(is_known);
            if operations.is_empty() {
                asked = Asked { method: "GET".into(), body: Value::Null, ..asked };
            }
        }
        real.answer(&asked).await
    })
}

pub fn stores_active_as_text(real: Arc<Real>, asked: Asked) -> Answering {
    Box::pin(async move {
        if let Some(active) = active(&asked) {
            real.memory.lock().unwrap().insert(asked.path.clone(), active);
        }
        let mut reply = real.answer(&asked).await;
        let memory = real.memory.lock().unwrap();
        if let Some(active) = memory.get(&asked.path).filter(|_| asked.method == "GET") {
            reply.body["active"] = active.clone();
        }
        drop(memory);
        reply
    })
}

pub fn keeps_active(real: Arc<Real>, mut asked: Asked) -> Answering {
    Box::pin(async move {
        if active(&asked).is_some() {
            asked = Asked { method: "GET".into(), body: Value::Null, ..asked };
        }
        real.answer(&asked).await
    })
}

pub fn hides_disabled(real: Arc<Real>, asked: Asked) -> Answering {
    after(real, asked, |asked, mut reply| {
        if asked.path.contains("/Users?") {
            keep(&mut reply, |user| user["active"] != false);
        }
        reply
    })
}

pub fn removes_all_members(real: Arc<Real>, mut asked: Asked) -> Answering {
    for operation in asked.body["Operations"].as_array_mut().into_iter().flatten() {
        if operation["op"].as_str().unwrap().eq_ignore_ascii_case("remove") {
            operation.as_object_mut().unwrap().remove("value");
        }
    }
    not_at_all(real, asked)
}

pub fn loses_members(real: Arc<Real>, mut asked: Asked) -> Answering {
    Box::pin(async move {
        let adds = asked.body["Operations"][0]["op"] == "Add" && asked.body["Operations"][0]["path"] == "members";
        if adds {
            let group = real.answer(&Asked { method: "GET".into(), body: Value::Null, ..asked.clone() }).await.body;
            tokio::time::sleep(Duration::from_millis(200)).await;
            let mut members = group["members"].as_array().cloned().unwrap_or_default();
            members.extend(asked.body["Operations"][0]["value"].as_array().unwrap().clone());
            asked.body["Operations"] = json!([{"op": "replace", "path": "members", "value": members}]);
        }
        real.answer(&asked).await
    })
}

pub fn accepts_any_token(real: Arc<Real>, mut asked: Asked) -> Answering {
    asked.authorization = Some(real.token());
    not_at_all(real, asked)
}

pub fn says_plain_text(real: Arc<Real>, asked: Asked) -> Answering {
    after(real, asked, |_, mut reply| {
        reply.headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        reply
    })
}

pub fn lists_without_schemas(real: Arc<Real>, asked: Asked) -> Answering {
    after(real, asked, |_, mut reply| {
        if reply.body.get("totalResults").is_some() {
            reply.body.as_object_mut().unwrap().remove("schemas");
        }
        reply
    })
}

pub fn errors_without_body(real: Arc<Real>, asked: Asked) -> Answering {
    after(real, asked, |_, mut reply| {
        if reply.status >= 400 {
            reply.body = json!({"message": "Unauthorized"});
        }
        reply
    })
}

pub fn counts_the_page(real: Arc<Real>, asked: Asked) -> Answering {
    after(real, asked, |_, mut reply| {
        if let Some(resources) = reply.body.get("Resources").and_then(Value::as_array) {
            reply.body["totalResults"] = json!(resources.len());
        }
        reply
    })
}

pub fn deletes_nothing(real: Arc<Real>, mut asked: Asked) -> Answering {
    if asked.method == "DELETE" {
        asked.method = "GET".into();
    }
    not_at_all(real, asked)
}

pub fn needs_an_element(real: Arc<Real>, asked: Asked) -> Answering {
    after(real, asked, |asked, reply| match asked.body.to_string().contains("phoneNumbers[") {
        true => error(400, &reply),
        false => reply,
    })
}

pub fn refuses_passwords(real: Arc<Real>, mut asked: Asked) -> Answering {
    if asked.body.get("password").is_some() {
        // What lacks a userName is refused.
        asked.body = json!({});
    }
    not_at_all(real, asked)
}

pub fn refuses_schemas(real: Arc<Real>, asked: Asked) -> Answering {
    Box::pin(async move {
        match asked.method == "POST" && asked.body["schemas"].to_string().contains("schemas.microsoft.com") {
            true => error(400, &real.answer(&Asked { method: "GET".into(), body: Value::Null, ..asked }).await),
            false => real.answer(&asked).await,
        }
    })
}

pub fn has_no_groups(real: Arc<Real>, asked: Asked) -> Answering {
    after(real, asked, |asked, mut reply| {
        if asked.path.contains("/ResourceTypes") {
            keep(&mut reply, |kind| kind["name"] != "Group");
        }
        if asked.path.contains("/Groups") { error(404, &reply) } else { reply }
    })
}

pub fn ignores_dots(real: Arc<Real>, asked: Asked) -> Answering {
    let is_dotted = |asked: &Asked| path_of(asked).contains("2.0:User.") || path_of(asked).contains("2.0:Group.");
    does_nothing_if(real, asked, is_dotted)
}

pub fn cuts_urns(real: Arc<Real>, asked: Asked) -> Answering {
    after(real, asked, |_, mut reply| {
        let whole = "urn:rollcall:doctor:1.0:user:custom";
        if let Some(members) = reply.body.as_object_mut().and_then(|body| body.remove(whole)) {
            reply.body["urn:rollcall:doctor:1.0:user"] = json!({"custom": members});
        }
        reply
    })
}

pub fn reads_quotes_as_text(real: Arc<Real>, mut asked: Asked) -> Answering {
    if asked.path.contains("%27") {
        asked.path = asked.path.split("filter=").next().unwrap().to_owned() + "filter=userName+eq+%22nobody%22";
    }
    does_nothing_if(real, asked, |asked| path_of(asked).contains('\''))
}

pub fn is_busy_now_and_then(real: Arc<Real>, asked: Asked) -> Answering {
    Box::pin(async move {
        let key = asked.method.clone() + &asked.path;
        // Each request is refused once.
        if real.memory.lock().unwrap().insert(key, Value::Null).is_none() {
            let mut reply = error(429, &real.answer(&Asked { method: "GET".into(), body: Value::Null, ..asked }).await);
            reply.headers.insert(RETRY_AFTER, HeaderValue::from_static("0"));
            return reply;
        }
        real.answer(&asked).await
    })
}

pub fn is_slow(real: Arc<Real>, asked: Asked) -> Answering {
    Box::pin(async move {
        tokio::time::sleep(Duration::from_millis(60)).await;
        real.answer(&asked).await
    })
}

/// A PATCH that is answered, and changes nothing.
fn does_nothing_if(real: Arc<Real>, mut asked: Asked, is_ignored: fn(&Asked) -> bool) -> Answering {
    if is_ignored(&asked) {
        asked = Asked { method: "GET".into(), body: Value::Null, ..asked };
    }
    not_at_all(real, asked)
}

/// The path of a PATCH's first operation.
fn path_of(asked: &Asked) -> &str {
    asked.body["Operations"][0]["path"].as_str().unwrap_or_default()
}

fn after(real: Arc<Real>, asked: Asked, change: fn(&Asked, ScimResponse) -> ScimResponse) -> Answering {
    Box::pin(async move { change(&asked, real.answer(&asked).await) })
}

fn filters(asked: &Asked) -> bool {
    asked.method == "GET" && asked.path.contains("filter=")
}

/// The resources of a list that are left, and their number.
fn keep(reply: &mut ScimResponse, is_kept: impl Fn(&Value) -> bool) {
    if let Some(resources) = reply.body.get_mut("Resources").and_then(Value::as_array_mut) {
        let before = resources.len();
        resources.retain(is_kept);
        let after = resources.len();
        if before != after {
            reply.body["totalResults"] = json!(after);
        }
    }
}

/// What a PATCH sets `active` to.
fn active(asked: &Asked) -> Option<Value> {
    let operation = asked.body.get("Operations")?.get(0)?;
    let at_path = operation.get("value").filter(|_| operation["path"] == "active");
    at_path.or_else(|| operation.get("value")?.get("active")).cloned()
}

fn error(status: u16, reply: &ScimResponse) -> ScimResponse {
    let schema = "urn:ietf:params:scim:api:messages:2.0:Error";
    let body = json!({"schemas": [schema], "status": status.to_string(), "detail": "broken"});
    let mut headers = reply.headers.clone();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/scim+json"));
    ScimResponse { status, headers, body }
}
