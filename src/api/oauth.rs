//! Access tokens for OAuth clients (RFC 6749 section 4.4): a client proves itself by its secret or by the JWT of its
//! identity provider (RFC 7523), and is issued a bearer token of an hour, which works as long as its client does.

use futures_util::future::join;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, StatusCode};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{RequestContext, ScimResponse};
use crate::auth::credential::client_of;
use crate::auth::jwt::ASSERTION_ALGORITHMS;
use crate::auth::{
    AccessToken, Denial, KeyId, KeyRecord, PresentedCredential, Rejection, Scope, StoredCredential, TokenRecord,
};
use crate::limits::{MAX_TOKEN_REQUEST_BYTES, MAX_TOKENS_PER_WINDOW, TOKEN_SECONDS};
use crate::scim::{ErrorCode, ScimError};
use crate::store::ops::tokens::TokenOutcome;
use crate::tenant::TenantName;

/// RFC 7523 section 2.2.
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// POST /{tenant}/oauth/token
///
/// # Errors
/// 429 or 503 of the store. What the client did wrong is an answer of RFC 6749 section 5.2.
pub async fn token(context: RequestContext<'_>) -> Result<ScimResponse, ScimError> {
    let request = match Request::read(&context) {
        Ok(request) => request,
        Err(refusal) => return Ok(refusal.reply()),
    };
    let claim = match request.claim(context.tenant_in_url()) {
        Ok(claim) => claim,
        Err(rejection) => return Ok(denial_response(&context, rejection)),
    };
    let (tenant, id) = (claim.tenant_name().clone(), claim.key_id().clone());
    let assertion = claim.jwt().cloned();
    let store = &context.app().store;
    let stored = StoredCredential { key: store.key(&tenant, &id).await?, token: None };
    let client = match claim.verify(stored, &context.check(None)).await {
        Ok(client) => client,
        Err(rejection) => {
            let is_unavailable = rejection.denial == Denial::IssuerUnavailable;
            let error = context.refuse(&tenant, rejection);
            return if is_unavailable { Err(error) } else { Ok(Refused::unknown_client().reply()) };
        }
    };
    context.trace.note_caller(&tenant, &id, "ok");
    let scopes = match request.scopes(&client) {
        Ok(scopes) => scopes,
        Err(refusal) => return Ok(refusal.reply()),
    };
    let (token, record) = token_for(&client, scopes, context.now())?;
    let record_last_used = async {
        if client.last_used_is_stale(context.now()) {
            store.record_last_used(&tenant, &id, context.now()).await;
        }
    };
    match join(store.issue_token(&record, assertion.as_ref(), context.now()), record_last_used).await.0? {
        TokenOutcome::Issued => Ok(issued(id, &token, &record)),
        TokenOutcome::TooMany(until) => Err(too_many(until, context.now())),
        TokenOutcome::AssertionReplayed => Ok(denial_response(&context, claim.reject(Denial::Replayed))),
    }
}

/// GET /.well-known/oauth-authorization-server/{tenant}: the same for every name that a tenant can have, so that it reveals
/// no tenant.
///
/// # Errors
/// 404 for what is no tenant's name.
pub async fn metadata(context: RequestContext<'_>) -> Result<ScimResponse, ScimError> {
    let tenant: TenantName = context.tenant_in_url().parse().map_err(|_| {
        ScimError::new(ErrorCode::NoEndpoint, "the last part of the path is not a tenant name; use the tenant's name")
    })?;
    let issuer = format!("{}/{}", context.origin(), tenant.as_str());
    let algorithms: Vec<_> = ASSERTION_ALGORITHMS.iter().map(|(_, name)| name).collect();
    let body = json!({
        "issuer": issuer,
        "token_endpoint": format!("{issuer}/oauth/token"),
        "grant_types_supported": ["client_credentials"],
        "scopes_supported": [Scope::Read.as_str(), Scope::Write.as_str()],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "private_key_jwt"],
        "token_endpoint_auth_signing_alg_values_supported": algorithms,
    });
    Ok(ScimResponse::plain(None, StatusCode::OK, body))
}

/// A token request, read.
struct Request {
    proof: ClientProof,
    scope: Option<String>,
}

enum ClientProof {
    Secret { id: String, secret: String },
    Assertion(String),
}

/// An error of RFC 6749 section 5.2.
struct Refused {
    status: StatusCode,
    error: &'static str,
    description: String,
}

impl Request {
    fn read(context: &RequestContext<'_>) -> Result<Self, Refused> {
        if !is_form(context.headers()) {
            return Err(Refused::bad("invalid_request", format!("Content-Type is not {FORM}; send a form")));
        }
        let mut form = FormFields::read(context.raw_body())?;
        match form.take("grant_type").as_deref() {
            Some("client_credentials") => {}
            None => return Err(Refused::bad("invalid_request", "grant_type is missing; send client_credentials")),
            Some(_) => {
                return Err(Refused::bad(
                    "unsupported_grant_type",
                    "grant_type is not supported; send client_credentials",
                ));
            }
        }
        let mut headers = context.headers().get_all(AUTHORIZATION).iter().map(HeaderValue::as_bytes);
        let header = headers.next();
        if headers.next().is_some() {
            context.denial_response(Denial::SeveralHeaders.into());
            return Err(Refused::unknown_client());
        }
        let (id, secret) = (form.take("client_id"), form.take("client_secret"));
        let assertion = form.take("client_assertion");
        let ways = [header.is_some(), secret.is_some(), assertion.is_some()].iter().filter(|way| **way).count();
        if ways > 1 {
            return Err(Refused::bad(
                "invalid_request",
                "the client authenticates in more than one way; use one (RFC 6749 section 2.3)",
            ));
        }
        let proof = match (header, secret, assertion) {
            (Some(header), ..) => {
                let (client, secret) = client_of(header).map_err(|_| Refused::unknown_client())?;
                if id.is_some_and(|id| id != client) {
                    return Err(Refused::bad(
                        "invalid_request",
                        "client_id differs from that of the Authorization header; send one client_id",
                    ));
                }
                ClientProof::Secret { id: client, secret }
            }
            (_, Some(secret), _) => ClientProof::Secret {
                id: id.ok_or_else(|| {
                    Refused::bad("invalid_request", "client_id is missing; send it with client_secret")
                })?,
                secret,
            },
            (.., Some(assertion)) if form.take("client_assertion_type").as_deref() == Some(JWT_BEARER) => {
                ClientProof::Assertion(assertion)
            }
            (.., Some(_)) => {
                return Err(Refused::bad(
                    "invalid_request",
                    format!("client_assertion_type is not supported; send {JWT_BEARER}"),
                ));
            }
            (None, None, None) => return Err(Refused::unknown_client()),
        };
        Ok(Self { proof, scope: form.take("scope") })
    }

    fn claim(&self, tenant: &str) -> Result<PresentedCredential, Rejection> {
        match &self.proof {
            ClientProof::Secret { id, secret } => PresentedCredential::of_client(id, secret, tenant),
            ClientProof::Assertion(assertion) => PresentedCredential::of_assertion(assertion, tenant),
        }
    }

    /// The scopes of the token: those that the client names, or without a scope of Rollcall all that the client has. Entra ID
    /// names others (`scim`, for workload identity federation), and the answer states the scopes (RFC 6749 section 3.3).
    fn scopes(&self, client: &KeyRecord) -> Result<Vec<Scope>, Refused> {
        let all = &client.scopes;
        let words = self.scope.as_deref().unwrap_or_default().split_whitespace();
        let asked: Vec<Scope> = words.filter_map(|word| word.parse().ok()).collect();
        if asked.iter().any(|scope| !all.contains(scope)) {
            let may: Vec<_> = all.iter().map(|scope| scope.as_str()).collect();
            return Err(Refused::bad(
                "invalid_scope",
                format!("scope has more than this client may have; send some of: {}", may.join(" ")),
            ));
        }
        let is_given = |scope: &&Scope| asked.is_empty() || asked.contains(scope);
        Ok(all.iter().filter(is_given).copied().collect())
    }
}

/// The same for every reason, which goes to the log.
fn denial_response(context: &RequestContext<'_>, rejection: Rejection) -> ScimResponse {
    context.denial_response(rejection);
    Refused::unknown_client().reply()
}

impl Refused {
    fn bad(error: &'static str, description: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, error, description: description.into() }
    }

    fn unknown_client() -> Self {
        let description = "client_id or client_secret is wrong; ask the operator of the application for both";
        let status = StatusCode::UNAUTHORIZED;
        Self { status, error: "invalid_client", description: description.to_owned() }
    }

    fn reply(self) -> ScimResponse {
        let body = json!({"error": self.error, "error_description": self.description});
        let reply = ScimResponse::plain(None, self.status, body);
        if self.status == StatusCode::UNAUTHORIZED { reply.challenge("Basic realm=\"scim\"") } else { reply }
    }
}

/// The media type of a token request (RFC 6749 section 4.4.2).
const FORM: &str = "application/x-www-form-urlencoded";

fn is_form(headers: &HeaderMap) -> bool {
    let media_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()?.split(';').next());
    media_type.is_some_and(|media_type| media_type.trim().eq_ignore_ascii_case(FORM))
}

/// The parameters of a form that have a meaning here. One without a value is left out, a repeated one is an error (RFC
/// 6749 section 3.2).
#[derive(Default)]
struct FormFields([Option<String>; NAMES.len()]);

const NAMES: [&str; 6] =
    ["grant_type", "client_id", "client_secret", "client_assertion", "client_assertion_type", "scope"];

impl FormFields {
    fn read(body: &[u8]) -> Result<Self, Refused> {
        if body.len() > MAX_TOKEN_REQUEST_BYTES {
            return Err(Refused::bad(
                "invalid_request",
                format!("the form is longer than {MAX_TOKEN_REQUEST_BYTES} bytes; send a shorter one"),
            ));
        }
        let mut form = Self::default();
        for (name, value) in form_urlencoded::parse(body).filter(|(_, value)| !value.is_empty()) {
            let Some((known, slot)) = NAMES.iter().zip(&mut form.0).find(|(known, _)| **known == name) else {
                continue;
            };
            if slot.replace(value.into_owned()).is_some() {
                return Err(Refused::bad("invalid_request", format!("{known} occurs twice; send it once")));
            }
        }
        Ok(form)
    }

    fn take(&mut self, name: &str) -> Option<String> {
        NAMES.iter().zip(&mut self.0).find(|(known, _)| **known == name).and_then(|(_, slot)| slot.take())
    }
}

/// A new token, and its record. It ends with its client, if that ends before.
fn token_for(client: &KeyRecord, scopes: Vec<Scope>, now: Timestamp) -> Result<(AccessToken, TokenRecord), ScimError> {
    let token = AccessToken::mint(client)
        .map_err(|_| ScimError::unavailable("the system returned no random numbers; try again"))?;
    let ends = now + SignedDuration::from_secs(TOKEN_SECONDS);
    let record = TokenRecord {
        tenant: token.tenant().clone(),
        client: token.client().clone(),
        id: token.id().clone(),
        hash: token.hash(&client.credential),
        scopes,
        created: now,
        expires: client.ends().map_or(ends, |expires| expires.min(ends)),
    };
    Ok((token, record))
}

/// 429: the client was issued as many tokens as it may have.
fn too_many(until: Timestamp, now: Timestamp) -> ScimError {
    let seconds = u32::try_from(until.duration_since(now).as_secs()).unwrap_or_default().saturating_add(1);
    let detail = format!(
        "this client was issued {MAX_TOKENS_PER_WINDOW} access tokens within an hour; use a token until it expires"
    );
    ScimError { retry_after: Some(seconds), ..ScimError::new(ErrorCode::TooManyTokens, detail) }
}

/// RFC 6749 section 5.1.
fn issued(client: KeyId, token: &AccessToken, record: &TokenRecord) -> ScimResponse {
    let lasts = record.expires.duration_since(record.created).as_secs();
    let scopes: Vec<_> = record.scopes.iter().map(|scope| scope.as_str()).collect();
    let body: Value =
        json!({"access_token": token.reveal(), "token_type": "Bearer", "expires_in": lasts, "scope": scopes.join(" ")});
    ScimResponse::plain(Some(client), StatusCode::OK, body)
}
