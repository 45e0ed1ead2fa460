//! Reasons to reject a request.

use super::key::KeyId;
use crate::tenant::ProfileRef;

/// Why a caller is not authorized, and what is known about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// Why.
    pub denial: Denial,
    /// The key that it named, for the log; for an access token, that of its client. Nothing says that it holds it.
    pub key: Option<KeyId>,
    /// The profile of its tenant, for a caller who holds a key of it that does not work: nobody else learns of it.
    pub profile: Option<ProfileRef>,
}

impl From<Denial> for Rejection {
    fn from(denial: Denial) -> Self {
        Self { denial, key: None, profile: None }
    }
}

impl Rejection {
    /// The state of the key, for a caller who has proved to hold it: its requests are the tenant's own, and refused for a
    /// reason that the tenant can change.
    pub fn key_state(&self) -> Option<(&KeyId, &'static str)> {
        let key = self.key.as_ref()?;
        match self.denial {
            Denial::Revoked => Some((key, "revoked")),
            Denial::Expired | Denial::LifeTooLong => Some((key, "expired")),
            Denial::NotYetValid => Some((key, "pending")),
            Denial::AutomationUserInactive => Some((key, "waiting")),
            Denial::Scope | Denial::Replayed => Some((key, "ok")),
            _ => None,
        }
    }
}

impl Denial {
    /// Of a caller who named that key.
    pub(super) fn of(self, key: &KeyId) -> Rejection {
        Rejection { key: Some(key.clone()), ..self.into() }
    }
}

/// Why a request was not authorized. Goes to the log. The client gets the same answer for all but `Scope`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Denial {
    Missing,
    Malformed,
    /// More than one `Authorization` header.
    SeveralHeaders,
    OtherTenant,
    /// A credential of another type than the record's.
    WrongCredentialType,
    Unknown,
    WrongSecret,
    /// The issuer's keys could not be fetched.
    IssuerUnavailable,
    Revoked,
    Expired,
    NotYetValid,
    /// Its automation user was never activated.
    AutomationUserInactive,
    /// A JWT of an identity provider that lives longer than is accepted.
    LifeTooLong,
    /// An assertion that was used before.
    Replayed,
    Scope,
}
