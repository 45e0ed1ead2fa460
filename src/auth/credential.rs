//! The credential that a request presents, and its verification. Rollcall checks every type here, against its
//! record.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::{Either, join3, select};
use jiff::Timestamp;
use subtle::ConstantTimeEq;

use super::denial::{Denial, Rejection};
use super::issuer::Issuers;
use super::jwt::{Algorithm, DUMMY_KEY, Jwt, OWN_ISSUER, own_key};
use super::key::{ApiKey, KeyId};
use super::principal::{Principal, Tenant};
use super::record::{Credential, FederatedIssuer, KeyRecord, State};
use super::scope::Scope;
use super::token::{AccessToken, TokenRecord};
use crate::limits::MAX_AUTHORIZATION_BYTES;
use crate::tenant::{Profile, ProfileRef, TenantName};

/// What a request says of itself, before anything is checked against the store.
#[derive(Debug)]
pub struct PresentedCredential {
    tenant: Tenant,
    id: KeyId,
    proof: Proof,
}

/// Its proof.
#[derive(Debug)]
enum Proof {
    /// An opaque key, as bearer token.
    Bearer(ApiKey),
    /// An access token of an OAuth client.
    Token(AccessToken),
    /// An opaque key, as the password of a user.
    Basic { user: String, key: ApiKey },
    /// An opaque key, as the secret of an OAuth client.
    Client(ApiKey),
    /// A JWT that names Rollcall as its issuer.
    RollcallJwt(Jwt),
    /// A JWT of an identity provider.
    IssuerJwt(Jwt),
}

/// What a caller is checked for.
pub struct Verification<'a> {
    /// Fetches the keys of identity providers.
    pub issuers: &'a Issuers,
    /// What the caller must be allowed; nothing for a client that comes for a token.
    pub scope: Option<Scope>,
    /// The time.
    pub now: Timestamp,
}

/// A read for a tenant that a caller names. It leaves what it found with whoever asks: one way in for reads of every kind
/// is one piece of code in the binary, not one for each.
pub type ConcurrentRead<'r> = Box<dyn FnOnce(Tenant) -> Pin<Box<dyn Future<Output = ()> + Send + 'r>> + Send + 'r>;

/// What the store has of a credential that was presented.
#[derive(Debug, Clone, Default)]
pub struct StoredCredential {
    /// The record of the key; for an access token, that of its client.
    pub key: Option<KeyRecord>,
    /// The record of the access token.
    pub token: Option<TokenRecord>,
}

/// What is asked of the store about a caller.
pub struct CredentialLookup<K, A, B> {
    /// Returns the records of the credential.
    pub stored: K,
    /// The profile that it names.
    pub profile: A,
    /// That the key was used.
    pub record_last_used: B,
}

impl PresentedCredential {
    /// Reads the `Authorization` header for the tenant named in the URL. Of several none counts: whoever stands before
    /// Rollcall may have looked at another one.
    ///
    /// # Errors
    /// Why the header cannot be a credential of that tenant.
    pub fn read<'h>(mut authorization: impl Iterator<Item = &'h [u8]>, tenant_in_url: &str) -> Result<Self, Rejection> {
        let header = authorization.next().ok_or(Denial::Missing)?;
        if authorization.next().is_some() {
            return Err(Denial::SeveralHeaders.into());
        }
        let (scheme, rest) = split(header)?;
        match scheme.to_ascii_lowercase().as_str() {
            "bearer" if rest.starts_with("scim_") => match ApiKey::parse(rest) {
                Some(key) => Self::of_key(key, tenant_in_url, Proof::Bearer),
                None => Self::of_token(AccessToken::parse(rest).ok_or(Denial::Malformed)?, tenant_in_url),
            },
            "bearer" => Self::of_jwt(rest, tenant_in_url),
            "basic" => {
                let (user, password) = basic(rest)?;
                let key = ApiKey::parse(&password).ok_or(Denial::Malformed)?;
                Self::of_key(key, tenant_in_url, |key| Proof::Basic { user, key })
            }
            _ => Err(Denial::Malformed.into()),
        }
    }

    /// An OAuth client by its secret (RFC 6749 section 2.3.1).
    ///
    /// # Errors
    /// Why these cannot be a client of that tenant.
    pub fn of_client(id: &str, secret: &str, tenant_in_url: &str) -> Result<Self, Rejection> {
        let key = ApiKey::parse(secret).ok_or(Denial::Malformed)?;
        match key.id().as_str() == id {
            true => Self::of_key(key, tenant_in_url, Proof::Client),
            false => Err(Denial::Malformed.of(key.id())),
        }
    }

    /// An OAuth client by the JWT of its identity provider (RFC 7523 section 2.2).
    ///
    /// # Errors
    /// Why it cannot be one of that tenant.
    pub fn of_assertion(assertion: &str, tenant_in_url: &str) -> Result<Self, Rejection> {
        match Self::of_jwt(assertion, tenant_in_url)? {
            claim @ Self { proof: Proof::IssuerJwt(_), .. } => Ok(claim),
            claim => Err(Denial::WrongCredentialType.of(&claim.id)),
        }
    }

    fn of_key(key: ApiKey, tenant_in_url: &str, proof: impl FnOnce(ApiKey) -> Proof) -> Result<Self, Rejection> {
        if key.tenant().as_str() != tenant_in_url {
            return Err(Denial::OtherTenant.of(key.id()));
        }
        Ok(Self { tenant: Tenant(key.tenant().clone()), id: key.id().clone(), proof: proof(key) })
    }

    fn of_token(token: AccessToken, tenant_in_url: &str) -> Result<Self, Rejection> {
        if token.tenant().as_str() != tenant_in_url {
            return Err(Denial::OtherTenant.of(token.client()));
        }
        Ok(Self { tenant: Tenant(token.tenant().clone()), id: token.client().clone(), proof: Proof::Token(token) })
    }

    fn of_jwt(text: &str, tenant_in_url: &str) -> Result<Self, Rejection> {
        if text.len() > MAX_AUTHORIZATION_BYTES {
            return Err(Denial::Malformed.into());
        }
        let tenant = Tenant(tenant_in_url.parse().map_err(|_| Denial::Malformed)?);
        let jwt = Jwt::parse(text).ok_or(Denial::Malformed)?;
        if jwt.claims.iss == OWN_ISSUER {
            let id = jwt.claims.jti.as_deref().and_then(KeyId::parse).ok_or(Denial::Malformed)?;
            let is_for_it = jwt.claims.aud.all().any(|audience| audience == tenant_in_url);
            return if is_for_it {
                Ok(Self { tenant, id, proof: Proof::RollcallJwt(jwt) })
            } else {
                Err(Denial::OtherTenant.of(&id))
            };
        }
        let audience = jwt.claims.aud.all().next().ok_or(Denial::Malformed)?;
        let id = FederatedIssuer::key_id(&jwt.claims.iss, audience);
        Ok(Self { tenant, id, proof: Proof::IssuerJwt(jwt) })
    }

    /// The tenant that is named, not verified.
    pub fn tenant_name(&self) -> &TenantName {
        self.tenant.name()
    }

    /// The key's id; that of the client, for an access token.
    pub fn key_id(&self) -> &KeyId {
        &self.id
    }

    /// That its holder is not authorized.
    pub fn reject(&self, denial: Denial) -> Rejection {
        denial.of(&self.id)
    }

    /// The presented access token, if it is one.
    pub fn token(&self) -> Option<&AccessToken> {
        if let Proof::Token(token) = &self.proof { Some(token) } else { None }
    }

    /// The presented JWT, if it is one.
    pub fn jwt(&self) -> Option<&Jwt> {
        match &self.proof {
            Proof::RollcallJwt(jwt) | Proof::IssuerJwt(jwt) => Some(jwt),
            _ => None,
        }
    }

    /// Looks the key up. In the same round trip it reads for the tenant that the key names; the read ends if the key is
    /// invalid. With the rest of the read, it records the use of the key and fetches the tenant's profile.
    ///
    /// # Errors
    /// The lookup's own error or that of the profile, or why the caller is not authorized.
    pub async fn verify_with_read<E, K, A, P, B, U>(
        &self,
        check: Verification<'_>,
        CredentialLookup { stored, profile, record_last_used }: CredentialLookup<K, A, B>,
        read: ConcurrentRead<'_>,
    ) -> Result<Result<Principal, Rejection>, E>
    where
        K: Future<Output = Result<StoredCredential, E>>,
        A: FnOnce(ProfileRef) -> P,
        P: Future<Output = Result<Arc<Profile>, E>>,
        B: FnOnce(KeyId) -> U,
        U: Future<Output = ()>,
    {
        let read = read(self.tenant.clone());
        // Whichever comes first: a read for a caller who is not authorized ends there.
        let (stored, read) = match select(std::pin::pin!(stored), read).await {
            Either::Left((stored, read)) => (stored, Either::Left(read)),
            Either::Right(((), lookup)) => (lookup.await, Either::Right(())),
        };
        let record = match self.verify(stored?, &check).await {
            Ok(record) => record,
            Err(rejection) => return Ok(Err(rejection)),
        };
        let use_record = async {
            if record.last_used_is_stale(check.now) {
                record_last_used(record.id.clone()).await;
            }
        };
        let profile = profile(record.config.profile.clone());
        let rest = async {
            if let Either::Left(under_way) = read {
                under_way.await;
            }
        };
        let ((), profile, ()) = join3(rest, profile, use_record).await;
        Ok(Ok(Principal::of(self.tenant.clone(), record, profile?)))
    }

    /// Checks the claim against the record of its key. An access token may do what its record says, as far as that of its
    /// client says so too.
    ///
    /// # Errors
    /// Why the caller is not authorized.
    pub async fn verify(&self, stored: StoredCredential, check: &Verification<'_>) -> Result<KeyRecord, Rejection> {
        self.verify_proof(&stored, check).await.map_err(|denial| self.reject(denial))?;
        let mut record = stored.key.ok_or_else(|| self.reject(Denial::Unknown))?;
        // Whoever has come so far holds the key.
        let reject =
            |denial, record: KeyRecord| Rejection { profile: Some(record.config.profile), ..self.reject(denial) };
        if let Some(token) = stored.token {
            record.scopes.retain(|scope| token.scopes.contains(scope));
        }
        match record.state(check.now) {
            State::Revoked => return Err(reject(Denial::Revoked, record)),
            State::Expired => return Err(reject(Denial::Expired, record)),
            State::Pending => return Err(reject(Denial::NotYetValid, record)),
            State::Waiting => return Err(reject(Denial::AutomationUserInactive, record)),
            State::Live | State::Expiring => {}
        }
        if check.scope.is_some_and(|scope| !record.scopes.contains(&scope)) {
            return Err(reject(Denial::Scope, record));
        }
        Ok(record)
    }

    /// Verifies the proof against the record. Without a record it does the same work.
    async fn verify_proof(&self, stored: &StoredCredential, check: &Verification<'_>) -> Result<(), Denial> {
        let record = stored.key.as_ref();
        let credential = record.map(|record| &record.credential);
        let automation = record.and_then(|record| record.automation.as_deref());
        match &self.proof {
            Proof::Bearer(key) => verify_secret(key, credential, |credential| match credential {
                Credential::Bearer(hash) => Some(*hash),
                _ => None,
            }),
            Proof::Token(token) => verify_token(token, credential, stored.token.as_ref(), check.now),
            Proof::Client(key) => verify_secret(key, credential, |credential| match credential {
                Credential::Client(hash) => Some(*hash),
                _ => None,
            }),
            Proof::Basic { user, key } => {
                let is_same = verify_secret(key, credential, |credential| match credential {
                    Credential::Basic(hash) => Some(*hash),
                    _ => None,
                });
                is_same.and_then(|()| if automation == Some(user) { Ok(()) } else { Err(Denial::WrongSecret) })
            }
            Proof::RollcallJwt(jwt) => {
                let Some(Credential::Jwt { public_key, .. }) = credential else {
                    return Err(dummy_verification(jwt, credential));
                };
                signed(jwt.is_signed(&own_key(public_key), Algorithm::EdDSA))?;
                // RFC 7519 section 4.1.2: in whose name it acts.
                let is_theirs = jwt.claims.sub.as_deref() == automation;
                if is_theirs { jwt.check_time(check.now) } else { Err(Denial::WrongSecret) }
            }
            Proof::IssuerJwt(jwt) => {
                let Some(Credential::Federation { trust, .. }) = credential else {
                    return Err(dummy_verification(jwt, credential));
                };
                let key = check
                    .issuers
                    .key(trust, jwt.kid.as_deref(), check.now)
                    .await
                    .map_err(|_| Denial::IssuerUnavailable)?;
                signed(key.is_some_and(|key| jwt.is_signed(&key, trust.algorithm)))?;
                let is_theirs = trust.subject.accepts(jwt.claims.sub.as_deref());
                let is_meant = jwt.claims.iss == trust.issuer && jwt.claims.aud.all().any(|a| a == trust.audience);
                if !is_theirs || !is_meant {
                    return Err(Denial::WrongSecret);
                }
                jwt.check_time(check.now)?;
                jwt.check_life(check.now)
            }
        }
    }
}

/// Compares a secret with the hash that the record keeps for this type, in constant time.
fn verify_secret(
    key: &ApiKey,
    credential: Option<&Credential>,
    hash: impl Fn(&Credential) -> Option<[u8; 32]>,
) -> Result<(), Denial> {
    let kept = credential.and_then(hash);
    let is_same = bool::from(kept.unwrap_or_default().ct_eq(&key.hash()));
    match (credential, kept) {
        (None, _) => Err(Denial::Unknown),
        (Some(_), None) => Err(Denial::WrongCredentialType),
        (Some(_), Some(_)) if is_same => Ok(()),
        _ => Err(Denial::WrongSecret),
    }
}

/// Compares an access token with its record and that of its client, in constant time.
fn verify_token(
    token: &AccessToken,
    client: Option<&Credential>,
    record: Option<&TokenRecord>,
    now: Timestamp,
) -> Result<(), Denial> {
    let hash = token.hash(client.unwrap_or(&Credential::Client([0; 32])));
    let is_same = bool::from(record.map_or([0; 32], |record| record.hash).ct_eq(&hash));
    match (client, record) {
        (Some(client), Some(record)) if client.has_tokens() && is_same => {
            if record.expires > now {
                Ok(())
            } else {
                Err(Denial::Expired)
            }
        }
        (Some(client), Some(_)) if client.has_tokens() => Err(Denial::WrongSecret),
        (Some(_), Some(_)) => Err(Denial::WrongCredentialType),
        _ => Err(Denial::Unknown),
    }
}

fn signed(is_signed: bool) -> Result<(), Denial> {
    if is_signed { Ok(()) } else { Err(Denial::WrongSecret) }
}

/// Verifies a JWT without a record, to take as long as with one. Rollcall rejects it whatever the result.
fn dummy_verification(jwt: &Jwt, credential: Option<&Credential>) -> Denial {
    let _ = jwt.is_signed(&own_key(&DUMMY_KEY), Algorithm::EdDSA);
    if credential.is_some() { Denial::WrongCredentialType } else { Denial::Unknown }
}

/// Scheme and what follows it.
fn split(header: &[u8]) -> Result<(&str, &str), Denial> {
    if header.len() > MAX_AUTHORIZATION_BYTES {
        return Err(Denial::Malformed);
    }
    let header = std::str::from_utf8(header).map_err(|_| Denial::Malformed)?;
    let (scheme, rest) = header.split_once(' ').ok_or(Denial::Malformed)?;
    Ok((scheme, rest.trim()))
}

/// User and password of HTTP Basic (RFC 7617).
fn basic(encoded: &str) -> Result<(String, String), Denial> {
    let text =
        STANDARD.decode(encoded).ok().and_then(|bytes| String::from_utf8(bytes).ok()).ok_or(Denial::Malformed)?;
    let (user, password) = text.split_once(':').ok_or(Denial::Malformed)?;
    Ok((user.to_owned(), password.to_owned()))
}

/// Client id and secret of an `Authorization` header; each is form-encoded within it (RFC 6749 section 2.3.1).
///
/// # Errors
/// When the header is no Basic one.
pub fn client_of(authorization: &[u8]) -> Result<(String, String), Denial> {
    let (scheme, rest) = split(authorization)?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(Denial::Malformed);
    }
    let decoded = |text: String| percent_encoding::percent_decode_str(&text).decode_utf8_lossy().into_owned();
    basic(rest).map(|(id, secret)| (decoded(id), decoded(secret)))
}
