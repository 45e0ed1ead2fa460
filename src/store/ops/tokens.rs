//! Table `tokens`: access tokens, how many were issued to each client, and the assertions that were used for them.

use futures_util::future::try_join;
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};

use crate::auth::jwt::Jwt;
use crate::auth::{AccessToken, PresentedCredential, StoredCredential, TokenRecord};
use crate::limits::{MAX_TOKENS_PER_WINDOW, TOKEN_SECONDS};
use crate::store::dynamo::commit::CommitError;
use crate::store::dynamo::item::{n, s};
use crate::store::dynamo::tables::Table;
use crate::store::dynamo::write::{Condition, Guard, Write};
use crate::store::model::token::{count_key, token_item, token_key, token_record, token_row};
use crate::store::{Store, StoreError};
use crate::tenant::TenantName;

/// What became of a token that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenOutcome {
    /// It was stored, and works.
    Issued,
    /// The client has had as many as it may; when it may have more.
    TooMany(Timestamp),
    /// The assertion was used before.
    AssertionReplayed,
}

impl Store {
    /// The records of a credential. The record of an access token and that of its client are read in one round trip.
    ///
    /// # Errors
    /// A [`StoreError`] when DynamoDB fails or an item is corrupt.
    pub async fn stored_credential(&self, claim: &PresentedCredential) -> Result<StoredCredential, StoreError> {
        let key = self.key(claim.tenant_name(), claim.key_id());
        match claim.token() {
            None => Ok(StoredCredential { key: key.await?, token: None }),
            Some(token) => {
                let (key, token) = try_join(key, self.token(token)).await?;
                Ok(StoredCredential { key, token })
            }
        }
    }

    async fn token(&self, token: &AccessToken) -> Result<Option<TokenRecord>, StoreError> {
        let get = self.client.get_item().table_name(self.table(Table::Tokens)).consistent_read(true);
        let key = token_key(token.tenant(), token.client(), token.id());
        let found = get.set_key(Some(key)).send().await.map_err(|e| StoreError::of(&e))?;
        found.item.map(|item| token_record(&item)).transpose()
    }

    /// Stores a token, in one transaction with the count of its client's, and with the assertion that the client showed,
    /// which must be new. Nothing is asked about the client: a token of one that was revoked meanwhile does not work.
    ///
    /// # Errors
    /// A [`StoreError`] when DynamoDB fails or an item is corrupt.
    pub async fn issue_token(
        &self,
        token: &TokenRecord,
        assertion: Option<&Jwt>,
        now: Timestamp,
    ) -> Result<TokenOutcome, StoreError> {
        let put = Write::put(Table::Tokens, token_item(token)).require(&Condition::Absent("tenant"));
        let (count, ends) = count_token(token, now);
        let mut writes = vec![count, put];
        writes.extend(assertion.map(|assertion| mark_assertion_used(&token.tenant, assertion, now)));
        match self.commit(&writes, "").await {
            Ok(()) => Ok(TokenOutcome::Issued),
            Err(CommitError::Condition(Guard::TokenCount, _)) => Ok(TokenOutcome::TooMany(ends)),
            Err(CommitError::Condition(Guard::Assertion, _)) => Ok(TokenOutcome::AssertionReplayed),
            Err(CommitError::Condition(..)) => Err(StoreError::Exists),
            Err(CommitError::Store(error)) => Err(error),
        }
    }
}

/// Counts a token of its client in a window as long as a token's life, and when that window ends. Tokens that live
/// were issued in two windows at the most.
fn count_token(token: &TokenRecord, now: Timestamp) -> (Write, Timestamp) {
    let window = now.as_second().div_euclid(TOKEN_SECONDS);
    let ends = window.saturating_add(1).saturating_mul(TOKEN_SECONDS);
    let count = Write::update(Table::Tokens, count_key(&token.tenant, &token.client, window))
        .increment("n")
        .set("ttl", n(ends))
        .require(&Condition::Absent("n").or(Condition::less("n", n(MAX_TOKENS_PER_WINDOW))))
        .guard(Guard::TokenCount);
    (count, Timestamp::from_second(ends).unwrap_or(now))
}

/// The row that marks an assertion as used (RFC 7523 section 3, number 7), kept as long as it lasts.
fn mark_assertion_used(tenant: &TenantName, assertion: &Jwt, now: Timestamp) -> Write {
    let digest = Sha256::new()
        .chain_update(&assertion.claims.iss)
        .chain_update([0])
        .chain_update(assertion.identity())
        .finalize();
    let hex = hex::encode(digest);
    let mut row = token_row(tenant, &format!(".assertion#{hex}"));
    row.insert("ttl".into(), n(assertion.ends().saturating_add(SignedDuration::from_hours(1).as_secs())));
    row.insert("by".into(), s(assertion.claims.sub.clone().unwrap_or_default()));
    Write::put(Table::Tokens, row)
        .require(&Condition::Absent("tenant").or(Condition::less("ttl", n(now.as_second()))))
        .guard(Guard::Assertion)
}
