//! Reasons to let nobody in.

/// Why a request was not let in. Goes to the log; the client is told the same for all but `Scope`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Denial {
    Missing,
    Malformed,
    OtherTenant,
    /// A credential of another type than the record's.
    WrongCredentialType,
    Unknown,
    WrongSecret,
    /// The issuer's keys could not be had.
    IssuerUnavailable,
    Revoked,
    Expired,
    NotYetValid,
    /// Its automation user was never activated.
    AutomationUserInactive,
    /// An assertion that was shown before.
    Replayed,
    Scope,
}
