//! JWTs (RFC 7519): those that Rollcall issues as secret tokens, and those of identity providers. The algorithm is the
//! record's, never the token's (RFC 8725 section 3.1).

use std::fmt;

use jiff::Timestamp;

pub use jsonwebtoken::Algorithm;
use jsonwebtoken::dangerous::insecure_decode;
use jsonwebtoken::{DecodingKey, EncodingKey, Header, Validation, decode};
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde::{Deserialize, Serialize};

use super::denial::Denial;
use super::key::KeyId;
use crate::limits::{CLOCK_TOLERANCE_SECONDS, MAX_ISSUER_JWT_SECONDS};
use crate::tenant::TenantName;

mod provider;

/// `iss` of the JWTs that Rollcall issues.
pub const OWN_ISSUER: &str = "rollcall";

/// A JWT that was read, and not verified. `Debug` prints nothing of it.
#[derive(Clone)]
pub struct Jwt {
    text: String,
    /// Which of the issuer's keys it says to be signed with.
    pub kid: Option<String>,
    /// What it says.
    pub claims: Claims,
}

impl fmt::Debug for Jwt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Jwt")
    }
}

/// What is read of a JWT's claims; a claim of another type is refused, not passed over.
#[derive(Clone, Deserialize)]
pub struct Claims {
    /// Who issued it.
    pub iss: String,
    /// Whom it is about.
    #[serde(default)]
    pub sub: Option<String>,
    /// Whom it is for.
    pub aud: Audience,
    /// Its id.
    #[serde(default)]
    pub jti: Option<String>,
    /// RFC 7519 section 2 lets it have fractions.
    exp: f64,
    #[serde(default)]
    nbf: Option<f64>,
    #[serde(default)]
    iat: Option<f64>,
}

/// One recipient or several (RFC 7519 section 4.1.3).
#[derive(Clone, Deserialize)]
#[serde(untagged)]
pub enum Audience {
    /// One.
    One(String),
    /// Several.
    Several(Vec<String>),
}

impl Audience {
    /// Every recipient.
    pub fn all(&self) -> impl Iterator<Item = &str> {
        let (one, several): (Option<&String>, &[String]) = match self {
            Self::One(one) => (Some(one), &[]),
            Self::Several(several) => (None, several),
        };
        one.into_iter().chain(several).map(String::as_str)
    }
}

impl Jwt {
    /// Reads a compact JWT with nothing critical in its header; Rollcall knows no `alg: none`.
    pub fn parse(text: &str) -> Option<Self> {
        provider::install();
        let read = insecure_decode::<Claims>(text).ok()?;
        if read.header.crit.is_some() {
            return None;
        }
        Some(Self { text: text.to_owned(), kid: read.header.kid, claims: read.claims })
    }

    /// Whether it was signed with that key, in that way.
    pub(super) fn is_signed(&self, key: &DecodingKey, algorithm: Algorithm) -> bool {
        let mut validation = Validation::new(algorithm);
        // The times are checked by our own clock, the recipients by the record.
        validation.validate_exp = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        decode::<Claims>(&self.text, key, &validation).is_ok()
    }

    /// Whether this is its time; clocks may differ by [`CLOCK_TOLERANCE_SECONDS`].
    ///
    /// # Errors
    /// That it is over, or has not begun.
    pub fn check_time(&self, now: Timestamp) -> Result<(), Denial> {
        let now = now.as_second();
        if self.ends() <= now {
            return Err(Denial::Expired);
        }
        match self.claims.nbf {
            Some(begins) if (begins as i64).saturating_sub(CLOCK_TOLERANCE_SECONDS) > now => Err(Denial::NotYetValid),
            _ => Ok(()),
        }
    }

    /// Whether it ends within [`MAX_ISSUER_JWT_SECONDS`] of now, and of when it was issued, if it says so: whoever finds
    /// one that lives for years could use it for years.
    ///
    /// # Errors
    /// That it lives longer.
    pub(super) fn check_life(&self, now: Timestamp) -> Result<(), Denial> {
        let ends = self.claims.exp as i64;
        let left = ends.saturating_sub(now.as_second()).saturating_sub(CLOCK_TOLERANCE_SECONDS);
        let life = self.claims.iat.map_or(0, |issued| ends.saturating_sub(issued as i64));
        if left.max(life) > MAX_ISSUER_JWT_SECONDS { Err(Denial::LifeTooLong) } else { Ok(()) }
    }

    /// Until when it may be presented.
    pub fn ends(&self) -> i64 {
        (self.claims.exp as i64).saturating_add(CLOCK_TOLERANCE_SECONDS)
    }

    /// What it is known by when it is presented again: its id, or where it has none, all that is signed of it. The signature
    /// itself can be changed and stay good.
    pub fn identity(&self) -> &str {
        let signed = self.text.rsplit_once('.').map_or(self.text.as_str(), |(signed, _)| signed);
        self.claims.jti.as_deref().unwrap_or(signed)
    }
}

/// A JWT just issued.
pub struct Issued {
    /// The token, to be returned once.
    pub token: String,
    /// What it is verified with.
    pub public_key: Vec<u8>,
}

/// Issues a JWT with a key pair created for it alone. The private half is gone when this returns.
///
/// # Errors
/// When the system has no random numbers.
pub fn issue(
    tenant: &TenantName,
    id: &KeyId,
    subject: &str,
    from: Timestamp,
    until: Timestamp,
) -> Result<Issued, String> {
    #[derive(Serialize)]
    struct Said<'a> {
        iss: &'a str,
        sub: &'a str,
        aud: &'a str,
        jti: &'a str,
        iat: i64,
        nbf: i64,
        exp: i64,
    }
    provider::install();
    let private = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new())
        .map_err(|_| "the system returned no random numbers; try again")?;
    let pair = Ed25519KeyPair::from_pkcs8(private.as_ref()).map_err(|e| e.to_string())?;
    let said = Said {
        iss: OWN_ISSUER,
        sub: subject,
        aud: tenant.as_str(),
        jti: id.as_str(),
        iat: from.as_second(),
        nbf: from.as_second(),
        exp: until.as_second(),
    };
    let header = Header { kid: Some(id.as_str().to_owned()), ..Header::new(Algorithm::EdDSA) };
    let key = EncodingKey::from_ed_der(private.as_ref());
    let token = jsonwebtoken::encode(&header, &said, &key).map_err(|e| e.to_string())?;
    Ok(Issued { token, public_key: pair.public_key().as_ref().to_vec() })
}

/// The verification key of a JWT that Rollcall issued.
pub(super) fn own_key(public_key: &[u8]) -> DecodingKey {
    DecodingKey::from_ed_der(public_key)
}

/// A point of the curve of which nobody knows the private half: SHA-256 of a text. What has no record is verified with
/// it all the same, so that it takes as long as a token with a key.
pub(super) const DUMMY_KEY: [u8; 32] = [
    0x60, 0x0f, 0x23, 0xaf, 0xa8, 0xfa, 0xb2, 0x53, 0xf2, 0xf6, 0x71, 0xc4, 0x70, 0x68, 0x9e, 0x08, 0x24, 0x4f, 0x90,
    0xb8, 0xc7, 0xbe, 0x04, 0xd3, 0xb5, 0x60, 0xf0, 0xa9, 0x50, 0x0f, 0xc9, 0x1f,
];

/// The name of an algorithm, as in a JWT's header.
pub fn algorithm_name(algorithm: Algorithm) -> &'static str {
    ASSERTION_ALGORITHMS.iter().find(|(known, _)| *known == algorithm).map_or("", |(_, name)| name)
}

/// The algorithm of that name, of those that issuers may sign with. No shared secrets: whoever verifies could sign.
pub fn algorithm(name: &str) -> Option<Algorithm> {
    ASSERTION_ALGORITHMS.iter().find(|(_, known)| *known == name).map(|(algorithm, _)| *algorithm)
}

/// What issuers may sign with.
pub const ASSERTION_ALGORITHMS: [(Algorithm, &str); 4] = [
    (Algorithm::RS256, "RS256"),
    (Algorithm::PS256, "PS256"),
    (Algorithm::ES256, "ES256"),
    (Algorithm::EdDSA, "EdDSA"),
];
