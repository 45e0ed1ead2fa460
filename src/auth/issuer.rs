//! The keys of identity providers (RFC 7517): fetched, kept for an hour, and fetched again when a token names one that
//! is not there, which is how issuers change keys.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use jsonwebtoken::DecodingKey;
use serde_json::Value;

use super::jwt::{Algorithm, algorithm_name};
use super::record::FederatedIssuer;
use crate::limits::{JWKS_MIN_REFETCH_SECONDS, JWKS_STALE_TTL_SECONDS, JWKS_TTL_SECONDS};

/// Gets a document from a URL.
pub trait Fetch: Send + Sync {
    /// Returns the document, or why it could not be fetched.
    fn fetch<'a>(&'a self, url: &'a str) -> Pin<Box<dyn Future<Output = Result<Vec<u8>, String>> + Send + 'a>>;
}

/// What is known of issuers, for as long as the process lives.
pub struct Issuers {
    fetch: Box<dyn Fetch>,
    known: Mutex<HashMap<String, Arc<tokio::sync::Mutex<KeySet>>>>,
}

/// The issuer's keys could not be fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IssuerUnavailable;

/// What one address has answered.
#[derive(Default)]
struct KeySet {
    keys: Option<Vec<Value>>,
    fetched: Timestamp,
    asked: Timestamp,
    /// Whether it did not answer when it was last asked.
    is_down: bool,
}

impl Issuers {
    /// Knowing none yet.
    pub fn new(fetch: impl Fetch + 'static) -> Self {
        Self { fetch: Box::new(fetch), known: Mutex::default() }
    }

    /// The key that a token names, if its issuer has it. A token that names none is only taken where the issuer has one.
    ///
    /// # Errors
    /// When the issuer's keys could not be fetched.
    pub(super) async fn key(
        &self,
        trust: &FederatedIssuer,
        kid: Option<&str>,
        now: Timestamp,
    ) -> Result<Option<DecodingKey>, IssuerUnavailable> {
        let known = self
            .known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(trust.jwks_uri.clone())
            .or_default()
            .clone();
        // Who comes while it is asked waits for the answer.
        let mut known = known.lock().await;
        let age = |since: Timestamp| now.duration_since(since).as_secs();
        let found = known.key(trust, kid);
        let is_fresh = known.keys.is_some() && age(known.fetched) < JWKS_TTL_SECONDS;
        if (found.is_none() || !is_fresh) && age(known.asked) >= JWKS_MIN_REFETCH_SECONDS {
            known.asked = now;
            match self.fetched(&trust.jwks_uri).await {
                Ok(keys) => *known = KeySet { keys: Some(keys), fetched: now, asked: now, is_down: false },
                Err(error) => {
                    tracing::warn!(jwks_uri = trust.jwks_uri, error, "could not fetch the keys of an issuer");
                    known.is_down = true;
                }
            }
        }
        if age(known.fetched) >= JWKS_STALE_TTL_SECONDS {
            known.keys = None;
        }
        match known.key(trust, kid) {
            // It may be one of those that could not be fetched.
            None if known.is_down => Err(IssuerUnavailable),
            found => Ok(found),
        }
    }

    /// The member `keys` of a JWK Set (RFC 7517 section 5).
    async fn fetched(&self, url: &str) -> Result<Vec<Value>, String> {
        let document: Value = serde_json::from_slice(&self.fetch.fetch(url).await?).map_err(|e| e.to_string())?;
        let keys = document.get("keys").and_then(Value::as_array);
        keys.cloned().ok_or_else(|| "it is no JWK Set".to_owned())
    }
}

impl KeySet {
    fn key(&self, trust: &FederatedIssuer, kid: Option<&str>) -> Option<DecodingKey> {
        let mut keys = self.keys.iter().flatten().filter(|key| is_for(key, trust.algorithm));
        let key = match kid {
            Some(kid) => keys.find(|key| text(key, "kid") == Some(kid)),
            None => keys.next().filter(|_| keys.next().is_none()),
        };
        key.and_then(decoding_key)
    }
}

/// Whether a key is for signatures of that algorithm, as far as it says (RFC 7517 section 4).
fn is_for(key: &Value, algorithm: Algorithm) -> bool {
    let is_or_unsaid = |name, value| text(key, name).is_none_or(|said| said == value);
    is_or_unsaid("use", "sig") && is_or_unsaid("alg", algorithm_name(algorithm))
}

/// A public key (RFC 7518 section 6, RFC 8037 section 2). Which algorithms it is good for, its kind says: a shared secret
/// is none.
fn decoding_key(key: &Value) -> Option<DecodingKey> {
    match (text(key, "kty")?, text(key, "crv")) {
        ("RSA", _) => DecodingKey::from_rsa_components(text(key, "n")?, text(key, "e")?).ok(),
        ("EC", Some("P-256")) => DecodingKey::from_ec_components(text(key, "x")?, text(key, "y")?).ok(),
        ("OKP", Some("Ed25519")) => DecodingKey::from_ed_components(text(key, "x")?).ok(),
        _ => None,
    }
}

fn text<'a>(key: &'a Value, name: &str) -> Option<&'a str> {
    key.get(name)?.as_str()
}
