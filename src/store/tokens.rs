//! Access tokens: key records of an hour, made for a client.

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};

use super::commit::{CommitError, Guard, Write};
use super::item::{at, n, s};
use super::keys::{key, put_key};
use super::tables::Table;
use super::tenants::require_tenant_version;
use super::{Store, StoreError};
use crate::auth::jwt::Jwt;
use crate::auth::{KeyId, KeyRecord, TenantName};

/// What became of a token that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenOutcome {
    /// It was stored, and works.
    Issued,
    /// The client was revoked meanwhile.
    ClientRevoked,
    /// The assertion was shown before.
    AssertionReplayed,
}

impl Store {
    /// Stores a token, in one transaction with the use of the client, which must not be revoked, and with the assertion
    /// that the client showed, which must be new.
    ///
    /// # Errors
    /// As the store's.
    pub async fn issue_token(
        &self,
        token: &KeyRecord,
        client: &KeyId,
        assertion: Option<&Jwt>,
        now: Timestamp,
    ) -> Result<TokenOutcome, StoreError> {
        match self.give(token, client, assertion, now).await? {
            Ok(given) => Ok(given),
            // The client's copy of what its tenant is like is behind: the tenant is being changed, or that was broken off.
            Err(StaleTenantConfig) => {
                let tenant = self.tenant(&token.tenant).await?.ok_or(StoreError::Contended(1))?;
                let renewed = KeyRecord { config: tenant.config, ..token.clone() };
                let given = self.give(&renewed, client, assertion, now).await?;
                given.map_err(|StaleTenantConfig| StoreError::Contended(2))
            }
        }
    }

    async fn give(
        &self,
        token: &KeyRecord,
        client: &KeyId,
        assertion: Option<&Jwt>,
        now: Timestamp,
    ) -> Result<Result<TokenOutcome, StaleTenantConfig>, StoreError> {
        let used = Write::update(Table::Keys, key(&token.tenant, client.as_str()), "SET #used = :now".to_owned())
            .condition("attribute_exists(#tenant) AND attribute_not_exists(#revoked)")
            .and_condition("(attribute_not_exists(#expires) OR #expires > :now)")
            .name("tenant")
            .name("revoked")
            .name("expires")
            .name("used")
            .guard(Guard::Client)
            .value("now", at(now));
        let mut writes = vec![used, put_key(token), require_tenant_version(&token.tenant, &token.config)];
        writes.extend(assertion.map(|assertion| mark_assertion_used(&token.tenant, assertion, now)));
        match self.commit(&writes, "").await {
            Ok(()) => Ok(Ok(TokenOutcome::Issued)),
            Err(CommitError::Condition(Guard::Client, _)) => Ok(Ok(TokenOutcome::ClientRevoked)),
            Err(CommitError::Condition(Guard::TenantVersion, _)) => Ok(Err(StaleTenantConfig)),
            Err(CommitError::Condition(Guard::Assertion, _)) => Ok(Ok(TokenOutcome::AssertionReplayed)),
            Err(CommitError::Condition(..)) => Err(StoreError::Exists),
            Err(CommitError::Store(error)) => Err(error),
        }
    }
}

/// The token's copy of what its tenant is like is an old one.
struct StaleTenantConfig;

/// The row by which an assertion is known that is shown again (RFC 7523 section 3, number 7), kept as long as it lasts.
fn mark_assertion_used(tenant: &TenantName, assertion: &Jwt, now: Timestamp) -> Write {
    let digest = Sha256::new()
        .chain_update(&assertion.claims.iss)
        .chain_update([0])
        .chain_update(assertion.identity())
        .finalize();
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut row = key(tenant, &format!(".assertion#{hex}"));
    row.insert("ttl".into(), n(assertion.ends().saturating_add(SignedDuration::from_hours(1).as_secs())));
    row.insert("by".into(), s(assertion.claims.sub.clone().unwrap_or_default()));
    Write::put(Table::Keys, row)
        .condition("attribute_not_exists(#tenant) OR #ttl < :now")
        .name("tenant")
        .name("ttl")
        .guard(Guard::Assertion)
        .value("now", n(now.as_second()))
}
