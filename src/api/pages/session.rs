//! A session of the page: who uses it, and the requests to the admin API and to SCIM that the page sends in its name.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::try_join;
use http::header::{ACCEPT, HOST, HeaderValue};
use http::{Method, Request, StatusCode};
use serde_json::Value;

use super::super::ScimResponse;
use super::super::context::{Origin, RequestContext};
use super::super::path::RequestTarget;
use super::catalogue::{Catalogue, Language};
use super::request::{self, Form};
use crate::auth::{KeyId, PageAccess, PageRole, PageSecret, PageSecretKind, Principal, SessionRecord};
use crate::scim::{ErrorCode, ScimError};
use crate::store::model::admin_action::AdminAuthor;
use crate::tenant::{OPERATOR_TENANT, Profile, TenantConfig, TenantName};

/// The header of the script's own requests, which keep no session alive.
const REFRESH: &str = "x-refresh";

/// Somebody who has signed in, and the request under way.
pub(super) struct PageSession<'a> {
    pub(super) context: &'a RequestContext<'a>,
    pub(super) principal: Principal,
    pub(super) tenant: TenantName,
    pub(super) config: TenantConfig,
    pub(super) profile: Arc<Profile>,
    pub(super) access: PageAccess,
    pub(super) form_token: String,
    pub(super) language: Language,
    pub(super) t: &'static Catalogue,
    record: SessionRecord,
    secret: PageSecret,
}

impl<'a> PageSession<'a> {
    /// The session of a request.
    ///
    /// # Errors
    /// 401 without a session that goes on, 503.
    pub(super) async fn open(context: &'a RequestContext<'a>) -> Result<Self, ScimError> {
        let tenant: TenantName = context.tenant_in_url().parse().map_err(|_| not_signed_in())?;
        let text = request::session_cookie(context).ok_or_else(not_signed_in)?;
        let secret = PageSecret::parse(PageSecretKind::Session, text).ok_or_else(not_signed_in)?;
        let (store, now) = (&context.app().store, context.now());
        let (record, found) = try_join(store.page_session(&tenant, &secret), store.tenant(&tenant)).await?;
        let (record, config) = (record.ok_or_else(not_signed_in)?, found.ok_or_else(not_signed_in)?.config);
        if !record.works(now) {
            context.note_page_user(&tenant, &record.id, "expired");
            return Err(not_signed_in());
        }
        context.note_page_user(&tenant, &record.id, "ok");
        if !context.headers().contains_key(REFRESH) {
            store.record_session_seen(&record, now).await;
        }
        let profile = context.app().profiles.of(store, &tenant, &config.profile).await?;
        let principal = Principal::of_session(record.clone(), config.settings, profile.clone());
        let (access, form_token) = (record.access.clone(), secret.form_token());
        let language = request::language(context);
        let t = language.catalogue();
        Ok(Self { context, principal, tenant, config, profile, access, form_token, language, t, record, secret })
    }

    /// The session of a form, if it is one of our own page.
    ///
    /// # Errors
    /// 401, 403, 413, 503.
    pub(super) async fn open_form(context: &'a RequestContext<'a>) -> Result<(Self, Form), ScimError> {
        request::check_same_origin(context)?;
        let (session, form) = (Self::open(context).await?, Form::read(context)?);
        match session.secret.has_form_token(form.text("form")) {
            true => Ok((session, form)),
            false => Err(request::foreign_form()),
        }
    }

    /// Ends it.
    ///
    /// # Errors
    /// 503.
    pub(super) async fn end(&self) -> Result<(), ScimError> {
        let (key, request) = (Some(self.record.id.clone()), Some(self.context.request_id().to_owned()));
        let by = AdminAuthor { key, request, at: self.context.now(), page: Some(self.access.clone()) };
        Ok(self.context.app().store.end_session(&self.record, by).await?)
    }

    /// The id, for the log.
    pub(super) fn key(&self) -> Option<KeyId> {
        Some(self.record.id.clone())
    }

    /// Whether it may do what that role may.
    pub(super) fn may(&self, role: PageRole) -> bool {
        self.access.role >= role
    }

    /// Refuses what its role may not do.
    ///
    /// # Errors
    /// 403.
    pub(super) fn need(&self, role: PageRole) -> Result<(), ScimError> {
        let refuse = || ScimError::new(ErrorCode::ScopeMissing, format!("role is too low; ask for a link with {role}"));
        if self.may(role) { Ok(()) } else { Err(refuse()) }
    }

    /// Reads something of the session's tenant by the admin API.
    ///
    /// # Errors
    /// As the route's.
    pub(super) async fn read(&self, path: &str) -> Result<Value, ScimError> {
        body(self.ask(Method::GET, &self.admin_path(path), None, None).await?)
    }

    /// Reads something of the session's tenant by SCIM.
    ///
    /// # Errors
    /// As the route's.
    pub(super) async fn read_scim(&self, path: &str) -> Result<Value, ScimError> {
        body(self.ask(Method::GET, &format!("/{}/scim/v2{path}", self.tenant), None, None).await?)
    }

    /// Changes something of the session's tenant by the admin API.
    ///
    /// # Errors
    /// As the route's.
    pub(super) async fn change(&self, method: Method, path: &str, change: &Value) -> Result<Value, ScimError> {
        body(self.ask(method, &self.admin_path(path), Some(change), None).await?)
    }

    /// The base URL of the tenant's endpoint.
    pub(super) fn tenant_url(&self) -> String {
        format!("{}{}", self.context.origin(), self.profile.base_path(self.tenant.as_str()))
    }

    /// Below the tenant in the admin API.
    pub(super) fn admin_path(&self, path: &str) -> String {
        format!("/{OPERATOR_TENANT}/v1/tenants/{}{path}", self.tenant)
    }

    /// Has a route answer, with the session as the caller: the page has no second way to do anything.
    ///
    /// # Errors
    /// As the route's.
    pub(super) async fn ask(
        &self,
        method: Method,
        uri: &str,
        content: Option<&Value>,
        accept: Option<&'static str>,
    ) -> Result<ScimResponse, ScimError> {
        let nowhere = || {
            ScimError::new(
                ErrorCode::NoEndpoint,
                "the page asks for what no route answers; report it with the request id",
            )
        };
        let content = content.filter(|content| !content.is_null()).map(Value::to_string).unwrap_or_default();
        let request = Request::builder().method(method).uri(uri).body(Bytes::from(content));
        let mut request = request.map_err(|_| nowhere())?;
        if let Some(host) = self.context.headers().get(HOST) {
            request.headers_mut().insert(HOST, host.clone());
        }
        request.extensions_mut().insert(Origin(self.context.origin()));
        if let Some(accept) = accept {
            request.headers_mut().insert(ACCEPT, HeaderValue::from_static(accept));
        }
        let target = RequestTarget::parse(request.uri().path()).ok_or_else(nowhere)?;
        let is_it = |route: &&super::super::Route| route.method == *request.method() && route.accepts(&target);
        let route = self.context.routes().iter().find(is_it).ok_or_else(nowhere)?;
        let request_id = self.context.request_id();
        let sub_request = self.context.sub_request((route, target), &request, request_id, &self.principal);
        Box::pin(sub_request.answer()).await
    }
}

/// The answer to who has no session that goes on.
pub(super) fn not_signed_in() -> ScimError {
    ScimError::new(ErrorCode::Unauthorized, "no session of the page is open; sign in with a link")
}

fn body(reply: ScimResponse) -> Result<Value, ScimError> {
    let (status, body) = reply.outcome();
    match StatusCode::from_u16(status).is_ok_and(|status| status.is_success()) {
        true => Ok(body.cloned().unwrap_or_default()),
        false => Err(ScimError::unavailable("the page got no answer; try again")),
    }
}
