//! Access tokens: key records of an hour, made for a client.

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};

use crate::auth::jwt::Jwt;
use crate::auth::{KeyId, KeyRecord};
use crate::store::dynamo::commit::CommitError;
use crate::store::dynamo::item::{at, n, s};
use crate::store::dynamo::tables::Table;
use crate::store::dynamo::write::{Condition, Guard, Write};
use crate::store::model::tenant::credential_key;
use crate::store::ops::keys::put_key;
use crate::store::ops::tenants::require_tenant_version;
use crate::store::{Store, StoreError};
use crate::tenant::TenantName;

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
        let used = Write::update(Table::Keys, credential_key(&token.tenant, client.as_str()))
            .set("used", at(now))
            .require(&Condition::Exists("tenant"))
            .require(&Condition::Absent("revoked"))
            .require(&Condition::Absent("expires").or(Condition::greater("expires", at(now))))
            .guard(Guard::Client);
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
    let mut row = credential_key(tenant, &format!(".assertion#{hex}"));
    row.insert("ttl".into(), n(assertion.ends().saturating_add(SignedDuration::from_hours(1).as_secs())));
    row.insert("by".into(), s(assertion.claims.sub.clone().unwrap_or_default()));
    Write::put(Table::Keys, row)
        .require(&Condition::Absent("tenant").or(Condition::less("ttl", n(now.as_second()))))
        .guard(Guard::Assertion)
}
