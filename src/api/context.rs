//! One request on its way through a handler.

use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use http::header::{AUTHORIZATION, HOST, IF_MATCH, IF_NONE_MATCH};
use http::{HeaderMap, HeaderName, Request};
use jiff::Timestamp;
use serde_json::{Map, Value};
use tokio::time::Instant;

use super::path::Target;
use super::{Origin, ROUTES, Route};
use crate::app::App;
use crate::auth::credential::{Check, ConcurrentRead, CredentialLookup};
use crate::auth::{Denial, PresentedCredential, Principal, Scope, Tenant};
use crate::limits::MAX_IDEMPOTENCY_KEY_BYTES;
use crate::scim::etag::Tags;
use crate::scim::list::Query;
use crate::scim::{ScimError, json};
use crate::store::idempotency::IdempotencyKey;
use crate::store::users::Author;

/// draft-ietf-httpapi-idempotency-key-header.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// A request that a route was found for.
pub struct RequestContext<'a> {
    app: &'a App,
    route: &'static Route,
    target: Target,
    request: &'a Request<Bytes>,
    request_id: &'a str,
    started: Instant,
    /// Who was let in already, if it is made within another request.
    caller: Option<&'a Principal>,
}

impl<'a> RequestContext<'a> {
    pub(super) fn new(
        app: &'a App,
        route: &'static Route,
        target: Target,
        request: &'a Request<Bytes>,
        request_id: &'a str,
    ) -> Self {
        Self { app, route, target, request, request_id, started: Instant::now(), caller: None }
    }

    /// A request made within this one, by the caller who was let in; its age is this one's. Its id must be its own:
    /// by it a request knows what it wrote.
    pub(super) fn sub_request<'b>(
        &self,
        (route, target): (&'static Route, Target),
        request: &'b Request<Bytes>,
        request_id: &'b str,
        caller: &'b Principal,
    ) -> RequestContext<'b>
    where
        'a: 'b,
    {
        let started = self.started;
        RequestContext { app: self.app, route, target, request, request_id, started, caller: Some(caller) }
    }

    /// This request, as if it had come to another path below the tenant's base URL; none if no route is there.
    pub(super) fn reroute<'b>(&'b self, path: &str, caller: &'b Principal) -> Option<RequestContext<'b>> {
        let target = Target::parse(&format!("{}{path}", self.target.base))?;
        let route = ROUTES.iter().find(|route| route.method == self.route.method && target.matches(route))?;
        Some(self.sub_request((route, target), self.request, self.request_id, caller))
    }

    /// A request to another place below the tenant's base URL, from the same client.
    pub(super) fn sub_request_builder(&self, method: &str, path: &str) -> Result<Request<Bytes>, http::Error> {
        let uri = format!("{}{path}", self.target.base);
        let mut request = Request::builder().method(method).uri(uri).body(Bytes::new())?;
        if let Some(host) = self.request.headers().get(HOST) {
            request.headers_mut().insert(HOST, host.clone());
        }
        if let Some(origin) = self.request.extensions().get::<Origin>() {
            request.extensions_mut().insert(origin.clone());
        }
        Ok(request)
    }

    /// The request's id, unique.
    pub(super) fn request_id(&self) -> &str {
        self.request_id
    }

    /// When it began.
    pub(super) fn started(&self) -> Instant {
        self.started
    }

    /// What every request shares.
    pub fn app(&self) -> &'a App {
        self.app
    }

    /// The row of the route table.
    pub fn route(&self) -> &'static Route {
        self.route
    }

    /// The `{id}` of the path.
    pub fn id(&self) -> &str {
        self.target.id()
    }

    /// The time, for this request.
    pub fn now(&self) -> Timestamp {
        self.app.clock.now()
    }

    /// Lets the caller in, or not.
    ///
    /// # Errors
    /// 401, 403 or 503.
    pub async fn authenticate(&self) -> Result<Principal, ScimError> {
        let (principal, ()) = self.authenticate_with_read(|_| async { Ok(()) }).await?;
        Ok(principal)
    }

    /// Lets the caller in, and reads in the same round trip. The read's outcome, be it good or an error, is seen only by
    /// those who are let in.
    ///
    /// # Errors
    /// 401, 403, 503, or the read's own.
    pub async fn authenticate_with_read<T, F>(
        &self,
        read: impl FnOnce(Tenant) -> F + Send,
    ) -> Result<(Principal, T), ScimError>
    where
        T: Send,
        F: Future<Output = Result<T, ScimError>> + Send,
    {
        let mut found = None;
        let caller = {
            let found = &mut found;
            let read = move |tenant| Box::pin(async move { *found = Some(read(tenant).await) }) as Pin<Box<_>>;
            self.authorize(Box::new(read)).await?
        };
        // Who is let in has waited for the read.
        let found = found.unwrap_or_else(|| Err(ScimError::unavailable("nothing was read; try again")))?;
        Ok((caller, found))
    }

    async fn authorize(&self, read: ConcurrentRead<'_>) -> Result<Principal, ScimError> {
        if let Some(caller) = self.caller {
            if !caller.has(self.route.scope) {
                return Err(self.denial_response(Denial::Scope));
            }
            self.ensure_resource_type_enabled(caller)?;
            read(caller.tenant().clone()).await;
            return Ok(caller.clone());
        }
        let authorization = self.request.headers().get(AUTHORIZATION).map(|header| header.as_bytes());
        let claim = PresentedCredential::read(authorization, &self.target.tenant)
            .map_err(|denial| self.denial_response(denial))?;
        let (tenant, key) = (&claim.tenant_name().clone(), claim.key_id().clone());
        let App { store, profiles, .. } = self.app;
        let lookup = CredentialLookup {
            key: store.key(tenant, &key),
            profile: |wanted| async move { profiles.of(store, tenant, &wanted).await },
            record_last_used: |key| async move { store.record_last_used(tenant, &key, self.now()).await },
        };
        let verified = claim.verify_with_read(self.check(Some(self.route.scope)), lookup, read).await?;
        let caller = verified.map_err(|denial| self.denial_response(denial))?;
        self.ensure_resource_type_enabled(&caller)?;
        Ok(caller)
    }

    /// What a caller is checked for.
    pub(super) fn check(&self, scope: Option<Scope>) -> Check<'a> {
        Check { issuers: &self.app.issuers, scope, now: self.now() }
    }

    /// The tenant, as the URL says.
    pub(super) fn tenant_in_url(&self) -> &str {
        &self.target.tenant
    }

    /// The value of a part of the route's path, such as `{tenant}`.
    pub(super) fn path_param(&self, name: &str) -> &str {
        self.target.value(self.route, name)
    }

    /// The headers.
    pub(super) fn headers(&self) -> &HeaderMap {
        self.request.headers()
    }

    /// The body as it came.
    pub(super) fn raw_body(&self) -> &Bytes {
        self.request.body()
    }

    /// "Specified resource (e.g., User) or endpoint does not exist" (RFC 7644 table 8): so does none that the tenant's
    /// profile does not offer.
    fn ensure_resource_type_enabled(&self, principal: &Principal) -> Result<(), ScimError> {
        match principal.profile().schemas.at(self.route.path) {
            Some(schema) if !schema.is_enabled => Err(ScimError::status(
                404,
                format!(
                    "there is no {} here: this tenant's profile {} offers no groups",
                    schema.endpoint,
                    principal.profile().name
                ),
            )),
            _ => Ok(()),
        }
    }

    pub(super) fn denial_response(&self, denial: Denial) -> ScimError {
        tracing::warn!(request_id = self.request_id, route = self.route.name, ?denial, "denied");
        match denial {
            Denial::Scope => ScimError::status(
                403,
                format!("this key does not have the scope {}, which this request needs", self.route.scope.as_str()),
            ),
            // Told that its credentials are bad, Entra ID would put the tenant into quarantine at once.
            Denial::IssuerUnavailable => {
                ScimError::unavailable("the keys of the identity provider could not be had; try again")
            }
            _ => ScimError::unauthorized(),
        }
    }

    /// The author of what this request writes.
    pub fn author(&self, principal: &Principal) -> Author {
        Author {
            key: principal.key().clone(),
            request: self.request_id.to_owned(),
            at: self.now(),
            started: self.started,
            settings: principal.settings(),
        }
    }

    /// The tenant's base URL as the client knows it, such as `https://host/acme/scim/v2`.
    pub fn base_url(&self) -> String {
        format!("{}{}", self.origin(), self.target.base)
    }

    /// Scheme and host as the client knows them.
    pub(super) fn origin(&self) -> String {
        let named = || {
            let host = self.request.headers().get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
            format!("http://{host}")
        };
        let received = self.request.extensions().get::<Origin>().map(|origin| origin.0.clone());
        self.app.public_url.clone().or(received).unwrap_or_else(named)
    }

    /// The query parameters; those of a search are in its body.
    ///
    /// # Errors
    /// 400 naming the parameter and the rule.
    pub fn query(&self) -> Result<Query, ScimError> {
        if self.route.path.ends_with("/.search") {
            return Query::from_search(&self.body()?);
        }
        let query = self.request.uri().query().unwrap_or_default();
        Query::parse(form_urlencoded::parse(query.as_bytes()).into_owned())
    }

    /// The body, a JSON object. Its `Content-Type` is not looked at: Okta's test sends `application/json`.
    ///
    /// # Errors
    /// 400 `invalidSyntax`.
    pub fn body(&self) -> Result<Map<String, Value>, ScimError> {
        json::parse_object(self.request.body())
    }

    /// What an `Idempotency-Key` header says of the request.
    ///
    /// # Errors
    /// 400 for a key that is empty, too long or not visible ASCII.
    pub fn idempotency_key(&self, principal: &Principal) -> Result<Option<IdempotencyKey>, ScimError> {
        let Some(header) = self.request.headers().get(IDEMPOTENCY_KEY) else { return Ok(None) };
        let key = header.to_str().ok().filter(|key| (1..=MAX_IDEMPOTENCY_KEY_BYTES).contains(&key.len()));
        let key = key.ok_or_else(|| {
            ScimError::invalid_value(format!(
                "the header Idempotency-Key has 1 to {MAX_IDEMPOTENCY_KEY_BYTES} visible ASCII characters"
            ))
        })?;
        Ok(Some(IdempotencyKey::new(principal.key(), self.route.path, key, self.request.body(), self.now())))
    }

    /// The id of what the same request has made, if it was sent before.
    ///
    /// # Errors
    /// 422 where it had another body, 503.
    pub async fn find_replayed(
        &self,
        tenant: &Tenant,
        key: Option<&IdempotencyKey>,
    ) -> Result<Option<String>, ScimError> {
        let Some(key) = key else { return Ok(None) };
        match self.app.store.made_with(tenant, key).await? {
            Some(made) if !made.is_same => Err(ScimError::other_request()),
            made => Ok(made.map(|made| made.id)),
        }
    }

    /// The `If-Match` header.
    pub fn if_match(&self) -> Option<Tags> {
        self.tags(IF_MATCH)
    }

    /// The `If-None-Match` header.
    pub fn if_none_match(&self) -> Option<Tags> {
        self.tags(IF_NONE_MATCH)
    }

    fn tags(&self, name: HeaderName) -> Option<Tags> {
        let values: Vec<_> = self.request.headers().get_all(name).iter().filter_map(|v| v.to_str().ok()).collect();
        (!values.is_empty()).then(|| Tags::parse(&values.join(",")))
    }
}
