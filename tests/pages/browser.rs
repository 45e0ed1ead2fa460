//! A browser without a script.

use serde_json::Value;

use crate::admin::ask;
use crate::support::{Harness, ScimResponse, encode};

pub(super) const ORIGIN: (&str, &str) = ("sec-fetch-site", "same-origin");

/// A browser that has signed in to the page of a tenant.
pub(super) struct Browser<'h> {
    pub(super) harness: &'h Harness,
    pub(super) tenant: &'h str,
    pub(super) cookie: String,
}

/// A link to the page, as the admin API returns it.
pub(super) async fn link(harness: &Harness, admin: &str, tenant: &str, body: Value) -> Value {
    let reply = ask(harness, admin, "POST", &format!("/tenants/{tenant}/links"), body).await;
    assert_eq!(reply.status, 201, "{reply:?}");
    reply.body
}

pub(super) fn secret(link: &Value) -> &str {
    link["url"].as_str().unwrap().split_once('#').unwrap().1
}

pub(super) async fn sign_in(harness: &Harness, tenant: &str, secret: &str) -> ScimResponse {
    let form = format!("action=begin&token={secret}").into_bytes();
    harness.raw("POST", &format!("/{tenant}/manage"), form, &[ORIGIN]).await
}

/// The name and value that an answer sets.
pub(super) fn cookie_of(reply: &ScimResponse) -> String {
    reply.headers["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned()
}

impl<'h> Browser<'h> {
    pub(super) async fn open(harness: &'h Harness, tenant: &'h str, body: Value) -> Self {
        let admin = harness.operator().await;
        let link = link(harness, &admin, tenant, body).await;
        let reply = sign_in(harness, tenant, secret(&link)).await;
        assert_eq!(reply.status, 303, "{reply:?}");
        Self { harness, tenant, cookie: cookie_of(&reply) }
    }

    pub(super) async fn get(&self, page: &str) -> ScimResponse {
        self.get_on(self.harness, page).await
    }

    pub(super) async fn get_on(&self, harness: &Harness, page: &str) -> ScimResponse {
        let headers = [("cookie", self.cookie.as_str())];
        harness.raw("GET", &format!("/{}/manage/{page}", self.tenant), Vec::new(), &headers).await
    }

    /// The token in the forms of a page.
    pub(super) async fn token(&self) -> String {
        let page = text(&self.get("settings").await);
        page.split("name=\"form\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
    }

    pub(super) async fn post(&self, page: &str, fields: &[(&str, &str)]) -> ScimResponse {
        let token = self.token().await;
        self.post_with(page, &token, fields, &[ORIGIN]).await
    }

    pub(super) async fn post_with(
        &self,
        page: &str,
        token: &str,
        fields: &[(&str, &str)],
        headers: &[(&str, &str)],
    ) -> ScimResponse {
        let all = fields.iter().copied().chain([("form", token)]);
        let body = all.map(|(name, value)| format!("{name}={}", encode(value))).collect::<Vec<_>>().join("&");
        let mut all = vec![("cookie", self.cookie.as_str())];
        all.extend_from_slice(headers);
        self.harness.raw("POST", &format!("/{}/manage/{page}", self.tenant), body.into_bytes(), &all).await
    }
}

pub(super) fn text(reply: &ScimResponse) -> String {
    reply.body.as_str().unwrap_or_default().to_owned()
}

/// The types of the admin actions in the log of a tenant, oldest first.
pub(super) async fn actions(harness: &Harness, admin: &str, tenant: &str) -> Vec<Value> {
    let log = ask(harness, admin, "GET", &format!("/tenants/{tenant}/log?kind=admin"), Value::Null).await;
    let mut entries = log.body["entries"].as_array().unwrap().clone();
    entries.reverse();
    entries
}
