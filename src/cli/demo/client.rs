//! What an identity provider sends, over HTTP, at a pace.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use form_urlencoded::Serializer;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use tokio::time::Instant;

use crate::cli::output::text;
use crate::tenant::TenantName;

/// What both send with each body.
const SCIM_JSON: &str = "application/scim+json; charset=utf-8";

/// So many requests a second, whoever sends them.
#[derive(Clone)]
pub(super) struct RequestPace {
    pause: Duration,
    next: Arc<Mutex<Instant>>,
}

impl RequestPace {
    /// None of a pause for 0.
    pub(super) fn new(per_second: u32) -> Self {
        let pause = Duration::from_secs(1).checked_div(per_second).unwrap_or_default();
        Self { pause, next: Arc::new(Mutex::new(Instant::now())) }
    }

    async fn wait(&self) {
        let turn = {
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            let turn = (*next).max(Instant::now());
            *next = turn + self.pause;
            turn
        };
        tokio::time::sleep_until(turn).await;
    }
}

/// An identity provider, at the base URL of its tenant.
pub(super) struct IdpClient {
    http: Client<HttpConnector, Full<Bytes>>,
    endpoint: String,
    tenant: TenantName,
    token: String,
    agent: Option<&'static str>,
    pace: RequestPace,
}

/// What came back.
pub(super) struct IdpAnswer {
    pub(super) status: u16,
    pub(super) body: Value,
}

impl IdpAnswer {
    /// The id of what was created or found.
    pub(super) fn id(&self) -> String {
        text(&self.body, "id").to_owned()
    }

    /// How many a list found.
    pub(super) fn total(&self) -> u64 {
        self.body.get("totalResults").and_then(Value::as_u64).unwrap_or_default()
    }

    /// Why it was refused.
    pub(super) fn detail(&self) -> &str {
        text(&self.body, "detail")
    }
}

impl IdpClient {
    pub(super) fn new(
        url: &str,
        (tenant, token): (TenantName, String),
        agent: Option<&'static str>,
        pace: &RequestPace,
    ) -> Self {
        let http = Client::builder(TokioExecutor::new()).build(HttpConnector::new());
        let endpoint = format!("{url}/{tenant}");
        Self { http, endpoint, tenant, token, agent, pace: pace.clone() }
    }

    pub(super) fn tenant(&self) -> &TenantName {
        &self.tenant
    }

    /// Searches a type of resource.
    pub(super) async fn find(&self, path: &str, filter: &str, more: &[(&str, &str)]) -> Result<IdpAnswer, String> {
        let query = Serializer::new(String::new()).append_pair("filter", filter).extend_pairs(more).finish();
        self.expect(Method::GET, &format!("{path}?{query}"), None, &[200]).await
    }

    /// Sends a request of SCIM.
    ///
    /// # Errors
    /// When the endpoint answers with another status, or not at all.
    pub(super) async fn expect(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
        statuses: &[u16],
    ) -> Result<IdpAnswer, String> {
        let sent = format!("{method} {path}");
        let answer = self.send(method, &format!("/scim/v2{path}"), body, &self.token).await?;
        match statuses.contains(&answer.status) {
            true => Ok(answer),
            false => {
                Err(format!("{sent} was answered {}: {}; report it with this line", answer.status, answer.detail()))
            }
        }
    }

    /// Sends a request of SCIM with another token than its own.
    pub(super) async fn try_token(&self, path: &str, token: &str) -> Result<IdpAnswer, String> {
        self.send(Method::GET, &format!("/scim/v2{path}"), None, token).await
    }

    /// The first event of the tenant's feed, as the product reads it.
    pub(super) async fn first_event(&self) -> Result<Value, String> {
        let answer = self.send(Method::GET, "/events?limit=1&wait=20", None, &self.token).await?;
        Ok(answer.body.pointer("/events/0").cloned().unwrap_or_default())
    }

    async fn send(&self, method: Method, path: &str, body: Option<Value>, token: &str) -> Result<IdpAnswer, String> {
        self.pace.wait().await;
        let uri = format!("{}{path}", self.endpoint);
        let mut request = Request::builder().method(method).uri(&uri);
        request = request.header(AUTHORIZATION, format!("Bearer {token}")).header(ACCEPT, "application/scim+json");
        if let Some(agent) = self.agent {
            request = request.header(USER_AGENT, agent);
        }
        if body.is_some() {
            request = request.header(CONTENT_TYPE, SCIM_JSON);
        }
        let text = body.map(|body| body.to_string()).unwrap_or_default();
        let request =
            request.body(Full::new(Bytes::from(text))).map_err(|e| format!("{uri} is not a URL ({e}); report it"))?;
        let broken = |why: &dyn std::fmt::Display| format!("{uri} did not answer ({why}); start the demo again");
        let response = self.http.request(request).await.map_err(|e| broken(&e))?;
        let status = response.status().as_u16();
        let bytes = response.into_body().collect().await.map_err(|e| broken(&e))?.to_bytes();
        Ok(IdpAnswer { status, body: serde_json::from_slice(&bytes).unwrap_or_default() })
    }
}
