//! Access tokens for OAuth clients (RFC 6749 section 4.4): a client proves itself by its secret or by the JWT of its
//! identity provider (RFC 7523), and is given a bearer token of an hour, which is a key record like any other.

use http::StatusCode;
use http::header::AUTHORIZATION;
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::{Call, Reply};
use crate::auth::claim::client_of;
use crate::auth::jwt::TAKEN;
use crate::auth::{ApiKey, Claim, Credential, Denial, KeyId, KeyRecord, Scope};
use crate::limits::TOKEN_SECONDS;
use crate::scim::ScimError;
use crate::store::tokens::Given;

/// RFC 7523 section 2.2.
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// POST /{tenant}/oauth/token
///
/// # Errors
/// 429 or 503 of the store. What the client did wrong is an answer of RFC 6749 section 5.2.
pub async fn token(call: Call<'_>) -> Result<Reply, ScimError> {
    let request = match Request::read(&call) {
        Ok(request) => request,
        Err(refusal) => return Ok(refusal.reply()),
    };
    let claim = match request.claim(call.tenant_in_url()) {
        Ok(claim) => claim,
        Err(denial) => return Ok(request.denied(&call, denial)),
    };
    let (tenant, id) = (claim.tenant_name().clone(), claim.key_id().clone());
    let assertion = claim.jwt().cloned();
    let record = call.app().store.key(&tenant, &id).await?;
    let client = match claim.verify(record, &call.check(None)).await {
        Ok(client) => client,
        Err(denial @ Denial::NoIssuer) => return Err(call.denied(denial)),
        Err(denial) => return Ok(request.denied(&call, denial)),
    };
    let scopes = match request.scopes(&client) {
        Ok(scopes) => scopes,
        Err(refusal) => return Ok(refusal.reply()),
    };
    let (token, record) = token_for(&call, client, scopes)?;
    match call.app().store.give_token(&record, &id, assertion.as_ref(), call.now()).await? {
        Given::Yes => Ok(given(id, &token, &record)),
        Given::ClientRevoked => Ok(request.denied(&call, Denial::Revoked)),
        Given::Replayed => Ok(request.denied(&call, Denial::Replayed)),
    }
}

/// GET /.well-known/oauth-authorization-server/{tenant}: the same for every name, so that it tells nobody who is here.
///
/// # Errors
/// None.
pub async fn metadata(call: Call<'_>) -> Result<Reply, ScimError> {
    let issuer = format!("{}/{}", call.origin(), call.tenant_in_url());
    let algorithms: Vec<_> = TAKEN.iter().map(|(_, name)| name).collect();
    let body = json!({
        "issuer": issuer,
        "token_endpoint": format!("{issuer}/oauth/token"),
        "grant_types_supported": ["client_credentials"],
        "response_types_supported": [],
        "scopes_supported": [Scope::Read.as_str(), Scope::Write.as_str()],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "private_key_jwt"],
        "token_endpoint_auth_signing_alg_values_supported": algorithms,
    });
    Ok(Reply::plain(None, StatusCode::OK, body))
}

/// A token request, read.
struct Request {
    shown: Shown,
    scope: Option<String>,
    /// Whether the client came by the `Authorization` header: it is refused by one, too.
    is_by_header: bool,
}

enum Shown {
    Secret { id: String, secret: String },
    Assertion(String),
}

/// An error of RFC 6749 section 5.2.
struct Refused {
    status: StatusCode,
    error: &'static str,
    description: String,
    is_by_header: bool,
}

impl Request {
    fn read(call: &Call<'_>) -> Result<Self, Refused> {
        let mut form = Form::read(call.bytes())?;
        match form.take("grant_type").as_deref() {
            Some("client_credentials") => {}
            None => return Err(Refused::bad("invalid_request", "grant_type is missing; it is client_credentials")),
            Some(_) => return Err(Refused::bad("unsupported_grant_type", "the grant_type is client_credentials")),
        }
        let header = call.headers().get(AUTHORIZATION).map(|header| header.as_bytes());
        let is_by_header = header.is_some();
        let (id, secret) = (form.take("client_id"), form.take("client_secret"));
        let assertion = form.take("client_assertion");
        let ways = [is_by_header, secret.is_some(), assertion.is_some()].iter().filter(|way| **way).count();
        if ways > 1 {
            return Err(Refused::bad("invalid_request", "a client proves itself in one way (RFC 6749 section 2.3)"));
        }
        let shown = match (header, secret, assertion) {
            (Some(header), ..) => {
                let (id, secret) = client_of(header).map_err(|_| Refused::unknown_client(true))?;
                Shown::Secret { id, secret }
            }
            (_, Some(secret), _) => {
                Shown::Secret { id: id.ok_or_else(|| Refused::bad("invalid_request", "client_id is missing"))?, secret }
            }
            (.., Some(assertion)) if form.take("client_assertion_type").as_deref() == Some(JWT_BEARER) => {
                Shown::Assertion(assertion)
            }
            (.., Some(_)) => {
                return Err(Refused::bad("invalid_request", format!("the client_assertion_type is {JWT_BEARER}")));
            }
            (None, None, None) => return Err(Refused::unknown_client(false)),
        };
        Ok(Self { shown, scope: form.take("scope"), is_by_header })
    }

    fn claim(&self, tenant: &str) -> Result<Claim, Denial> {
        match &self.shown {
            Shown::Secret { id, secret } => Claim::of_client(id, secret, tenant),
            Shown::Assertion(assertion) => Claim::of_assertion(assertion, tenant),
        }
    }

    /// What the token may do: what is asked for, as far as the client may; without a word of ours all that it may. Entra ID
    /// asks for words of its own (`scim`, for workload identity federation), and the answer says what was given instead (RFC
    /// 6749 section 3.3).
    fn scopes(&self, client: &KeyRecord) -> Result<Vec<Scope>, Refused> {
        let all = &client.scopes;
        let words = self.scope.as_deref().unwrap_or_default().split_whitespace();
        let asked: Vec<Scope> = words.filter_map(|word| word.parse().ok()).collect();
        if asked.iter().any(|scope| !all.contains(scope)) {
            let may: Vec<_> = all.iter().map(|scope| scope.as_str()).collect();
            return Err(Refused::bad("invalid_scope", format!("this client may have: {}", may.join(" "))));
        }
        Ok(if asked.is_empty() { all.clone() } else { asked })
    }

    /// The same for every reason, which goes to the log.
    fn denied(&self, call: &Call<'_>, denial: Denial) -> Reply {
        call.denied(denial);
        Refused::unknown_client(self.is_by_header).reply()
    }
}

impl Refused {
    fn bad(error: &'static str, description: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, error, description: description.into(), is_by_header: false }
    }

    fn unknown_client(is_by_header: bool) -> Self {
        let description = "no such client, or not its secret; the operator of the application makes and shows them";
        let status = StatusCode::UNAUTHORIZED;
        Self { status, error: "invalid_client", description: description.to_owned(), is_by_header }
    }

    fn reply(self) -> Reply {
        let body = json!({"error": self.error, "error_description": self.description});
        let reply = Reply::plain(None, self.status, body);
        if self.is_by_header { reply.challenge("Basic realm=\"scim\"") } else { reply }
    }
}

/// The parameters of a form; a repeated one is an error (RFC 6749 section 3.2).
struct Form(Vec<(String, String)>);

impl Form {
    fn read(body: &[u8]) -> Result<Self, Refused> {
        let pairs: Vec<(String, String)> = form_urlencoded::parse(body).into_owned().collect();
        let is_repeated = |name: &str| pairs.iter().filter(|(other, _)| other == name).count() > 1;
        match pairs.iter().find(|(name, _)| is_repeated(name)) {
            Some((name, _)) => Err(Refused::bad("invalid_request", format!("{name} is given twice"))),
            None => Ok(Self(pairs)),
        }
    }

    fn take(&mut self, name: &str) -> Option<String> {
        let at = self.0.iter().position(|(other, _)| other == name)?;
        Some(self.0.swap_remove(at).1)
    }
}

/// A new token, and its record: the client's, but for secret and end.
fn token_for(call: &Call<'_>, client: KeyRecord, scopes: Vec<Scope>) -> Result<(String, KeyRecord), ScimError> {
    let key = ApiKey::mint(&client.tenant).map_err(|_| ScimError::unavailable("no random numbers"))?;
    let seal = client.credential.seal_of_tokens();
    let now = call.now();
    let ends = now + SignedDuration::from_secs(TOKEN_SECONDS);
    let record = KeyRecord {
        id: key.id().clone(),
        credential: Credential::Token { hash: key.hash(), client: client.id.clone(), seal },
        scopes,
        created: now,
        not_before: None,
        expires: Some(client.expires.map_or(ends, |expires| expires.min(ends))),
        used: Some(now),
        ..client
    };
    Ok((key.reveal(), record))
}

/// RFC 6749 section 5.1.
fn given(client: KeyId, token: &str, record: &KeyRecord) -> Reply {
    let lasts = record.expires.map_or(TOKEN_SECONDS, |expires| expires.duration_since(record.created).as_secs());
    let scopes: Vec<_> = record.scopes.iter().map(|scope| scope.as_str()).collect();
    let body: Value =
        json!({"access_token": token, "token_type": "Bearer", "expires_in": lasts, "scope": scopes.join(" ")});
    Reply::plain(Some(client), StatusCode::OK, body)
}
